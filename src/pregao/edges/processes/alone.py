"""The embedded database of a desk that is stopped, started alone for a moment."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pregao.edges.processes.postgres import STOP_SIGNALS, EmbeddedPostgres
from pregao.edges.processes.state import lock_state


@asynccontextmanager
async def database_alone(state_dir: Path, password: str) -> AsyncIterator[str]:
    """
    Start the database of a state folder, made if it is not there, and give its address; it ends with the block.

    :raises StartError: when the desk is running, or the server does not start.
    """
    with lock_state(state_dir):
        postgres = EmbeddedPostgres(state_dir, password, say=_nothing)
        postgres.prepare()
        (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        log = os.open(state_dir / "logs" / "restore.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await postgres.start(log)
            try:
                yield postgres.url
            finally:
                await _end(process)
        finally:
            os.close(log)


async def _end(process: asyncio.subprocess.Process) -> None:
    for stop_signal, grace_seconds in STOP_SIGNALS:
        if process.returncode is None:
            process.send_signal(stop_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace_seconds)
            return
    process.kill()
    await process.wait()


def _nothing(_event: str, **_keys: object) -> None:
    """Say nothing: nobody follows a server that is there for a moment."""
