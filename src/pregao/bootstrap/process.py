"""What every process needs: the clock, a calm collector, a name and a lease, and a way to end in peace."""

import gc
import os
import socket
from datetime import UTC, datetime

import asyncpg

from pregao import rehearsal
from pregao.edges.postgres.work import Lease, Workers
from pregao.trading.trouble import AWAY

COLLECTOR_THRESHOLDS = (50_000, 20, 100)  # a look through everything stops the process for up to 50 ms


class LeaseLostError(RuntimeError):
    """The process was away for longer than its lease: it ends and starts anew under another."""


def now_utc() -> datetime:
    """Give the present instant: the one clock of production."""
    return datetime.now(UTC) + rehearsal.ahead()  # noqa: TID251  # the seam itself


def worker_name(role: str) -> str:
    """Give a name no other living process has."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}"


async def until_lost(workers: Workers, lease: Lease) -> None:
    """
    Renew a lease until it is lost.

    :raises LeaseLostError: then.
    """
    await workers.renew_until_lost(lease)
    raise LeaseLostError(f"LEASE_LOST: worker={lease.worker_id}. It was away too long; starting anew.")


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
