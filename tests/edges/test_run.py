"""run.py from outside: its flags, the state folder it makes, what it says, and what it leaves alone."""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ("--status-only", "--stop", "--logs", "--follow-logs", "--test")
SECRETS = (
    "PREGAO_ADMIN_TOKEN",
    "PREGAO_MASTER_KEY",
    "PREGAO_DATABASE_PASSWORD",
    "PREGAO_DEMO_SECRET",
    "PREGAO_METRICS_TOKEN",
)

# A desk as run.py sees one: holds the lock, says where it is, answers /health, ends on SIGTERM.
STAND_IN = """#!{python}
import fcntl, http.server, json, os, pathlib, signal, sys
state = pathlib.Path(os.environ["PREGAO_STATE_DIR"])
port = int(os.environ["SERVER_PORT"])
lock = (state / "supervisor.pid").open("w+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write(str(os.getpid())); lock.flush()
role = dict(role="web", pid=os.getpid(), restarts=2, since="2026-11-21T00:00:00+00:00")
page = dict(stage="running", host="127.0.0.1", port=port, processes=[role])
(state / "processes.json").write_text(json.dumps(page))
(state / "demo.json").write_text(json.dumps(dict(url="http://desk/demo", body=dict(say="it's"), receipt_hint="look")))
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.end_headers()
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""
BROKEN = """#!{python}
import json, os, pathlib, sys
state = pathlib.Path(os.environ["PREGAO_STATE_DIR"])
(state / "processes.json").write_text(json.dumps(dict(stage="migrations failed", processes=[])))
(state / "logs/supervisor.log").write_text(json.dumps(dict(at="12:00", level="error", event="it.broke", why="a\\nb\\nc\\nd")))
sys.exit("MIGRATION_FAILED: exit_code=4.")
"""


class Checkout:
    """A copy of run.py in a folder of its own, as on a machine where nothing was set up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for name in (
            "run.py",
            "pyproject.toml",
            "package-lock.json",
            "requirements.lock",
            "requirements-test.lock",
        ):
            shutil.copy(ROOT / name, folder)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._python("run.py", *arguments, **environment)

    def call(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._python("-c", f"import run; {code}", **environment)

    def pretend_installed(self, pregao: str) -> None:
        """Leave a `.venv` that looks finished, whose command `pregao` is the given program."""
        binaries = self.folder / ".venv/bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        (binaries / "pregao").write_text(pregao.format(python=sys.executable))
        (binaries / "pregao").chmod(0o755)
        digest = self.call("print(run.installation_digest(run.RUNTIME_LOCK), end='')").stdout
        (self.folder / ".venv/.installed-requirements").write_text(digest)

    def pretend_tools(self, **codes: int) -> None:
        """Leave tools for tests that note that they ran and end with these codes."""
        binaries = self.folder / ".venv/bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        for name in ("ruff", "mypy", "lint-imports", "pytest"):
            (binaries / name).write_text(
                f'#!/bin/sh\necho "{name} $*" >> ran\necho "what {name} says"\nexit {codes.get(name, 0)}\n'
            )
            (binaries / name).chmod(0o755)
        digest = self.call("print(run.installation_digest(run.TEST_LOCK), end='')").stdout
        (self.folder / ".venv/.installed-requirements-test").write_text(digest)

    def listing(self) -> list[str]:
        return sorted(str(path) for path in self.folder.rglob("*") if "__pycache__" not in path.parts)

    @property
    def state(self) -> Path:
        return self.folder / ".pregao"

    def _python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={
                "SERVER_PORT": str(self.port),
                "HOME": "/nonexistent",
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    yield checkout
    checkout.run("--stop")


class TestFlags:
    @pytest.mark.parametrize("pair", [*itertools.combinations(FLAGS, 2)], ids=" ".join)
    def test_refuses_two_at_once(self, checkout, pair):
        assert checkout.run(*pair).returncode == 2

    @pytest.mark.parametrize("unknown", ["--sto", "--rebuild", "--quick", "start", "-x"])
    def test_refuses_what_it_does_not_know(self, checkout, unknown):
        before = checkout.listing()

        done = checkout.run(unknown)

        assert done.returncode == 2
        assert "usage: run.py" in done.stderr
        assert checkout.listing() == before

    def test_names_every_flag_in_the_help(self, checkout):
        done = checkout.run("--help")

        assert done.returncode == 0
        assert all(flag in done.stdout for flag in FLAGS)

    @pytest.mark.parametrize(("flag", "code"), [("--status-only", 1), ("--stop", 0), ("--logs", 0)])
    def test_touches_nothing_when_it_only_looks_or_stops(self, checkout, flag, code):
        before = checkout.listing()

        done = checkout.run(flag)

        assert done.returncode == code
        assert checkout.listing() == before


class TestState:
    def test_makes_every_secret_for_its_user_alone(self, checkout):
        checkout.call("run.ensure_state()")

        known = dict(
            line.split("=", 1)
            for line in (checkout.state / "env").read_text().splitlines()
            if not line.startswith("#")
        )
        assert tuple(known) == SECRETS
        assert len(base64.b64decode(known["PREGAO_MASTER_KEY"])) == 32
        assert len(set(known.values())) == len(SECRETS)
        assert stat.S_IMODE((checkout.state / "env").stat().st_mode) == 0o600
        assert stat.S_IMODE(checkout.state.stat().st_mode) == 0o700

    def test_keeps_what_is_there_and_adds_what_is_missing(self, checkout):
        checkout.state.mkdir()
        (checkout.state / "env").write_text("# mine\nSERVER_PORT=1234\nPREGAO_ADMIN_TOKEN=chosen")

        checkout.call("run.ensure_state()")
        first = (checkout.state / "env").read_text()
        checkout.call("run.ensure_state()")

        assert first.startswith("# mine\nSERVER_PORT=1234\nPREGAO_ADMIN_TOKEN=chosen\nPREGAO_MASTER_KEY=")
        assert all(first.count(f"{name}=") == 1 for name in SECRETS)
        assert (checkout.state / "env").read_text() == first

    def test_is_where_the_setting_says(self, checkout, tmp_path):
        checkout.call("run.ensure_state()", PREGAO_STATE_DIR=str(tmp_path / "elsewhere"))

        assert (tmp_path / "elsewhere/env").exists()
        assert not checkout.state.exists()

    def test_names_the_folder_it_cannot_use(self, checkout):
        (checkout.folder / "a-file").touch()
        checkout.pretend_installed(STAND_IN)

        done = checkout.run(PREGAO_STATE_DIR=str(checkout.folder / "a-file/state"))

        assert done.returncode == 1
        assert "stage: state" in done.stderr
        assert "PREGAO_STATE_DIR" in done.stderr


class TestStart:
    def test_starts_once_and_says_how_to_use_it(self, checkout):
        checkout.pretend_installed(STAND_IN)

        first = checkout.run()
        second = checkout.run()

        assert (first.returncode, second.returncode) == (0, 0)
        assert "already running" in second.stdout
        for said in (first.stdout, second.stdout):
            assert f"http://127.0.0.1:{checkout.port}/docs" in said
            assert (checkout.state / "env").read_text().split("PREGAO_ADMIN_TOKEN=")[1].split()[0] in said
            assert """-d '{"say": "it'"'"'s"}'""" in said

    def test_shows_stops_and_shows_again(self, checkout):
        checkout.pretend_installed(STAND_IN)
        checkout.run()

        shown = checkout.run("--status-only", SERVER_PORT="1")
        stopped = checkout.run("--stop")
        gone = checkout.run("--status-only")

        assert shown.returncode == 0
        assert "web" in shown.stdout
        held = re.search(r"memory without PostgreSQL: (\d+) MB", shown.stdout)
        assert held is None or 0 < int(held[1]) < 400
        assert f"http://127.0.0.1:{checkout.port}/health" in shown.stdout
        assert (stopped.returncode, gone.returncode) == (0, 1)

    def test_says_nothing_of_a_reader_that_has_read_enough(self, checkout):
        """`python run.py --logs | head -1`."""
        logs = checkout.state / "logs"
        logs.mkdir(parents=True)
        for number in range(10):  # more than a pipe holds, so that the reader is gone before it is written
            (logs / f"role-{number}.log").write_text(f"{'long ' * 600}\n" * 60)
        command = f"{sys.executable} {checkout.folder / 'run.py'} --logs | head -1"
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PREGAO_STATE_DIR": str(checkout.state)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.stdout, done.stderr) == ("==> role-0.log <==\n", "")

    def test_names_the_stage_that_failed_and_shows_the_logs(self, checkout):
        checkout.pretend_installed(BROKEN)

        done = checkout.run()

        assert done.returncode == 1
        assert "FAILED at stage: start (migrations failed)" in done.stderr
        assert "MIGRATION_FAILED: exit_code=4." in done.stderr
        assert "12:00 error it.broke why=... / b / c / d\n" in done.stderr

    def test_names_the_setting_when_the_port_is_taken(self, checkout):
        checkout.pretend_installed(STAND_IN)

        with socket.create_server(("127.0.0.1", checkout.port)):
            done = checkout.run()

        assert done.returncode == 1
        assert f"PORT_TAKEN: port={checkout.port}. Set SERVER_PORT" in done.stderr

    def test_refuses_a_port_that_is_none(self, checkout):
        checkout.pretend_installed(STAND_IN)

        done = checkout.run(SERVER_PORT="eighty")

        assert done.returncode == 1
        assert "SETTING_UNUSABLE: SERVER_PORT=eighty" in done.stderr


class TestTests:
    def test_come_after_every_check(self, checkout):
        checkout.pretend_tools()

        done = checkout.run("--test")

        ran = (checkout.folder / "ran").read_text().splitlines()
        assert done.returncode == 0, done.stderr
        assert sorted(ran[:-1]) == [
            "lint-imports ",
            "mypy ",
            "mypy run.py scripts",
            "pytest --collect-only -qq",
            "ruff check .",
            "ruff format --check .",
        ]
        assert ran[-1] == "pytest -n 4 --dist worksteal -m not extra"

    def test_keep_what_they_compile_and_are_told_nothing_of_a_desk(self, checkout):
        checkout.pretend_tools()
        (checkout.folder / ".venv/bin/pytest").write_text("#!/bin/sh\nenv\n")

        told = checkout.run("--test", PREGAO_ADMIN_TOKEN="x", PYTHONDONTWRITEBYTECODE="1").stdout

        assert "PATH=" in told
        assert "PREGAO_ADMIN_TOKEN" not in told
        assert "PYTHONDONTWRITEBYTECODE" not in told

    def test_do_not_run_after_a_check_that_failed(self, checkout):
        checkout.pretend_tools(mypy=7)

        done = checkout.run("--test")

        assert done.returncode == 7
        assert "FAILED at stage: mypy (exit code 7)" in done.stderr
        assert "what mypy says" in done.stdout
        assert "-n 4" not in (checkout.folder / "ran").read_text()

    def test_give_their_own_exit_code(self, checkout):
        checkout.pretend_tools()
        tests = checkout.folder / ".venv/bin/pytest"
        tests.write_text('#!/bin/sh\n[ "$1" = --collect-only ] || exit 5\n')

        done = checkout.run("--test")

        assert done.returncode == 5
        assert "FAILED at stage: pytest (exit code 5)" in done.stderr


class TestLogs:
    def test_prints_the_end_of_each_log(self, checkout):
        logs = checkout.state / "logs"
        logs.mkdir(parents=True)
        (logs / "web.log").write_text("".join(f"line {number}\n" for number in range(100)))

        done = checkout.run("--logs")

        assert done.stdout.splitlines() == [
            "==> web.log <==",
            *(f"line {number}" for number in range(80, 100)),
        ]

    def test_follows_until_it_is_told_to_end(self, checkout):
        logs = checkout.state / "logs"
        logs.mkdir(parents=True)
        (logs / "web.log").write_text("old\n")
        command = [sys.executable, "run.py", "--follow-logs"]
        with subprocess.Popen(command, cwd=checkout.folder, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            with (logs / "web.log").open("a") as log:
                log.write(json.dumps({"event": "new"}) + "\n")

            said = process.stdout.readline()
            process.send_signal(signal.SIGINT)

        assert said == 'web: {"event": "new"}\n'
        assert process.returncode == 130


class TestLocks:
    @pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
    def test_pin_by_hash_and_name_no_place(self, name):
        text = (ROOT / name).read_text()

        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert all("==" in line and line.endswith("\\") for line in packages)
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text
        assert os.sep + "root" not in text
