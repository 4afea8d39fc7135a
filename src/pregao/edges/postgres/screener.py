"""The screener's book, its schedule, its pace, and what people see of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.domain.facts import BuyReprocessed, Fact
from pregao.domain.pace import last_minute, seconds_to_wait
from pregao.domain.screener import Listing, Strategy, ticker_of
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.workers import Lease, Workers
from pregao.market.ports import DeclinedBuy, Look, StandingList
from pregao.views.screener import (
    ListChange,
    ReprocessedLine,
    Reprocessing,
    ScreenerLine,
    StrategyLine,
    TickerLine,
)

BELL = "screener"
LEASE = "screener"
NOT_WRITTEN = "LIST_UNWRITTEN"  # nor could be what was to be tried again because of it
REASON_CHARACTERS_MAX = 500
CHANGE_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(7234008)"

# $1 tickers, $2 the oldest, $3 how many of each. A sell is a close, or an entry on the other side, whatever became of it.
DECLINED = """
SELECT s.signal_id, s.bot_id, upper(s.symbol) AS ticker, s.symbol, s.price, s.received_at,
       EXISTS (SELECT FROM positions AS p
               WHERE p.bot_id = s.bot_id AND p.symbol = s.symbol AND p.closed_at IS NULL) AS is_held,
       EXISTS (SELECT FROM deliveries AS d
               WHERE d.bot_id = s.bot_id AND d.dedupe_key = 'reprocessed:' || s.signal_id) AS was_tried_again,
       array_remove(ARRAY[sold.first_at, sold.last_at], NULL) AS sold_at
FROM unnest($1::text[]) AS entered (ticker)
CROSS JOIN LATERAL (
    SELECT * FROM signals AS s
    WHERE upper(s.symbol) = entered.ticker AND s.status = 'declined' AND s.code = 'SCREENER_DECLINED'
      AND s.action = 'enter' AND s.side = 'buy' AND s.source NOT IN ('screener', 'retry', 'replay')
      AND ($2::timestamptz IS NULL OR s.received_at >= $2)
    ORDER BY s.received_at DESC, s.signal_id DESC LIMIT $3
) AS s
JOIN bots AS b ON b.bot_id = s.bot_id AND b.policy = 'screener' AND b.status = 'active'
CROSS JOIN LATERAL (
    SELECT min(o.received_at) AS first_at, max(o.received_at) AS last_at FROM signals AS o
    WHERE o.bot_id = s.bot_id AND o.received_at > s.received_at AND o.source <> 'replay'
      AND (o.action = 'close_all' OR o.symbol = s.symbol AND (o.action = 'close' OR o.side = 'sell'))
) AS sold
ORDER BY s.received_at DESC, s.signal_id DESC
"""
STATUS = """
SELECT coalesce((SELECT is_paused FROM screener_states), false) AS is_paused,
       EXISTS (SELECT FROM leases WHERE name = 'screener' AND lease_until > clock_timestamp()) AS is_running,
       s.strategy_id, coalesce(s.name, '') AS strategy, coalesce(l.strategy, '') AS list_of,
       coalesce(l.size, 0) AS size, coalesce(l.entered, 0) AS entered, coalesce(l.gone, 0) AS gone, l.listed_at,
       w.good_at, w.failed_at, w.failures, w.code, w.reason, w.asked > w.answered AS is_asked, w.due_at
FROM screener_looks AS w
LEFT JOIN screener_lists AS l ON true
LEFT JOIN screener_strategies AS s ON s.is_active
"""

# By the index of these facts alone; lists of before a clear are its own.
CHANGES = """
SELECT happened_at AS listed_at, fact ->> 'strategy' AS strategy, jsonb_array_length(fact -> 'tickers') AS size,
       (fact -> 'entered')::text AS entered, (fact -> 'left')::text AS gone, (fact ->> 'is_baseline')::boolean AS is_baseline
FROM journal WHERE kind = 'TickersListed' ORDER BY seq DESC LIMIT $1
"""

NOTE_RUN = """
INSERT INTO screener_runs (found, again, skipped, failed, duration_ms, code)
VALUES ($1, $2, $3, $4, extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000, $5)
"""
REPROCESSING = """
WITH hour AS (SELECT * FROM screener_runs WHERE run_at > clock_timestamp() - interval '1 hour'),
     last AS (SELECT * FROM screener_runs ORDER BY run_at DESC LIMIT 1)
SELECT (SELECT run_at FROM last) AS last_at,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - run_at) FROM last), 0)::float8 AS age_seconds,
       coalesce((SELECT duration_ms FROM last), 0) AS duration_ms, count(*)::int AS runs,
       coalesce(sum(found), 0)::int AS found, coalesce(sum(again), 0)::int AS again,
       coalesce(sum(skipped), 0)::int AS skipped, coalesce(sum(failed), 0)::int AS failed
FROM hour
"""


class PostgresScreenerBooks:
    """The port `market.ports.ScreenerBooks`."""

    def __init__(
        self, journal: Journal, *, ring: Callable[[], None], ring_signals: Callable[[], None]
    ) -> None:
        """Call ``ring`` after each commit, so that the screener looks at once, and the other where a signal is in it."""
        self._journal = journal
        self._ring = ring
        self._ring_signals = ring_signals

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresScreenerBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(CHANGE_ONE_BY_ONE)
            book = PostgresScreenerBook(transaction)
            yield book
        self._ring()
        if book.has_signal:
            self._ring_signals()


class PostgresScreenerBook:
    """The port `market.ports.ScreenerBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, lease: Lease | None = None) -> None:
        """Read and append under ``transaction``; under ``lease`` lists are swapped."""
        self.is_changed = False
        self.has_signal = False
        self._lease = lease
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_strategy(self, strategy_id: UUID) -> Strategy | None:
        return await self._find("strategy_id = $1", strategy_id)

    async def find_strategy_named(self, name: str) -> Strategy | None:
        return await self._find("name = $1", name)

    async def find_active(self) -> Strategy | None:
        return await self._find("is_active")

    async def count_strategies(self) -> int:
        count: int = await self._connection.fetchval("SELECT count(*) FROM screener_strategies")
        return count

    async def is_paused(self) -> bool:
        return bool(await self._connection.fetchval("SELECT is_paused FROM screener_states"))

    async def lock_list(self) -> StandingList | None:
        row = await self._connection.fetchrow("SELECT * FROM screener_lists FOR UPDATE")
        if row is None:
            return None
        tickers = await self._connection.fetch("SELECT ticker FROM screener_tickers ORDER BY rank")
        return StandingList(
            strategy_id=row["strategy_id"],
            tickers=tuple(one["ticker"] for one in tickers),
            listed_at=row["listed_at"],
        )

    async def declined_buys(
        self, tickers: Sequence[str], *, since: datetime | None, per_ticker_max: int
    ) -> Sequence[DeclinedBuy]:
        rows = await self._connection.fetch(DECLINED, list(tickers), since, per_ticker_max)
        return to_values(rows, DeclinedBuy)

    async def ask_for_look(self) -> None:
        await self._connection.execute("UPDATE screener_looks SET asked = asked + 1")

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        await self._transaction.append(kept)
        if kept:
            self.is_changed = True
            # What is set up anew is looked at anew, however long the last look made us wait.
            await self._connection.execute(
                "UPDATE screener_looks SET due_at = clock_timestamp(), failures = 0"
            )
        tried = [fact for fact in kept if isinstance(fact, BuyReprocessed)]
        again = sum(fact.again_as is not None for fact in tried)
        if tried:
            await self._connection.execute(NOTE_RUN, len(tried), again, len(tried) - again, 0, "")
        self.has_signal = self.has_signal or again > 0

    async def is_ours(self) -> bool:
        assert self._lease is not None, "only who has a lease swaps a list"
        return bool(
            await self._connection.fetchval(
                """
                SELECT true FROM leases
                WHERE name = $1 AND worker_id = $2 AND lease_epoch = $3 AND lease_until > clock_timestamp()
                FOR UPDATE
                """,
                LEASE,
                self._lease.worker_id,
                self._lease.lease_epoch,
            )
        )

    async def note_success(self, look: Look, *, next_seconds: float) -> None:
        await self._connection.execute(
            """
            UPDATE screener_looks
            SET due_at = clock_timestamp() + $1, answered = greatest(answered, $2), failures = 0, code = '',
                reason = '', good_at = clock_timestamp()
            """,
            timedelta(seconds=next_seconds),
            look.asked,
        )

    async def _find(self, condition: str, *values: object) -> Strategy | None:
        row = await self._connection.fetchrow(f"SELECT * FROM screener_strategies WHERE {condition}", *values)
        return None if row is None else to_value(row, Strategy)


class PostgresScreenerWork:
    """The port `market.ports.ScreenerWork`: for one process, under its lease."""

    def __init__(self, journal: Journal, lease: Lease, *, ring_signals: Callable[[], None]) -> None:
        """Call ``ring_signals`` after a commit with a signal among it, so that it is decided at once."""
        self._journal = journal
        self._lease = lease
        self._ring_signals = ring_signals
        self._workers = Workers(journal.pool)

    async def hold(self) -> bool:
        return await self._workers.hold(LEASE, self._lease)

    async def next_look(self) -> Look | None:
        row = await self._journal.pool.fetchrow(
            """
            SELECT s.*, w.asked, w.failures, w.asked > w.answered AS is_asked,
                   extract(epoch FROM w.due_at - clock_timestamp())::float8 AS due_seconds,
                   coalesce((SELECT is_paused FROM screener_states), false) AS is_paused
            FROM screener_strategies AS s, screener_looks AS w WHERE s.is_active
            """
        )
        if row is None or (row["is_paused"] and not row["is_asked"]):
            return None
        return Look(
            strategy=to_value(row, Strategy),
            due_seconds=0.0 if row["is_asked"] else row["due_seconds"],
            asked=row["asked"],
            failures=row["failures"],
        )

    async def note_failure(self, look: Look, *, code: str, reason: str, next_seconds: float) -> None:
        await self._journal.pool.execute(
            """
            UPDATE screener_looks
            SET due_at = clock_timestamp() + $1, answered = greatest(answered, $2), failures = failures + 1,
                code = $3, reason = $4, failed_at = clock_timestamp()
            """,
            timedelta(seconds=next_seconds),
            look.asked,
            code,
            reason[:REASON_CHARACTERS_MAX],
        )
        if code == NOT_WRITTEN and look.strategy.reprocess_enabled:
            await self._journal.pool.execute(NOTE_RUN, 1, 0, 0, 1, code)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresScreenerBook]:
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(CHANGE_ONE_BY_ONE)
            book = PostgresScreenerBook(transaction, lease=self._lease)
            yield book
        if book.has_signal:
            self._ring_signals()


class PostgresPace:
    """How often a source is asked, over all processes and restarts."""

    def __init__(self, pool: asyncpg.Pool, *, name: str, per_minute_max: int) -> None:
        """Count under ``name``: who leaves from one address has one."""
        self._pool = pool
        self._name = name
        self._per_minute_max = per_minute_max

    async def wait(self) -> None:
        """Return when one more request may be made; it is counted."""
        while (seconds := await self._seconds_until_taken()) > 0:  # noqa: ASYNC110  # it is time that is waited for
            await asyncio.sleep(seconds)

    async def _seconds_until_taken(self) -> float:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO screener_requests (name, asked_at) VALUES ($1, '{}') ON CONFLICT DO NOTHING",
                self._name,
            )
            row = await connection.fetchrow(
                "SELECT asked_at, clock_timestamp() AS now FROM screener_requests WHERE name = $1 FOR UPDATE",
                self._name,
            )
            now = await connection.fetchval("SELECT clock_timestamp()")  # it may have waited for the row
            seconds = seconds_to_wait(row["asked_at"], per_minute_max=self._per_minute_max, now=now)
            if seconds == 0:
                await connection.execute(
                    "UPDATE screener_requests SET asked_at = $2 WHERE name = $1",
                    self._name,
                    [*last_minute(row["asked_at"], now=now), now],
                )
            return seconds


async def find_listing(connection: Connection, symbol: str | None) -> Listing:
    """
    Give what the list says of a symbol, and keep it from being swapped until the transaction ends.

    What is declined for the list that stands is then found by whoever swaps it.
    """
    ticker = ticker_of(symbol or "") or ""
    row = await connection.fetchrow("SELECT strategy, size, listed_at FROM screener_lists FOR SHARE")
    rank = await connection.fetchval("SELECT rank FROM screener_tickers WHERE ticker = $1", ticker)
    if row is None:
        return Listing(ticker=ticker, strategy="", size=0, rank=None, listed_at=None)
    return Listing(
        ticker=ticker, strategy=row["strategy"], size=row["size"], rank=rank, listed_at=row["listed_at"]
    )


class PostgresScreener:
    """The port `views.screener.ScreenerViews`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def status(self) -> ScreenerLine:
        row = await self._pool.fetchrow(STATUS)
        assert row is not None, "the schedule has one row"
        will_look = row["strategy_id"] is not None and (not row["is_paused"] or row["is_asked"])
        return to_value({**row, "next_look_at": row["due_at"] if will_look else None}, ScreenerLine)

    async def tickers(self) -> Sequence[TickerLine]:
        return to_values(await self._pool.fetch("SELECT * FROM screener_tickers ORDER BY rank"), TickerLine)

    async def changes(self, *, limit: int) -> Sequence[ListChange]:
        return to_values(await self._pool.fetch(CHANGES, limit), ListChange)

    async def strategies(self) -> Sequence[StrategyLine]:
        rows = await self._pool.fetch("SELECT * FROM screener_strategies ORDER BY name, strategy_id")
        return [_strategy_line(row) for row in rows]

    async def find_strategy(self, strategy_id: UUID) -> StrategyLine | None:
        row = await self._pool.fetchrow(
            "SELECT * FROM screener_strategies WHERE strategy_id = $1", strategy_id
        )
        return None if row is None else _strategy_line(row)

    async def reprocessing(self) -> Reprocessing:
        return to_value(await self._pool.fetchrow(REPROCESSING), Reprocessing)

    async def reprocessed(self, *, limit: int) -> Sequence[ReprocessedLine]:
        rows = await self._pool.fetch(
            """
            SELECT r.*, coalesce(b.name, '') AS bot_name
            FROM screener_reprocessed AS r LEFT JOIN bots AS b USING (bot_id)
            ORDER BY r.reprocessed_at DESC, r.signal_id LIMIT $1
            """,
            limit,
        )
        return to_values(rows, ReprocessedLine)


def _strategy_line(row: asyncpg.Record) -> StrategyLine:
    return StrategyLine(
        strategy=to_value(row, Strategy), created_at=row["created_at"], updated_at=row["updated_at"]
    )
