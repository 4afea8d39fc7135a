"""Folds of fills, and of the positions that are their sums."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from pregao.domain import facts
from pregao.domain.position import Position
from pregao.edges.postgres.folds.orders import FILL_SECONDS, settle
from pregao.edges.postgres.folds.registry import column, folds

RESERVED = (
    "position_id", "account_id", "bot_id", "subscription_id", "signal_id", "symbol", "position_side", "direction",
    "leverage",
)  # fmt: skip


@folds(facts.FillBooked)
async def _(connection: Any, group: Sequence[facts.FillBooked]) -> None:
    trades = [fact.trade for fact in group]
    await connection.execute(
        """
        INSERT INTO fills (account_id, symbol, trade_id, exchange_order_id, order_id, signal_id, position_id, side,
                           position_side, price, quantity, commission, commission_asset, fee, fee_rate, is_maker,
                           traded_at, booked_at, foreign_quantity)
        SELECT * FROM unnest(
            $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::text[],
            $9::text[], $10::numeric[], $11::numeric[], $12::numeric[], $13::text[], $14::numeric[], $15::numeric[],
            $16::boolean[], $17::timestamptz[], $18::timestamptz[], $19::numeric[])
        """,
        column(group, "account_id"),
        column(trades, "symbol"),
        column(trades, "trade_id"),
        column(trades, "exchange_order_id"),
        column(group, "order_id"),
        column(group, "signal_id"),
        column(group, "position_id"),
        column(trades, "side"),
        column(trades, "position_side"),
        column(trades, "price"),
        column(trades, "quantity"),
        column(trades, "commission"),
        column(trades, "commission_asset"),
        column(group, "fee"),
        column(group, "fee_rate"),
        column(trades, "is_maker"),
        column(trades, "traded_at"),
        column(group, "happened_at"),
        column(group, "foreign_quantity"),
    )
    ours = [fact for fact in group if fact.order_id is not None]
    if not ours:
        return
    filled = await connection.fetch(
        """
        UPDATE orders
        SET filled_quantity = filled_quantity + new.quantity, filled_notional = filled_notional + new.notional,
            fees = orders.fees + new.fee, filled_at = greatest(orders.filled_at, new.traded_at), booked_at = new.at,
            exchange_order_id = coalesce(orders.exchange_order_id, new.exchange_order_id), updated_at = new.at,
            code = CASE WHEN status <> 'unresolved' THEN code END,  -- a fill answers what was asked
            reason = CASE WHEN status <> 'unresolved' THEN reason END,
            status = CASE
                WHEN status IN ('canceled', 'expired', 'rejected', 'denied') THEN status
                WHEN filled_quantity + new.quantity >= orders.quantity THEN 'filled'
                ELSE 'partially_filled' END,
            check_at = CASE WHEN filled_quantity + new.quantity < orders.quantity THEN new.at + $7::interval END
        FROM (SELECT order_id, min(exchange_order_id) AS exchange_order_id, sum(quantity) AS quantity,
                     sum(notional) AS notional, sum(fee) AS fee, max(traded_at) AS traded_at, max(at) AS at
              FROM unnest($1::text[], $2::numeric[], $3::numeric[], $4::numeric[], $5::timestamptz[],
                          $6::timestamptz[], $8::text[])
                   AS one (order_id, quantity, notional, fee, traded_at, at, exchange_order_id)
              GROUP BY order_id) AS new
        WHERE orders.order_id = new.order_id AND orders.quantity IS NOT NULL  -- null: never planned here
        RETURNING orders.signal_id, orders.status,
                  orders.filled_quantity - new.quantity < orders.quantity AS was_short
        """,
        column(ours, "order_id"),
        [fact.trade.quantity for fact in ours],
        [fact.trade.quantity * fact.trade.price for fact in ours],
        column(ours, "fee"),
        [fact.trade.traded_at for fact in ours],
        column(ours, "happened_at"),
        timedelta(seconds=FILL_SECONDS),
        [fact.trade.exchange_order_id for fact in ours],
    )
    done = [row["signal_id"] for row in filled if row["status"] == "filled" and row["was_short"]]
    await settle(connection, done, group)


@folds(facts.ForeignPositionSeen)
async def _(connection: Any, group: Sequence[facts.ForeignPositionSeen]) -> None:
    """Write what is there now; of several sights in one batch the last counts."""
    latest = {(fact.account_id, fact.symbol, fact.position_side): fact for fact in group}
    rows = [latest[key] for key in sorted(latest)]
    await connection.execute(
        """
        INSERT INTO foreign_positions (account_id, symbol, position_side, quantity, seen_at)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::numeric[], $5::timestamptz[])
        ON CONFLICT (account_id, symbol, position_side) DO UPDATE
        SET quantity = excluded.quantity, seen_at = excluded.seen_at
        """,
        column(rows, "account_id"),
        column(rows, "symbol"),
        column(rows, "position_side"),
        column(rows, "quantity"),
        column(rows, "happened_at"),
    )


@folds(facts.DriftSettled)
async def _(connection: Any, group: Sequence[facts.DriftSettled]) -> None:
    """Reserve the position where it is new; its fill and what is left are facts of their own."""
    for fact in group:
        await reserve(connection, fact.position, at=fact.happened_at)


async def reserve(connection: Any, position: Position, *, at: datetime) -> None:
    """Keep the place of a position that nothing has filled yet, unless it is there."""
    await connection.execute(
        """
        INSERT INTO positions (
            position_id, account_id, bot_id, subscription_id, signal_id, symbol, position_side, direction, status,
            leverage, entered_quantity, exited_quantity, entry_notional, exit_notional, fees, realized_pnl,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, 0, 0, 0, 0, 0, 0, $10, $10)
        ON CONFLICT (position_id) DO NOTHING
        """,
        *(getattr(position, name) for name in RESERVED),
        at,
    )


# A position counts on the UTC day it closed: as it stood before is taken off its day, as it stands now is put on its
# own. So what closes, reopens by a late fill and closes again counts once, and a fact told twice changes nothing.
CHANGE_POSITIONS = """
WITH changed AS (
    UPDATE positions
    SET status = told.status, entered_quantity = told.entered_quantity, exited_quantity = told.exited_quantity,
        entry_notional = told.entry_notional, exit_notional = told.exit_notional, fees = told.fees,
        realized_pnl = told.realized_pnl, opened_at = told.opened_at, closed_at = told.closed_at,
        exit_signal_id = told.exit_signal_id, close_reason = told.close_reason, updated_at = told.at
    FROM unnest($1::bigint[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[],
                $8::numeric[], $9::timestamptz[], $10::timestamptz[], $11::uuid[], $12::text[], $13::timestamptz[])
         AS told (position_id, status, entered_quantity, exited_quantity, entry_notional, exit_notional, fees,
                  realized_pnl, opened_at, closed_at, exit_signal_id, close_reason, at)
    WHERE positions.position_id = told.position_id
    RETURNING old AS before, new AS after
), counted AS (
    INSERT INTO daily_results AS known (
        subscription_id, day, symbol, bot_id, account_id, closed, wins, losses, pnl_usd, gross_pnl_usd, fees_usd,
        loss_usd, notional_usd)
    SELECT (one).subscription_id, ((one).closed_at AT TIME ZONE 'UTC')::date, (one).symbol, (one).bot_id,
           (one).account_id, sum(times), sum(times * ((one).realized_pnl > 0)::int),
           sum(times * ((one).realized_pnl < 0)::int), sum(times * (one).realized_pnl),
           sum(times * CASE WHEN (one).leverage = 0 THEN 0  -- forwarded: what it earns is not known
                                            WHEN (one).direction = 'long' THEN (one).exit_notional - (one).entry_notional
                                            ELSE (one).entry_notional - (one).exit_notional END),
           sum(times * (one).fees), sum(times * greatest(-(one).realized_pnl, 0)),
           sum(times * CASE WHEN (one).leverage = 0 THEN 0 ELSE (one).entry_notional END)
    FROM changed CROSS JOIN LATERAL (VALUES (-1, before), (1, after)) AS counting (times, one)
    WHERE (one).status = 'closed'
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3
    ON CONFLICT (subscription_id, day, symbol) DO UPDATE
    SET closed = known.closed + excluded.closed, wins = known.wins + excluded.wins,
        losses = known.losses + excluded.losses, pnl_usd = known.pnl_usd + excluded.pnl_usd,
        gross_pnl_usd = known.gross_pnl_usd + excluded.gross_pnl_usd, fees_usd = known.fees_usd + excluded.fees_usd,
        loss_usd = known.loss_usd + excluded.loss_usd, notional_usd = known.notional_usd + excluded.notional_usd
    RETURNING subscription_id, day, symbol, closed, forgiven_usd
)
SELECT subscription_id, day, symbol FROM counted WHERE closed = 0 AND forgiven_usd = 0
"""


@folds(facts.PositionChanged)
async def _(connection: Any, group: Sequence[facts.PositionChanged]) -> None:
    """Write each position and what it counts as; of several changes in one batch the last counts."""
    latest = {fact.position.position_id: fact for fact in group}
    changes = [latest[key] for key in sorted(latest)]
    rows: list[Position] = [fact.position for fact in changes]
    emptied = await connection.fetch(
        CHANGE_POSITIONS,
        column(rows, "position_id"),
        column(rows, "status"),
        column(rows, "entered_quantity"),
        column(rows, "exited_quantity"),
        column(rows, "entry_notional"),
        column(rows, "exit_notional"),
        column(rows, "fees"),
        column(rows, "realized_pnl"),
        column(rows, "opened_at"),
        column(rows, "closed_at"),
        column(rows, "exit_signal_id"),
        column(rows, "close_reason"),
        column(changes, "happened_at"),
    )
    for row in emptied:  # all that had closed there has reopened
        await connection.execute(
            "DELETE FROM daily_results WHERE subscription_id = $1 AND day = $2 AND symbol = $3", *row
        )


@folds(facts.DailyLossForgiven)
async def _(connection: Any, group: Sequence[facts.DailyLossForgiven]) -> None:
    """Add to what was forgiven there; the last word on why stays."""
    for fact in sorted(group, key=attrgetter("subscription_id", "day", "symbol")):
        await connection.execute(
            """
            UPDATE daily_results SET forgiven_usd = forgiven_usd + $4, forgiven_by = $5, forgiven_reason = $6
            WHERE subscription_id = $1 AND day = $2 AND symbol = $3
            """,
            fact.subscription_id,
            fact.day,
            fact.symbol,
            fact.amount_usd,
            fact.forgiven_by,
            fact.reason,
        )


@folds(facts.ExitRequested)
async def _(_connection: Any, _group: Sequence[facts.ExitRequested]) -> None:
    """Nothing: the order that follows it, or its denial, is what changes the state."""


@folds(facts.EntryRequested)
async def _(_connection: Any, _group: Sequence[facts.EntryRequested]) -> None:
    """Nothing: the attempt that follows it, or its denial, is what changes the state."""
