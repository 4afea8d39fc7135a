"""Orders that may trade, or have traded unheard: when each is asked about next, and which trades are theirs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from pregao.domain.venue import VenueTrade
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import LiveOrder
from pregao.orders.resolve import ASK_AGAIN_SECONDS, EXIT_ASK_AGAIN_SECONDS, FILL_ASK_AGAIN_SECONDS
from pregao.views.health import LEASE_SECONDS

SILENT_SECONDS = (
    3.0  # a worker that has not renewed its lease for so long may be dead: what it sent is asked about
)
SILENT_AGAIN_SECONDS = 1.0  # between the first question about an entry of such a one and the second


async def claim_due_orders(connection: Connection, *, limit: int) -> list[LiveOrder]:
    """Give orders that are due to be asked about, or whose sender is silent, and put off their next question."""
    rows = await connection.fetch(
        """
        WITH due AS (
            SELECT order_id FROM orders
            WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
              -- What a silent worker sent may have filled: nothing guards that until somebody asks.
              AND (check_at <= clock_timestamp() OR (status = 'planned' AND checks = 0 AND owner IN (
                  SELECT worker_id FROM workers WHERE lease_until < clock_timestamp() + $3)))
              -- What died may have been sent again, and that forgotten: it waits until the account's trades are known.
              AND NOT (is_dead AND EXISTS (
                  SELECT FROM account_checks AS c WHERE c.account_id = orders.account_id AND c.is_unsure))
            ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ), put_off AS (
            UPDATE orders SET checks = checks + 1,
                check_at = CASE
                    -- A venue's reads lag: an entry that it does not know yet may have filled all the same.
                    WHEN leg = 'entry' AND check_at > clock_timestamp() THEN least(check_at, clock_timestamp() + $5::interval)
                    ELSE greatest(check_at, clock_timestamp()
                                  + CASE WHEN leg = 'exit'
                                      THEN ($4::interval[])[least(checks + 1, array_length($4::interval[], 1))]
                                      WHEN status = 'accepted'
                                      THEN ($6::interval[])[least(checks + 1, array_length($6::interval[], 1))]
                                      ELSE ($2::interval[])[least(checks + 1, array_length($2::interval[], 1))] END)
                END
            FROM due WHERE orders.order_id = due.order_id
            RETURNING orders.order_id
        )
        SELECT o.* FROM orders AS o JOIN put_off USING (order_id)
        """,
        limit,
        [timedelta(seconds=seconds) for seconds in ASK_AGAIN_SECONDS],
        timedelta(seconds=LEASE_SECONDS - SILENT_SECONDS),
        [timedelta(seconds=seconds) for seconds in EXIT_ASK_AGAIN_SECONDS],
        timedelta(seconds=SILENT_AGAIN_SECONDS),
        [timedelta(seconds=seconds) for seconds in FILL_ASK_AGAIN_SECONDS],
    )
    return to_values(rows, LiveOrder)


async def put_off_question(connection: Connection, order: LiveOrder, *, seconds: float | None) -> None:
    """Ask about an order no sooner than in so many seconds; None: until somebody says that things have changed."""
    await connection.execute(
        """
        UPDATE orders SET check_at = clock_timestamp() + $3::interval
        WHERE order_id = $1 AND attempt = $2
          AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        """,
        order.order_id,
        order.attempt,
        None if seconds is None else timedelta(seconds=seconds),
    )


async def ask_soon(connection: Connection, *, put_off_seconds: float) -> None:
    """Ask about the orders now whose next question is further away than so many seconds."""
    await connection.execute(
        """
        UPDATE orders SET check_at = clock_timestamp()
        WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
          AND (check_at IS NULL OR check_at > clock_timestamp() + $1::interval) AND NOT is_dead
        """,
        timedelta(seconds=put_off_seconds),
    )


async def ask_now(connection: Connection, order_ids: Sequence[str]) -> None:
    """Ask about these orders now, where they may still have traded unheard."""
    await connection.execute(
        """
        UPDATE orders SET check_at = clock_timestamp()
        WHERE order_id = ANY($1::text[]) AND status IN ('planned', 'unresolved') AND check_at > clock_timestamp()
          AND NOT is_dead
        """,
        order_ids,
    )


async def live_orders_of_account(connection: Connection, account_id: int) -> list[LiveOrder]:
    """Give the account's orders that may have traded unseen, oldest first."""
    rows = await connection.fetch(
        """
        SELECT * FROM orders
        WHERE account_id = $1 AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        ORDER BY planned_at
        """,
        account_id,
    )
    return to_values(rows, LiveOrder)


async def find_live_order(connection: Connection, order_id: str) -> LiveOrder | None:
    """Give an order with the attempt that counts, None when it never had one."""
    row = await connection.fetchrow("SELECT * FROM orders WHERE order_id = $1 AND attempt > 0", order_id)
    return to_value(row, LiveOrder) if row else None


async def explain_trades(
    connection: Connection, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
) -> tuple[list[VenueTrade], bool]:
    """
    Give the trades of our orders with the client order ids that a query by time does not tell; others are left out.

    The second value says whether those may be ours, too: an order of ours has no venue id yet. The trades must have
    been read before this is called.
    """
    rows = await connection.fetch(
        """
        SELECT client_order_id, exchange_order_id FROM orders
        WHERE account_id = $1 AND symbol = $2
          AND (exchange_order_id = ANY($3::text[]) OR status IN ('planned', 'unresolved'))
        """,
        account_id,
        symbol,
        [trade.exchange_order_id for trade in trades],
    )
    ours = {row["exchange_order_id"]: row["client_order_id"] for row in rows if row["exchange_order_id"]}
    explained = [
        replace(trade, client_order_id=ours[trade.exchange_order_id])
        for trade in trades
        if trade.exchange_order_id in ours
    ]
    return explained, any(row["exchange_order_id"] is None for row in rows)
