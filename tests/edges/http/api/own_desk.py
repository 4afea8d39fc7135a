"""The API over a real database, at its own entrance; its clock moves when told."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import asyncpg
import httpx

from pregao.accounts.sealing import Credentials
from pregao.domain.order import PositionMode
from pregao.edges.http.api import create_api
from pregao.edges.http.desk import Desk
from pregao.edges.postgres.accounts import PostgresAccountBooks
from pregao.edges.postgres.bots import PostgresBotBooks
from pregao.edges.postgres.configured import PostgresConfigured
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.journal import Journal, decode, desk_id, open_journal
from pregao.edges.postgres.views import PostgresActivity, PostgresHealth, PostgresReceipts
from pregao.edges.vault.envelope import EnvelopeVault
from tests.builders import NOON

TOKEN = "words-of-the-admin-only"
BOTS = "/api/v1/bots"
SUBSCRIPTIONS = "/api/v1/bot-subscriptions"
ACCOUNTS = "/api/v1/exchange-accounts"


@dataclass
class Paper:
    """A paper exchange that keeps whom it was asked to open."""

    opened: list[tuple[Credentials, Decimal, PositionMode]] = field(default_factory=list)
    is_away: bool = False

    async def register(self, credentials: Credentials, balance: Decimal, mode: PositionMode) -> None:
        if self.is_away:
            raise ConnectionRefusedError
        self.opened.append((credentials, balance, mode))

    async def is_up(self) -> bool:
        return not self.is_away


@dataclass
class OwnDesk:
    """A desk of a test."""

    journal: Journal
    ports: Desk
    paper: Paper
    master_key: bytes
    client: httpx.AsyncClient
    rings: list[str]
    now: datetime = NOON

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    async def append(self, *facts) -> None:
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def journaled(self) -> list:
        """Give every fact in the journal; a tail would wait for transactions of other tests' databases."""
        rows = await self.journal.pool.fetch("SELECT kind, fact::text FROM journal ORDER BY seq")
        return [decode(row["kind"], row["fact"]) for row in rows]

    async def make_bot(self, name: str = "EMA cross", **settings) -> dict:
        return await self.made(BOTS, name=name, **settings)

    async def make_account(self, name: str = "main", **settings) -> dict:
        return await self.made(ACCOUNTS, name=name, **settings)

    async def made(self, path: str, **body) -> dict:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def everything_stored(self) -> str:
        """All that any table holds, as one text: what a dump would tell."""
        tables = await self.journal.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'pregao'")
        rows = [row for table in tables for row in await self.journal.pool.fetch(f"SELECT * FROM {table[0]}")]
        return "\n".join(
            value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for row in rows
            for value in row
        )


@asynccontextmanager
async def own_desk(dsn: str, **changes) -> AsyncIterator[OwnDesk]:
    journal = await open_journal(dsn, connections_max=4)
    master_key = os.urandom(32)
    vault = EnvelopeVault(master_key, desk_id=await desk_id(journal))
    paper, rings = Paper(), []
    ports = Desk(
        clock=lambda: desk.now,
        version="0.0.test",
        admin_token=TOKEN,
        public_url="",
        bots=PostgresBotBooks(journal, ring=lambda: rings.append("bots")),
        accounts=PostgresAccountBooks(journal, ring=lambda: rings.append("accounts")),
        vault=vault,
        credentials=PostgresCredentials(journal.pool, vault=vault),
        configured=PostgresConfigured(journal.pool),
        activity=PostgresActivity(journal.pool),
        receipts=PostgresReceipts(journal.pool),
        health=PostgresHealth(journal.pool),
        register_paper_account=paper.register,
        paper_is_up=paper.is_up,
    )
    ports = replace(ports, **changes)
    async with client_of(ports) as client:
        desk = OwnDesk(journal, ports, paper, master_key, client, rings)
        try:
            yield desk
        finally:
            journal.pool.terminate()


def client_of(ports: Desk, *, token: str = TOKEN) -> httpx.AsyncClient:
    """Speak to an API over these ports."""
    transport = httpx.ASGITransport(create_api(ports), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://desk.test", headers=headers)


def code_of(answer: httpx.Response) -> str:
    """Give the stable code of an error, whose body has the one shape."""
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "details"}
    return error["code"]


async def closed_pool(dsn: str) -> asyncpg.Pool:
    """Give a pool that was closed under whoever uses it."""
    pool = await asyncpg.create_pool(dsn, min_size=0, server_settings={"search_path": "pregao"})
    await pool.close()
    return pool


async def deaf_pool(_dsn: str) -> asyncpg.Pool:
    """Give a pool whose server does not listen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return await asyncpg.create_pool(f"postgresql://nobody@127.0.0.1:{port}/none", min_size=0)


AWAY = (closed_pool, deaf_pool)
