"""
How far the database had come when this machine saw it last: one that has come less far was restored.

A backup that was put back forgets orders that were sent. Nothing in the database can tell; a small file beside it can.
"""

import asyncio
import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
import structlog

from pregao.edges.postgres.checks import mark_forgotten, seconds_to_wait
from pregao.edges.postgres.intake import AWAY

NOTE_SECONDS = 1.0  # a restore to less than this before the end is not seen

log = structlog.get_logger()


class DatabaseRestoredError(RuntimeError):
    """The database forgot what it knew, under a running process: it ends, and starts anew from what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWater:
    """A point in the life of one database cluster."""

    system_identifier: str  # of the cluster: another one is another database
    timeline: int  # grows when a standby or a backup took over
    lsn: str  # how much was written: PostgreSQL's log sequence number


NOW = """
SELECT system_identifier::text, timeline_id AS timeline, pg_current_wal_flush_lsn()::text AS lsn
FROM pg_control_system(), pg_control_checkpoint()
"""
"""What is on the disk: a crash takes back what was written and not flushed, and that is no restore."""


class Guard:
    """
    Lets nobody use a database that has come less far than this process has seen.

    One that is put back under a running process is connected to at once, and looked at only a second later: by then
    an attempt that was forgotten could be planned and sent again, under the same number.
    """

    def __init__(self) -> None:
        """Let every connection pass until something was seen."""
        self._seen: HighWater | None = None

    def see(self, seen: HighWater) -> None:
        """Remember how far the database is."""
        self._seen = seen

    async def look(self, connection: asyncpg.Connection) -> None:
        """
        Look at a new connection before it is used.

        :raises DatabaseRestoredError: when its database is another or has come less far.
        """
        if self._seen is not None and is_behind(HighWater(**await connection.fetchrow(NOW)), self._seen):
            connection.terminate()  # asyncpg would close it in peace, and lose a cancellation that comes meanwhile
            raise DatabaseRestoredError("DATABASE_RESTORED: an older state was put back.")


def is_behind(now: HighWater, seen: HighWater) -> bool:
    """Say whether a database is another one than was seen, or has come less far."""
    if (now.system_identifier, now.timeline) != (seen.system_identifier, seen.timeline):
        return True
    return _position(now.lsn) < _position(seen.lsn)


def _position(lsn: str) -> tuple[int, int]:
    segment, offset = lsn.split("/")
    return int(segment, 16), int(offset, 16)


class HighWaterMark:
    """The mark, in a file of the state folder."""

    def __init__(self, pool: asyncpg.Pool, path: Path, *, guard: Guard | None = None) -> None:
        """Note it in ``path``, and tell ``guard``, who looks at the pool's connections."""
        self._pool = pool
        self._path = path
        self._guard = guard

    async def check(self) -> bool:
        """
        See whether the database has forgotten something since it was seen here last, and note how far it is.

        If so every account is marked: nothing is closed there until its orders and trades are known again, and nothing
        is opened until its positions were compared with the venue. On another server the journal begins an epoch: it
        counts its transactions anew, and who reads or counts from a number of the old one on would pass by what is new.
        """
        noted = self._noted()
        is_restored = await self._is_behind()
        if is_restored:
            accounts = await mark_forgotten(self._pool)
            if noted is not None and noted.system_identifier != (await self._now()).system_identifier:
                await self._pool.execute("SELECT begin_epoch()")
            log.critical("postgres.restored", accounts=accounts, noted=self._path.read_text().strip())
        await self._note()
        return is_restored

    async def let_pass(self) -> None:
        """
        Wait until nothing can happen any more that was begun before the database was put back.

        What was sent and forgotten may still arrive, and then be late in what the venue tells: only after that are its
        answers about the past the whole past.
        """
        seconds = await seconds_to_wait(self._pool)
        if seconds:
            log.warning("postgres.restored.waiting", seconds=round(seconds, 1))
            await asyncio.sleep(seconds)

    async def watch(self) -> None:
        """
        Go on noting how far the database is.

        :raises DatabaseRestoredError: when it has been restored meanwhile; `check` at the next start does the rest.
        """
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            with contextlib.suppress(*AWAY):
                if await self._is_behind():
                    raise DatabaseRestoredError("DATABASE_RESTORED: an older state was put back.")
                await self._note()

    async def _is_behind(self) -> bool:
        noted = self._noted()
        if noted is None:
            return False
        return is_behind(await self._now(), noted)

    async def _now(self) -> HighWater:
        return HighWater(**await self._pool.fetchrow(NOW))

    def _noted(self) -> HighWater | None:
        try:
            return HighWater(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            log.warning("postgres.high_water.unreadable", path=str(self._path))
            return None

    async def _note(self) -> None:
        now = await self._now()
        if self._guard is not None:
            self._guard.see(now)
        if now == self._noted():
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")  # traders may share the folder
        draft.write_text(json.dumps(asdict(now)) + "\n")
        draft.replace(self._path)
