"""
Our side of the fan-out: a whole desk with real processes, a thousand accounts, and one bot they all follow.

PostgreSQL is the embedded one with its durable settings, and notes the time of each commit; the roles ``web`` and
``trader`` are started as a person starts them. Everything ends with the ``async with`` block.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from benchmarks.sink import SYMBOL, secret_of
from pregao.accounts.sealing import Credentials
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import AccountConfigured, BotConfigured, Fact, SubscriptionConfigured, UserConfigured
from pregao.domain.user import Role, User
from pregao.edges.http.answers import MASTER_PATH
from pregao.edges.postgres.credentials import KEEP
from pregao.edges.postgres.journal import desk_id, open_journal
from pregao.edges.postgres.migrate import migrate
from pregao.edges.processes.postgres import EmbeddedPostgres
from pregao.edges.processes.sockets import find_free_port
from pregao.edges.vault.envelope import EnvelopeVault

BOT_ID = UUID("01930000-0000-7000-8000-0000000000fa")
EXECUTIONS_MAX = 10_000
WEBHOOK_PATH = "fanout-benchmark-1000"
SECRET = "f4n0ut-Zk0qvHhY2mX8w5sT1uLr7pBd4"
SETTLE_SECONDS_MAX = 30.0
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0

# What became of a signal, and when each of its transactions was committed, by PostgreSQL's own record.
LEAVING = "SELECT count(*) FROM stops WHERE left_at IS NULL AND status = 'disarmed'"
SIGNAL = """
SELECT s.received_at, s.decided_at, s.planned_at, s.settled_at, s.orders,
       (SELECT pg_xact_commit_timestamp(min(xid)::text::xid) FROM journal
        WHERE signal_id = s.signal_id AND kind = 'SignalAccepted') AS accepted_committed_at
FROM signals AS s WHERE s.signal_id = $1
"""
ORDERS = """
SELECT o.account_id, o.client_order_id, o.status, o.acknowledged_at, o.booked_at,
       pg_xact_commit_timestamp(t.xid::text::xid) AS attempt_committed_at
FROM orders AS o JOIN attempts AS t USING (order_id, attempt)
WHERE o.signal_id = $1
"""


@dataclass(frozen=True)
class Sent:
    """A signal that was sent: when its first byte left, when its answer came, and its id."""

    began_ns: int  # monotonic
    answered_ns: int
    signal_id: UUID


class FanoutDesk:
    """A running desk at the sink."""

    def __init__(self, *, database_url: str, environment: dict[str, str], web_port: int) -> None:
        self._database_url = database_url
        self._environment = environment
        self._web_port = web_port
        self._roles: dict[str, asyncio.subprocess.Process] = {}
        self._connection: asyncpg.Connection | None = None

    @property
    def web_port(self) -> int:
        return self._web_port

    @property
    def database_url(self) -> str:
        return self._database_url

    @property
    def admin_token(self) -> str:
        return self._environment["PREGAO_ADMIN_TOKEN"]

    def pid_of(self, role: str) -> int:
        return self._roles[role].pid

    async def start_role(self, role: str, **environment: str) -> None:
        """Start a role; ``stop_role`` ends it."""
        self._roles[role] = await asyncio.create_subprocess_exec(
            *role_command(role), env={**self._environment, **environment}, stdin=asyncio.subprocess.DEVNULL
        )

    async def stop_role(self, role: str) -> None:
        process = self._roles.pop(role, None)
        if process is not None:
            await end(process)

    async def wait_for_web(self) -> None:
        """Return when the web role takes connections."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                assert self._roles["web"].returncode is None, "the web role ended while starting"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self._web_port)
                except OSError:
                    await asyncio.sleep(0.1)
                    continue
                writer.close()
                return

    async def close(self) -> None:
        for role in list(self._roles):
            await self.stop_role(role)
        if self._connection is not None:
            await self._connection.close()

    async def connection(self) -> asyncpg.Connection:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._database_url, server_settings={"search_path": "pregao", "jit": "off"}
            )
        return self._connection

    async def send(self, action: str) -> Sent:
        """Post an alert as a sender does, on a connection that is open already; its answer is awaited."""
        body = json.dumps(
            {"action": action, "symbol": SYMBOL, "secret": SECRET, "signal_id": secrets.token_hex(8)}
        )
        request = (
            f"POST {MASTER_PATH}{WEBHOOK_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", self._web_port)) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began_ns = time.monotonic_ns()
            sock.send(request)
            answer = b""
            async with asyncio.timeout(10):
                while more := await loop.sock_recv(sock, 262_144):
                    answer += more
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] in (b"200", b"202"), answer[:500]
        return Sent(began_ns, time.monotonic_ns(), UUID(json.loads(content)["signal_id"]))

    async def settle(self, signal_id: UUID) -> asyncpg.Record:
        """Wait until the signal is settled; give its row."""
        connection = await self.connection()
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            row = await connection.fetchrow(SIGNAL, signal_id)
            while row is None or row["settled_at"] is None:
                await asyncio.sleep(0.02)
                row = await connection.fetchrow(SIGNAL, signal_id)
        return row

    async def all_left(self) -> None:
        """Wait until nothing waits at the venue for what was closed: nothing is entered there before."""
        connection = await self.connection()
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while await connection.fetchval(LEAVING):  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(0.05)

    async def outcomes(self) -> list[str]:
        """Give what became of the latest signal: its own state, and how many orders are in which."""
        connection = await self.connection()
        rows = await connection.fetch(
            """
            SELECT concat_ws(' ', s.status, s.code, s.parts, o.status, o.code, count(o.order_id)) AS told
            FROM signals AS s LEFT JOIN orders AS o USING (signal_id)
            WHERE s.received_at = (SELECT max(received_at) FROM signals)
            GROUP BY s.status, s.code, s.parts, o.status, o.code
            """
        )
        return [row["told"] for row in rows]

    async def orders(self, signal_id: UUID) -> list[asyncpg.Record]:
        connection = await self.connection()
        rows: list[asyncpg.Record] = await connection.fetch(ORDERS, signal_id)
        return rows

    async def durability(self) -> dict[str, str]:
        connection = await self.connection()
        names = ("fsync", "full_page_writes", "synchronous_commit")
        return {name: await connection.fetchval(f"SHOW {name}") for name in names}


def role_command(role: str) -> list[str]:
    """Give how a role is started; a profiler may be put in front of it."""
    profiler = os.environ.get(f"FANOUT_PROFILE_{role.upper()}", "")
    return [sys.executable, *profiler.split(), "-m", "pregao", "serve", role]


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process of ours: asked first, then killed."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
    if process.returncode is None:
        process.kill()
    await process.wait()


@contextlib.asynccontextmanager
async def running_desk(
    state_dir: Path,
    *,
    venue_url: str,
    accounts: int,
    target_percent: Decimal = Decimal(5),
    is_each_a_users: bool = False,
) -> AsyncIterator[FanoutDesk]:
    """Start PostgreSQL, set the desk up; the roles are started by whoever measures."""
    password, master_key = secrets.token_hex(16), os.urandom(32)
    postgres = EmbeddedPostgres(state_dir, password, say=lambda *_, **__: None)
    await asyncio.to_thread(postgres.prepare)
    with (state_dir / "postgres.log").open("wb") as output:
        server = await postgres.start(output.fileno())
        try:
            await _note_commit_times(postgres.url)
            await _stop_postgres(server)
            server = await postgres.start(output.fileno())
            await asyncio.to_thread(migrate, postgres.url)
            await _set_up(
                postgres.url,
                accounts=accounts,
                master_key=master_key,
                target_percent=target_percent,
                is_each_a_users=is_each_a_users,
            )
            web_port = find_free_port()
            desk = FanoutDesk(
                database_url=postgres.url,
                web_port=web_port,
                environment=os.environ
                | {
                    "PREGAO_STATE_DIR": str(state_dir),
                    "DATABASE_URL": postgres.url,
                    "SERVER_PORT": str(web_port),
                    "PREGAO_PAPER_URL": venue_url,
                    "PREGAO_MASTER_KEY": base64.b64encode(master_key).decode(),
                    "PREGAO_ADMIN_TOKEN": secrets.token_hex(16),
                    "PREGAO_DEMO": "false",
                },
            )
            try:
                yield desk
            finally:
                await desk.close()
        finally:
            await _stop_postgres(server)
            _remove_root_home(state_dir)


async def _note_commit_times(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await connection.close()


async def _stop_postgres(server: asyncio.subprocess.Process) -> None:
    if server.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait(), STOP_SECONDS_MAX)
    if server.returncode is None:
        server.send_signal(signal.SIGQUIT)
        await server.wait()


def _remove_root_home(state_dir: Path) -> None:
    marker = state_dir / "postgres.home"  # started by root, the rows lie outside the state folder
    if marker.exists():
        shutil.rmtree(marker.read_text().strip(), ignore_errors=True)


def _unhurried(user_id: UUID) -> User:
    """Give a user whose exits are never too many: rounds follow each other faster than his positions would."""
    return User(
        user_id=user_id,
        email=f"{user_id.int}@benchmark.invalid",
        name=f"user {user_id.int}",
        role=Role.TRADER,
        max_executions_per_minute=EXECUTIONS_MAX,
        max_executions_per_hour=EXECUTIONS_MAX,
    )


async def _set_up(
    database_url: str, *, accounts: int, master_key: bytes, target_percent: Decimal, is_each_a_users: bool
) -> None:
    journal = await open_journal(database_url)
    vault = EnvelopeVault(master_key, desk_id=await desk_id(journal))
    now = datetime.now(UTC)
    bot = Bot(
        bot_id=BOT_ID,
        name="Fan-out",
        webhook_path=WEBHOOK_PATH,
        secret_sha256=hashlib.sha256(SECRET.encode()).hexdigest(),
        default_margin_usd=Decimal(50),
        default_leverage=10,
        default_take_profit_pct=target_percent,
    )
    facts: list[Fact] = [BotConfigured(happened_at=now, bot=bot)]
    sealed: list[tuple[Any, ...]] = []
    for number in range(1, accounts + 1):
        user_id = UUID(int=number) if is_each_a_users else None
        if user_id is not None:
            facts.append(UserConfigured(happened_at=now, user=_unhurried(user_id)))
        account = Account(account_id=number, name=f"account {number}", venue=Venue.PAPER, user_id=user_id)
        follows = Subscription(subscription_id=UUID(int=number), bot_id=BOT_ID, account_id=number)
        facts.append(AccountConfigured(happened_at=now, account=account))
        facts.append(SubscriptionConfigured(happened_at=now, subscription=follows))
        key = f"ours{number:05d}"
        row = vault.seal(Credentials(key=key, secret=secret_of(key)), account_id=number)
        sealed.append((number, row.sealed, row.wrapped_key, row.master_key))
    async with journal.transaction() as transaction:
        await transaction.append(facts)
        await transaction.connection.executemany(KEEP, sealed)
        # The web role makes an account of its own at its first start: it takes the next number.
        await transaction.connection.execute(
            "SELECT setval('account_ids', greatest($1, 1), $1 > 0)", accounts
        )
    await journal.pool.execute("ANALYZE")
    await journal.pool.close()
