"""The process for what nobody waits for and nothing trades by: it loads the screener with the first strategy."""

import asyncio
import contextlib
import importlib

import structlog

from pregao.bootstrap.process import close_pool, now_utc, until_lost, worker_name
from pregao.domain.clock import Clock
from pregao.edges.postgres.journal import Journal, open_journal
from pregao.edges.postgres.work import Lease, Workers
from pregao.settings import Settings
from pregao.trading.trouble import AWAY

CONNECTIONS_MAX = 4
LOOK_SECONDS = 1.0  # for the first strategy: a desk without one keeps half the memory free

log = structlog.get_logger()


async def serve_jobs(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Do the jobs; until canceled or the lease is lost."""
    journal = await open_journal(settings.database_url, connections_max=CONNECTIONS_MAX)
    workers = Workers(journal.pool)
    lease = await workers.enter(worker_id=worker_name("jobs"), role="jobs")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(until_lost(workers, lease))
            tasks.create_task(_screen(settings, journal=journal, lease=lease, clock=clock))
    finally:
        with contextlib.suppress(*AWAY):
            await workers.leave(lease)
        await close_pool(journal.pool)


async def _screen(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    while not await _is_wanted(journal):  # noqa: ASYNC110  # the table is looked at, nobody rings
        await asyncio.sleep(LOOK_SECONDS)
    screening = importlib.import_module("pregao.bootstrap.screening")
    await screening.serve_screener(settings, journal=journal, lease=lease, clock=clock)


async def _is_wanted(journal: Journal) -> bool:
    try:
        return bool(await journal.pool.fetchval("SELECT EXISTS (SELECT FROM screener_strategies)"))
    except AWAY as away:
        log.warning("jobs.work.away", error=type(away).__name__)
        return False
