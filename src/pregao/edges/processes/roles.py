"""What each role runs, and how: configured logs, uvloop, and a SIGTERM that ends in order."""

import asyncio
import contextlib
import importlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import structlog

from pregao import rehearsal
from pregao.edges.processes import logs
from pregao.edges.processes.ending import SECONDS_MAX, Ending, end_soon, watch_over
from pregao.edges.processes.sockets import listening_socket
from pregao.settings import PAPER_PORT_PREFERRED, Settings

ROLES = {
    "web": "pregao.bootstrap.web:serve_web",
    "trader": "pregao.bootstrap.trader:serve_trader",
    "jobs": "pregao.bootstrap.jobs:serve_jobs",
    "monitor": "pregao.bootstrap.monitor:serve_monitor",
    "paper": "pregao.bootstrap.paper:serve_paper",
    "lab": "pregao.bootstrap.lab:serve_lab",
    "analyzer": "pregao.bootstrap.analyzer:serve_analyzer",
    "models": "pregao.bootstrap.models:serve_models",
}
TELL_SECONDS = 1.0  # between two looks for failures to be told
TELL_SECONDS_MAX = (
    3.0  # a database that takes longer is away; a role that has ended is started again after that
)
WHEN_TOLD: list[Callable[[], Awaitable[None]]] = []
"""What this process does at once when it is told to stop, beside stopping."""

Main = Callable[[Settings], Awaitable[None]]

log = structlog.get_logger()


def run_role(
    role: str, settings: Settings, *, main: Main | None = None, stop_seconds: float = SECONDS_MAX
) -> int:
    """
    Run a role until it ends or is told to; give the exit code. One that hangs while stopping is cut off.

    :raises RehearsalRefusedError: when the environment asks for crash points on a desk that is no rehearsal's.
    """
    import uvloop  # noqa: PLC0415  # the command line lists the roles without loading the loop

    rehearsal.begin(settings.state_dir)
    os.umask(0o077)  # what the desk writes is for its user alone
    logs.configure_logs(
        role, log_dir=settings.state_dir / "logs", level=settings.log_level, secrets=settings.secrets()
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(role, settings, main or _named(ROLES[role]), stop_seconds=stop_seconds))


def web_socket(settings: Settings) -> socket.socket:
    """Give the desk's listening socket: the supervisor's, or one of our own when run alone."""
    return listening_socket(settings.server_host, settings.server_port, setting="SERVER_PORT")


def paper_socket(settings: Settings) -> socket.socket:
    """Give the paper exchange's listening socket: the supervisor's, or one of our own when run alone."""
    return listening_socket(
        "127.0.0.1", settings.paper_port or PAPER_PORT_PREFERRED, setting="PREGAO_PAPER_PORT"
    )


def _named(target: str) -> Main:
    module, name = target.split(":")
    main: Main = getattr(importlib.import_module(module), name)
    return main


async def _serve(role: str, settings: Settings, main: Main, *, stop_seconds: float) -> int:
    loop = asyncio.get_running_loop()
    watch_over(Ending(loop, seconds=stop_seconds))
    task = asyncio.ensure_future(main(settings))
    stopping = asyncio.Event()
    noting: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            noting.extend(loop.create_task(_note_told(note)) for note in WHEN_TOLD)
            task.cancel()
            end_soon()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    log.info("processes.role.started")
    telling = asyncio.ensure_future(_tell_failures(role, settings))
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    except Exception:
        log.exception("processes.role.failed")
        telling.cancel()
        await asyncio.wait([telling])
        await _tell(role, settings)
        return 1
    finally:
        for one in (telling, *noting):
            one.cancel()
    log.info("processes.role.stopped", told_to=stopping.is_set())
    return 0 if stopping.is_set() else 1  # a role that ends by itself is started again


async def _tell_failures(role: str, settings: Settings) -> None:
    """Tell what was logged as a failure, while the role runs; until canceled."""
    while True:
        await asyncio.sleep(TELL_SECONDS)
        if logs.FAILURES:
            await _tell(role, settings)


async def _tell(role: str, settings: Settings) -> None:
    """Tell of the failures there are; where that cannot be written, they stay for the next time, and in the log."""
    failures = list(logs.FAILURES)
    logs.FAILURES.clear()
    try:
        tell = getattr(importlib.import_module("pregao.bootstrap.failures"), "tell_failures")  # noqa: B009
        async with asyncio.timeout(TELL_SECONDS_MAX):
            await tell(role, [(one.event, one.kinds) for one in failures], settings=settings)
    except asyncio.CancelledError:
        logs.FAILURES.extendleft(reversed(failures))  # what was written is kept back when it is told again
        raise
    except Exception as untold:
        logs.FAILURES.extendleft(reversed(failures))
        log.warning("processes.failures.untold", failures=len(failures), error=type(untold).__name__)


async def _note_told(note: Callable[[], Awaitable[None]]) -> None:
    try:
        await note()
    except Exception as unnoted:  # whoever cannot write it can give no lease up either
        log.info("processes.stopping.unnoted", error=type(unnoted).__name__)
