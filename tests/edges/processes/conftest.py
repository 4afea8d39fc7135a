"""State folders that leave nothing behind, and supervisors that end with their test."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pregao.edges.processes.child import die_with_parent
from tests.ports import free_port
from tests.shared_database import remove_state

WAIT_SECONDS = 30


def wait_for(question: Callable[[], Any], *, seconds: float = WAIT_SECONDS) -> Any:
    """Ask until the answer is true, and give it; an answer that never comes fails the test."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


def python(code: str) -> list[str]:
    """Give the command of a small program that starts quickly."""
    return [sys.executable, "-S", "-c", code]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


class Desk:
    """A supervisor in a process of its own, started from a plan of stand-in roles."""

    def __init__(self, state_dir: Path, **plan: Any) -> None:
        self.state_dir = state_dir
        self.port = plan.setdefault("server_port", free_port())
        plan.setdefault("database_url", "postgresql://nobody@nowhere/none")
        plan.setdefault("migration", ["true"])
        plan.setdefault("backoff_seconds", [0.05, 0.1, 0.2])
        plan.setdefault("roles", [])
        page = {
            "state_dir": str(state_dir),
            "server_host": "127.0.0.1",
            "paper_port": free_port(),
            **plan,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pregao.edges.processes.supervisor", "0"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # a killed run leaves nobody behind
        )
        self.process.stdin.write(json.dumps(page))
        self.process.stdin.close()

    def page(self) -> dict[str, Any]:
        try:
            return json.loads((self.state_dir / "processes.json").read_text())
        except FileNotFoundError:
            return {"stage": "none", "processes": []}

    def role(self, name: str) -> dict[str, Any]:
        return next(
            (role for role in self.page()["processes"] if role["role"] == name), {"pid": None, "restarts": 0}
        )

    def wait_until_running(self) -> "Desk":
        """Return when all of it runs; a supervisor that ended, or gets no further, fails the test with what it said."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._is_running():
            ended = self.process.poll()
            assert ended is None, f"ended with {ended}: {self.error()}"
            assert time.monotonic() < deadline, f"gets no further: {self.page()} {self.log()}"
            time.sleep(0.02)
        return self

    def _is_running(self) -> bool:
        page = self.page()
        return page["stage"] == "running" and page["supervisor"] == self.process.pid

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    def error(self) -> str:
        self.process.wait(WAIT_SECONDS)
        return self.process.stderr.read()

    def log(self) -> list[dict[str, Any]]:
        file = self.state_dir / "logs/supervisor.log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Give a state folder with a short path, since unix sockets want one."""
    folder = Path(tempfile.mkdtemp(prefix="pregao-"))
    yield folder
    remove_state(folder)


@pytest.fixture
def start_desk(state_dir: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def start(**plan: Any) -> Desk:
        desks.append(Desk(state_dir, **plan))
        return desks[-1]

    yield start
    roles = [role["pid"] for desk in desks for role in desk.page()["processes"] if role["pid"]]
    for desk in desks:
        desk.end()
    wait_for(lambda: not any(map(is_running, roles)))
