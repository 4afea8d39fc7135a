"""The process for what nobody waits for and nothing trades by: it loads what a desk needs with the first that needs it."""

import asyncio
import contextlib
import importlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from math import inf

import structlog

from pregao.alerts.tell import Telling
from pregao.bootstrap.alarms import tell_health
from pregao.bootstrap.channels import environment_channels
from pregao.bootstrap.cleaning import clean_sell_list
from pregao.bootstrap.process import again_and_again, close_pool, entered, now_utc, until_lost
from pregao.bootstrap.shared import standard_retention
from pregao.domain.alert import AlertLevel
from pregao.domain.clock import Clock
from pregao.edges.ids import uuid7
from pregao.edges.postgres.alert_work import PostgresTelling
from pregao.edges.postgres.deployments import has_deployments
from pregao.edges.postgres.figures import PostgresTally, keep_rolling
from pregao.edges.postgres.journal import Journal, open_journal
from pregao.edges.postgres.lab import has_work
from pregao.edges.postgres.predictions import models_wanted
from pregao.edges.postgres.upkeep import PostgresUpkeep
from pregao.edges.postgres.workers import Lease, Workers
from pregao.edges.processes.ending import Together
from pregao.edges.processes.state import set_wanted
from pregao.settings import Settings
from pregao.trading.trouble import AWAY, log_away
from pregao.views.upkeep import Forgotten

CONNECTIONS_MAX = 4
LOOK_SECONDS = 1.0  # for the first strategy, the first channel: a desk without one keeps half the memory free

HOLD_SECONDS = 2.0
ASKED_SECONDS = 0.5  # somebody waits for the lab's answer
LAB_STAYS_SECONDS = 60.0  # after its last work: who asks once asks again
LOOK_EVERY = timedelta(seconds=15)  # whether the desk is well: it counts what an hour sent
FORGET_EVERY = timedelta(hours=1)
LEASE = "upkeep"

log = structlog.get_logger()


async def serve_jobs(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Do the jobs; until canceled or the lease is lost."""
    journal = await open_journal(settings.database_url, connections_max=CONNECTIONS_MAX)
    workers = Workers(journal.pool)
    try:
        async with entered(workers, role="jobs") as lease, Together() as tasks:
            tasks.create_task(until_lost(workers, lease))
            tasks.create_task(keep_rolling(journal.pool))
            tasks.create_task(PostgresTally(journal.pool, worker_id=lease.worker_id).run())
            tasks.create_task(_screen(settings, journal=journal, lease=lease, clock=clock))
            tasks.create_task(_look_after(settings, journal=journal, lease=lease, clock=clock))
            tasks.create_task(clean_sell_list(settings, journal=journal, clock=clock))
            tasks.create_task(_tell(settings, journal=journal, lease=lease, clock=clock))
            tasks.create_task(_want(settings, "analyzer", when=partial(has_deployments, journal.pool)))
            tasks.create_task(_want(settings, "models", when=partial(models_wanted, journal.pool)))
            tasks.create_task(
                _want(
                    settings, "lab", when=partial(has_work, journal.pool),
                    look_seconds=ASKED_SECONDS, stays_seconds=LAB_STAYS_SECONDS,
                )
            )  # fmt: skip
            tasks.create_task(_deliver(settings, journal=journal, lease=lease, clock=clock))
    finally:
        await close_pool(journal.pool)


async def _screen(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    await _until_there_is("screener_strategies", journal)
    screening = importlib.import_module("pregao.bootstrap.screening")
    await screening.serve_screener(settings, journal=journal, lease=lease, clock=clock)


async def _look_after(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    """See every few seconds whether the desk is well, and forget every hour what is over and old; one process does."""
    upkeep = PostgresUpkeep(journal, standard=standard_retention(settings))
    workers = Workers(journal.pool)
    looked_at: datetime | None = None
    forgotten_at: datetime | None = None
    while True:
        try:
            if await workers.hold(LEASE, lease):
                now = clock()
                if looked_at is None or now - looked_at >= LOOK_EVERY:
                    tell_health(await upkeep.note_alarms(now=now))
                    looked_at = now
                if forgotten_at is None or now - forgotten_at >= FORGET_EVERY:
                    forgotten = await upkeep.forget(now=now)
                    forgotten_at = now
                    if forgotten != Forgotten():
                        log.info("jobs.past.forgotten", **asdict(forgotten))
        except AWAY as away:
            log_away("jobs.work.away", away)
        except Exception:
            # Nothing trades by this: the screener's list must not stop because of it.
            log.exception("jobs.upkeep.failed")
            looked_at = forgotten_at = clock()
        await asyncio.sleep(HOLD_SECONDS)


async def _tell(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    """Raise alerts, whether or not anybody carries them: they are looked at, too."""
    telling = Telling(
        PostgresTelling(journal, lease, level=AlertLevel(settings.alert_min_level)),
        new_id=uuid7,
        clock=clock,
        monotonic=time.monotonic,
    )
    await again_and_again(telling.follow, survives_mistakes=True)


async def _deliver(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    if environment_channels(settings):
        alerting = importlib.import_module("pregao.bootstrap.alerting")
        await alerting.take_environment(settings, journal=journal, clock=clock)
    await _until_there_is("alert_channels", journal)
    alerting = importlib.import_module("pregao.bootstrap.alerting")
    await alerting.serve_delivery(settings, journal=journal, lease=lease, clock=clock)


async def _want(
    settings: Settings,
    role: str,
    *,
    when: Callable[[], Awaitable[object]],
    look_seconds: float = HOLD_SECONDS,
    stays_seconds: float = 0.0,
) -> None:
    """Have the supervisor of this machine run a role while there is something for it to do, and so long after."""
    until = -inf
    while True:
        with contextlib.suppress(*AWAY):
            if await when():
                until = time.monotonic() + stays_seconds
                set_wanted(settings.state_dir, role, wanted=True)
            elif time.monotonic() >= until:
                set_wanted(settings.state_dir, role, wanted=False)
        await asyncio.sleep(look_seconds)


async def _until_there_is(table: str, journal: Journal) -> None:
    while not await _has_rows(table, journal):  # noqa: ASYNC110  # the table is looked at, nobody rings
        await asyncio.sleep(LOOK_SECONDS)


async def _has_rows(table: str, journal: Journal) -> bool:
    try:
        return bool(await journal.pool.fetchval(f"SELECT EXISTS (SELECT FROM {table})"))
    except AWAY as away:
        log_away("jobs.work.away", away)
        return False
