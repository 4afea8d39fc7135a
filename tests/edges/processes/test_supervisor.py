"""The supervisor with stand-in roles: what it starts, starts again, hands over and stops."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pregao.edges.processes.state import set_wanted
from tests.edges.processes.conftest import is_running, python, wait_for
from tests.ports import free_port

ANSWERS_WITH_ITS_PID = """
import os, socket
sock = socket.socket(fileno=int(os.environ["PREGAO_LISTEN_FD"]))
sock.setblocking(True)
while True:
    caller, _ = sock.accept()
    caller.sendall(str(os.getpid()).encode())
    caller.close()
"""
SLEEPS = "import time; time.sleep(1000)"
DIES_AND_SAYS_WHEN = """
import sys, time
print("about to die", flush=True)
open({path!r}, "a").write(f"{{time.monotonic()}}\\n")
sys.exit(3)
"""
SAYS_WHEN_IT_IS_STOPPED = """
import signal, sys, time
def stop(*_):
    open({path!r}, "a").write({name!r} + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(1000)
"""
WILL_NOT_STOP = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(1000)
"""
WRITES_ITS_ENVIRONMENT = (
    "import json, os, time; json.dump(dict(os.environ), open({path!r}, 'w')); time.sleep(1000)"
)


def role(name: str, code: str, *, listens: bool = False) -> dict[str, object]:
    return {"name": name, "command": python(code), "socket": name if listens else None}


def answer(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        return int(caller.recv(100))


class TestRestart:
    def test_starts_a_dying_role_again_later_and_later(self, start_desk, state_dir):
        times = state_dir / "times"
        desk = start_desk(roles=[role("trader", DIES_AND_SAYS_WHEN.format(path=str(times)))])

        wait_for(lambda: desk.role("trader")["restarts"] >= 4)

        said = [event for event in desk.log() if event["event"] == "supervisor.role.ended"]
        assert [event["restart_in_seconds"] for event in said[:4]] == [0.05, 0.1, 0.2, 0.2]
        assert said[0]["exit_code"] == 3
        first, second, third, *_ = map(float, times.read_text().split())
        assert second - first >= 0.05
        assert third - second >= 0.1
        assert "about to die" in [event.get("line") for event in desk.log()]

    def test_loses_no_connection_attempt_while_a_role_is_started_again(self, start_desk):
        desk = start_desk(roles=[role("web", ANSWERS_WITH_ITS_PID, listens=True)], backoff_seconds=[0.5])
        desk.wait_until_running()
        first = answer(desk.port)

        os.kill(first, signal.SIGKILL)
        wait_for(lambda: not is_running(first))
        second = answer(desk.port)  # waits in the backlog instead of being refused

        assert second != first
        assert wait_for(lambda: desk.role("web")["pid"] == second)


class TestStop:
    def test_stops_in_the_reverse_order_of_the_start(self, start_desk, state_dir):
        order = state_dir / "order"
        names = ("paper", "trader", "web")
        roles = [role(name, SAYS_WHEN_IT_IS_STOPPED.format(path=str(order), name=name)) for name in names]
        desk = start_desk(roles=roles).wait_until_running()
        wait_for(lambda: [event.get("line") for event in desk.log()].count("ready") == 3)

        assert desk.stop() == 0

        assert order.read_text().split() == ["web", "trader", "paper"]
        assert desk.page()["stage"] == "stopped"

    def test_kills_what_will_not_stop(self, start_desk):
        desk = start_desk(roles=[role("trader", WILL_NOT_STOP)], stop_seconds=0.2).wait_until_running()
        wait_for(lambda: "ready" in [event.get("line") for event in desk.log()])
        pid = desk.role("trader")["pid"]

        assert desk.stop() == 0

        assert not is_running(pid)
        assert "supervisor.stop.killed" in [event["event"] for event in desk.log()]

    def test_takes_its_roles_along_when_it_is_killed(self, start_desk, state_dir):
        desk = start_desk(roles=[role("trader", SLEEPS), role("web", ANSWERS_WITH_ITS_PID, listens=True)])
        desk.wait_until_running()
        pids = [desk.role("trader")["pid"], desk.role("web")["pid"]]

        desk.process.kill()
        again = start_desk(server_port=desk.port, roles=[role("trader", SLEEPS)]).wait_until_running()

        wait_for(lambda: not any(map(is_running, pids)))
        assert again.role("trader")["pid"]


class TestStart:
    def test_refuses_a_second_supervisor_on_one_state_folder(self, start_desk):
        first = start_desk().wait_until_running()

        second = start_desk()

        assert f"ALREADY_RUNNING: state_dir={first.state_dir} pid={first.process.pid}" in second.error()
        assert second.process.returncode == 1
        assert first.page()["stage"] == "running"

    @pytest.mark.parametrize(
        ("field", "setting"), [("server_port", "SERVER_PORT"), ("paper_port", "PREGAO_PAPER_PORT")]
    )
    def test_names_the_setting_when_the_port_is_taken(self, start_desk, field, setting):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            desk = start_desk(**{field: port})

            assert f"PORT_TAKEN: port={port} host=127.0.0.1. Set {setting}" in desk.error()

        assert desk.process.returncode == 1
        assert desk.page()["stage"] == "sockets failed"

    def test_stops_at_migrations_that_fail(self, start_desk):
        desk = start_desk(
            migration=python("print('no such table'); raise SystemExit(4)"), roles=[role("web", SLEEPS)]
        )

        assert "MIGRATION_FAILED: exit_code=4" in desk.error()

        assert desk.page() == {**desk.page(), "stage": "migrations failed", "processes": []}
        assert "no such table" in [event.get("said") for event in desk.log()]

    def test_tells_the_roles_where_things_are(self, start_desk, state_dir):
        page = state_dir / "environment"
        paper = free_port()
        start_desk(
            roles=[role("trader", WRITES_ITS_ENVIRONMENT.format(path=str(page)))],
            database_url="postgresql://a@b/c",
            paper_port=paper,
        ).wait_until_running()

        environment = json.loads(wait_for(lambda: page.exists() and page.read_text()))

        assert environment["DATABASE_URL"] == "postgresql://a@b/c"
        assert environment["PREGAO_PAPER_URL"] == f"http://127.0.0.1:{paper}"
        assert environment["PREGAO_STATE_DIR"] == str(state_dir)

    def test_starts_no_paper_exchange_of_its_own_when_another_is_named(self, start_desk):
        desk = start_desk(roles=[role("paper", SLEEPS, listens=True)], paper_url="http://paper.example:1")

        desk.wait_until_running()

        assert desk.page()["processes"] == []

    def test_chooses_another_paper_port_when_the_preferred_one_is_taken(self, start_desk, state_dir):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            start_desk(paper_port=0, paper_port_preferred=taken.getsockname()[1]).wait_until_running()

            assert int((state_dir / "paper.port").read_text()) != taken.getsockname()[1]


class TestFootprint:
    def test_stays_small(self, start_desk):
        """Everything the supervisor imports is paid for on every desk, all day."""
        desk = start_desk(roles=[role("trader", SLEEPS)]).wait_until_running()

        status = Path(f"/proc/{desk.process.pid}/status").read_text()

        resident_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert resident_kb <= 32 * 1024


class TestDatabase:
    def test_keeps_postgres_running_and_stops_it_last(self, start_desk, state_dir):
        desk = start_desk(
            database_url="", database_password="secret-word", roles=[role("trader", SLEEPS)]
        ).wait_until_running()
        first = desk.role("postgres")["pid"]

        os.kill(first, signal.SIGKILL)
        second = wait_for(lambda: desk.role("postgres")["restarts"] == 1 and desk.role("postgres")["pid"])

        assert second != first
        assert desk.stop() == 0
        ended = [event["role"] for event in desk.log() if event["event"] == "supervisor.role.stopped"]
        assert ended == ["trader", "postgres"]
        files = subprocess.run(
            ["grep", "-rl", "secret-word", str(state_dir)], capture_output=True, text=True, check=False
        )
        assert files.stdout == ""

    def test_starts_again_at_once_after_a_kill(self, start_desk):
        plan = {"database_url": "", "database_password": "word", "roles": [role("trader", SLEEPS)]}
        first = start_desk(**plan).wait_until_running()
        first.process.kill()
        began = time.monotonic()

        second = start_desk(**plan).wait_until_running()

        assert second.role("postgres")["pid"]
        assert time.monotonic() - began < 15


class TestOnDemand:
    def test_runs_a_role_while_it_is_wanted(self, start_desk, state_dir):
        """The analyzer is there only where a strategy feeds a bot."""
        asked = {**role("analyzer", SLEEPS), "on_demand": True}
        desk = start_desk(roles=[role("trader", SLEEPS), asked])
        desk.wait_until_running()

        def pids():
            return {one["role"]: one["pid"] for one in desk.page()["processes"]}

        first = pids()
        set_wanted(state_dir, "analyzer", wanted=True)
        wait_for(lambda: is_running(pids().get("analyzer") or 0))
        set_wanted(state_dir, "analyzer", wanted=False)
        wait_for(lambda: "analyzer" not in pids())

        assert "analyzer" not in first
        assert pids() == first

    def test_lets_a_nicer_role_wait_for_the_others(self, start_desk, state_dir):
        """What the lab computes for people must not keep what trades waiting."""
        set_wanted(state_dir, "lab", wanted=True)
        lab = {**role("lab", SLEEPS), "on_demand": True, "nicer": 10}
        desk = start_desk(roles=[role("trader", SLEEPS), lab])
        desk.wait_until_running()
        wait_for(lambda: is_running(desk.role("lab")["pid"] or 0))

        nice = {name: os.getpriority(os.PRIO_PROCESS, desk.role(name)["pid"]) for name in ("trader", "lab")}

        assert nice["lab"] == min(19, nice["trader"] + 10)  # nobody is nicer
