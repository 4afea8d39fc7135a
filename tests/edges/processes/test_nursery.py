"""Roles are forked from a process that has loaded everything: they begin at once, and nobody could tell them from others."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pregao.edges.processes.nursery import Nursery, is_possible
from tests.edges.processes.conftest import is_running

pytestmark = pytest.mark.skipif(not is_possible(), reason="this system has no pidfd: roles are started here")

SECONDS_MAX = 120  # a busy machine loads for a while


@pytest.fixture
def said():
    reading, writing = os.pipe()
    yield lambda: os.read(reading, 65536).decode(), writing
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.fixture
async def opened(said) -> AsyncIterator[tuple[Nursery, asyncio.subprocess.Process]]:
    nursery = Nursery(roles=["paper"], ready_seconds_max=SECONDS_MAX)
    process = await nursery.open(said[1], environment=dict(os.environ))
    try:
        async with asyncio.timeout(SECONDS_MAX):
            yield nursery, process
    finally:
        nursery.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def born(nursery, role, said, **given):
    given = {"environment": dict(os.environ), "listening": None, **given}
    newborn = await nursery.bear(role, output=said[1], **given)
    assert newborn is not None
    return newborn


async def answer(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        while True:
            try:
                return await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def settings(state_dir: Path) -> dict[str, str]:
    secrets = dict.fromkeys(("PREGAO_ADMIN_TOKEN", "PREGAO_METRICS_TOKEN", "PREGAO_DEMO_SECRET", "PREGAO_DATABASE_PASSWORD"), "x" * 32)  # fmt: skip
    return {
        **os.environ,
        **secrets,
        "PREGAO_STATE_DIR": str(state_dir),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    }


class TestNursery:
    async def test_has_nothing_that_a_fork_could_break(self, opened, said):
        """A second thread, or a connection, would be half there in whoever is born."""
        nursery, process = opened
        await (await born(nursery, "nobody", said)).wait()

        kinds = [str(one.readlink()) for one in Path(f"/proc/{process.pid}/fd").iterdir()]

        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        assert sum(kind.startswith("socket:") for kind in kinds) == 1  # the line to the supervisor
        assert not any("eventpoll" in kind for kind in kinds)

    async def test_tells_how_one_has_ended_and_passes_on_what_it_said(self, opened, said):
        newborn = await born(opened[0], "nobody", said)

        assert await newborn.wait() == 2
        assert "ROLE_UNKNOWN: role=nobody" in said[0]()

    async def test_gives_a_role_its_settings_and_its_socket_and_lets_it_end_in_order(
        self, opened, said, state_dir
    ):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            newborn = await born(
                opened[0],
                "paper",
                said,
                environment=settings(state_dir),
                listening=listening.fileno(),
            )
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/paper/health"
            assert (await answer(url)).status_code == 200

        assert Path(f"/proc/{newborn.pid}/comm").read_text() == "pregao paper\n"
        assert os.getsid(newborn.pid) == newborn.pid
        newborn.send_signal(signal.SIGTERM)
        assert await newborn.wait() == 0
        with pytest.raises(ProcessLookupError):
            newborn.send_signal(signal.SIGTERM)

    async def test_tells_of_one_that_was_killed(self, opened, said, state_dir):
        newborn = await born(opened[0], "paper", said, environment=settings(state_dir))

        newborn.kill()

        assert await newborn.wait() == -signal.SIGKILL

    async def test_keeps_no_role_waiting_while_it_is_frozen_and_bears_nobody_twice(self, said, state_dir):
        """The role was started without it meanwhile; two traders where one was meant would be one too many."""
        nursery = Nursery(roles=["paper"], ready_seconds_max=SECONDS_MAX, born_seconds_max=1.0)
        process = await nursery.open(said[1], environment=dict(os.environ))
        try:
            await (await born(nursery, "nobody", said)).wait()
            os.kill(process.pid, signal.SIGSTOP)
            given = {"output": said[1], "environment": settings(state_dir), "listening": None}
            assert await nursery.bear("paper", **given) is None

            os.kill(process.pid, signal.SIGCONT)
            await (await born(nursery, "nobody", said)).wait()  # asked after it, and born after it

            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            async with asyncio.timeout(SECONDS_MAX):
                while children.read_text():
                    await asyncio.sleep(0.02)
        finally:
            nursery.close()
            process.kill()
            await process.wait()

    async def test_takes_its_children_along_and_another_bears_new_ones(self, opened, said, state_dir):
        """Whoever kills it finds every role started again, as after a kill of the supervisor."""
        nursery, process = opened
        newborn = await born(nursery, "paper", said, environment=settings(state_dir))

        process.kill()
        assert await newborn.wait() == -signal.SIGTERM
        assert not is_running(newborn.pid)

        second = await nursery.open(said[1], environment=dict(os.environ))
        try:
            assert await (await born(nursery, "nobody", said)).wait() == 2
        finally:
            second.kill()
            await second.wait()

    async def test_bears_nobody_before_it_was_opened_or_where_it_cannot_load(self, said):
        nursery = Nursery(roles=["paper"], ready_seconds_max=SECONDS_MAX)
        asked = {"output": said[1], "environment": dict(os.environ), "listening": None}
        assert await nursery.bear("paper", **asked) is None

        process = await nursery.open(
            said[1], environment={"PATH": os.environ["PATH"], "PYTHONHOME": "/nowhere"}
        )
        async with asyncio.timeout(SECONDS_MAX):
            assert await nursery.bear("paper", **asked) is None
            assert await process.wait() != 0
