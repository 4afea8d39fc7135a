"""Processes that compute for another: they are there when they are asked, and gone with whoever asked."""

import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from pregao.bootstrap.computing import computing
from tests.edges.processes.conftest import is_running, wait_for

ASKS = """
import asyncio, os
from pregao.bootstrap.computing import computing

async def ask():
    async with computing() as compute:
        print(await compute(os.getpid), flush=True)
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(ask())
"""


class TestComputing:
    async def test_is_done_in_another_process(self):
        async with computing() as compute:
            pid, nine = await compute(os.getpid), await compute(pow, 3, 2)
            with pytest.raises(ZeroDivisionError):
                await compute(divmod, 1, 0)

        assert (pid != os.getpid(), nine) == (True, 9)
        wait_for(lambda: not is_running(pid))

    async def test_has_new_processes_when_one_was_killed(self):
        async with computing() as compute:
            with pytest.raises(BrokenProcessPool):
                await compute(os.kill, await compute(os.getpid), signal.SIGKILL)

            assert await compute(pow, 3, 2) == 9

    def test_ends_with_a_process_that_was_killed(self, tmp_path):
        """They would wait for work for ever, with a hundred megabytes each."""
        script = tmp_path / "asks.py"
        script.write_text(ASKS)
        with subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        ) as asking:
            computes = int(asking.stdout.readline())
            assert is_running(computes)
            asking.kill()

        wait_for(lambda: not is_running(computes))
