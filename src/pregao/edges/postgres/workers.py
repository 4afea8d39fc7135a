"""Who may act: a worker is a process with a lease, judged by PostgreSQL's clock."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.pool import AWAY, CalmPool
from pregao.views.health import LEASE_SECONDS

RENEW_SECONDS = 2.0
RENEW_AGAIN_SECONDS = 0.2  # where it failed
RENEWED_SECONDS_MAX = 4.0  # an answer that takes longer is not waited for: another connection is asked
FROZEN_SECONDS = 3.0  # a step that ends so much later than it may was not carried out all the time

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
