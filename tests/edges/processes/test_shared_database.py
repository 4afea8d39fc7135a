"""The run's own server: shared, fresh for each test, and gone with the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

RUN = """
import os, time
from tests.shared_database import shared_server, run_folder
print(shared_server(), run_folder(), flush=True)
time.sleep(100)
"""


class TestDatabase:
    async def test_is_empty_for_the_first_who_asks(self, database):
        connection = await asyncpg.connect(database)

        await connection.execute("CREATE TABLE left_over (id int)")

        await connection.close()

    async def test_is_empty_for_the_next_one_too(self, database):
        connection = await asyncpg.connect(database)

        await connection.execute("CREATE TABLE left_over (id int)")

        await connection.close()


class TestSharedServer:
    def test_ends_when_the_run_is_killed(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
        for name in ("PYTEST_XDIST_WORKER", "TEST_DATABASE_URL"):
            environment.pop(name, None)
        with subprocess.Popen(
            [sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True
        ) as run:
            folder = Path(run.stdout.readline().split()[1])
            run.send_signal(signal.SIGKILL)

        deadline = time.monotonic() + 20
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.1)

        assert not folder.exists()
