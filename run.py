#!/usr/bin/env python3
"""
Set up, start, stop and test the desk. Needs nothing but Python 3.11 and its standard library.

`python run.py` makes `.venv`, installs the pinned dependencies, creates the state folder with its secrets, starts the
desk in the background, waits until it is healthy and says how to use it. It may be run again at any time.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PYTHON_MIN = (3, 11)
RUNTIME_LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-test.lock"
NPM_LOCK = ROOT / "requirements-npm.lock"
SCRIPT_LOCK = ROOT / "package-lock.json"
PORT_DEFAULT = 8000

HEALTH_TRIES = 30
HEALTH_SECONDS_BETWEEN = 2.0
HEALTH_SECONDS_BETWEEN_FIRST = 0.1  # a second start takes a few seconds: look often in the beginning
STOP_SECONDS_MAX = 90  # the roles and PostgreSQL get their graces one after the other
PORT_PATIENCE_SECONDS = 15.0  # roles whose supervisor was killed let go of the port within this time
LAST_LINES = 20

# name: how it is made; a name that is there is never written again
SECRETS: dict[str, Callable[[], str]] = {
    "PREGAO_ADMIN_TOKEN": lambda: secrets.token_urlsafe(32),
    "PREGAO_MASTER_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "PREGAO_DATABASE_PASSWORD": lambda: secrets.token_urlsafe(24),
    "PREGAO_DEMO_SECRET": lambda: secrets.token_urlsafe(24),
    "PREGAO_METRICS_TOKEN": lambda: secrets.token_urlsafe(24),
}

# Side by side, one row for each of two cores: (what it is, its command). The tests come after all of them.
TEST_CHECKS = (
    (("mypy", ["mypy"]), ("mypy run.py", ["mypy", "run.py", "scripts"])),
    (
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("import contracts", ["lint-imports"]),
        # Keeps the tests as pytest reads them: in a new clone every worker would make that of all files for itself.
        ("collection", ["pytest", "--collect-only", "-qq"]),
    ),
)
# More workers than cores: tests wait more than they compute.
TESTS = ["pytest", "-n", "4", "--dist", "worksteal", "-m", "not extra"]


class StageError(Exception):
    """A stage failed: its name, why, and the lines that help."""

    def __init__(self, stage: str, reason: str, lines: list[str] | None = None) -> None:
        super().__init__(reason)
        self.stage = stage
        self.lines = lines or []


def main() -> int:
    choice = parse_arguments()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    try:
        return choice()
    except StageError as error:
        print(f"\nFAILED at stage: {error.stage}\n{error}", file=sys.stderr)
        for line in error.lines:
            print(f"  {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def parse_arguments() -> Callable[[], int]:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Set up and start the desk (no flag), or one of the following.",
        epilog="Settings: docs/settings.md. The state folder is .pregao, or PREGAO_STATE_DIR.",
        allow_abbrev=False,
    )
    one = parser.add_mutually_exclusive_group()
    for flag, meaning in (
        ("--status-only", "say what runs and where; exit 0 when healthy, 1 when not; touches nothing"),
        ("--stop", "stop the desk in order; data stays"),
        ("--logs", "print the last lines of every log"),
        ("--follow-logs", "print the logs as they grow, until Ctrl-C"),
        ("--test", "static checks and the tests; the exit code is the first failure's"),
    ):
        one.add_argument(flag, action="store_true", help=meaning)
    chosen = parser.parse_args()
    if sys.version_info < PYTHON_MIN:
        parser.error("PYTHON_TOO_OLD: the desk needs Python 3.11 or later; start run.py with a newer one.")
    if chosen.status_only:
        return show_status
    if chosen.stop:
        return stop
    if chosen.logs:
        return show_logs
    if chosen.follow_logs:
        return follow_logs
    return test if chosen.test else start


# --- start ------------------------------------------------------------------------------------------------------------


def start() -> int:
    if running_pid() is None:
        install(RUNTIME_LOCK)
        ensure_state()
        check_port()
        process = launch()
    else:
        print("The desk is already running.")
        process = None
    wait_for_health(process)
    show_welcome()
    return 0


def install(lock: Path) -> None:
    """Make `.venv` and install what the lock pins, unless a stamp says that it was done."""
    stamp = VENV / f".installed-{lock.stem}"
    digest = installation_digest(lock)
    if stamp.exists() and stamp.read_text() == digest and PYTHON.exists():
        return
    make_environment()
    print(f"Installing {lock.name} into .venv (once; about half a minute) ...")
    pip = [
        str(PYTHON),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--no-warn-script-location",
    ]
    run_stage("install", [*pip, "--require-hashes", "-r", str(lock)])
    if shutil.which("npm") is None:  # the build brings the console's scripts from npm
        run_stage("install npm", [*pip, "--require-hashes", "-r", str(NPM_LOCK)])
    # The build backend came with the lock, so that nothing unpinned is fetched for the build either.
    run_stage("install the project", [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(digest)
    if lock == TEST_LOCK:  # it holds the runtime's versions, too
        (VENV / f".installed-{RUNTIME_LOCK.stem}").write_text(installation_digest(RUNTIME_LOCK))


def make_environment() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with contextlib.suppress(FileNotFoundError):
        if f"version = {version}." not in (VENV / "pyvenv.cfg").read_text() or not PYTHON.exists():
            print("The environment .venv was made by another Python; making it again.")
            shutil.rmtree(VENV)
    has_pip = (
        PYTHON.exists()
        and subprocess.run([str(PYTHON), "-m", "pip", "-V"], check=False, capture_output=True).returncode == 0
    )
    if not has_pip:
        print("Making the environment .venv ...")
        run_stage("environment", [sys.executable, "-m", "venv", "--clear", str(VENV)])


def installation_digest(lock: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for path in (lock, ROOT / "pyproject.toml", SCRIPT_LOCK):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run_stage(stage: str, command: list[str]) -> None:
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise StageError(
            stage,
            f"exit code {done.returncode}: {shlex.join(command)}",
            done.stdout.splitlines()[-LAST_LINES:],
        )


def ensure_state() -> None:
    """Create the state folder and the secrets that are missing; what is there stays as it is."""
    folder = state_dir()
    path = folder / "env"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = read_environment(path)
        missing = [name for name in SECRETS if not known.get(name)]
        if missing:
            lines = [f"{name}={SECRETS[name]()}\n" for name in missing]
            written = (
                path.read_text()
                if path.exists()
                else "# Settings of this desk: docs/settings.md. Keep a copy.\n"
            )
            draft = path.with_name(".env.new")
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(written if written.endswith("\n") else written + "\n")
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())  # without the master key the credentials are lost
            draft.replace(path)
    except OSError as error:
        raise StageError(
            "state",
            f"STATE_FOLDER_UNUSABLE: folder={folder} ({error.strerror}). Start as the user who owns it, "
            "or set PREGAO_STATE_DIR to a folder of yours.",
        ) from error


def check_port() -> None:
    port = server_port()
    deadline = time.monotonic() + (PORT_PATIENCE_SECONDS if was_killed() else 0)
    while True:
        try:
            with socket.create_server((server_host(), port), family=address_family()):
                return
        except OSError as error:
            if time.monotonic() >= deadline:
                reason = (
                    f"PORT_TAKEN: port={port}. Set SERVER_PORT to a free port, or stop what listens there."
                )
                if isinstance(error, PermissionError):
                    reason = f"PORT_NOT_ALLOWED: port={port}. Set SERVER_PORT to one above 1023."
                raise StageError("port", reason) from error
            time.sleep(0.1)


def launch() -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own; it lives on when we end."""
    folder = state_dir() / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder.parent / "processes.json").unlink(missing_ok=True)  # it tells of the last run
    print("Starting the desk ...")
    descriptor = os.open(folder / "up.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as log:
        return subprocess.Popen(
            [str(VENV / "bin" / "pregao"), "up"],
            cwd=ROOT,
            env={**os.environ, "PREGAO_STATE_DIR": str(state_dir())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,  # what the desk writes is for its user alone
        )


def wait_for_health(process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + HEALTH_TRIES * HEALTH_SECONDS_BETWEEN
    pause = HEALTH_SECONDS_BETWEEN_FIRST
    while not is_healthy():
        if process is not None and process.poll() is not None:
            raise StageError(
                f"start ({stage_reached()})",
                f"The desk ended with exit code {process.returncode}.",
                last_lines(),
            )
        if process is None and running_pid() is None:
            raise StageError(f"start ({stage_reached()})", "The desk has ended.", last_lines())
        if time.monotonic() >= deadline:
            raise StageError(
                f"health ({stage_reached()})",
                f"{url()}/health did not answer 200 within {HEALTH_TRIES} x {HEALTH_SECONDS_BETWEEN:.0f} s. "
                "The desk keeps trying; `python run.py --stop` ends it.",
                last_lines(),
            )
        time.sleep(pause)
        pause = min(pause * 1.1, HEALTH_SECONDS_BETWEEN)


def show_welcome() -> None:
    token = setting("PREGAO_ADMIN_TOKEN")
    print(f"\nThe desk is running and healthy.\n\n{addresses()}")
    print(f"\n  admin login  {token}\n               (PREGAO_ADMIN_TOKEN in {state_dir() / 'env'})")
    if demo := find_demo():
        command = ["curl", "-sS", "-X", "POST", str(demo["url"]), "-H", "Content-Type: application/json"]
        body = demo["body"] if isinstance(demo["body"], str) else json.dumps(demo["body"])
        print(f"\nTry the demo bot; paste this:\n\n  {shlex.join([*command, '-d', body])}")
        if demo.get("receipt_hint"):
            print(f"\n  {demo['receipt_hint']}")
    print("\n  python run.py --status-only | --logs | --follow-logs | --stop | --test\n")


def find_demo() -> dict[str, Any] | None:
    """Read how to reach the demo bot; the desk writes it when the bot exists, a moment after it is healthy."""
    for _ in range(10):
        with contextlib.suppress(OSError, ValueError):
            demo = json.loads((state_dir() / "demo.json").read_text())
            if isinstance(demo, dict) and {"url", "body"} <= demo.keys():
                return demo
        if setting("PREGAO_DEMO").lower() in ("false", "0", "no", "off"):
            return None
        time.sleep(0.1)
    return None


# --- look, stop -------------------------------------------------------------------------------------------------------


def show_status() -> int:
    pid = running_pid()
    if pid is None:
        print("The desk is not running. Start it with `python run.py`.")
        return 1
    page = processes_page()
    print(f"The desk is running: supervisor {pid}, stage {page.get('stage', 'unknown')}.\n")
    print(f"  {'role':<12}{'process':>9}{'restarts':>10}{'MB':>6}  since")
    held = memory_mb(pid)
    for process in page.get("processes", []):
        mb = memory_mb(process["pid"])
        held += mb if process["role"] != "postgres" else 0
        print(
            f"  {process['role']:<12}{process['pid'] or 'down':>9}{process['restarts']:>10}{mb or '':>6}  "
            f"{process['since'] or ''}"
        )
    if held:
        print(f"\n  memory without PostgreSQL: {held} MB, what several share counted once")
    healthy = is_healthy()
    print(f"\n{addresses()}\n\n  {'healthy' if healthy else 'NOT healthy: python run.py --logs'}")
    return 0 if healthy else 1


def memory_mb(pid: int | None) -> int:
    """Give what a process holds of this machine's memory, its part of what it shares; 0 where nobody can tell."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in told.splitlines() if line.startswith("Pss:")), 0)


def stop() -> int:
    pid = running_pid()
    if pid is None:
        print("The desk is not running.")
        return 0
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise StageError(
            "stop", f"PROCESS_FOREIGN: pid={pid}. Stop the desk as the user who started it."
        ) from error
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while running_pid() is not None:
        if time.monotonic() >= deadline:
            raise StageError(
                "stop", f"The supervisor {pid} did not end in {STOP_SECONDS_MAX} s.", last_lines()
            )
        time.sleep(0.05)
    print("The desk has stopped. Its data is kept.")
    return 0


def show_logs() -> int:
    files = log_files()
    if not files:
        print("There are no logs yet.")
    for path in files:
        print(f"==> {path.name} <==")
        for line in tail(path, LAST_LINES):
            print(line)
    return 0


def follow_logs() -> int:
    places: dict[Path, tuple[int, int]] = {path: file_place(path) for path in log_files()}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started us may have it ignored
    print("Following the logs; Ctrl-C ends it.")
    while True:
        for path in log_files():
            inode, offset = places.get(path, (0, 0))
            now, size = file_place(path)
            if now != inode or size < offset:  # turned over
                offset = 0
            if size > offset:
                with path.open(encoding="utf-8", errors="replace") as file:
                    file.seek(offset)
                    for line in file.read(size - offset).splitlines():
                        print(f"{path.stem}: {line}")
            places[path] = (now, size)
        time.sleep(0.3)


def file_place(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_size


# --- test -------------------------------------------------------------------------------------------------------------


def test() -> int:
    install(TEST_LOCK)
    # The settings of a desk that happen to be set here are not the suite's.
    desk = ("PREGAO_", "SERVER_", "DATABASE_URL", "WEBHOOK_IN_OPEN", "LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(desk)}
    # What is compiled once serves every worker and each of the hundreds of processes that the tests start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with concurrent.futures.ThreadPoolExecutor(len(TEST_CHECKS)) as rows:
        codes = list(rows.map(lambda row: run_checks(row, environment), TEST_CHECKS))
    for code in filter(None, codes):
        return code
    print("\n=== pytest ===")
    code = run_tool(TESTS, environment).returncode  # pytest's own summary has the last word
    if code:
        print(f"FAILED at stage: pytest (exit code {code})", file=sys.stderr)
    return code


def run_checks(row: Iterable[tuple[str, list[str]]], environment: dict[str, str]) -> int:
    """Run one after the other and give the first exit code that is not 0; what fails is shown whole."""
    for name, command in row:
        began = time.monotonic()
        done = run_tool(command, environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            print(f"\n=== {name} ===\n{done.stdout}")
            print(f"FAILED at stage: {name} (exit code {done.returncode})", file=sys.stderr)
            return done.returncode
        print(f"{name}: ok, {time.monotonic() - began:.1f} s")
    return 0


def run_tool(
    command: list[str], environment: dict[str, str], **options: Any
) -> subprocess.CompletedProcess[str]:
    path = str(VENV / "bin" / command[0])
    return subprocess.run(
        [path, *command[1:]], check=False, cwd=ROOT, env=environment, text=True, errors="replace", **options
    )


# --- what is known about the desk -------------------------------------------------------------------------------------


def state_dir() -> Path:
    return Path(os.environ.get("PREGAO_STATE_DIR") or ROOT / ".pregao").absolute()


def read_environment(path: Path) -> dict[str, str]:
    values = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for line in path.read_text().splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                values[name.removeprefix("export ").strip()] = value.strip().strip("'\"")
    return values


def setting(name: str) -> str:
    try:
        return os.environ.get(name) or read_environment(state_dir() / "env").get(name, "")
    except PermissionError as error:
        raise StageError(
            "state", f"STATE_FOLDER_FOREIGN: folder={state_dir()}. Start as the user who owns it."
        ) from error


def server_port() -> int:
    text = setting("SERVER_PORT") or str(PORT_DEFAULT)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StageError("settings", f"SETTING_UNUSABLE: SERVER_PORT={text}. It is a number from 1 to 65535.")
    return int(text)


def server_host() -> str:
    return setting("SERVER_HOST") or "127.0.0.1"


def address_family() -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server_host() else socket.AF_INET


def url() -> str:
    """Give the running desk's address: the one it started with, whatever the environment says by now."""
    page = processes_page() if running_pid() else {}
    host, port = page.get("host") or server_host(), page.get("port") or server_port()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def addresses() -> str:
    rows = [
        ("console", f"{url()}/admin"),
        ("API", f"{url()}/api/v1"),
        ("API document", f"{url()}/docs"),
        ("health", f"{url()}/health"),
    ]
    return "\n".join(f"  {name:<13}{address}" for name, address in rows)


def is_healthy() -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    try:
        with opener.open(f"{url()}/health", timeout=HEALTH_SECONDS_BETWEEN) as answer:
            return bool(answer.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def running_pid() -> int | None:
    """Give the supervisor's process id, or None; the lock it holds is the proof, not the file."""
    try:
        with (state_dir() / "supervisor.pid").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise StageError(
            "state", f"STATE_FOLDER_FOREIGN: folder={state_dir()}. Ask as the user who owns it."
        ) from error
    return None


def processes_page() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        page = json.loads((state_dir() / "processes.json").read_text())
        if isinstance(page, dict):
            return page
    return {}


def stage_reached() -> str:
    return str(processes_page().get("stage", "settings"))


def was_killed() -> bool:
    """Say whether the last desk ended without saying so."""
    stage = str(processes_page().get("stage", "stopped"))
    return stage != "stopped" and not stage.endswith("failed")


def log_files() -> list[Path]:
    folder = state_dir() / "logs"
    return sorted(folder.glob("*.log"), key=lambda path: (path.name != "up.log", path.name))


def last_lines() -> list[str]:
    """Give the ends of the logs, made readable: a failed start should not need a second command."""
    lines = []
    for path in log_files():
        if ends := [readable(line) for line in tail(path, LAST_LINES // 2)]:
            lines += [f"==> {path.name} <==", *ends]
    return lines


def readable(line: str) -> str:
    try:
        keys = json.loads(line)
        head = f"{keys.pop('at')} {keys.pop('level')} {keys.pop('event')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return line
    return " ".join([head, *(f"{name}={one_line(str(value))}" for name, value in keys.items())])


def one_line(text: str) -> str:
    """Give the end of a text, where a traceback says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return text if len(lines) < 2 else " / ".join(["...", *lines[-3:]])


def tail(path: Path, count: int) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return file.read().decode(errors="replace").splitlines()[-count:]


if __name__ == "__main__":
    sys.exit(main())
