"""
The limit on forwards and the slots that are taken, shared by all processes, by this server's clock.

In each process only the first of those that wait for a destination asks, for all of them.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from pregao.domain.destination import (
    PER_MINUTE_MAX,
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
SLOTS = "SELECT taken_at, limited, freed_at FROM forward_slots WHERE account_id = $1 FOR UPDATE"
LIMIT_AND_TIME = """
SELECT clock_timestamp() AS now, max_per_minute, is_enabled
FROM (VALUES (true)) AS always (one) LEFT JOIN forward_limits ON true
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
        self.is_changed = False
        self._transaction = transaction

    async def limit(self) -> ForwardLimit:
        return await find_limit(self._transaction.connection)

    async def is_set(self) -> bool:
        return bool(await self._transaction.connection.fetchval("SELECT EXISTS (SELECT FROM forward_limits)"))

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        await self._transaction.append(kept)
        self.is_changed = self.is_changed or bool(kept)


class Taken(NamedTuple):
    """How many slots were taken, and how long the next one waits for its own; 0 where all have one."""

    slots: int
    wait_seconds: float


@dataclass(slots=True, eq=False)
class _Forward:
    """One that waits for a slot."""

    has_slot: bool = False
    has_waited: bool = False


@dataclass(slots=True)
class _Queue:
    """Who waits for a destination in this process, in their order; one at a time asks."""

    forwards: list[_Forward] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class PostgresLimiter:
    """The port `destinations.ports.Limiter`."""

    def __init__(self, pool: asyncpg.Pool, *, look_seconds_max: float = LOOK_SECONDS_MAX) -> None:
        """Take slots through ``pool``; whoever waits looks at least so often."""
        self._pool = pool
        self._look_seconds_max = look_seconds_max
        self._queues: defaultdict[int, _Queue] = defaultdict(_Queue)
        self._rung = asyncio.Event()

    def heard(self, _words: str = "") -> None:
        """Look at once: the bell rang, the limit was changed."""
        self._rung.set()

    async def acquire(self, account_id: int) -> None:
        queue, own = self._queues[account_id], _Forward()
        queue.forwards.append(own)
        try:
            async with queue.turn:
                while not own.has_slot:
                    self._rung.clear()
                    await self._ask_for_all(account_id, queue)
        finally:
            if not own.has_slot:
                queue.forwards.remove(own)

    async def _ask_for_all(self, account_id: int, queue: _Queue) -> None:
        """Take slots for those that wait; where there is none left, return when it is time to look again."""
        asking = queue.forwards[:PER_MINUTE_MAX]
        taken = await self.take(account_id, has_waited=[one.has_waited for one in asking])
        for one in asking[: taken.slots]:
            one.has_slot = True
        del queue.forwards[: taken.slots]
        for one in asking[taken.slots :]:
            one.has_waited = True
        if taken.slots == 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(taken.wait_seconds, self._look_seconds_max)):
                    await self._rung.wait()

    async def take(self, account_id: int, *, has_waited: Sequence[bool] = (False,)) -> Taken:
        """Take a slot for each of these forwards, in their order, as long as there are any."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(SLOTS, account_id)
            if row is None:
                await connection.execute(
                    "INSERT INTO forward_slots (account_id) VALUES ($1) ON CONFLICT DO NOTHING", account_id
                )
                row = await connection.fetchrow(SLOTS, account_id)
            slots = to_value(row, Slots)
            # Another statement: the one before it may have waited for the row.
            standing = await connection.fetchrow(LIMIT_AND_TIME)
            now = standing["now"]
            limit = _to_limit(standing)
            taken, seconds = 0, 0.0
            for one in has_waited:
                if seconds := seconds_until_free(slots, limit=limit, now=now):
                    break
                slots = after_take(slots, has_waited=one, now=now)
                taken += 1
            if taken:
                await connection.execute(
                    "UPDATE forward_slots SET taken_at = $2, limited = $3, freed_at = $4 WHERE account_id = $1",
                    account_id,
                    list(slots.taken_at),
                    slots.limited,
                    slots.freed_at,
                )
            return Taken(taken, seconds)


async def find_limit(connection: Connection) -> ForwardLimit:
    """Give the limit that stands; as it comes where nobody has set one."""
    return _to_limit(await connection.fetchrow(LIMIT_AND_TIME))


def _to_limit(row: Mapping[str, Any]) -> ForwardLimit:
    if row["max_per_minute"] is None:
        return ForwardLimit()
    return ForwardLimit(max_per_minute=row["max_per_minute"], is_enabled=row["is_enabled"])


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
