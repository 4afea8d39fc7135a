"""Starts the lab's process when there is something to compute and no lab lives. It ends by itself when nothing is left."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

import structlog

from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.lab import has_work, is_manned
from pregao.edges.processes.child import die_with_parent
from pregao.settings import Settings
from pregao.trading.trouble import AWAY

LOOK_SECONDS = 0.5
AGAIN_SECONDS = 5.0  # after a start that came to nothing
STOP_SECONDS = 5.0
NICER = 10

log = structlog.get_logger()


async def keep_lab(settings: Settings, *, journal: Journal) -> None:
    """Look twice a second whether the lab is wanted; until canceled."""
    while True:
        try:
            wanted = await has_work(journal.pool) and not await is_manned(journal.pool)
        except AWAY as away:
            log.warning("jobs.work.away", error=type(away).__name__)
            wanted = False
        if wanted:
            await _run_lab(settings)
        await asyncio.sleep(LOOK_SECONDS)


async def _run_lab(settings: Settings) -> None:
    """Run one lab until it ends; it ends with us."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "PREGAO_STATE_DIR": str(settings.state_dir),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pregao", "serve", "lab",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,  # it writes a log of its own
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=_prepare(),
    )  # fmt: skip
    log.info("jobs.lab.started", pid=process.pid)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            await _stop(process)
    log.info("jobs.lab.ended", exit_code=code)
    if code:
        await asyncio.sleep(AGAIN_SECONDS)


def _prepare() -> Callable[[], None]:
    """End it with us, and let whoever trades on this machine go first."""
    tie = die_with_parent(signal.SIGTERM)

    def before_exec() -> None:
        os.nice(NICER)
        if tie is not None:
            tie()

    return before_exec


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    if process.returncode is None:
        process.kill()
