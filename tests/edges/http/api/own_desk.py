"""The API over a real database, at its own entrance; its clock moves when told."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import httpx
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher

from pregao.accounts.sealing import Credentials
from pregao.alerts.channels import ChannelRules
from pregao.bootstrap.backups import FolderBackups
from pregao.domain.account import Venue
from pregao.domain.alert import LEAST_LEVEL
from pregao.domain.order import PositionMode
from pregao.domain.upkeep import Retention
from pregao.domain.venue import VenueError
from pregao.edges.destinations import CheckedDestinations
from pregao.edges.http.api import create_api
from pregao.edges.http.desk import Desk
from pregao.edges.http.live.feed import Feed, Look
from pregao.edges.postgres.accounts import PostgresAccountBooks
from pregao.edges.postgres.actions import PostgresActions
from pregao.edges.postgres.again import PostgresAgainBooks
from pregao.edges.postgres.alerts import PostgresAlertBooks, PostgresAlerts
from pregao.edges.postgres.approvals import PostgresApprovalBooks, PostgresApprovals
from pregao.edges.postgres.bots import PostgresBotBooks
from pregao.edges.postgres.breakers import PostgresBreakerStates
from pregao.edges.postgres.by_hand import PostgresPositionBooks, PostgresSellList
from pregao.edges.postgres.clear import PostgresClearBooks
from pregao.edges.postgres.configured import PostgresConfigured
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.deployments import PostgresDeployments
from pregao.edges.postgres.destinations import PostgresForwardLimits, PostgresLimitBooks
from pregao.edges.postgres.drift import PostgresDriftBooks, PostgresDrifts
from pregao.edges.postgres.figures import PostgresCounterBooks, PostgresFigures
from pregao.edges.postgres.flattens import PostgresFlattenBooks, PostgresFlattens
from pregao.edges.postgres.foreign import PostgresForeign, PostgresForeignBooks
from pregao.edges.postgres.glance import PostgresGlance
from pregao.edges.postgres.guard_story import PostgresGuardStories
from pregao.edges.postgres.guarded import PostgresGuarded
from pregao.edges.postgres.happenings import PostgresHappenings
from pregao.edges.postgres.history import PostgresHistory
from pregao.edges.postgres.journal import Journal, decode, desk_id, open_journal
from pregao.edges.postgres.lab import PostgresLabBooks, PostgresLabRuns
from pregao.edges.postgres.logins import PostgresLogins
from pregao.edges.postgres.operations import PostgresOperations
from pregao.edges.postgres.overview import PostgresOverview
from pregao.edges.postgres.people import PostgresPeople
from pregao.edges.postgres.performance import PostgresPerformances
from pregao.edges.postgres.preflights import PostgresPreflights
from pregao.edges.postgres.screener import PostgresScreener, PostgresScreenerBooks
from pregao.edges.postgres.second_factors import PostgresSecondFactorRules, PostgresSecondFactors
from pregao.edges.postgres.setting_books import PostgresSettingBooks
from pregao.edges.postgres.setting_changes import PostgresSettingChanges
from pregao.edges.postgres.stop_books import PostgresHandBooks
from pregao.edges.postgres.stop_reports import PostgresStopReports
from pregao.edges.postgres.story import PostgresStories
from pregao.edges.postgres.tickets import PostgresTickets
from pregao.edges.postgres.timeline import PostgresTimelines
from pregao.edges.postgres.trading_states import PostgresTradingStateBooks, PostgresTradingStates
from pregao.edges.postgres.trips import PostgresTrips
from pregao.edges.postgres.upkeep import PostgresUpkeep
from pregao.edges.postgres.users import PostgresUserBooks
from pregao.edges.postgres.views import PostgresActivity, PostgresHealth, PostgresReceipts
from pregao.edges.postgres.weights import PostgresWeights
from pregao.edges.vault.envelope import EnvelopeVault
from pregao.edges.vault.passwords import Argon2Passwords
from pregao.market.strategies import ScreenerLimits
from pregao.views.bars import Bar, Window
from tests.builders import NOON

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
"""The real thing with parameters for tests: a hash in no time."""

TOKEN = "words-of-the-admin-only"
METRICS_TOKEN = "words-of-the-scraper-only"
AUTH = "/api/v1/auth"
USERS = "/api/v1/admin/users"
ACTIONS = "/api/v1/admin/actions"
BOTS = "/api/v1/bots"
SUBSCRIPTIONS = "/api/v1/bot-subscriptions"

NO_RISK = dict.fromkeys(
    ("capital_usd", "consecutive_losses_max", "daily_loss_pct_max", "weekly_loss_pct_max", "drawdown_pct_max",
     "position_pct_max", "reward_to_risk_min", "since")
)  # fmt: skip
STANDARD_GUARD = {
    "stop": None,
    "targets": [],
    "trailing": None,
    "trailing_percent": "2",
    "trailing_step_percent": "0.1",
    "break_even_after_target": False,
    "fee_percent": "0.1",
    "slippage_percent": "0.05",
    "is_required": None,
}
"""What a bot has that says nothing of its guard."""
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

    async def market(self) -> str:
        return "" if self.is_away else "SIMULATED"


@dataclass
class TapeOfBars:
    """A venue that tells candles at one price, and refuses when told to."""

    price: Decimal = Decimal(95_000)
    trouble: VenueError | None = None
    asked: list[tuple[str, Window]] = field(default_factory=list)

    async def bars(self, _venue: Venue, symbol: str, window: Window) -> list[Bar]:
        self.asked.append((symbol, window))
        if self.trouble is not None:
            raise self.trouble
        count = (window.until - window.since) // window.timeframe.length + 1
        prices = dict.fromkeys(("open", "high", "low", "close"), self.price)
        return [Bar(opened_at=window.since + n * window.timeframe.length, **prices) for n in range(count)]


PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A user who has logged in."""

    user_id: str
    email: str
    client: httpx.AsyncClient

    async def made(self, path: str, **body) -> dict:
        return made(await self.client.post(path, json=body))


@dataclass
class OwnDesk:
    """A desk of a test."""

    journal: Journal
    ports: Desk
    paper: Paper
    bars: TapeOfBars
    master_key: bytes
    client: httpx.AsyncClient
    rings: list[str]
    app: FastAPI
    clients: AsyncExitStack
    now: datetime = NOON

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    async def append(self, *facts) -> None:
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def journaled(self) -> list:
        """Give every fact in the journal but the audit's; a tail would wait for transactions of other databases."""
        rows = await self.journal.pool.fetch(
            "SELECT kind, fact::text FROM journal WHERE kind <> 'ActionTaken' ORDER BY seq"
        )
        return [decode(row["kind"], row["fact"]) for row in rows]

    async def actions(self, **wanted) -> list[dict]:
        """Give the audit log, oldest first."""
        answer = await self.client.get(f"{ACTIONS}", params=wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][::-1]

    async def make_bot(self, name: str = "EMA cross", **settings) -> dict:
        return await self.made(BOTS, name=name, **settings)

    async def make_account(self, name: str = "main", **settings) -> dict:
        return await self.made(ACCOUNTS, name=name, **settings)

    async def made(self, path: str, **body) -> dict:
        return made(await self.client.post(path, json=body))

    async def coming_with(self, token: str, *, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """Speak to this desk with a token, from an address."""
        return await self.clients.enter_async_context(app_client(self.app, token=token, address=address))

    async def enroll(self, name: str = "ana", role: str = "trader", **settings) -> Person:
        """Give a new user who has logged in."""
        given = {"email": f"{name}@desk.test", "name": name, "role": role, "password": PASSWORD}
        user = await self.made(USERS, **{**given, **settings})
        login = await self.log_in(user["email"])
        assert login.status_code == 200, login.text
        client = await self.coming_with(login.json()["token"])
        return Person(user["user_id"], user["email"], client)

    async def log_in(
        self, email: str, password: str = PASSWORD, *, address: str = "192.0.2.1"
    ) -> httpx.Response:
        stranger = await self.coming_with("", address=address)
        return await stranger.post(f"{AUTH}/login", json={"email": email, "password": password})

    async def people_known(self) -> int:
        """Count the users."""
        return len(await self.ports.people.users(role=None, is_active=None, after=None, limit=100))

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
    with tempfile.TemporaryDirectory(prefix="pregao-desk-") as folder:
        async with _own_desk(dsn, Path(folder), changes) as desk:
            yield desk


@asynccontextmanager
async def _own_desk(dsn: str, folder: Path, changes: dict) -> AsyncIterator[OwnDesk]:
    journal = await open_journal(dsn, connections_max=4)
    master_key = os.urandom(32)
    vault = EnvelopeVault(master_key, desk_id=await desk_id(journal))
    paper, bars, rings = Paper(), TapeOfBars(), []
    ports = Desk(
        clock=lambda: desk.now,
        version="0.0.test",
        admin_token=TOKEN,
        metrics_token=METRICS_TOKEN,
        public_url="",
        users=PostgresUserBooks(journal),
        logins=PostgresLogins(journal.pool),
        passwords=Argon2Passwords(QUICK),
        second_factors=PostgresSecondFactors(journal.pool, vault=vault),
        second_factor_rules=PostgresSecondFactorRules(journal),
        people=PostgresPeople(journal.pool),
        actions=PostgresActions(journal),
        record_action=PostgresActions(journal).record,
        setting_changes=PostgresSettingChanges(journal.pool),
        overview=PostgresOverview(journal.pool),
        operations=PostgresOperations(journal.pool),
        stop_reports=PostgresStopReports(journal.pool),
        hand_books=PostgresHandBooks(
            journal, ring=lambda *numbers: rings.append(f"stops {' '.join(numbers)}")
        ),
        bots=PostgresBotBooks(
            journal, ring=lambda: rings.append("bots"), ring_signals=lambda: rings.append("signals")
        ),
        approval_books=PostgresApprovalBooks(journal, ring=lambda: rings.append("signals")),
        again_books=PostgresAgainBooks(journal, ring=lambda: rings.append("signals")),
        accounts=PostgresAccountBooks(journal, ring=lambda: rings.append("accounts")),
        trading_state_books=PostgresTradingStateBooks(journal, ring=lambda: rings.append("states")),
        flatten_books=PostgresFlattenBooks(journal, ring=lambda: rings.append("flattens")),
        clear_books=PostgresClearBooks(journal, ring=lambda: rings.append("cleared")),
        vault=vault,
        credentials=PostgresCredentials(journal.pool, vault=vault),
        configured=PostgresConfigured(journal.pool),
        deployments=PostgresDeployments(journal.pool),
        activity=PostgresActivity(journal.pool),
        approvals=PostgresApprovals(journal.pool),
        receipts=PostgresReceipts(journal.pool),
        stories=PostgresStories(journal.pool),
        timelines=PostgresTimelines(journal.pool),
        history=PostgresHistory(journal),
        trips=PostgresTrips(journal.pool),
        performances=PostgresPerformances(journal.pool),
        trading_states=PostgresTradingStates(journal.pool),
        flattens=PostgresFlattens(journal.pool),
        glance=PostgresGlance(journal.pool),
        guard_stories=PostgresGuardStories(journal.pool),
        bars=bars,
        guarded=PostgresGuarded(journal.pool),
        health=PostgresHealth(journal.pool),
        breakers=PostgresBreakerStates(journal.pool),
        preflights=PostgresPreflights(journal.pool, ring=lambda: None),
        drifts=PostgresDrifts(journal.pool),
        weights=PostgresWeights(journal.pool),
        drift_books=PostgresDriftBooks(journal, clock=lambda: desk.now),
        foreign=PostgresForeign(journal.pool, ring=lambda: None),
        foreign_books=PostgresForeignBooks(journal, ring=lambda: None),
        position_books=PostgresPositionBooks(
            journal, clock=lambda: desk.now, ring_signals=lambda: rings.append("signals")
        ),
        sell_list=PostgresSellList(journal.pool),
        screener=PostgresScreener(journal.pool),
        screener_books=PostgresScreenerBooks(
            journal, ring=lambda: rings.append("screener"), ring_signals=lambda: rings.append("signals")
        ),
        screener_limits=ScreenerLimits(),
        upkeep=PostgresUpkeep(journal, standard=Retention()),
        destinations=CheckedDestinations(["127.0.0.1"]),
        figures=PostgresFigures(journal.pool),
        counter_books=PostgresCounterBooks(journal),
        forward_limits=PostgresForwardLimits(journal.pool),
        forward_limit_books=PostgresLimitBooks(journal, ring=lambda: rings.append("destinations")),
        setting_books=PostgresSettingBooks(
            journal,
            ring_accounts=lambda: rings.append("accounts"),
            ring_screener=lambda: rings.append("screener"),
            ring_limit=lambda: rings.append("destinations"),
        ),
        feed=Feed(PostgresHappenings(journal.pool), look=no_look),
        tickets=PostgresTickets(journal.pool),
        alerts=PostgresAlerts(journal.pool, level=LEAST_LEVEL),
        alert_books=PostgresAlertBooks(journal, vault=vault, ring=lambda: rings.append("alerts")),
        channel_rules=ChannelRules(),
        backups=FolderBackups(folder, dsn=dsn),
        lab_books=PostgresLabBooks(journal),
        lab_runs=PostgresLabRuns(journal.pool),
        state_dir=Path(os.devnull),
        register_paper_account=paper.register,
        paper_is_up=paper.is_up,
        paper_market=paper.market,
    )
    ports = replace(ports, **changes)
    app = create_api(ports)
    async with AsyncExitStack() as clients:
        client = await clients.enter_async_context(app_client(app))
        desk = OwnDesk(journal, ports, paper, bars, master_key, client, rings, app, clients)
        try:
            yield desk
        finally:
            journal.pool.terminate()


async def no_look() -> Look:
    """Count nothing: nobody watches over a transport without a wire."""
    raise AssertionError


def client_of(ports: Desk, *, token: str = TOKEN) -> httpx.AsyncClient:
    """Speak to an API of one's own over these ports."""
    return app_client(create_api(ports), token=token)


def app_client(app: FastAPI, *, token: str = TOKEN, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Speak to an API."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://desk.test", headers=headers)


def made(answer: httpx.Response) -> dict:
    """Give what was made; a refusal is the test's failure."""
    assert answer.status_code == 201, answer.text
    return answer.json()


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
