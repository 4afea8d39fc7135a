"""
The one PostgreSQL server of a test run, shared by its workers, with a migrated database to copy.

Whoever needs it first starts a keeper: a process that owns the server, watches the run's first process, and ends the
server and removes its folder when that process is gone, however it went. Nothing of it is durable.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

PASSWORD = "only-for-tests"
START_SECONDS_MAX = 180  # of a machine that does much else

# What opening a journal does first, once for all.
MONTHS = "SELECT pregao.ensure_journal_month(now()), pregao.ensure_journal_month(now() + interval '1 month')"

# The role's password is proved with every connection: thousands of them, each with 4,096 rounds on both sides.
CHEAP_PASSWORD = f"SET scram_iterations = 1; ALTER ROLE CURRENT_USER PASSWORD '{PASSWORD}'"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_owner() -> int:
    """Give the process that outlives every worker of this run: the one that was started first."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def run_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"pregao-tests-{os.getuid()}-{run_owner()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def shared_server() -> str:
    """Give the address of the run's server; start it if nobody did."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        return given
    os.environ.setdefault("PGSSLMODE", "disable")  # our own server has none, and every connection would ask
    folder = run_folder()
    address = folder / "address"
    with locked(folder / "lock"):
        if not address.exists():
            with (folder / "keeper.log").open("wb") as log:
                keeper = subprocess.Popen(
                    [sys.executable, __file__, str(folder), str(run_owner())],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            deadline = time.monotonic() + START_SECONDS_MAX
            while not address.exists():
                if keeper.poll() is not None or time.monotonic() >= deadline:
                    raise RuntimeError(
                        f"The test server did not start: {(folder / 'keeper.log').read_text()}"
                    )
                time.sleep(0.02)
            keeper.returncode = 0  # it outlives us on purpose: no warning about it
        return address.read_text()


def with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(dsn: str, statement: str, *values: str) -> object:
    async with connected(dsn) as connection:
        return await connection.fetchval(statement, *values)


def ensure_template(dsn: str) -> str:
    """Give the name of a migrated database to copy; made once per state of the migrations and month."""
    from pregao.edges.postgres.migrate import migrate

    name = f"pregao_template_{_migrations_digest()}_{datetime.now(UTC):%Y%m}"
    with locked(run_folder() / "template.lock"):
        if not asyncio.run(ask(dsn, "SELECT 1 FROM pg_database WHERE datname = $1", name)):
            draft = f"{name}_draft_{os.getpid()}"
            asyncio.run(ask(dsn, f"DROP DATABASE IF EXISTS {draft}"))
            asyncio.run(ask(dsn, f"CREATE DATABASE {draft}"))
            migrate(with_database(dsn, draft))
            asyncio.run(ask(with_database(dsn, draft), MONTHS))
            asyncio.run(ask(dsn, f"ALTER DATABASE {draft} RENAME TO {name}"))
    return name


def _migrations_digest() -> str:
    digest = hashlib.sha256()
    spec = importlib.util.find_spec("pregao.edges.postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in (".py", ".sql") and "migrat" in str(path):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


async def keep(folder: Path, owner: int) -> None:
    from pregao.edges.processes.child import Lines
    from pregao.edges.processes.postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(folder, PASSWORD, say=print, durable=False)
    try:
        postgres.prepare()
        lines = Lines(print)
        process = await postgres.start(lines.writing)
        async with connected(postgres.url) as connection:
            await connection.execute(CHEAP_PASSWORD)
        (folder / "address.new").write_text(postgres.url)
        (folder / "address.new").rename(folder / "address")
        while process.returncode is None and _is_alive(owner):
            await asyncio.sleep(0.2)
        if process.returncode is None:
            process.send_signal(signal.SIGQUIT)
        await process.wait()
    finally:
        remove_state(folder)


def remove_state(folder: Path) -> None:
    """Remove a state folder with the rows that root keeps elsewhere."""
    marker = folder / "postgres.home"
    if marker.exists():
        shutil.rmtree(marker.read_text().strip(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1]), int(sys.argv[2])))
