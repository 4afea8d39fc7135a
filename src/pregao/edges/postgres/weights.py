"""
The weight of an address, shared by all processes behind it: each draws small slices of the present minute.

A slice is one statement, away from every order's way. A pause that one process is told, the others see within a second.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from pregao.domain.weight import Drawn
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.rows import to_values
from pregao.views.weights import WeightLine

BELL = "weights"
LOOK_SECONDS = 1.0

log = structlog.get_logger()

# $1 egress, $2 service, $3 minute, $4 asked, $5 used as the venue says, $6 weight_max, $7 what may be drawn at most.
# Who asks for a minute that is over gets nothing.
DRAW = """
INSERT INTO weights AS w (egress, service, minute, drawn, used, weight_max)
VALUES ($1, $2, $3::bigint, $5::int + least($4::int, greatest(0, $7::int - $5)), $5, $6::int)
ON CONFLICT (egress, service) DO UPDATE
SET minute = greatest(w.minute, $3),
    drawn = CASE WHEN w.minute > $3 THEN w.drawn
                 WHEN w.minute < $3 THEN excluded.drawn
                 ELSE greatest(w.drawn, $5) + least($4, greatest(0, $7 - greatest(w.drawn, $5))) END,
    used = CASE WHEN w.minute > $3 THEN w.used WHEN w.minute < $3 THEN $5 ELSE greatest(w.used, $5) END,
    weight_max = $6
RETURNING new.minute, new.drawn,
          CASE WHEN old.minute > $3 THEN 0
               WHEN old.minute = $3 THEN new.drawn - greatest(old.drawn, $5)
               ELSE new.drawn - $5 END AS granted,
          greatest(0, extract(epoch FROM new.paused_until - clock_timestamp()))::float8 AS paused_seconds
"""


class SharedWeight:
    """The port `domain.weight.WeightBudget`: one address at one venue."""

    def __init__(self, weights: "SharedWeights", service: str) -> None:
        """Draw through ``weights``."""
        self._weights = weights
        self._service = service
        self._followers: list[Callable[[Drawn], None]] = []

    async def draw(self, *, minute: int, asked: int, used: int, weight_max: int, limit: int) -> Drawn:
        row = await self._weights.pool.fetchrow(
            DRAW, self._weights.egress, self._service, minute, asked, used, weight_max, limit
        )
        drawn = _drawn(row, granted=row["granted"])
        self.adopt(drawn)
        return drawn

    def pause(self, seconds: float) -> None:
        self._weights.pause(self._service, seconds)

    def follow(self, adopt: Callable[[Drawn], None]) -> None:
        self._followers.append(adopt)

    def adopt(self, drawn: Drawn) -> None:
        """Tell the followers how the address stands."""
        for follower in self._followers:
            follower(drawn)


class SharedWeights:
    """Every venue's weight for the address this process sends from."""

    def __init__(self, pool: asyncpg.Pool, *, egress: str, ring: Callable[[], None]) -> None:
        """Write through ``pool``; ``ring`` tells the others to look."""
        self.pool = pool
        self.egress = egress
        self._ring = ring
        self._rung = asyncio.Event()
        self._venues: dict[str, SharedWeight] = {}
        self._pauses: dict[str, float] = {}  # to be written: when each ends, in the loop's time

    def of(self, service: str) -> SharedWeight:
        """Give the budget at one venue."""
        return self._venues.setdefault(service, SharedWeight(self, service))

    def pause(self, service: str, seconds: float) -> None:
        """Write a pause soon."""
        until = asyncio.get_running_loop().time() + seconds
        self._pauses[service] = max(until, self._pauses.get(service, 0.0))
        self._rung.set()

    def heard(self, _words: str = "") -> None:
        """Look soon: the bell rang."""
        self._rung.set()

    async def run(self) -> None:
        """Keep in step until canceled; a database that is away leaves each process to what the venue says."""
        while True:
            self._rung.clear()
            try:
                await self.look()
            except AWAY as away:
                log.warning("weights.database.away", error=type(away).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._rung.wait()

    async def look(self) -> None:
        """Write the pauses of this process, then take over what others wrote."""
        pauses, self._pauses = self._pauses, {}
        try:
            for service, until in pauses.items():
                await self._write_pause(service, until - asyncio.get_running_loop().time())
        except AWAY:
            self._pauses = pauses | self._pauses
            raise
        if pauses:
            self._ring()
        rows = await self.pool.fetch(
            """
            SELECT service, minute, drawn,
                   greatest(0, extract(epoch FROM paused_until - clock_timestamp()))::float8 AS paused_seconds
            FROM weights WHERE egress = $1
            """,
            self.egress,
        )
        for row in rows:
            if row["service"] in self._venues:
                self._venues[row["service"]].adopt(_drawn(row, granted=0))

    async def _write_pause(self, service: str, seconds: float) -> None:
        await self.pool.execute(
            """
            INSERT INTO weights AS w (egress, service, minute, drawn, used, weight_max, paused_until)
            VALUES ($1, $2, 0, 0, 0, 0, clock_timestamp() + make_interval(secs => $3))
            ON CONFLICT (egress, service) DO UPDATE SET paused_until = greatest(w.paused_until, excluded.paused_until)
            """,
            self.egress,
            service,
            seconds,
        )


def _drawn(row: asyncpg.Record, *, granted: int) -> Drawn:
    return Drawn(
        minute=row["minute"],
        granted=granted,
        drawn=row["drawn"],
        paused_seconds=row["paused_seconds"] or 0.0,
    )


class PostgresWeights:
    """The port `views.weights.Weights`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read through ``pool``."""
        self._pool = pool

    async def weights(self) -> Sequence[WeightLine]:
        rows = await self._pool.fetch(
            """
            SELECT egress, service, weight_max, CASE WHEN is_now THEN used ELSE 0 END AS used,
                   CASE WHEN is_now THEN drawn ELSE 0 END AS drawn,
                   coalesce(greatest(0, extract(epoch FROM paused_until - clock_timestamp())), 0)::float8 AS paused_seconds
            FROM (SELECT *, minute >= floor(extract(epoch FROM clock_timestamp()) / 60) AS is_now FROM weights) AS w
            ORDER BY egress, service
            """
        )
        return to_values(rows, WeightLine)
