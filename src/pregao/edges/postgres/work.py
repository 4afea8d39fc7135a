"""
What is to be done, found in the state: signals nobody has decided, orders nobody has heard of.

Who does it is settled by leases on worker rows, judged by PostgreSQL's clock.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from pregao.decisions.ports import RECONCILE_SECONDS_MAX, Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import (
    DecisionPending,
    EntryRequested,
    ExitRequested,
    Fact,
    FillReported,
    OrderAccepted,
    OrderDenied,
    OrderEnded,
    OrderRejected,
    OrderUnresolved,
    PositionChanged,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionRejected,
    ProtectionReported,
    ProtectionUnresolved,
    StopChanged,
    StopRaised,
    StopTriggered,
)
from pregao.domain.order import order_of
from pregao.domain.protection import position_of
from pregao.domain.venue import VenueTrade
from pregao.edges.postgres.journal import Connection, decode
from pregao.edges.postgres.pool import AWAY, CalmPool
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import LiveOrder, WaitingEntry
from pregao.orders.resolve import ASK_AGAIN_SECONDS, EXIT_ASK_AGAIN_SECONDS, FILL_ASK_AGAIN_SECONDS
from pregao.positions.compare import HeldHere
from pregao.positions.ports import WaitingExit
from pregao.views.health import LEASE_SECONDS

RENEW_SECONDS = 2.0
RENEW_AGAIN_SECONDS = 0.2  # where it failed
RENEWED_SECONDS_MAX = 4.0  # an answer that takes longer is not waited for: another connection is asked
FROZEN_SECONDS = 3.0  # a step that ends so much later than it may was not carried out all the time
SILENT_SECONDS = (
    3.0  # a worker that has not renewed its lease for so long may be dead: what it sent is asked about
)
SILENT_AGAIN_SECONDS = 1.0  # between the first question about an entry of such a one and the second
LATE_SIGNALS = 200  # whose symbols are kept fresh

OF_ORDERS = (OrderAccepted, OrderRejected, OrderUnresolved, OrderEnded, OrderDenied, EntryRequested)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's right to act under its name until its lease runs out."""

    worker_id: str
    lease_epoch: int


class Workers:
    """The worker rows: taken once per process, renewed, and given up on the way out."""

    def __init__(self, pool: CalmPool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Write through ``pool``; ``monotonic`` goes on while the process is frozen."""
        self._pool = pool
        self._monotonic = monotonic

    async def enter(self, *, worker_id: str, role: str) -> Lease:
        """Take a lease under a fresh epoch."""
        epoch: int = await self._pool.fetchval(
            """
            INSERT INTO workers (worker_id, role, lease_epoch, lease_until)
            VALUES ($1, $2, nextval('lease_epochs'), clock_timestamp() + $3)
            ON CONFLICT (worker_id) DO UPDATE
            SET lease_epoch = excluded.lease_epoch, lease_until = excluded.lease_until, states_seen = 0,
                stopping_since = NULL
            RETURNING lease_epoch
            """,
            worker_id,
            role,
            timedelta(seconds=LEASE_SECONDS),
        )
        return Lease(worker_id=worker_id, lease_epoch=epoch)

    async def renew(self, lease: Lease, *, over: Connection | None = None) -> bool:
        """Renew a lease that has not run out; False when it has: whoever held it must stop acting under it."""
        renewed = await (over or self._pool).fetchval(
            """
            UPDATE workers SET lease_until = clock_timestamp() + $3
            WHERE worker_id = $1 AND lease_epoch = $2 AND lease_until > clock_timestamp()
            RETURNING true
            """,
            lease.worker_id,
            lease.lease_epoch,
            timedelta(seconds=LEASE_SECONDS),
        )
        return bool(renewed)

    async def note_stopping(self, lease: Lease) -> None:
        """Note that the worker was told to stop: whatever becomes of it now, nobody is called because it is gone."""
        await self._pool.execute(
            "UPDATE workers SET stopping_since = clock_timestamp() WHERE worker_id = $1 AND lease_epoch = $2",
            lease.worker_id,
            lease.lease_epoch,
        )

    async def leave(self, lease: Lease) -> None:
        """Give the lease and every named lease up."""
        await self._pool.execute("DELETE FROM leases WHERE worker_id = $1", lease.worker_id)
        await self._pool.execute("DELETE FROM workers WHERE worker_id = $1", lease.worker_id)

    async def hold(self, name: str, lease: Lease) -> bool:
        """Take or renew a named lease that one worker at a time may hold; False while another holds it."""
        held = await self._pool.fetchval(
            """
            INSERT INTO leases (name, worker_id, lease_epoch, lease_until)
            VALUES ($1, $2, $3, clock_timestamp() + $4)
            ON CONFLICT (name) DO UPDATE
            SET worker_id = excluded.worker_id, lease_epoch = excluded.lease_epoch, lease_until = excluded.lease_until
            WHERE leases.lease_until <= clock_timestamp() OR leases.worker_id = excluded.worker_id
            RETURNING true
            """,
            name,
            lease.worker_id,
            lease.lease_epoch,
            timedelta(seconds=LEASE_SECONDS),
        )
        return bool(held)

    async def renew_until_lost(self, lease: Lease) -> None:
        """
        Keep renewing; returns when the lease is lost.

        Over a connection of its own, and another one where it gives no answer: who was frozen must not wait for a pool whose
        connections hang to learn that he may act no more. Nor does he ask, where he was frozen for longer than a lease. A
        database that is away is waited for: whoever guards from memory meanwhile stays on duty.
        """
        own: asyncpg.Connection | None = None
        wait = RENEW_SECONDS
        renewed_at = self._monotonic()
        try:
            while True:
                began = self._monotonic()
                await asyncio.sleep(wait)
                if self._was_frozen(since=began, seconds_max=wait, renewed_at=renewed_at):
                    break
                began, is_ours = self._monotonic(), None
                try:
                    async with asyncio.timeout(RENEWED_SECONDS_MAX):
                        own = own or await self._pool.connect_alone()
                        is_ours = await self.renew(lease, over=own)
                except AWAY:
                    if own is not None:
                        own.terminate()
                    own = None
                    if self._was_frozen(since=began, seconds_max=RENEWED_SECONDS_MAX, renewed_at=renewed_at):
                        break
                if is_ours is False:
                    break
                if is_ours:
                    renewed_at = self._monotonic()
                wait = RENEW_SECONDS if is_ours else RENEW_AGAIN_SECONDS
            log.error("postgres.lease.lost", worker_id=lease.worker_id)
        finally:
            if own is not None:
                own.terminate()

    def _was_frozen(self, *, since: float, seconds_max: float, renewed_at: float) -> bool:
        """Say whether the process was frozen in a step that began then, and so long that its lease has run out."""
        now = self._monotonic()
        return now - renewed_at > LEASE_SECONDS and now - since > seconds_max + FROZEN_SECONDS


async def living_workers(connection: Connection, *, role: str) -> list[str]:
    """Give the workers of a role whose lease has not run out."""
    rows = await connection.fetch(
        "SELECT worker_id FROM workers WHERE role = $1 AND lease_until > clock_timestamp() ORDER BY worker_id",
        role,
    )
    return [row["worker_id"] for row in rows]


async def peek_waiting_signals(connection: Connection, *, limit: int) -> list[WaitingSignal]:
    """Give the signals waiting to be decided or planned, those a person has answered too, oldest first; lock none."""
    rows = await connection.fetch(
        """
        SELECT s.signal_id, s.symbol, s.status = 'approved' AS is_approved, array(
            SELECT DISTINCT a.venue FROM subscriptions AS m JOIN accounts AS a USING (account_id)
            WHERE m.bot_id = s.bot_id) AS venues, (
            SELECT coalesce(jsonb_agg(DISTINCT asked), '[]') FROM (
                SELECT guard->'stop' AS stop FROM bots AS b WHERE b.bot_id = s.bot_id
                UNION ALL
                SELECT custom_guard->'stop' FROM subscriptions AS m WHERE m.bot_id = s.bot_id) AS guards
            CROSS JOIN LATERAL jsonb_build_object('timeframe', stop->'timeframe', 'period', stop->'period') AS asked
            WHERE jsonb_typeof(stop) = 'object') AS measures
        FROM signals AS s WHERE s.status IN ('accepted', 'answered', 'approved')
          -- An entry gives an account that was just taken over time to learn its past; then it is denied there. One that
          -- must be compared keeps nobody else waiting: its owner trades by hand, and a comparison takes seconds.
          AND NOT (s.action = 'enter' AND EXISTS (
              SELECT FROM account_checks AS c JOIN subscriptions AS m USING (account_id)
              WHERE m.bot_id = s.bot_id AND c.unreconciled_since > clock_timestamp() - $2::interval
                AND NOT c.must_compare))
        ORDER BY s.received_at, s.signal_id LIMIT $1
        """,
        limit,
        timedelta(seconds=RECONCILE_SECONDS_MAX),
    )
    return to_values(rows, WaitingSignal)


async def claim_waiting_signals(connection: Connection, signal_ids: Sequence[UUID]) -> list[Waiting]:
    """
    Claim those of the signals that still wait, oldest first, as the facts they wait with.

    Only signals that were peeked at are claimed: the price of any other has not been read yet. The rows stay locked
    until the transaction ends; another trader passes them by, and their whole bot with them: a close that overtook the
    entry before it would find nothing to close. The row of an approved one is not locked, its bot is: the ends of its
    first orders are counted there.
    """
    own = await connection.fetch(
        """
        WITH own AS MATERIALIZED (
            SELECT bot_id FROM (SELECT DISTINCT bot_id FROM signals WHERE signal_id = ANY($1::uuid[])) AS asked
            WHERE pg_try_advisory_xact_lock(7234006, hashtext(bot_id::text))
        ), undecided AS MATERIALIZED (
            SELECT signal_id FROM signals JOIN own USING (bot_id)
            WHERE signal_id = ANY($1::uuid[]) AND status IN ('accepted', 'answered')
            ORDER BY received_at, signal_id FOR UPDATE OF signals SKIP LOCKED)
        SELECT signal_id FROM undecided
        UNION ALL
        SELECT signal_id FROM signals JOIN own USING (bot_id)
        WHERE signal_id = ANY($1::uuid[]) AND status = 'approved'
        """,
        signal_ids,
    )
    # Another statement: it sees what whoever had the bot before has committed.
    rows = await connection.fetch(
        """
        SELECT told.kind, told.fact
        FROM signals AS s
        CROSS JOIN LATERAL (
            SELECT journal.kind, journal.fact::text AS fact FROM journal
            WHERE journal.signal_id = s.signal_id
              AND journal.kind = CASE s.status WHEN 'accepted' THEN 'SignalAccepted'
                                               WHEN 'answered' THEN 'ApprovalAnswered' ELSE 'DecisionApproved' END
            ORDER BY seq LIMIT 1) AS told
        WHERE s.signal_id = ANY($1::uuid[]) AND s.status IN ('accepted', 'answered', 'approved') AND NOT EXISTS (
            SELECT FROM signals AS e
            WHERE e.bot_id = s.bot_id AND e.status IN ('accepted', 'answered', 'approved')
              AND NOT e.signal_id = ANY($1::uuid[])
              AND (e.received_at, e.signal_id) < (s.received_at, s.signal_id))
        ORDER BY s.received_at, s.signal_id
        """,
        [row["signal_id"] for row in own],
    )
    return [_waiting(row["kind"], row["fact"]) for row in rows]


async def claim_overdue(connection: Connection, *, now: datetime, limit: int) -> list[DecisionPending]:
    """
    Claim signals that were put to a person and not answered in time; whom somebody answers just now is passed by.

    Whoever asks gives the time: what expires was dated by the same kind of clock, not by PostgreSQL's.
    """
    rows = await connection.fetch(
        """
        SELECT told.fact
        FROM (SELECT signal_id, approval_expires_at FROM signals
              WHERE status = 'pending' AND approval_expires_at <= $1
              ORDER BY approval_expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS s
        CROSS JOIN LATERAL (
            SELECT journal.fact::text AS fact FROM journal
            WHERE journal.signal_id = s.signal_id AND journal.kind = 'DecisionPending' ORDER BY seq LIMIT 1) AS told
        """,
        now,
        limit,
    )
    return [to_pending(row["fact"]) for row in rows]


def to_pending(fact: str) -> DecisionPending:
    """Read what was put to a person back from its JSON."""
    decoded = decode("DecisionPending", fact)
    assert isinstance(decoded, DecisionPending), "the journal's kind says so"
    return decoded


def _waiting(kind: str, fact: str) -> Waiting:
    decoded = decode(kind, fact)
    assert isinstance(decoded, Waiting), "the statement names the three"
    return decoded


async def lock_positions_of(connection: Connection, facts: Sequence[Fact]) -> None:
    """
    Lock the positions that facts from a venue are about, in the order of their ids, before anything else of theirs.

    What follows from the facts locks orders, signals and positions fact by fact. Two transactions that did only
    that would wait for each other, and so would one of them and whoever plans, who holds a bot's positions already.
    """
    trades = [fact for fact in facts if isinstance(fact, FillReported)]
    names = [order_of(fact.trade.client_order_id) for fact in trades]
    order_ids = {fact.order_id for fact in facts if isinstance(fact, OF_ORDERS)}
    await connection.execute(
        """
        SELECT FROM positions WHERE position_id IN (
            SELECT position_id FROM orders WHERE order_id = ANY($1::text[])
            UNION SELECT * FROM unnest($2::bigint[])
            UNION SELECT position_id FROM positions
                  JOIN unnest($3::bigint[], $4::text[], $5::text[], $6::text[])
                       AS told (account_id, symbol, position_side, order_id)
                  USING (account_id, symbol, position_side)
                  -- Of no order of ours, or of one that was forgotten: it may close what is held there.
                  WHERE closed_at IS NULL AND NOT EXISTS (
                      SELECT FROM orders AS o WHERE o.order_id = told.order_id AND o.attempt > 0))
        ORDER BY position_id FOR NO KEY UPDATE
        """,
        [*order_ids, *(own[0] for own in names if own is not None)],
        [number for fact in facts if (number := _position_of(fact)) is not None],
        [fact.account_id for fact in trades],
        [fact.trade.symbol for fact in trades],
        [fact.trade.position_side for fact in trades],
        [own[0] if own is not None else None for own in names],
    )


def _position_of(fact: Fact) -> int | None:
    """Give the position a fact names itself."""
    match fact:
        case (
            ExitRequested()
            | ProtectionAccepted()
            | ProtectionRejected()
            | ProtectionUnresolved()
            | ProtectionMoved()
        ):
            return fact.position_id
        case StopTriggered() | StopRaised() | StopChanged():
            return fact.stop.position_id
        case PositionChanged():
            return fact.position.position_id
        case ProtectionReported():
            return position_of(fact.report.protection_id)
        case FillReported():
            return position_of(fact.trade.client_order_id)
    return None


async def peek_waiting_entries(connection: Connection, *, limit: int) -> list[tuple[Venue, WaitingEntry]]:
    """Give entries whose position has nothing on its way any more, and where they trade, without locking them."""
    rows = await connection.fetch(
        """
        SELECT o.order_id, o.signal_id, o.bot_id, o.subscription_id, o.account_id, o.symbol, o.side, o.position_id,
               o.send_before, a.venue
        FROM orders AS o JOIN positions AS p USING (position_id) JOIN accounts AS a ON a.account_id = o.account_id
        WHERE o.status = 'deferred' AND o.leg = 'entry'
          AND (p.status IN ('closed', 'abandoned') AND (o.send_before <= clock_timestamp() OR NOT EXISTS (
              SELECT FROM stops AS s WHERE s.position_id = o.position_id AND s.left_at IS NULL)
              AND NOT EXISTS (
              SELECT FROM orders AS x WHERE x.position_id = o.position_id
              AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')))
            OR (p.status = 'open' AND NOT EXISTS (
              SELECT FROM orders AS x WHERE x.position_id = o.position_id AND x.leg = 'exit'
              AND x.status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled'))))
        ORDER BY o.planned_at LIMIT $1
        """,
        limit,
    )
    return [(Venue(row["venue"]), to_value(row, WaitingEntry)) for row in rows]


async def measures(connection: Connection) -> list[Measure]:
    """Give all that stops of bots and subscriptions are measured by."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT stop->>'timeframe' AS timeframe, (stop->>'period')::int AS period FROM (
            SELECT guard->'stop' AS stop FROM bots UNION ALL SELECT custom_guard->'stop' FROM subscriptions) AS guards
        WHERE jsonb_typeof(stop) = 'object'
        """
    )
    return to_values(rows, Measure)


async def peek_waiting_exits(connection: Connection, *, limit: int) -> list[WaitingExit]:
    """Give the oldest waiting exit of each position that has nothing on its way, without locking them."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (o.position_id) o.position_id, o.signal_id, o.share FROM orders AS o
        WHERE o.status = 'deferred' AND o.leg = 'exit' AND NOT EXISTS (
            SELECT FROM orders AS x WHERE x.position_id = o.position_id
            AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
          AND NOT EXISTS (SELECT FROM account_checks AS c WHERE c.account_id = o.account_id AND c.is_unsure)
        ORDER BY o.position_id, o.planned_at, o.signal_id LIMIT $1
        """,
        limit,
    )
    return to_values(rows, WaitingExit)


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


async def settled_signals(connection: Connection, signal_ids: Collection[UUID]) -> list[UUID]:
    """Give those of the signals that are settled."""
    rows = await connection.fetch(
        "SELECT signal_id FROM signals WHERE signal_id = ANY($1::uuid[]) AND settled_at IS NOT NULL",
        list(signal_ids),
    )
    return [row["signal_id"] for row in rows]


async def accounts_to_follow(connection: Connection) -> list[tuple[int, Venue]]:
    """Give the accounts whose user streams are to be followed: active ones, and those holding something."""
    rows = await connection.fetch(
        """
        SELECT account_id, venue FROM accounts AS a
        WHERE venue <> 'webhook'  -- which tells nothing
          AND (is_active OR EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id
                                    AND p.closed_at IS NULL))
        ORDER BY account_id
        """,
    )
    return [(row["account_id"], Venue(row["venue"])) for row in rows]


async def held_positions(connection: Connection, account_id: int) -> tuple[bool, list[HeldHere]]:
    """
    Give what the books hold on an account, ours and foreign, by symbol and position side, longs minus shorts.

    The first value says whether nothing of the account is on its way: only then can it be compared with the venue's.
    """
    rows = await connection.fetch(
        """
        SELECT symbol, position_side, sum(ours) AS ours, sum(seen) AS seen FROM (
            SELECT symbol, position_side,
                   (entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END AS ours, 0 AS seen
            FROM positions WHERE account_id = $1 AND closed_at IS NULL
            UNION ALL
            SELECT symbol, position_side, 0, quantity FROM foreign_positions WHERE account_id = $1
        ) AS told GROUP BY symbol, position_side
        """,
        account_id,
    )
    is_busy = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM orders WHERE account_id = $1
                       AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
        """,
        account_id,
    )
    return not is_busy, to_values(rows, HeldHere)


async def held_symbols(connection: Connection, account_id: int) -> list[tuple[Venue, str, datetime]]:
    """
    Give (venue, symbol, since when) of what the account holds, and of what an order of it may still trade.

    That the last fill was booked says nothing about those before it: they may have been told to nobody. What becomes of
    an order in doubt is known when every trade is, also where its position is closed.
    """
    rows = await connection.fetch(
        """
        SELECT a.venue, asked.symbol, min(asked.since) AS since
        FROM (
            SELECT symbol, created_at AS since FROM positions WHERE account_id = $1 AND closed_at IS NULL
            UNION ALL
            SELECT symbol, planned_at FROM orders
            WHERE account_id = $1 AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        ) AS asked, accounts AS a
        WHERE a.account_id = $1
        GROUP BY a.venue, asked.symbol
        """,
        account_id,
    )
    return [(Venue(row["venue"]), row["symbol"], row["since"]) for row in rows]


async def symbols_to_watch(connection: Connection) -> set[str]:
    """Give the symbols that are likely to trade next: of bots tied to one, of late signals, of what is held."""
    rows = await connection.fetch(
        """
        SELECT trading_symbol AS symbol FROM bots WHERE trading_symbol IS NOT NULL AND status = 'active'
        UNION SELECT symbol FROM positions WHERE closed_at IS NULL AND leverage > 0  -- not one that was forwarded
        UNION (SELECT symbol FROM signals AS s WHERE symbol IS NOT NULL
                 AND EXISTS (SELECT FROM subscriptions AS m JOIN accounts AS a USING (account_id)
                             WHERE m.bot_id = s.bot_id AND a.venue <> 'webhook')
               ORDER BY signal_id DESC LIMIT $1)
        """,
        LATE_SIGNALS,
    )
    return {row["symbol"] for row in rows}
