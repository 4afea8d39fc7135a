"""Three bots and twenty accounts, no two of which trade alike, and what goes wrong for them on the way."""

import contextlib
import itertools
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from pregao.domain.account import Account
from pregao.domain.bot import OppositeSide, SameSide
from pregao.domain.facts import AccountConfigured
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import Journal, open_journal
from pregao.edges.postgres.rows import to_value
from tests.journeys.tape_alerts import DISABLED_SYMBOL, OTHER_SYMBOLS, TAPE_SYMBOL
from tests.journeys.whole_desk import LTC_TAPE, WholeDesk, running_desk

ACCOUNTS = 20
BOT_WEIGHTS = [50, 35, 15]  # of a hundred alerts
FOLLOWERS = [range(13), range(9, 18), (2, 12, 16, 17, 18, 19)]  # 9 to 12, 2, 16, 17: more than one bot
RULES = list(itertools.product(SameSide, OppositeSide))
NO_LIMIT = "1000000"
BOT_PLACES, SOL_PLACES, USER_PLACES = 22, 5, 4
USER_OF_PLACES, USER_OF_LOSSES = (3, 4, 10), (5, 11)  # the accounts of two users with limits

FAULTS = (
    "late:probability=0.05,ms=300,endpoint=POST /fapi/v1/order",
    "late:probability=0.01,ms=2500,endpoint=POST /fapi/v1/order",  # longer than the desk waits
    "stall:probability=0.01,ms=6000,endpoint=POST /fapi/v1/order",  # longer than the attempt is good for
    "lose:probability=0.03,endpoint=POST /fapi/v1/order",
    "vanish:probability=0.02,endpoint=POST /fapi/v1/order",
    "unknown:probability=0.02,endpoint=POST /fapi/v1/order",
    "uncertain:probability=0.02,endpoint=POST /fapi/v1/order",
    "refuse:probability=0.02,code=-2019,endpoint=POST /fapi/v1/order",  # for good
    "refuse:probability=0.02,code=-1008,endpoint=POST /fapi/v1/order",  # try again
    "refuse:probability=0.02,code=-4028,endpoint=POST /fapi/v1/leverage",
    "drop:probability=0.04,endpoint=ORDER_TRADE_UPDATE",
    "duplicate:probability=0.06",
    "cut:probability=0.004",
    "freeze:probability=0.002,seconds=2,count=2",
    "lag:probability=0.05,ms=800,endpoint=GET",
)
"""Each strikes orders, streams or reads by chance, in the middle part of the run."""


@dataclass(slots=True)
class TapeDesk:
    """The desk, who trades on it, and which key each account has at the venue."""

    desk: WholeDesk
    journal: Journal
    bots: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    accounts: list[int] = field(default_factory=list)  # our ids, in the order of their numbers
    subscriptions: dict[tuple[int, int], str] = field(default_factory=dict)  # of a bot and an account, from 0
    places_max: dict[tuple[int, int], int] = field(default_factory=dict)  # of a subscription, ever
    hits: dict[str, int] = field(default_factory=dict)

    async def books(self) -> dict[int, dict[str, Any]]:
        """Give the venue's books by our account ids; the desk's own demo account has nothing in them."""
        books = await self.desk.paper_books()
        assert not any(account["orders"] for key, account in books.items() if key not in self.keys)
        return {number: books[key] for key, number in self.keys.items()}

    async def change(self, bot: int, account: int, **changes: Any) -> None:
        path = f"/api/v1/bot-subscriptions/{self.subscriptions[bot, account]}"
        await self.desk.ask("PATCH", path, json=changes)

    async def forgive(self, bot: int, account: int) -> None:
        path = f"/api/v1/bot-subscriptions/{self.subscriptions[bot, account]}/reset-daily-loss"
        await self.desk.ask("POST", path, json={"reason": "the tape goes on"})

    async def change_bot(self, bot: int, **changes: Any) -> None:
        await self.desk.ask("PATCH", f"/api/v1/bots/{self.bots[bot]['bot_id']}", json=changes)

    async def switch(self, bot: int, account: int, symbol: str, *, is_active: bool) -> None:
        path = f"/api/v1/bot-subscriptions/{self.subscriptions[bot, account]}/symbol-configs/toggle-symbol"
        await self.desk.ask("POST", path, json={"symbol": symbol, "is_active": is_active})

    async def misbehave(self, *faults: str) -> None:
        """Switch faults of the venue on, or with none of them off; what has struck until now is counted."""
        async with self.venue() as client:
            for one in (await client.get("/paper/faults")).json()["faults"]:
                self.hits[one["kind"]] = self.hits.get(one["kind"], 0) + one["hits"]
            answer = await client.post("/paper/faults", json={"faults": ";".join(faults)})
            assert answer.status_code == 200, answer.text

    @contextlib.asynccontextmanager
    async def venue(self) -> AsyncIterator[httpx.AsyncClient]:
        """Stand before the venue's control paths."""
        async with httpx.AsyncClient(base_url=self.desk.paper.url, timeout=20, verify=False) as client:
            yield client


@contextlib.asynccontextmanager
async def tape_desk(database: str, state_dir: Path, *, seed: int, length: int = 1) -> AsyncIterator[TapeDesk]:
    """Start the desk on the tape, and let everybody follow; over a longer run the bots may lose more and enter more often."""
    paper = PaperSettings(
        tape=LTC_TAPE,
        speed=300.0,
        loop=True,
        strict=True,
        simulate_seed=seed,
        depth_usdt=Decimal(500),  # most orders take several fills
    )
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(
            running_desk(
                database, state_dir, paper=paper, venue_timeout_seconds=1.5, webhook_wait_seconds=0.7
            )
        )
        journal = await open_journal(database)
        stack.push_async_callback(journal.pool.close)
        made = TapeDesk(desk, journal)
        await set_prices(made, OTHER_SYMBOLS)  # what has no price is not listed
        chance = random.Random(f"{seed}/desk")
        made.accounts = [await _open_account(made, number) for number in range(ACCOUNTS)]
        await _own_accounts(made)
        made.bots = [await desk.create_bot(**settings) for settings in _bots(length)]
        for bot, followers in enumerate(FOLLOWERS):
            for number in followers:
                settings = _overrides(bot, number, chance=chance)
                subscribed = await desk.subscribe(made.bots[bot], made.accounts[number], **settings)
                made.subscriptions[bot, number] = subscribed["subscription_id"]
                made.places_max[bot, number] = settings["max_concurrent_positions"]
        yield made


async def set_prices(tape: TapeDesk, prices: dict[str, str]) -> None:
    async with tape.venue() as client:
        for symbol, price in prices.items():
            answer = await client.post("/paper/prices", json={"symbol": symbol, "price": price})
            assert answer.status_code == 200, answer.text


async def _open_account(tape: TapeDesk, number: int) -> int:
    """Connect an account that exists at the venue already: so we know its key, and compare its books."""
    credentials = {"key": secrets.token_hex(32), "secret": secrets.token_hex(32)}
    mode = "hedge" if number % 2 else "one_way"  # so each kind has every pair of rules
    balance = "12" if number == 19 else "20000"  # the last one can pay for almost nothing
    async with tape.venue() as client:
        account = {**credentials, "balance": balance, "position_mode": mode}
        answer = await client.post("/paper/accounts", json=account)
        assert answer.status_code == 200, answer.text
    account_id = await tape.desk.open_account(
        f"Account {number}",
        api_key=credentials["key"],
        secret_key=credentials["secret"],
        position_mode=mode,
        margin_mode="isolated" if number % 5 == 3 else "crossed",
    )
    tape.keys[credentials["key"]] = account_id
    return account_id


async def _own_accounts(tape: TapeDesk) -> None:
    """Give two users three and two of the accounts, and limits for all of them together."""
    for name, limits, own in (
        ("ana", {"max_positions": USER_PLACES}, USER_OF_PLACES),
        ("bruno", {"max_daily_loss_usd": "15"}, USER_OF_LOSSES),
    ):
        user = {"email": f"{name}@example.com", "name": name, "role": "trader", **limits}
        made = await tape.desk.ask("POST", "/api/v1/admin/users", json=user)
        for number in own:
            await _give_account(tape.journal, tape.accounts[number], user_id=UUID(made["user_id"]))


async def _give_account(journal: Journal, account_id: int, *, user_id: UUID) -> None:
    async with journal.transaction() as transaction:
        row = await transaction.connection.fetchrow(
            "SELECT * FROM accounts WHERE account_id = $1 FOR UPDATE", account_id
        )
        account = replace(to_value(row, Account), user_id=user_id)
        happened_at = await transaction.connection.fetchval("SELECT clock_timestamp()")
        await transaction.append([AccountConfigured(happened_at=happened_at, account=account)])


def _bots(length: int) -> list[dict[str, Any]]:
    every = {"signals_per_minute_max": None}
    return [
        {
            **every,
            "name": "Trend",
            "default_leverage": 10,
            "default_margin_usd": "60",
            "global_max_positions": BOT_PLACES,
            "symbols": [
                {"symbol": DISABLED_SYMBOL, "is_active": False},
                {"symbol": "SOLUSDT", "margin_usd": "40", "leverage": 8, "max_positions": SOL_PLACES},
                {"symbol": "XRPUSDT", "max_daily_loss_usd": "20"},
            ],
        },
        {
            **every,
            "name": "Counter trend",
            "default_leverage": 5,
            "default_margin_usd": "80",
            "global_max_daily_loss_usd": str(20 * length),
            "same_side": "add",
            "opposite_side": "close",
        },
        {
            **every,
            "name": "Only buys",
            "default_leverage": 7,
            "allowed_directions": "buy_only",
            "max_entries_per_day": 2 * length,
            "cooldown_seconds": 1,
            "allowed_symbols": [TAPE_SYMBOL, "ETHUSDT", "SOLUSDT"],
        },
    ]


def _overrides(bot: int, number: int, *, chance: random.Random) -> dict[str, Any]:
    """Every pair of rules on both of the larger bots, and every limit on somebody."""
    same_side, opposite_side = RULES[(number + 4 * bot) % len(RULES)]
    settings: dict[str, Any] = {
        "custom_leverage": chance.choice([None, 3, 12, 20]),
        "custom_margin_usd": chance.choice([None, "25", "70", "120"]),
        "max_concurrent_positions": 1 + number % 3,
        "max_daily_loss_usd": "10" if number % 4 == 0 else NO_LIMIT,
        "custom_same_side": None if bot == 2 else same_side,
        "custom_opposite_side": None if bot == 2 else opposite_side,
    }
    match bot, number:
        case 0, 1:
            settings["symbols"] = [{"symbol": "ETHUSDT", "is_active": False}]
        case 0, 6:
            settings["symbols"] = [{"symbol": "LTCUSDT", "margin_usd": "150", "max_daily_loss_usd": "8"}]
        case 0, 7:
            settings["symbols"] = [
                {"symbol": "SOLUSDT", "margin_usd": "5", "leverage": 1, "use_bot_default": True},
                {"symbol": "XRPUSDT", "max_positions": 0},
            ]
        case 1, 14:
            settings["custom_leverage"], settings["custom_margin_usd"] = (
                1,
                "10",
            )  # less than LTCUSDT's minimum
        case 2, 19:
            settings["custom_leverage"], settings["custom_margin_usd"] = 2, "30"  # more than it can pay for
    return settings


Disturbance = Callable[[TapeDesk], Awaitable[None]]

DISTURBANCES: tuple[tuple[float, Disturbance], ...] = (
    # after this part of the alerts
    (0.10, lambda tape: tape.change(0, 2, status="paused")),
    (0.15, lambda tape: tape.change(1, 13, status="paused")),
    (0.20, lambda tape: tape.switch(0, 5, "SOLUSDT", is_active=False)),
    (0.25, lambda tape: tape.change(0, 8, max_concurrent_positions=1, custom_same_side="add")),
    (0.30, lambda tape: tape.misbehave(*FAULTS)),
    (0.35, lambda tape: tape.change(0, 2, status="active")),
    (0.40, lambda tape: tape.change_bot(1, status="paused")),
    (0.45, lambda tape: tape.change(1, 16, custom_opposite_side="reverse", custom_leverage=15)),
    (0.50, lambda tape: tape.change_bot(1, status="active")),
    (0.55, lambda tape: tape.forgive(0, 4)),
    (0.60, lambda tape: tape.change(1, 13, status="active")),
    (0.65, lambda tape: tape.misbehave()),
    (0.70, lambda tape: tape.switch(0, 5, "SOLUSDT", is_active=True)),
    (0.80, lambda tape: tape.change(0, 11, custom_same_side="replace", max_daily_loss_usd="12")),
)
