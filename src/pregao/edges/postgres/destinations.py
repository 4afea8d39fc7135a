"""
The limit on forwards and the slots that are taken, shared by all processes, by this server's clock.

In each process only the first of those that wait for a destination asks; the others stand behind it.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from pregao.domain.destination import (
    ForwardLimit,
    Slots,
    after_take,
    last_freed_at,
    seconds_until_free,
)
from pregao.domain.facts import Fact
from pregao.domain.pace import last_minute
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value
from pregao.views.destinations import DestinationLine, LimitLine, SlotsLine

BELL = "destinations"
LOOK_SECONDS_MAX = 1.0  # the limit may be raised meanwhile, and a bell be missed
FIRST = """
SELECT account_id, destination ->> 'host' AS host, (destination ->> 'timeout_seconds')::int AS timeout_seconds
FROM accounts WHERE venue = 'webhook' AND user_id IS NULL AND is_active ORDER BY account_id LIMIT 1
"""
CHANGE_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(7234009)"


class PostgresLimitBooks:
    """The port `destinations.ports.LimitBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that whoever waits looks at once."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresLimitBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(CHANGE_ONE_BY_ONE)
            yield PostgresLimitBook(transaction)
        self._ring()


class PostgresLimitBook:
    """The port `destinations.ports.LimitBook`, over one open transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Read and append under ``transaction``."""
        self._transaction = transaction

    async def limit(self) -> ForwardLimit:
        return await find_limit(self._transaction.connection)

    async def is_set(self) -> bool:
        return bool(await self._transaction.connection.fetchval("SELECT EXISTS (SELECT FROM forward_limits)"))

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)


class PostgresLimiter:
    """The port `destinations.ports.Limiter`."""

    def __init__(self, pool: asyncpg.Pool, *, look_seconds_max: float = LOOK_SECONDS_MAX) -> None:
        """Take slots through ``pool``; whoever waits looks at least so often."""
        self._pool = pool
        self._look_seconds_max = look_seconds_max
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._rung = asyncio.Event()

    def heard(self, _words: str = "") -> None:
        """Look at once: the bell rang, the limit was changed."""
        self._rung.set()

    async def acquire(self, account_id: int) -> None:
        async with self._turns[account_id]:
            has_waited = False
            while True:
                self._rung.clear()
                seconds = await self.take(account_id, has_waited=has_waited)
                if seconds == 0:
                    return
                has_waited = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(seconds, self._look_seconds_max)):
                        await self._rung.wait()

    async def take(self, account_id: int, *, has_waited: bool = False) -> float:
        """Take a slot and give 0, or take none and give how long to wait for one."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO forward_slots (account_id) VALUES ($1) ON CONFLICT DO NOTHING", account_id
            )
            row = await connection.fetchrow(
                "SELECT taken_at, limited, freed_at FROM forward_slots WHERE account_id = $1 FOR UPDATE",
                account_id,
            )
            limit = await find_limit(connection)
            now = await connection.fetchval("SELECT clock_timestamp()")  # it may have waited for the row
            slots = to_value(row, Slots)
            seconds = seconds_until_free(slots, limit=limit, now=now)
            if seconds == 0:
                taken = after_take(slots, has_waited=has_waited, now=now)
                await connection.execute(
                    "UPDATE forward_slots SET taken_at = $2, limited = $3, freed_at = $4 WHERE account_id = $1",
                    account_id,
                    list(taken.taken_at),
                    taken.limited,
                    taken.freed_at,
                )
            return seconds


async def find_limit(connection: Connection) -> ForwardLimit:
    """Give the limit that stands; as it comes where nobody has set one."""
    row = await connection.fetchrow("SELECT max_per_minute, is_enabled FROM forward_limits")
    return ForwardLimit() if row is None else to_value(row, ForwardLimit)


class PostgresForwardLimits:
    """The port `views.destinations.ForwardLimits`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``."""
        self._pool = pool

    async def limit(self) -> LimitLine:
        row = await self._pool.fetchrow("SELECT set_by, set_at FROM forward_limits")
        return LimitLine(
            limit=await find_limit(self._pool),
            set_by=None if row is None else row["set_by"],
            set_at=None if row is None else row["set_at"],
        )

    async def find_first(self) -> DestinationLine | None:
        row = await self._pool.fetchrow(FIRST)
        return None if row is None else to_value(row, DestinationLine)

    async def slots(self) -> Sequence[SlotsLine]:
        limit = await find_limit(self._pool)
        rows = await self._pool.fetch(
            "SELECT account_id, taken_at, limited, freed_at, clock_timestamp() AS now FROM forward_slots"
        )
        lines = [_line(row["account_id"], to_value(row, Slots), limit=limit, now=row["now"]) for row in rows]
        return sorted(lines, key=lambda line: (line.left, line.account_id))


def _line(account_id: int, slots: Slots, *, limit: ForwardLimit, now: datetime) -> SlotsLine:
    taken = len(last_minute(slots.taken_at, now=now))
    return SlotsLine(
        account_id=account_id,
        taken=taken,
        left=max(0, limit.max_per_minute - taken),
        limited=slots.limited,
        freed_at=last_freed_at(slots, now=now),
        is_full=seconds_until_free(slots, limit=limit, now=now) > 0,
    )
