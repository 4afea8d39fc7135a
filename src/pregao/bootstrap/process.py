"""What every process needs: the clock, a calm collector, a name and a lease, and a way to end in peace."""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import asyncpg
import structlog

from pregao import rehearsal
from pregao.edges.postgres.high_water import DatabaseRestoredError
from pregao.edges.postgres.workers import Lease, Workers
from pregao.edges.processes.ending import end_soon
from pregao.edges.processes.roles import WHEN_TOLD
from pregao.trading.trouble import AWAY, log_away

AWAY_SECONDS = 1.0
MISTAKE_SECONDS = 5.0
LOST_SECONDS = 0.2  # until a process without its lease has ended: nothing that it begins is written any more
COLLECTOR_THRESHOLDS = (50_000, 20, 100)  # a look through everything stops the process for up to 50 ms

log = structlog.get_logger()


class LeaseLostError(RuntimeError):
    """The process was away for longer than its lease: it ends and starts anew under another."""


def now_utc() -> datetime:
    """Give the present instant: the one clock of production."""
    now, ahead = datetime.now(UTC), rehearsal.ahead()  # noqa: TID251  # the seam itself
    return now + ahead if ahead else now


def worker_name(role: str) -> str:
    """Give a name no other living process has."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}"


@asynccontextmanager
async def entered(workers: Workers, *, role: str) -> AsyncIterator[Lease]:
    """Take a lease and give it up on the way out; one that is told to stop and hangs is not taken for one that died."""
    lease = await workers.enter(worker_id=worker_name(role), role=role)
    note = partial(workers.note_stopping, lease)
    WHEN_TOLD.append(note)
    try:
        yield lease
    finally:
        WHEN_TOLD.remove(note)
        with contextlib.suppress(DatabaseRestoredError, *AWAY):  # a lease that is not given up runs out
            await workers.leave(lease)


async def until_lost(workers: Workers, lease: Lease) -> None:
    """
    Renew a lease until it is lost.

    :raises LeaseLostError: then.
    """
    await workers.renew_until_lost(lease)
    end_soon(seconds=LOST_SECONDS)  # what it leaves half done is found again; nothing may hold it up
    raise LeaseLostError(f"LEASE_LOST: worker={lease.worker_id}. It was away too long; starting anew.")


async def again_and_again(
    work_once: Callable[[], Awaitable[None]], *, survives_mistakes: bool = False
) -> None:
    """
    Do it again and again until canceled; a database that is away is waited for.

    With ``survives_mistakes`` whatever else happens is logged: the process has other work to do.
    """
    while True:
        try:
            await work_once()
        except AWAY as away:
            log_away("jobs.work.away", away)
            await asyncio.sleep(AWAY_SECONDS)
        except Exception:
            if not survives_mistakes:
                raise
            log.exception("jobs.work.failed")
            await asyncio.sleep(MISTAKE_SECONDS)


def calm_collector() -> None:
    """Look for garbage less often, and never in what was made until now: call once, when all is set up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def close_pool(pool: asyncpg.Pool) -> None:
    """Say goodbye to the database; where it has gone already, nobody is there to hear it."""
    try:
        await pool.close()
    except AWAY:
        pool.terminate()
