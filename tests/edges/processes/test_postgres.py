"""The embedded PostgreSQL, for real: it keeps rows, ends with its owner, and comes back after a kill."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from pregao.edges.processes.child import Child, Lines
from pregao.edges.processes.postgres import (
    STOP_SIGNALS,
    EmbeddedPostgres,
    Owner,
    copied_binaries,
    root_home,
    wheel_binaries,
)
from tests.edges.processes.conftest import is_running, wait_for
from tests.shared_database import remove_state

NOBODY = 65534

OWNER = """
import asyncio, sys
from pathlib import Path
from pregao.edges.processes.child import Lines
from pregao.edges.processes.postgres import EmbeddedPostgres

async def own(state_dir, binaries):
    postgres = EmbeddedPostgres(state_dir, "pass'word", say=print, binaries=binaries)
    postgres.prepare()
    process = await postgres.start(Lines(lambda line: None).writing)
    print(process.pid, postgres.data_dir, flush=True)
    sys.stdin.read()
    process.send_signal(2)
    print("ended", await process.wait(), flush=True)

asyncio.run(own(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None))
"""


@asynccontextmanager
async def running(
    state_dir: Path, password: str = "pass'word"
) -> AsyncIterator[tuple[EmbeddedPostgres, Child]]:
    postgres = EmbeddedPostgres(state_dir, password, say=lambda *_, **__: None)
    postgres.prepare()
    child = Child(
        "postgres",
        postgres.start,
        say=lambda *_, **__: None,
        line_said=lambda _: None,
        changed=lambda: None,
        backoff_seconds=[0.05],
        stop_signals=STOP_SIGNALS,
    )
    try:
        await child.start()
        yield postgres, child
    finally:
        await child.stop()


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """Give one folder to all: each test takes over what the one before has left, as a desk does that is restarted."""
    folder = Path(tempfile.mkdtemp(prefix="pregao-"))
    yield folder
    remove_state(folder)


class TestEmbeddedPostgres:
    async def test_keeps_rows_port_and_promises_over_a_restart(self, state_dir):
        async with running(state_dir) as (postgres, _):
            first = postgres.url
            await ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                assert await ask(first, f"SHOW {name}") == "on"
            assert await ask(first, "SHOW listen_addresses") == "127.0.0.1"

        async with running(state_dir) as (postgres, _):
            assert postgres.url == first
            assert await ask(postgres.url, "SELECT answer FROM kept") == 42

    async def test_asks_for_the_password_and_follows_a_new_one(self, state_dir):
        async with running(state_dir) as (postgres, _):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await ask(postgres.url.replace("pass'word", "guessed"), "SELECT 1")

        async with running(state_dir, "another") as (postgres, _):
            assert await ask(postgres.url, "SELECT 1") == 1

    async def test_comes_back_with_its_rows_after_its_own_kill(self, state_dir):
        async with running(state_dir) as (postgres, child):
            await ask(postgres.url, "CREATE TABLE survived AS SELECT generate_series(1, 1000) AS number")

            for restarts in (1, 2):
                os.kill(child.pid, signal.SIGKILL)
                for _ in range(300):
                    if child.restarts == restarts and child.pid:
                        break
                    await _soon()

            assert await ask(postgres.url, "SELECT count(*) FROM survived") == 1000
            assert child.restarts == 2

    async def test_is_for_its_user_alone(self, state_dir):
        async with running(state_dir) as (postgres, child):
            assert stat.S_IMODE(postgres.data_dir.stat().st_mode) == 0o700
            assert not (postgres.data_dir.parent / "password.new").exists()
            status = Path(f"/proc/{child.pid}/status").read_text()

        assert "Uid:\t0\t" not in status

    def test_ends_cleanly_when_its_owner_is_killed(self, state_dir):
        owner = _start_owner([str(state_dir)])
        pid, data_dir = owner.stdout.readline().split()

        owner.kill()
        owner.communicate()
        wait_for(lambda: not is_running(int(pid)))

        assert not (Path(data_dir) / "postmaster.pid").exists()
        assert "shut down" in _control(state_dir, Path(data_dir))

    def test_starts_at_once_after_its_owner_was_killed(self, state_dir):
        first = _start_owner([str(state_dir)])
        first.stdout.readline()
        first.kill()

        second = _start_owner([str(state_dir)])
        first.communicate()
        said = second.stdout.readline()

        assert said.split()[0].isdigit()
        assert second.communicate("")[0].strip() == "ended 0"

    @pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the other tests already")
    def test_works_for_an_ordinary_user(self):
        folder = Path(tempfile.mkdtemp(prefix="pregao-user-"))
        try:
            interpreter = _interpreter_for_everyone()
            shutil.chown(folder, NOBODY, NOBODY)
            for part in ("__init__.py", "rehearsal.py", "edges/__init__.py", "edges/processes"):
                source = Path(_package()) / part
                target = folder / "src/pregao" / part
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
            binaries = copied_binaries(wheel_binaries(), folder, owner=Owner(NOBODY, NOBODY))
            (folder / "state").mkdir()
            shutil.chown(folder / "state", NOBODY, NOBODY)

            owner = _start_owner(
                [str(folder / "state"), str(binaries)],
                interpreter=interpreter,
                path=str(folder / "src"),
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                cwd="/",
            )
            pid, data_dir = owner.stdout.readline().split()

            assert Path(data_dir) == folder / "state/postgres/data"
            assert f"Uid:\t{NOBODY}\t" in Path(f"/proc/{pid}/status").read_text()
            assert owner.communicate("")[0].strip() == "ended 0"
        finally:
            shutil.rmtree(folder)


class TestRootHome:
    @pytest.mark.skipif(
        os.geteuid() != 0, reason="only a desk of root keeps its rows outside its state folder"
    )
    def test_lets_the_server_in_on_the_first_start_under_a_strict_umask(self, tmp_path):
        strict = os.umask(0o077)  # as the supervisor's is
        try:
            home, owner = root_home(tmp_path, below=tmp_path / "lib" / "pregao")
        finally:
            os.umask(strict)
        assert stat.S_IMODE(home.parent.stat().st_mode) == 0o755
        assert (stat.S_IMODE(home.stat().st_mode), home.stat().st_uid) == (0o700, owner.uid)


class TestLines:
    async def test_gives_whole_lines_and_cuts_endless_ones(self):
        said: list[str] = []
        lines = Lines(said.append)

        os.write(lines.writing, b"one\ntw")
        os.write(lines.writing, b"o\n" + b"x" * 9000 + b"\n")
        lines.close()

        assert said[:2] == ["one", "two"]
        assert set(said[2]) == {"x"}
        assert len(said[2]) == 4000


def _package() -> str:
    import pregao

    return pregao.__path__[0]


def _start_owner(arguments: list[str], *, interpreter: str = sys.executable, path: str = "", **options):
    return subprocess.Popen(
        [interpreter, "-c", OWNER, *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": path or os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def _control(state_dir: Path, data_dir: Path) -> str:
    owner = data_dir.stat()
    binaries = next(
        (data_dir.parent / "binaries").rglob("bin/pg_controldata"), wheel_binaries() / "pg_controldata"
    )
    options = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    command = [str(binaries), "-D", str(data_dir)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", **options).stdout
    return next(line for line in text.splitlines() if "cluster state" in line)


def _interpreter_for_everyone() -> str:
    for interpreter in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            asked = subprocess.run(
                [interpreter, "-c", "import json, sys; print(json.dumps(sys.version_info[:2]))"],
                capture_output=True,
                text=True,
                check=True,
                user=NOBODY,
                group=NOBODY,
                cwd="/",
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if tuple(json.loads(asked.stdout)) >= (3, 11):
            return interpreter
    pytest.skip("no Python here that an ordinary user may run")


async def _soon() -> None:
    import asyncio

    await asyncio.sleep(0.05)
