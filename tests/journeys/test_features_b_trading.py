"""System B over HTTP, trading: one signal becomes orders, limits hold, positions follow, whatever a venue does."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from pregao.edges.exchanges.binance.exchange import BinanceSettings
from pregao.edges.paper.serve import PaperSettings
from tests.edges.paper.signed_client import SignedClient
from tests.fresh_database import fresh_database
from tests.journeys.whole_desk import TOKEN, WholeDesk, running_desk

ORDERS_IN_FLIGHT_MAX = 10
VENUE_MS = 200
VENUE_TIMEOUT_SECONDS = 0.7
QUOTE_SECONDS_MAX = BinanceSettings().quote_age_seconds_max
PRICES = {"BTCUSDT": "90000", "ETHUSDT": "3000", "LTCUSDT": "90"}
STEP = "0.166"  # 10x on 50 USD at 3,000, to the step of ETHUSDT
MODES = ("one_way", "hedge")
PAPER = PaperSettings(still=True, listings=("BTCUSDT:step=0.00001,notional_min=5",), weight_max=100_000)

ORDER = "POST /fapi/v1/order"
LEVERAGE = "POST /fapi/v1/leverage"
ORDER_ASKED = "GET /fapi/v1/order"
ORDER_TOLD = "ORDER_TRADE_UPDATE"
ACCOUNT_TOLD = "ACCOUNT_UPDATE"

numbers = itertools.count(1)
given_secrets: set[str] = set()
moved_prices: set[str] = set()


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    """Give one desk for the whole file: each test makes the bots and accounts it needs."""
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(
            database,
            tmp_path_factory.mktemp("state"),
            paper=PAPER,
            orders_in_flight_max=ORDERS_IN_FLIGHT_MAX,
            webhook_wait_seconds=0.5,
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
async def small_desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    """Give a desk with few accounts, so that each is soon compared, that waits less than a second for its venue."""
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(
            database,
            tmp_path_factory.mktemp("state"),
            paper=PAPER,
            venue_timeout_seconds=VENUE_TIMEOUT_SECONDS,
        ) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
async def as_it_was(desk: WholeDesk) -> AsyncIterator[None]:
    """Take the faults and the prices of a test back when it is over."""
    yield
    await misbehave(desk)
    for symbol in tuple(moved_prices):
        await set_price(desk, symbol, PRICES[symbol])
    if moved_prices:
        await older_prices_forgotten()
    moved_prices.clear()


class Follower:
    """One account that follows a bot, with the key that moves it at the venue by hand."""

    def __init__(
        self, desk: WholeDesk, *, key: str, secret: str, user_id: str | None, subscription: dict[str, Any]
    ) -> None:
        self.desk = desk
        self.key = key
        self.secret = secret
        self.name: str = subscription["account_name"]
        self.account_id: int = subscription["account_id"]
        self.user_id = user_id
        self.subscription_id: str = subscription["subscription_id"]

    @contextlib.asynccontextmanager
    async def by_hand(self) -> AsyncIterator[SignedClient]:
        """Give the owner's own way to the venue, past the desk."""
        async with SignedClient(self.desk.paper, key=self.key, secret=self.secret) as client:
            yield client

    async def trade_by_hand(self, side: str, quantity: str, **fields: str) -> None:
        async with self.by_hand() as client:
            status, answer = await client.order(side, quantity, symbol="ETHUSDT", **fields)
            assert status == 200, answer

    async def books(self) -> dict[str, Any]:
        """Give the venue's own books of the account."""
        books: dict[str, Any] = (await control(self.desk, f"/paper/books?key={self.key}"))[self.key]
        return books

    async def held(self) -> dict[tuple[str, str], str]:
        """Give what the venue says the account holds."""
        rows = (await self.books())["positions"]
        return {(row["symbol"], row["position_side"]): row["quantity"] for row in rows}

    async def earned(self) -> Decimal:
        """Give what the venue says the account has earned since it was opened with 10,000."""
        return Decimal((await self.books())["wallet_balance"]) - 10_000

    async def resting(self) -> list[Any]:
        """Give the orders that still wait at the venue, conditional ones too."""
        async with self.by_hand() as client:
            return [*await client.get("/fapi/v1/openOrders"), *await client.get("/fapi/v1/openAlgoOrders")]

    async def positions(self) -> list[dict[str, Any]]:
        """Give the account's positions as the desk knows them, oldest first."""
        page = await self.desk.ask("GET", "/api/v1/positions", params={"account_id": self.account_id})
        positions: list[dict[str, Any]] = page["items"]
        return positions[::-1]

    async def stands(self) -> list[tuple[str, str, str]]:
        return [(one["direction"], one["status"], one["quantity"]) for one in await self.positions()]

    async def until_closed(self, *, reason: str) -> dict[str, Any]:
        """Give the account's one position once the desk has learned that it is closed."""
        async with asyncio.timeout(20):
            while True:
                [position] = await self.positions()
                if position["status"] == "closed":
                    assert position["close_reason"] == reason
                    return position
                await asyncio.sleep(0.1)

    async def change(self, **changes: Any) -> None:
        await self.desk.ask("PATCH", f"/api/v1/bot-subscriptions/{self.subscription_id}", json=changes)


async def follow(
    desk: WholeDesk,
    bot: dict[str, Any],
    *,
    position_mode: str = "one_way",
    balance: str = "10000",
    user_id: str | None = None,
    **settings: Any,
) -> Follower:
    """Open an account whose key is known here, of a user or the desk's own, and have it follow the bot."""
    key, secret = secrets.token_hex(16), secrets.token_hex(16)
    given_secrets.update((key, secret))
    await control(
        desk, "/paper/accounts", key=key, secret=secret, balance=balance, position_mode=position_mode
    )
    account_id = await desk.open_account(
        f"follower {next(numbers)}",
        api_key=key,
        secret_key=secret,
        position_mode=position_mode,
        user_id=user_id,
    )
    subscription = await desk.subscribe(bot, account_id, **settings)
    return Follower(desk, key=key, secret=secret, user_id=user_id, subscription=subscription)


async def enroll(desk: WholeDesk, **limits: Any) -> str:
    """Enroll a user and give his id."""
    number = next(numbers)
    password = secrets.token_hex(16)
    given_secrets.add(password)
    user = {
        "email": f"user{number}@example.com",
        "name": f"user {number}",
        "role": "trader",
        "password": password,
    }
    made = await desk.ask("POST", "/api/v1/admin/users", json={**user, **limits})
    user_id: str = made["user_id"]
    return user_id


async def change_user(desk: WholeDesk, user_id: str, **changes: Any) -> None:
    await desk.ask("PATCH", f"/api/v1/admin/users/{user_id}", json=changes)


async def bot_with(desk: WholeDesk, count: int = 1, **rules: Any) -> tuple[dict[str, Any], list[Follower]]:
    bot = await desk.create_bot(**rules)
    given_secrets.add(bot["secret"])
    return bot, [await follow(desk, bot) for _ in range(count)]


async def control(desk: WholeDesk, path: str, **values: Any) -> dict[str, Any]:
    """Ask the venue's control paths; without values only look."""
    asked = {"method": "POST", "json": values} if values else {"method": "GET"}
    answer = await desk.client.request(url=f"{desk.paper.url}{path}", **asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def misbehave(desk: WholeDesk, *faults: dict[str, Any]) -> None:
    await control(desk, "/paper/faults", faults=list(faults))


async def hits(desk: WholeDesk) -> list[int]:
    """Say how often each fault has struck: a delay of no time only counts the calls."""
    return [fault["hits"] for fault in (await control(desk, "/paper/faults"))["faults"]]


async def set_price(desk: WholeDesk, symbol: str, price: str) -> None:
    await control(desk, "/paper/prices", symbol=symbol, price=price)
    moved_prices.add(symbol)


async def older_prices_forgotten() -> None:
    """Wait until the desk sizes with no price that it asked for before."""
    await asyncio.sleep(QUOTE_SECONDS_MAX)


async def change_bot(desk: WholeDesk, bot: dict[str, Any], **changes: Any) -> None:
    await desk.ask("PATCH", f"/api/v1/bots/{bot['bot_id']}", json=changes)


def alert(action: str, symbol: str | None = "ETHUSDT", **fields: Any) -> str:
    """Give an alert unlike any other."""
    given = {"ticker": symbol, "action": action, "alert_id": f"alert {next(numbers)}", **fields}
    return json.dumps({name: value for name, value in given.items() if value is not None})


async def say(
    desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str | None = "ETHUSDT", **fields: Any
) -> dict[str, Any]:
    """Send an alert and give its complete receipt."""
    return await sent(desk, bot, alert(action, symbol, **fields))


async def sent(desk: WholeDesk, bot: dict[str, Any], body: str) -> dict[str, Any]:
    answer = await desk.post(bot, body)
    assert answer.status_code in (200, 202), answer.text
    return await desk.receipt(answer.json()["signal_id"])


async def answered(desk: WholeDesk, receipt: dict[str, Any]) -> dict[str, Any]:
    """Give the receipt once the venue has answered every order: a fill may be told before."""
    async with asyncio.timeout(20):
        while any(row["acknowledged_ms"] is None for row in receipt["rows"]):
            await asyncio.sleep(0.05)
            receipt = await desk.receipt(receipt["signal_id"])
    return receipt


def outcomes(receipt: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Give what became of the one order of each account, with its code."""
    rows = {row["account"]: (row["outcome"], row["code"]) for row in receipt["rows"]}
    assert len(rows) == len(receipt["rows"]), "an account has more than one order here"
    return rows


def legs(receipt: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return sorted((row["leg"], row["outcome"], row["code"]) for row in receipt["rows"])


def stopped_by(receipt: dict[str, Any]) -> tuple[str, str]:
    """Give the code and the reason that stopped the signal, or its only order."""
    if not receipt["rows"]:
        return receipt["code"], receipt["reason"]
    [row] = receipt["rows"]
    assert row["outcome"] == "denied", row
    return row["code"], row["reason"]


def at_once(receipt: dict[str, Any]) -> int:
    """Give the most orders of the signal that were at the venue at one moment."""
    moments = [(row["sent_ms"], 1) for row in receipt["rows"]]
    moments += [(row["acknowledged_ms"], -1) for row in receipt["rows"]]
    return max(itertools.accumulate(change for _, change in sorted(moments)))


def added_up(stats: dict[str, int]) -> int:
    kinds = ("successful", "failed", "skipped", "pending")
    return sum(stats[f"{kind}_executions"] for kind in kinds)


FILLED = ("filled", None)


class TestBroadcast:
    async def test_f044_orders_of_all_subscribers_are_at_the_venue_at_once(self, desk):
        """What waits for 200 ms waits at the same time: ten accounts take as long as one, and no more go at once."""
        bot, _ = await bot_with(desk, ORDERS_IN_FLIGHT_MAX)
        await say(desk, bot, "buy")  # leverage is set, connections are open
        await say(desk, bot, "close")
        await misbehave(desk, {"kind": "late", "ms": VENUE_MS, "endpoint": ORDER})

        bought = await answered(desk, await say(desk, bot, "buy"))
        for _ in range(4):
            await follow(desk, bot)
        more = await answered(desk, await say(desk, bot, "buy", "LTCUSDT"))

        for receipt, accounts in ((bought, ORDERS_IN_FLIGHT_MAX), (more, ORDERS_IN_FLIGHT_MAX + 4)):
            assert [row["outcome"] for row in receipt["rows"]] == ["filled"] * accounts
            assert all(row["acknowledged_ms"] - row["sent_ms"] >= VENUE_MS for row in receipt["rows"])
        assert at_once(bought) == ORDERS_IN_FLIGHT_MAX
        assert 1 < at_once(more) <= ORDERS_IN_FLIGHT_MAX

    async def test_f044_what_goes_wrong_on_one_account_stays_there(self, desk):
        bot, (refused, unset, lost, *well) = await bot_with(desk, 6)
        await misbehave(
            desk,
            {"kind": "refuse", "code": -2019, "endpoint": ORDER, "key": refused.key},
            {"kind": "refuse", "code": -4028, "endpoint": LEVERAGE, "key": unset.key},
            {"kind": "lose", "count": 1, "endpoint": ORDER, "key": lost.key},
        )

        receipt = await say(desk, bot, "buy")

        assert outcomes(receipt) == {
            refused.name: ("rejected", "-2019"),
            unset.name: ("rejected", "LEVERAGE_NOT_SET -4028"),
            lost.name: FILLED,
            **{one.name: FILLED for one in well},
        }
        for one in (lost, *well):
            assert await one.held() == {("ETHUSDT", "both"): STEP}
            assert len((await one.books())["orders"]) == 1
        for one in (refused, unset):
            assert (await one.held(), await one.stands()) == ({}, [("long", "abandoned", "0")])


class TestTheAnswer:
    async def test_f045_has_its_fields_and_every_subscriber_counts_once(self, desk):
        bot, (_, refused, paused) = await bot_with(desk, 3)
        await paused.change(status="paused")
        await misbehave(desk, {"kind": "refuse", "code": -2019, "endpoint": ORDER, "key": refused.key})
        body = alert("buy")

        first = (await desk.post(bot, body)).json()
        await desk.receipt(first["signal_id"])
        told = (
            await desk.post(bot, body)
        ).json()  # the same alert again: the first one's receipt, complete now

        for answer in (first, told):
            assert answer.keys() >= {"success", "bot_name", "signal_id", "broadcast_stats", "timestamp"}
            assert added_up(answer["broadcast_stats"]) == answer["broadcast_stats"]["total_subscribers"]
            assert datetime.fromisoformat(answer["timestamp"]).utcoffset() is not None
        assert (told["success"], told["bot_name"]) == (True, bot["name"])
        assert told["signal_id"] == first["signal_id"]
        assert told["broadcast_stats"].pop("duration_ms") >= 0
        assert told["broadcast_stats"] == {
            "total_subscribers": 3,
            "successful_executions": 1,
            "failed_executions": 1,
            "skipped_executions": 1,
            "pending_executions": 0,
        }

    async def test_f045_counts_a_subscriber_once_who_has_two_orders(self, desk):
        """A reverse is a close and an entry on each account; two accounts are two subscribers all the same."""
        bot, _ = await bot_with(desk, 2)
        await say(desk, bot, "buy")
        body = alert("sell")
        receipt = await sent(desk, bot, body)

        told = (await desk.post(bot, body)).json()

        assert len(receipt["rows"]) == len(told["executions"]) == 4
        stats = told["broadcast_stats"]
        assert (stats["total_subscribers"], stats["successful_executions"], added_up(stats)) == (2, 2, 2)

    async def test_f045_says_what_is_still_on_its_way(self, desk):
        bot, (slow, quick) = await bot_with(desk, 2)
        await misbehave(desk, {"kind": "stall", "ms": 2_500, "count": 1, "endpoint": ORDER, "key": slow.key})
        body = alert("buy")

        answer = await desk.post(bot, body)
        while not answer.json()["executions"]:  # it was not even planned yet
            answer = await desk.post(bot, body)

        told = answer.json()
        stats = told["broadcast_stats"]
        assert (answer.status_code, told["status"]) == (202, "pending")
        assert stats["pending_executions"] >= 1
        assert added_up(stats) == stats["total_subscribers"] == 2
        assert outcomes(await desk.receipt(told["signal_id"])) == {slow.name: FILLED, quick.name: FILLED}


class TestQuantity:
    @pytest.mark.parametrize(
        ("symbol", "quantities"),
        [("BTCUSDT", ("0.00105", "0.00525")), ("ETHUSDT", ("0.001", "0.005"))],
        ids=["step 0.00001", "step 0.001"],
    )
    async def test_f047_is_margin_times_leverage_at_the_venue_s_price_floored_to_the_step(
        self, desk, symbol, quantities
    ):
        await set_price(desk, symbol, "95200")
        await older_prices_forgotten()
        bot, _ = await bot_with(desk, 0)
        ana = await follow(desk, bot, custom_leverage=5, custom_margin_usd="20")
        bruno = await follow(desk, bot, custom_leverage=10, custom_margin_usd="50")

        receipt = await say(desk, bot, "buy", symbol)

        assert {row["account"]: row["quantity"] for row in receipt["rows"]} == {
            ana.name: quantities[0],
            bruno.name: quantities[1],
        }
        assert await ana.held() == {(symbol, "both"): quantities[0]}
        assert await bruno.held() == {(symbol, "both"): quantities[1]}

    async def test_f047_skips_what_is_below_a_minimum_and_says_the_numbers(self, desk):
        await set_price(desk, "ETHUSDT", "95200")
        await older_prices_forgotten()
        bot, _ = await bot_with(desk, 0)
        few = await follow(desk, bot, custom_leverage=1, custom_margin_usd="5")
        receipts = {"ETHUSDT": await say(desk, bot, "buy", "ETHUSDT")}
        await few.change(custom_leverage=3)
        receipts["LTCUSDT"] = await say(desk, bot, "buy", "LTCUSDT")

        assert stopped_by(receipts["ETHUSDT"])[0] == "QUANTITY_BELOW_MINIMUM"
        assert "minimum=0.001" in stopped_by(receipts["ETHUSDT"])[1]
        assert stopped_by(receipts["LTCUSDT"])[0] == "NOTIONAL_BELOW_MINIMUM"
        assert "notional=14.94 minimum=20" in stopped_by(receipts["LTCUSDT"])[1]
        assert (await few.books())["orders"] == []

    async def test_f048_the_signal_s_price_sizes_nothing(self, desk):
        bot, [one] = await bot_with(desk)
        sized = []
        for price in ("1", "9999999", None):
            [row] = (await say(desk, bot, "buy", price=price))["rows"]
            sized.append((row["quantity"], row["decision_price"]))
            await say(desk, bot, "close", price=price)

        assert sized == [(STEP, "3000")] * 3
        assert {order["quantity"] for order in (await one.books())["orders"]} == {STEP}


class TestLeverage:
    async def test_f049_that_cannot_be_set_means_no_order(self, desk):
        bot, [one] = await bot_with(desk)
        await misbehave(desk, {"kind": "refuse", "code": -4028, "endpoint": LEVERAGE, "key": one.key})

        receipt = await say(desk, bot, "buy")

        assert outcomes(receipt) == {one.name: ("rejected", "LEVERAGE_NOT_SET -4028")}
        assert (await one.books())["orders"] == []

    async def test_f049_of_which_nobody_knows_whether_it_is_set_is_set_again_before_the_order(self, desk):
        bot, [one] = await bot_with(desk, default_leverage=7)
        await misbehave(desk, {"kind": "vanish", "count": 1, "endpoint": LEVERAGE, "key": one.key})

        receipt = await say(desk, bot, "buy")

        [row] = receipt["rows"]
        assert (row["outcome"], row["attempt"]) == ("filled", 2)
        assert len((await one.books())["orders"]) == 1
        assert await leverage_of(one) == "7"

    async def test_f049_is_set_before_entries_only(self, desk):
        bot, [one] = await bot_with(desk, default_leverage=7)
        await misbehave(desk, {"kind": "late", "ms": 0, "endpoint": LEVERAGE, "key": one.key})
        await say(desk, bot, "buy")
        after_entry = (await hits(desk), await leverage_of(one))

        await one.change(custom_leverage=3)
        await say(desk, bot, "close")
        after_exit = (await hits(desk), await leverage_of(one))
        await say(desk, bot, "buy")

        assert after_entry == after_exit == ([1], "7")
        assert (await hits(desk), await leverage_of(one)) == ([2], "3")


async def leverage_of(one: Follower) -> str:
    async with one.by_hand() as client:
        rows = await client.get("/fapi/v2/positionRisk", symbol="ETHUSDT")
    leverage: str = rows[0]["leverage"]
    return leverage


async def lose(desk: WholeDesk, bot: dict[str, Any], one: Follower) -> Decimal:
    """Buy, let the price fall, close; give what was lost."""
    await say(desk, bot, "buy")
    await set_price(desk, "ETHUSDT", "2900")
    await say(desk, bot, "close")
    await set_price(desk, "ETHUSDT", "3000")
    [position] = await one.positions()
    lost = -Decimal(position["realized_pnl"])
    assert lost > 16
    return lost


async def limit_loss(
    desk: WholeDesk, bot: dict[str, Any], one: Follower, *, level: str, maximum: Decimal
) -> None:
    row = [{"symbol": "ETHUSDT", "max_daily_loss_usd": str(maximum)}]
    match level:
        case "subscription":
            await one.change(max_daily_loss_usd=str(maximum))
        case "subscription_symbol":
            await one.change(symbols=row)
        case "bot":
            await change_bot(desk, bot, global_max_daily_loss_usd=str(maximum))
        case "user":
            await change_user(desk, one.user_id or "", max_daily_loss_usd=str(maximum))
        case "bot_symbol":
            await change_bot(desk, bot, symbols=row)


async def limit_positions(
    desk: WholeDesk, bot: dict[str, Any], one: Follower, *, level: str, maximum: int
) -> None:
    row = [{"symbol": "ETHUSDT", "max_positions": maximum - 1}]  # one is held on another symbol
    match level:
        case "subscription":
            await one.change(max_concurrent_positions=maximum)
        case "subscription_symbol":
            await one.change(symbols=row)
        case "bot":
            await change_bot(desk, bot, global_max_positions=maximum)
        case "user":
            await change_user(desk, one.user_id or "", max_positions=maximum)
        case "bot_symbol":
            await change_bot(desk, bot, symbols=row)


class TestLimits:
    @pytest.mark.parametrize(
        ("level", "code", "words"),
        [
            ("subscription", "DAILY_LOSS_AT_LIMIT", "level=subscription loss_usd={} maximum={}"),
            (
                "subscription_symbol",
                "DAILY_LOSS_AT_LIMIT",
                "level=subscription_symbol loss_usd={} maximum={}",
            ),
            ("bot", "GLOBAL_LOSS_DECLINED", "loss_today_usd={} global_max_daily_loss_usd={}"),
            ("bot_symbol", "DAILY_LOSS_AT_LIMIT", "level=bot_symbol loss_usd={} maximum={}"),
            ("user", "DAILY_LOSS_AT_LIMIT", "level=user loss_usd={} maximum={}"),
        ],
    )
    async def test_f051_a_loss_that_reaches_its_limit_stops_entries_and_no_close(
        self, desk, level, code, words
    ):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, user_id=await enroll(desk))
        lost = await lose(desk, bot, one)

        await limit_loss(desk, bot, one, level=level, maximum=lost)
        at_the_limit = await say(desk, bot, "buy")
        await limit_loss(desk, bot, one, level=level, maximum=lost + Decimal("0.01"))
        below_it = await say(desk, bot, "buy")
        await limit_loss(desk, bot, one, level=level, maximum=lost)
        close = await say(desk, bot, "close")

        assert stopped_by(at_the_limit)[0] == code
        assert words.format(lost.normalize(), lost.normalize()) in stopped_by(at_the_limit)[1]
        assert legs(below_it) == [("entry", *FILLED)]
        assert legs(close) == [("exit", *FILLED)]

    @pytest.mark.parametrize(
        ("level", "code", "words"),
        [
            ("subscription", "POSITIONS_AT_LIMIT", "level=subscription live_positions=1 maximum=1"),
            (
                "subscription_symbol",
                "POSITIONS_AT_LIMIT",
                "level=subscription_symbol live_positions=0 maximum=0",
            ),
            ("bot", "GLOBAL_POSITIONS_DECLINED", "live_positions=1 global_max_positions=1"),
            ("bot_symbol", "POSITIONS_AT_LIMIT", "level=bot_symbol live_positions=0 maximum=0"),
            ("user", "POSITIONS_AT_LIMIT", "level=user live_positions=1 maximum=1"),
        ],
    )
    async def test_f051_positions_that_reach_their_limit_stop_entries_and_no_close(
        self, desk, level, code, words
    ):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, user_id=await enroll(desk))
        await say(desk, bot, "buy", "LTCUSDT")

        await limit_positions(desk, bot, one, level=level, maximum=1)
        at_the_limit = await say(desk, bot, "buy")
        await limit_positions(desk, bot, one, level=level, maximum=2)
        below_it = await say(desk, bot, "buy")
        await limit_positions(desk, bot, one, level=level, maximum=1)
        close = await say(desk, bot, "close_all", None)

        assert stopped_by(at_the_limit)[0] == code
        assert words in stopped_by(at_the_limit)[1]
        assert legs(below_it) == [("entry", *FILLED)]
        assert legs(close) == [("exit", *FILLED)] * 2

    @pytest.mark.parametrize("level", ["bot", "subscription"])
    async def test_f051_a_symbol_that_is_switched_off_is_not_opened_and_is_closed(self, desk, level):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy")
        row = [{"symbol": "ETHUSDT", "is_active": False}]
        if level == "bot":
            await change_bot(desk, bot, symbols=row)
        else:
            await one.change(symbols=row)

        close = await say(desk, bot, "close")
        buy = await say(desk, bot, "buy")

        assert legs(close) == [("exit", *FILLED)]
        assert stopped_by(buy)[0] == "SYMBOL_DISABLED"
        assert f"level={level}" in stopped_by(buy)[1]

    async def test_f051_the_places_of_a_bot_are_given_out_once_among_its_subscribers(self, desk):
        bot, _ = await bot_with(desk, 3, global_max_positions=1)

        receipt = await say(desk, bot, "buy")

        assert sorted(outcomes(receipt).values(), key=str) == [
            ("denied", "POSITIONS_AT_LIMIT"),
            ("denied", "POSITIONS_AT_LIMIT"),
            FILLED,
        ]
        reasons = {row["reason"] for row in receipt["rows"] if row["reason"]}
        assert all("level=bot live_positions=1 maximum=1" in reason for reason in reasons)

    async def test_f051_an_error_in_a_check_stops_entries_and_no_close(self, desk):
        """What the losses of the day are asked from is not there: nobody knows whether a limit is reached."""
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy", "LTCUSDT")
        connection = await asyncpg.connect(desk.settings.database_dsn.reveal())
        rename = "ALTER TABLE pregao.daily_results RENAME COLUMN {} TO {}"
        await connection.execute(rename.format("counted_loss_usd", "mislaid"))
        try:
            buy = await say(desk, bot, "buy")
            close = await say(desk, bot, "close", "LTCUSDT")
        finally:
            await connection.execute(rename.format("mislaid", "counted_loss_usd"))
            await connection.close()
        again = await say(desk, bot, "buy")

        assert stopped_by(buy)[0] == "DESK_FAILED"
        assert legs(close) == [("exit", *FILLED)]
        assert legs(again) == [("entry", *FILLED)]
        assert len((await one.books())["orders"]) == 3


ROUNDS = 8


@pytest.fixture(scope="class")
async def second_trader(desk: WholeDesk) -> AsyncIterator[None]:
    """Have another process trade on the same database, so that two signals may be planned at the same moment."""
    settings = desk.settings
    environment = {
        "DATABASE_URL": settings.database_dsn.reveal(),
        "PREGAO_STATE_DIR": str(settings.state_dir),
        "PREGAO_MASTER_KEY": settings.master_key.reveal(),
        "PREGAO_PAPER_URL": settings.paper_url,
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "pregao", "serve", "trader"]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    async with asyncio.timeout(30):
        while len(await traders(desk)) < 2:
            assert process.returncode is None, "the second trader has ended"
            await asyncio.sleep(0.1)
    yield
    process.terminate()
    await process.wait()


async def traders(desk: WholeDesk) -> list[dict[str, Any]]:
    workers = (await desk.ask("GET", "/health/detailed"))["workers"]
    return [worker for worker in workers if worker["role"] == "trader"]


@pytest.mark.usefixtures("second_trader")
class TestOneFreePlace:
    async def test_f052_two_signals_at_once_give_one_order(self, desk):
        bot, [one] = await bot_with(desk)
        await one.change(max_concurrent_positions=1)

        for _ in range(ROUNDS):
            receipts = await asyncio.gather(
                say(desk, bot, "buy", "ETHUSDT"), say(desk, bot, "sell", "LTCUSDT")
            )

            ended = sorted((legs(receipt) for receipt in receipts), key=str)
            assert ended == [[("entry", "denied", "POSITIONS_AT_LIMIT")], [("entry", *FILLED)]]
            assert len(await one.held()) == 1
            await say(desk, bot, "close_all", None)
            assert await one.held() == {}

    async def test_f052_two_bots_that_share_the_last_place_of_a_user_give_one_order(self, desk):
        user_id = await enroll(desk, max_positions=1)
        (bot, _), (other, _) = await bot_with(desk, 0), await bot_with(desk, 0)
        both = [await follow(desk, name, user_id=user_id) for name in (bot, other)]

        for _ in range(ROUNDS):
            receipts = await asyncio.gather(say(desk, bot, "buy"), say(desk, other, "sell", "LTCUSDT"))

            ended = sorted((legs(receipt) for receipt in receipts), key=str)
            assert ended == [[("entry", "denied", "POSITIONS_AT_LIMIT")], [("entry", *FILLED)]]
            assert sum([len(await one.held()) for one in both]) == 1
            await asyncio.gather(say(desk, bot, "close"), say(desk, other, "close", "LTCUSDT"))

    async def test_f052_two_bots_that_want_one_symbol_of_an_account_get_one_order(self, desk):
        bot, [one] = await bot_with(desk)
        other, _ = await bot_with(desk, 0)
        await desk.subscribe(other, one.account_id)

        for _ in range(ROUNDS):
            receipts = await asyncio.gather(say(desk, bot, "buy"), say(desk, other, "buy"))

            ended = sorted((legs(receipt) for receipt in receipts), key=str)
            assert ended == [[("entry", "denied", "SYMBOL_OWNED")], [("entry", *FILLED)]]
            assert await one.held() == {("ETHUSDT", "both"): STEP}
            await asyncio.gather(say(desk, bot, "close"), say(desk, other, "close"))
            assert await one.held() == {}


def sides(mode: str) -> dict[str, str]:
    """Give the venue's position side of each direction."""
    return {"long": "both", "short": "both"} if mode == "one_way" else {"long": "long", "short": "short"}


@pytest.mark.parametrize("mode", MODES)
class TestActions:
    """The table of what a signal does that meets what is held."""

    @pytest.mark.parametrize(("action", "direction", "sign"), [("buy", "long", ""), ("sell", "short", "-")])
    async def test_f053_opens_when_flat_and_leaves_nothing_behind_when_closed(
        self, desk, mode, action, direction, sign
    ):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)

        entry = await say(desk, bot, action)
        opened, held = await one.stands(), await one.held()
        await set_price(desk, "ETHUSDT", "3050")
        close = await say(desk, bot, "close")

        assert (legs(entry), legs(close)) == ([("entry", *FILLED)], [("exit", *FILLED)])
        assert opened == [(direction, "open", STEP)]
        assert held == {("ETHUSDT", sides(mode)[direction]): f"{sign}{STEP}"}
        [position] = await one.positions()
        assert (position["status"], position["close_reason"]) == ("closed", "signal")
        assert (await one.held(), await one.resting()) == ({}, [])
        assert Decimal(position["realized_pnl"]) == await one.earned()
        assert (Decimal(position["realized_pnl"]) > 0) is (direction == "long")

    @pytest.mark.parametrize("action", ["buy", "sell"])
    async def test_f053_same_side_is_ignored_unless_told_otherwise(self, desk, mode, action):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, action)
        before = await one.held()

        again = await say(desk, bot, action)

        assert legs(again) == [("entry", "denied", "SAME_SIDE_OPEN")]
        assert (await one.held(), len((await one.books())["orders"])) == (before, 1)

    async def test_f053_same_side_adds_to_the_position(self, desk, mode):
        bot, _ = await bot_with(desk, 0, same_side="add")
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")

        added = await say(desk, bot, "buy")

        assert legs(added) == [("entry", *FILLED)]
        assert await one.stands() == [("long", "open", "0.332")]
        assert await one.held() == {("ETHUSDT", sides(mode)["long"]): "0.332"}
        await say(desk, bot, "close")
        await self.assert_books_agree(one, positions=1)

    async def test_f053_same_side_replaces_the_position(self, desk, mode):
        bot, _ = await bot_with(desk, 0, same_side="replace")
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")

        replaced = await say(desk, bot, "buy")

        assert legs(replaced) == [("entry", *FILLED), ("exit", *FILLED)]
        assert await one.stands() == [("long", "closed", "0"), ("long", "open", STEP)]
        assert await one.held() == {("ETHUSDT", sides(mode)["long"]): STEP}
        await say(desk, bot, "close")
        await self.assert_books_agree(one, positions=2)

    @pytest.mark.parametrize(("first", "then"), [("buy", "sell"), ("sell", "buy")])
    async def test_f053_opposite_side_closes_then_enters(self, desk, mode, first, then):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        before, after = ("long", "short") if first == "buy" else ("short", "long")
        await say(desk, bot, first)
        await set_price(desk, "ETHUSDT", "3010")

        reversed_ = await say(desk, bot, then)

        assert legs(reversed_) == [("entry", *FILLED), ("exit", *FILLED)]
        assert await one.stands() == [(before, "closed", "0"), (after, "open", STEP)]
        sign = "-" if after == "short" else ""
        assert await one.held() == {("ETHUSDT", sides(mode)[after]): f"{sign}{STEP}"}
        await say(desk, bot, "close")
        await self.assert_books_agree(one, positions=2)

    async def test_f053_opposite_side_only_closes(self, desk, mode):
        bot, _ = await bot_with(desk, 0, opposite_side="close")
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")

        closed = await say(desk, bot, "sell")

        assert legs(closed) == [("exit", *FILLED)]
        await self.assert_books_agree(one, positions=1)

    async def test_f053_opposite_side_is_ignored(self, desk, mode):
        bot, _ = await bot_with(desk, 0, opposite_side="ignore")
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")

        ignored = await say(desk, bot, "sell")

        assert legs(ignored) == [("entry", "denied", "OPPOSITE_SIDE_OPEN")]
        assert await one.stands() == [("long", "open", STEP)]

    async def test_f053_close_all_closes_what_this_bot_holds_and_nothing_else(self, desk, mode):
        bot, _ = await bot_with(desk, 0)
        other, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        await desk.subscribe(other, one.account_id)
        for name, symbol in ((bot, "ETHUSDT"), (bot, "BTCUSDT"), (other, "LTCUSDT")):
            await say(desk, name, "buy", symbol)

        closed = await say(desk, bot, "close_all", "BTCUSDT")  # as an alert for one chart says it

        assert legs(closed) == [("exit", *FILLED)] * 2
        assert (closed["symbol"], closed["not_used"]) == (None, ["symbol"])
        assert await one.held() == {("LTCUSDT", sides(mode)["long"]): "5.555"}
        assert legs(await say(desk, bot, "close_all", None)) == [("exit", "denied", "NOTHING_OPEN")]
        await say(desk, other, "close_all", None)
        await self.assert_books_agree(one, positions=3)

    async def test_f053_a_percentage_closes_that_share(self, desk, mode):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")
        await set_price(desk, "ETHUSDT", "2990")

        share = await say(desk, bot, "close", percent=40)

        assert legs(share) == [("exit", *FILLED)]
        assert await one.stands() == [("long", "open", "0.1")]  # 0.166 less 0.066
        assert await one.held() == {("ETHUSDT", sides(mode)["long"]): "0.1"}
        await say(desk, bot, "close")
        await self.assert_books_agree(one, positions=1)

    async def test_f053_a_close_closes_although_the_account_was_paused(self, desk, mode):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "sell")
        await one.change(status="paused")

        closed = await say(desk, bot, "close")
        again = await say(desk, bot, "sell")

        assert legs(closed) == [("exit", *FILLED)]
        assert stopped_by(again)[0] == "SUBSCRIPTION_PAUSED"
        await self.assert_books_agree(one, positions=1)

    @staticmethod
    async def assert_books_agree(one: Follower, *, positions: int) -> None:
        """See that all is closed, here and there, and that what was earned is the same to the last decimal."""
        closed = await one.positions()
        assert [position["status"] for position in closed] == ["closed"] * positions
        assert (await one.held(), await one.resting()) == ({}, [])
        assert sum(Decimal(position["realized_pnl"]) for position in closed) == await one.earned()
        fees = sum(Decimal(fill["fee"]) for fill in (await one.books())["fills"])
        assert sum(Decimal(position["fees"]) for position in closed) == fees


class TestWhatTheDeskDidNotDo:
    @pytest.mark.parametrize("mode", MODES)
    async def test_f057_what_was_closed_by_hand_is_closed_here_with_its_reason(self, desk, mode):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, position_mode=mode)
        await say(desk, bot, "buy")
        await set_price(desk, "ETHUSDT", "3100")

        await one.trade_by_hand("SELL", STEP, positionSide=sides(mode)["long"].upper())

        position = await one.until_closed(reason="closed_outside")
        assert (position["exit_price"], Decimal(position["realized_pnl"])) == ("3099.99", await one.earned())
        assert legs(await say(desk, bot, "buy")) == [("entry", *FILLED)]

    async def test_f057_what_was_closed_by_hand_while_nobody_listened_is_found(self, desk):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "sell")
        await misbehave(
            desk,
            {"kind": "drop", "endpoint": ORDER_TOLD, "key": one.key},
            {"kind": "cut", "count": 1, "endpoint": ACCOUNT_TOLD, "key": one.key},
        )

        await one.trade_by_hand("BUY", STEP)

        position = await one.until_closed(reason="closed_outside")
        assert Decimal(position["realized_pnl"]) == await one.earned()

    async def test_f057_what_the_venue_liquidated_is_closed_here(self, desk):
        bot, _ = await bot_with(desk, 0, default_stop_loss_pct="50")  # farther away than the margin reaches
        poor = await follow(desk, bot, balance="60")
        rich = await follow(desk, bot)
        await say(desk, bot, "buy")

        await set_price(desk, "ETHUSDT", "2650")

        position = await poor.until_closed(reason="liquidated")
        assert await poor.held() == {}
        fills = (await poor.books())["fills"]
        assert Decimal(position["realized_pnl"]) == sum(
            Decimal(fill["realized_pnl"]) - Decimal(fill["fee"]) for fill in fills
        )
        assert await rich.stands() == [("long", "open", STEP)]

    async def test_f057_a_close_takes_what_a_hand_has_left(self, desk):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy")
        await one.trade_by_hand("SELL", "0.066")
        async with asyncio.timeout(10):
            while await one.stands() != [("long", "open", "0.1")]:
                await asyncio.sleep(0.05)

        closed = await say(desk, bot, "close")

        [row] = closed["rows"]
        assert (row["outcome"], row["quantity"]) == ("filled", "0.1")
        [position] = await one.positions()
        assert (await one.held(), Decimal(position["realized_pnl"])) == ({}, await one.earned())


class TestForeign:
    @pytest.mark.long
    async def test_f053_what_is_held_beside_ours_keeps_entries_out_until_it_is_closed(self, small_desk):
        """The owner bought by hand. The desk believes it once it has seen it twice; then he sells, and it trades."""
        desk = small_desk
        bot, _ = await bot_with(desk, 0)
        both = [await follow(desk, bot, position_mode=mode) for mode in MODES]
        long_of = {mode: sides(mode)["long"].upper() for mode in MODES}
        for one, mode in zip(both, MODES, strict=True):
            await one.trade_by_hand("BUY", "0.3", positionSide=long_of[mode])
        await self.until_foreign(desk, both, quantity="0.3")

        denied = await say(desk, bot, "buy")
        for one, mode in zip(both, MODES, strict=True):
            await one.trade_by_hand("SELL", "0.3", positionSide=long_of[mode])
        await self.until_foreign(desk, both, quantity="0")
        bought = await say(desk, bot, "buy")

        assert set(outcomes(denied).values()) == {("denied", "FOREIGN_POSITION")}
        assert {"quantity=0.3" in row["reason"] for row in denied["rows"]} == {True}
        assert set(outcomes(bought).values()) == {FILLED}

    @staticmethod
    async def until_foreign(desk: WholeDesk, accounts: list[Follower], *, quantity: str) -> None:
        """Wait until the desk has noticed what else the accounts hold."""
        connection = await asyncpg.connect(desk.settings.database_dsn.reveal())
        query = "SELECT count(*) FROM pregao.foreign_positions WHERE account_id = ANY($1) AND quantity = $2"
        async with asyncio.timeout(25):
            while await connection.fetchval(
                query, [one.account_id for one in accounts], Decimal(quantity)
            ) < len(accounts):
                await asyncio.sleep(0.1)
        await connection.close()


class TestSlowVenue:
    async def test_f062_fails_that_subscriber_only_and_is_asked_and_never_sent_again(self, small_desk):
        """One order is answered too late, one is not even executed in time; the others do not wait for them."""
        desk = small_desk
        bot, (late, later, *quick) = await bot_with(desk, 5)
        await say(desk, bot, "buy")  # leverage is set, connections are open
        await say(desk, bot, "close")
        slow_ms = int(VENUE_TIMEOUT_SECONDS * 4_000)
        await misbehave(
            desk,
            {"kind": "late", "ms": slow_ms, "count": 1, "endpoint": ORDER, "key": late.key},
            {"kind": "drop", "endpoint": ORDER_TOLD, "key": late.key},
            {"kind": "stall", "ms": slow_ms, "count": 1, "endpoint": ORDER, "key": later.key},
            {"kind": "late", "ms": 0, "endpoint": ORDER_ASKED, "key": late.key},
            {"kind": "late", "ms": 0, "endpoint": ORDER_ASKED, "key": later.key},
        )

        answer = (await desk.post(bot, alert("buy"))).json()
        first = await self.until_quick(desk, answer["signal_id"], names={one.name for one in quick})
        receipt = await desk.receipt(answer["signal_id"], seconds_max=30)

        everybody = (late, later, *quick)
        assert (first[late.name], first[later.name]) == ("unresolved", "unresolved")
        attempts = {row["account"]: (row["outcome"], row["attempt"]) for row in receipt["rows"]}
        assert attempts == {one.name: ("filled", 1) for one in everybody}
        assert min((await hits(desk))[-2:]) >= 1, "the venue was asked about both"
        for one in everybody:
            assert await one.held() == {("ETHUSDT", "both"): STEP}
            assert len((await one.books())["orders"]) == 3

    @staticmethod
    async def until_quick(desk: WholeDesk, signal_id: str, *, names: set[str]) -> dict[str, str]:
        """Give how every order stands when the quick accounts are done and the others have run out of time."""
        async with asyncio.timeout(20):
            while True:
                receipt = await desk.ask("GET", f"/api/v1/signals/{signal_id}/receipt")
                now = {row["account"]: row["outcome"] for row in receipt["rows"]}
                if all(now.get(name) == "filled" for name in names) and "pending" not in now.values():
                    return now
                await asyncio.sleep(0.02)


class TestSecrets:
    async def test_f063_neither_a_dump_nor_an_answer_tells_a_key(self, desk):
        told: list[str] = []

        async def keep(answer: httpx.Response) -> None:
            await answer.aread()
            told.append(answer.text)

        bot, [one] = await bot_with(desk)
        desk.client.event_hooks["response"].append(keep)
        await say(desk, bot, "buy", secret=bot["secret"])
        replaced = secrets.token_hex(16)
        given_secrets.add(replaced)
        account = f"/api/v1/exchange-accounts/{one.account_id}"
        await desk.ask("PATCH", account, json={"api_key": one.key, "secret_key": replaced})
        for path in (
            account, "/api/v1/exchange-accounts", "/api/v1/bots", f"/api/v1/bots/{bot['bot_id']}",
            "/api/v1/bot-subscriptions/my-subscriptions", f"/api/v1/bot-subscriptions/{one.subscription_id}",
            "/api/v1/signals", "/api/v1/orders", "/api/v1/positions", "/health/detailed",
        ):  # fmt: skip
            await desk.ask("GET", path)
        refused = await desk.client.post(
            "/api/v1/exchange-accounts", json={"name": "half", "api_key": one.key, "note": replaced}
        )
        assert refused.status_code == 422
        desk.client.event_hooks["response"].remove(keep)

        dumped = await dump(desk.settings.database_dsn.reveal())

        never = {*given_secrets, TOKEN, desk.settings.master_key.reveal()}
        assert [len(dumped) > 10, len(told) > 10, len(never) > 10] == [True] * 3
        for text in told:
            assert not [one for one in never if one in text]
        for table, text in dumped.items():
            found = [form for one in never for form in forms(one) if form in text]
            assert not found, table
        assert one.name in dumped["pregao.accounts"], "the dump shows what is there"


async def dump(dsn: str) -> dict[str, str]:
    """Give every table of the database as text, views and the system's own apart."""
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch(
        """
        SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
        """
    )
    dumped = {}
    for table in tables:
        rows = await connection.fetch(f"SELECT row::text FROM {table['name']} AS row")
        dumped[table["name"]] = "\n".join(row[0] for row in rows)
    await connection.close()
    return dumped


def forms(secret: str) -> Iterator[str]:
    """Give a secret as it may stand in a table: plain, as bytes, in base64."""
    encoded = secret.encode()
    yield secret
    yield encoded.hex()
    yield base64.b64encode(encoded).decode().rstrip("=")[:-1]


class TestRisk:
    async def test_f125_three_losses_in_a_row_end_the_day_and_what_is_held_is_closed(self, desk):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot)
        await lose(desk, bot, one)
        await one.change(custom_risk={"consecutive_losses_max": 1})

        stopped = await say(desk, bot, "buy")
        await change_bot(desk, bot, risk={"reward_to_risk_min": 3})
        await one.change(custom_risk=None)
        too_near = await say(desk, bot, "buy")
        await change_bot(desk, bot, risk={})
        bought = await say(desk, bot, "buy")
        await one.change(custom_risk={"consecutive_losses_max": 1})
        close = await say(desk, bot, "close")

        assert stopped_by(stopped)[0] == "LOSSES_IN_A_ROW"
        assert "value=1 maximum=1" in stopped_by(stopped)[1]
        assert stopped_by(too_near)[0] == "REWARD_TOO_SMALL"
        assert "reward_to_risk=2 minimum=3" in stopped_by(too_near)[1]
        assert legs(bought) == [("entry", *FILLED)]
        assert legs(close) == [("exit", *FILLED)]

    @pytest.mark.parametrize(("action", "sign", "after"), [("buy", 1, "3030"), ("sell", -1, "2970")])
    async def test_f126_the_paper_exchange_has_slippage_latency_and_commission_and_the_result_is_that_by_hand(
        self, desk, action, sign, after
    ):
        """A spread of a tick is crossed on the way, 0.05 percent is paid at each end, and the answer takes its time."""
        bot, [one] = await bot_with(desk, 1)
        await misbehave(desk, {"kind": "late", "ms": VENUE_MS, "endpoint": ORDER})

        entered = await answered(desk, await say(desk, bot, action))
        await set_price(desk, "ETHUSDT", after)
        left = await answered(desk, await say(desk, bot, "close"))

        [entry], [exit_] = entered["rows"], left["rows"]
        quantity = Decimal(STEP)
        bought, sold = Decimal(entry["average_price"]), Decimal(exit_["average_price"])
        paid = (bought + sold) * quantity * Decimal("0.0005")
        [position] = await one.positions()
        assert (bought - 3000) * sign >= 0
        assert (Decimal(after) - sold) * sign >= 0
        assert (bought - 3000) * sign + (Decimal(after) - sold) * sign >= Decimal("0.01"), (
            "a spread is crossed"
        )
        assert all(row["acknowledged_ms"] - row["sent_ms"] >= VENUE_MS for row in (entry, exit_))
        assert Decimal(position["fees"]) == paid
        assert Decimal(position["realized_pnl"]) == (sold - bought) * quantity * sign - paid
        assert Decimal(position["realized_pnl"]) == await one.earned()
