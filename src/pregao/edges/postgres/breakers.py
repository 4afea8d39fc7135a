"""
The circuit breakers of several processes: what one finds dead, no other asks.

Each process goes by its own memory. What changes there is written soon after, and what others wrote is read once a
second or when the bell `breakers` rings: nobody waits for PostgreSQL on an order's way.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

import asyncpg
import structlog

from pregao.domain.breaker import Breaker, Breakers, BreakerScope, BreakerState, BreakerStatus
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.rows import to_values
from pregao.views.breakers import BreakerLine

BELL = "breakers"
LOOK_SECONDS = 1.0

Key: TypeAlias = tuple[str, str]
Counts: TypeAlias = tuple[int, int, int]

log = structlog.get_logger()

TELL_STATE = """
INSERT INTO breakers AS b (scope, name, state, failure_count, success_count, half_open_calls, last_failure_at, retry_at,
                           told_by)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() - $7::interval,
        CASE WHEN $3 <> 'closed' THEN clock_timestamp() + $8::interval END, $9)
ON CONFLICT (scope, name) DO UPDATE
SET state = excluded.state, failure_count = excluded.failure_count, success_count = excluded.success_count,
    half_open_calls = excluded.half_open_calls, retry_at = excluded.retry_at, told_by = excluded.told_by,
    last_failure_at = coalesce(excluded.last_failure_at, b.last_failure_at),
    version = nextval('breaker_versions'), changed_at = clock_timestamp()
"""
TELL_COUNTS = """
INSERT INTO breakers AS b (scope, name, state, failure_count, success_count, half_open_calls, last_failure_at, retry_at,
                           told_by)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() - $7::interval,
        CASE WHEN $3 <> 'closed' THEN clock_timestamp() + $8::interval END, $9)
ON CONFLICT (scope, name) DO UPDATE
SET failure_count = excluded.failure_count, success_count = excluded.success_count,
    half_open_calls = excluded.half_open_calls,
    last_failure_at = coalesce(excluded.last_failure_at, b.last_failure_at),
    retry_at = CASE WHEN b.state = 'closed' THEN NULL ELSE greatest(b.retry_at, excluded.retry_at) END
WHERE b.state = excluded.state
"""


class SharedBreakers:
    """Keeps the breakers of this process and those of the others in step."""

    def __init__(
        self, pool: asyncpg.Pool, breakers: Breakers, *, told_by: str, ring: Callable[[], None]
    ) -> None:
        """Write through ``pool`` under this process's name; ``ring`` tells the others to look."""
        self._pool = pool
        self._breakers = breakers
        self._told_by = told_by
        self._ring = ring
        self._rung = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._changed: dict[Key, Breaker] = {}
        self._counts: dict[Key, Counts] = {}
        self._versions: dict[Key, int] = {}
        breakers.listen(self._note)

    def heard(self, _words: str = "") -> None:
        """Look soon: the bell rang."""
        self._rung.set()

    async def run(self) -> None:
        """Keep in step until canceled; a database that is away leaves each process to itself."""
        while True:
            self._rung.clear()
            try:
                await self.look()
            except AWAY as away:
                log.warning("breakers.database.away", error=type(away).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._rung.wait()

    async def look(self) -> None:
        """Write what changed here, then take over what changed elsewhere."""
        await self._write()
        await self._read()

    def _note(self, breaker: Breaker, _before: BreakerState, _after: BreakerState) -> None:
        self._changed[breaker.scope, breaker.name] = breaker
        self._loop.call_soon_threadsafe(self._rung.set)

    async def _write(self) -> None:
        changed, self._changed = self._changed, {}
        try:
            for breaker in changed.values():
                await self._tell(TELL_STATE, breaker.status())
        except AWAY:
            self._changed = changed | self._changed
            raise
        if changed:
            self._ring()
        for breaker in self._breakers.all():
            status = breaker.status()
            if self._counts.get((status.scope, status.name)) != _counts_of(status):
                await self._tell(TELL_COUNTS, status)

    async def _tell(self, statement: str, status: BreakerStatus) -> None:
        ago = status.last_failure_seconds
        await self._pool.execute(
            statement,
            status.scope,
            status.name,
            status.state,
            *_counts_of(status),
            None if ago is None else timedelta(seconds=ago),
            timedelta(seconds=status.retry_after_seconds),
            self._told_by,
        )
        self._counts[status.scope, status.name] = _counts_of(status)

    async def _read(self) -> None:
        rows = await self._pool.fetch(
            """
            SELECT scope, name, state, version, extract(epoch FROM retry_at - clock_timestamp())::float8 AS seconds
            FROM breakers WHERE told_by <> $1
            """,
            self._told_by,
        )
        for row in rows:
            key = row["scope"], row["name"]
            if self._versions.get(key) == row["version"] or key in self._changed:
                continue
            self._versions[key] = row["version"]
            breaker = self._breakers.find(row["name"], scope=BreakerScope(row["scope"]))
            if breaker is not None:
                self._adopt(breaker, BreakerState(row["state"]), seconds=max(0.0, row["seconds"] or 0.0))

    def _adopt(self, breaker: Breaker, state: BreakerState, *, seconds: float) -> None:
        if state is BreakerState.CLOSED:
            if breaker.state is BreakerState.CLOSED:
                return
            breaker.adopt_closed()
        elif state is BreakerState.OPEN or breaker.state is BreakerState.CLOSED:
            breaker.adopt_open(seconds)
        else:
            return  # another process tries; so may this one when its time has come
        log.info("breakers.state.adopted", name=breaker.name, scope=breaker.scope, state=state)


def _counts_of(status: BreakerStatus) -> Counts:
    return status.failure_count, status.success_count, status.half_open_calls


class PostgresBreakerStates:
    """The port `views.breakers.BreakerStates`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read through ``pool``."""
        self._pool = pool

    async def breakers(self) -> Sequence[BreakerLine]:
        rows = await self._pool.fetch(
            """
            SELECT name, scope, state, failure_count, success_count, half_open_calls, told_by, changed_at,
                   last_failure_at AS last_failure_time, retry_at AS next_try_at
            FROM breakers ORDER BY scope, name
            """
        )
        return to_values(rows, BreakerLine)
