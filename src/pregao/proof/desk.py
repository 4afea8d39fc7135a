"""
The desk of a proof: a supervisor with two traders and a web process, its PostgreSQL, and a paper exchange beside it.

Everything lives in a temporary folder; every process that was started is ended by its id.
"""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from pregao import rehearsal
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.edges.postgres.pool import AWAY
from pregao.edges.processes.child import die_with_parent
from pregao.edges.processes.postgres import USER
from pregao.edges.processes.sockets import find_free_port
from pregao.edges.processes.supervisor import MODULE, Plan, born_role, own_command
from pregao.orders.resolve import CLOCK_MARGIN_MS
from pregao.proof.compare import LostTime
from pregao.proof.plan import BotPlan, ProofPlan

START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 40.0
LOOK_SECONDS = 0.05
FOLLOWED_SECONDS_MAX = 20.0  # a lease, and the time to take it over
FOLLOWED_MARGIN_SECONDS = 0.5  # to connect
BALANCE_USDT = 1_000_000
LOSS_USD_MAX = 100_000  # limits are another proof's business
BACKOFF_SECONDS = [0.2, 0.5, 1.0]
TRADERS = ("trader", "trader-2")
MONITORS = ("monitor", "monitor-2")
FIRST_PART = 3  # accounts: small, so that a short proof plans in parts, too


class ProofFailedError(RuntimeError):
    """The proof could not be carried out: its own desk did not start, or did not answer."""


class ProofDesk:
    """The processes of one proof; ``running_desk`` starts and ends them."""

    def __init__(self, *, seed: int, weight_max: int, has_monitors: bool = False) -> None:
        """Make the folders; nothing runs yet."""
        self.workers = dict.fromkeys(TRADERS, "trader")
        if has_monitors:
            self.workers |= dict.fromkeys(MONITORS, "monitor")
        self.folder = Path(tempfile.mkdtemp(prefix="pregao-proof-"))
        self.state_dir = self.folder / "desk"
        self.shared = self.folder / "rehearsal"
        self.state_dir.mkdir(mode=0o700)
        (self.state_dir / rehearsal.MARK).touch(mode=0o600)
        rehearsal.prepare(self.shared)
        self.url = f"http://127.0.0.1:{find_free_port()}"
        self.paper_url = f"http://127.0.0.1:{find_free_port()}"
        self.lost_time: LostTime | None = None  # of the database, once an older state of it was put back
        self._copied_ms = 0
        self._seed = seed
        self._weight_max = weight_max
        self._token = secrets.token_urlsafe(32)
        self._password = secrets.token_urlsafe(24)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREGAO_")},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PREGAO_STATE_DIR": str(self.state_dir),
            rehearsal.FOLDER: str(self.shared),
        }
        self._environment.pop("DATABASE_URL", None)
        self._supervisor: asyncio.subprocess.Process | None = None
        self._paper: asyncio.subprocess.Process | None = None
        self._frozen: list[int] = []
        self._met: set[int] = set()  # every process the desk has had
        self._write_settings()

    @property
    def log_dir(self) -> Path:
        """Where the desk's processes log."""
        return self.state_dir / "logs"

    @property
    def database_url(self) -> str:
        """Where the desk's PostgreSQL is, once it was started."""
        port = (self.state_dir / "postgres.port").read_text().strip()
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{port}/{USER}"

    async def start(self) -> None:
        """Start the paper exchange and the desk; returns when both answer."""
        port = self.paper_url.rpartition(":")[2]
        command = own_command("paper", "serve", "--port", port, "--seed", str(self._seed), "--still")
        self._paper = await self._begin([*command, "--weight-max", str(self._weight_max)])
        async with speaking_to(self.paper_url) as client:
            await _until_up(client, "/paper/health")
        await self.start_supervisor()

    async def start_supervisor(self) -> None:
        """Start the desk, for the first time or after its supervisor was ended."""
        plan = Plan(
            state_dir=str(self.state_dir),
            server_host="127.0.0.1",
            server_port=int(self.url.rpartition(":")[2]),
            database_password=self._password,
            paper_url=self.paper_url,
            roles=[
                *(born_role(name, role) for name, role in self.workers.items()),
                born_role("web", socket="web"),
            ],
            backoff_seconds=BACKOFF_SECONDS,
        )
        command = [sys.executable, "-m", MODULE, "0"]
        self._supervisor = await self._begin(command, stdin=asyncio.subprocess.PIPE)
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(plan.to_json().encode())
        self._supervisor.stdin.close()
        await self.healthy()

    async def healthy(self) -> None:
        """
        Return when every part of the desk is up.

        :raises ProofFailedError: when that takes too long.
        """
        async with self.client() as client:
            await _until_up(client, "/health/detailed", is_up=self._is_whole)

    async def _is_whole(self, answer: httpx.Response) -> bool:
        pids = [self.find_pid(role) for role in (*self.workers, "web", "postgres")]
        health = answer.json()
        is_up = health["database"]["status"] == health["paper"]["status"] == "up"
        if not is_up or not all(pids):
            return False
        connection = await self.connect()
        try:
            rows = await connection.fetch(
                "SELECT worker_id FROM workers WHERE lease_until > clock_timestamp()"
            )
        finally:
            await connection.close()
        alive = {row["worker_id"].rpartition("-")[2] for row in rows}
        return all(str(self.find_pid(name)) in alive for name in self.workers)

    async def followed(self) -> None:
        """Return when a trader that is alive follows the accounts' streams, or nobody has for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_SECONDS_MAX):
                while not await self._is_followed():
                    await asyncio.sleep(0.2)
                await asyncio.sleep(FOLLOWED_MARGIN_SECONDS)

    async def _is_followed(self) -> bool:
        pids = {str(self.find_pid(name)) for name in TRADERS}
        try:
            connection = await self.connect()
            try:
                owners = await connection.fetch(
                    "SELECT worker_id FROM leases WHERE name = 'streams:paper' AND lease_until > clock_timestamp()"
                )
            finally:
                await connection.close()
        except AWAY:
            return False
        return any(row["worker_id"].rpartition("-")[2] in pids for row in owners)

    def find_pid(self, role: str) -> int | None:
        """Give the process of a role (`web`, `trader`, `trader-2`, `postgres`), None while it has none."""
        try:
            page = json.loads((self.state_dir / "processes.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        pids = {one["role"]: one["pid"] for one in page["processes"] if one["pid"]}
        self._met.update(pids.values())
        return pids.get(role)

    def role_of(self, pid: int) -> str:
        """Give what a process is: the role, or `supervisor`."""
        if self._supervisor is not None and pid == self._supervisor.pid:
            return "supervisor"
        return next(
            (role for role in (*self.workers, "web", "postgres") if self.find_pid(role) == pid), "unknown"
        )

    def kill_database(self) -> bool:
        """End PostgreSQL and all its processes at once, as a power cut would; say whether there was one."""
        pid = self.find_pid("postgres")
        if pid is None:
            return False
        _send([pid, *_children(pid)], signal.SIGKILL)
        return True

    def freeze_database(self) -> None:
        """Stop PostgreSQL and all its processes where they are."""
        pid = self.find_pid("postgres")
        if pid is not None:
            self._frozen = [pid, *_children(pid)]
            _send(self._frozen, signal.SIGSTOP)

    def thaw_database(self) -> None:
        """Let PostgreSQL go on."""
        _send(self._frozen, signal.SIGCONT)
        self._frozen = []

    async def copy_database(self) -> None:
        """Keep PostgreSQL's folder as it is now; it is down for that long."""
        self._copied_ms = await self._with_database_down("cp", "-a", str(self._data_dir), str(self._copy_dir))

    async def restore_database(self) -> None:
        """Put PostgreSQL's folder back as it was copied: its last commits are gone."""
        lost = self._data_dir.with_name("data.lost")
        script = 'mv "$1" "$2" && cp -a "$3" "$1"'
        paths = (str(self._data_dir), str(lost), str(self._copy_dir))
        ended_ms = await self._with_database_down("sh", "-c", script, "sh", *paths)
        # What was committed before may still leave then, until the venue takes it no more.
        self.lost_time = LostTime(
            began_ms=self._copied_ms, ended_ms=ended_ms + RECV_WINDOW_MS + CLOCK_MARGIN_MS
        )

    @property
    def _data_dir(self) -> Path:
        marker = self.state_dir / "postgres.home"
        home = Path(marker.read_text().strip()) if marker.exists() else self.state_dir / "postgres"
        return home / "data"

    @property
    def _copy_dir(self) -> Path:
        return self._data_dir.with_name("data.copy")

    async def _with_database_down(self, *command: str) -> int:
        """Run the command while the database is down; give when it went down, in milliseconds."""
        await self.healthy()
        supervisor = self._supervisor
        assert supervisor is not None
        supervisor.send_signal(signal.SIGSTOP)  # it would start the server again meanwhile
        try:
            down_ms = time.time_ns() // 1_000_000
            self.kill_database()
            process = await asyncio.create_subprocess_exec(*command)
            if await process.wait():
                raise ProofFailedError(f"PROOF_COPY_FAILED: exit_code={process.returncode}")
        finally:
            supervisor.send_signal(signal.SIGCONT)
        await self.healthy()
        return down_ms

    def client(self) -> httpx.AsyncClient:
        """Give a client that speaks to the desk as its admin."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return speaking_to(self.url, headers=headers, seconds_max=20)

    async def connect(self) -> asyncpg.Connection:
        """Connect to the desk's PostgreSQL, to read."""
        return await asyncpg.connect(self.database_url, server_settings={"search_path": "pregao"}, timeout=10)

    async def stop(self, *, keep: bool) -> None:
        """End everything that was started, by its id; remove the folders unless they are kept."""
        self.thaw_database()
        self.find_pid("web")
        for pid in self._met:
            self._signal(pid, signal.SIGCONT)  # what is frozen cannot end in order
        for process, seconds in ((self._supervisor, STOP_SECONDS_MAX), (self._paper, 5.0)):
            if process is not None:
                await _end(process, seconds=seconds)
        for pid in self._met:
            self._signal(pid, signal.SIGKILL)
        if keep:
            return
        marker = self.state_dir / "postgres.home"
        if marker.exists():
            shutil.rmtree(marker.read_text().strip(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _begin(self, command: list[str], *, stdin: int = asyncio.subprocess.DEVNULL) -> Any:
        self.log_dir.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                env=self._environment,
                stdin=stdin,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # Ctrl-C is for the proof, which ends the others in order
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(descriptor)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            # The number may belong to somebody else by now: ours carry the folder in their environment or work in it.
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            home = self.state_dir / "postgres.home"
            place = home.read_text().strip() if home.exists() else str(self.state_dir)
            if str(self.shared).encode() in environment or str(
                Path(f"/proc/{pid}/cwd").readlink()
            ).startswith(place):
                os.kill(pid, number)

    def _write_settings(self) -> None:
        settings = {
            "PREGAO_ADMIN_TOKEN": self._token,
            "PREGAO_DATABASE_PASSWORD": self._password,
            "PREGAO_METRICS_TOKEN": secrets.token_urlsafe(24),
            "PREGAO_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "PREGAO_DEMO": "false",
            "PREGAO_FIRST_PART_ACCOUNTS": str(FIRST_PART),
            "PREGAO_DEMO_SECRET": secrets.token_urlsafe(24),
        }
        path = self.state_dir / "env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


@contextlib.asynccontextmanager
async def running_desk(
    *, seed: int, weight_max: int, keep: bool, has_monitors: bool = False
) -> AsyncIterator[ProofDesk]:
    """Start a desk of our own, and end it whatever happens."""
    desk = ProofDesk(seed=seed, weight_max=weight_max, has_monitors=has_monitors)
    try:
        await desk.start()
        yield desk
    finally:
        await asyncio.shield(asyncio.ensure_future(desk.stop(keep=keep)))


class Configured:
    """What the desk was given: the accounts with their keys, the bots with their addresses."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.accounts: list[int] = []
        self.keys: dict[int, str] = {}  # account id → key at the paper exchange
        self.bots: list[dict[str, Any]] = []


async def configure(desk: ProofDesk, plan: ProofPlan) -> Configured:
    """Open the accounts, create the bots, let the accounts follow them."""
    made = Configured()
    paper = speaking_to(desk.paper_url, seconds_max=20)
    async with desk.client() as client, paper:
        for account in plan.accounts:
            key, secret = secrets.token_hex(32), secrets.token_hex(32)
            mode = account.position_mode
            held = {"key": key, "secret": secret, "balance": BALANCE_USDT, "position_mode": mode}
            await ask(paper, "POST", "/paper/accounts", held)
            body = {"name": account.name, "position_mode": mode, "api_key": key, "secret_key": secret}
            if account.has_user:
                body["user_id"] = await _enroll(client, number=len(made.accounts) + 1)
            opened = await ask(client, "POST", "/api/v1/exchange-accounts", body)
            made.accounts.append(opened["account_id"])
            made.keys[opened["account_id"]] = key
        for bot in plan.bots:
            made.bots.append(await _create_bot(client, bot, accounts=made.accounts))
    return made


async def _enroll(client: httpx.AsyncClient, *, number: int) -> str:
    """Enroll a user of his own: what is allowed in a minute is counted by user."""
    user = {
        "email": f"proof{number}@example.com",
        "name": f"proof {number}",
        "role": "trader",
        "password": secrets.token_urlsafe(24),
    }
    made = await ask(client, "POST", "/api/v1/admin/users", user)
    user_id: str = made["user_id"]
    return user_id


async def _create_bot(client: httpx.AsyncClient, bot: BotPlan, *, accounts: list[int]) -> dict[str, Any]:
    body = {
        "name": bot.name,
        "trading_symbol": bot.symbol,
        "default_leverage": bot.leverage,
        "default_margin_usd": bot.margin_usd,
        "signals_per_minute_max": None,
        **dict(bot.rules),
    }
    created: dict[str, Any] = await ask(client, "POST", "/api/v1/bots", body)
    for follower in bot.followers:
        overrides = {
            "bot_id": created["bot_id"],
            "account_id": accounts[follower.account],
            "custom_leverage": follower.leverage,
            "custom_margin_usd": follower.margin_usd,
            "max_daily_loss_usd": LOSS_USD_MAX,
            "max_concurrent_positions": 10,
        }
        await ask(client, "POST", "/api/v1/bot-subscriptions", overrides)
    return created


def speaking_to(
    url: str, *, seconds_max: float = 5.0, headers: dict[str, str] | None = None
) -> httpx.AsyncClient:
    """Speak to a process of ours: no proxy, and authorities, which take long to read, only where TLS is spoken."""
    return httpx.AsyncClient(
        base_url=url,
        headers=headers,
        timeout=seconds_max,
        trust_env=False,
        verify=url.startswith("https:"),
    )


async def ask(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """
    Ask the desk or the paper exchange.

    :raises ProofFailedError: when it says no.
    """
    answer = await client.request(method, path, json=body)
    if not answer.is_success:
        raise ProofFailedError(
            f"PROOF_REFUSED: method={method} path={path} status={answer.status_code} {answer.text}"
        )
    return answer.json()


async def _always(_answer: httpx.Response) -> bool:
    return True


async def _until_up(client: httpx.AsyncClient, path: str, *, is_up: Any = _always) -> None:
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                with contextlib.suppress(httpx.HTTPError, ValueError, *AWAY):
                    answer = await client.get(path, timeout=3)
                    if answer.is_success and await is_up(answer):
                        return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise ProofFailedError(f"PROOF_DESK_SILENT: path={path} seconds={START_SECONDS_MAX}") from None


async def _end(process: asyncio.subprocess.Process, *, seconds: float) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
    if process.returncode is None:
        process.kill()
    await process.wait()


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _children(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                children.append(int(stat.parent.name))
    return children
