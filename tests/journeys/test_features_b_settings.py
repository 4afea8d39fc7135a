"""System B over HTTP: bots and subscriptions as they are set up, and what their settings do to signals."""

import asyncio
import itertools
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from pregao.bots.ranges import BOT_RANGES, SUBSCRIPTION_RANGES, SYMBOL_RANGES
from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import WholeDesk, running_desk

BOTS = "/api/v1/bots"
SUBSCRIPTIONS = "/api/v1/bot-subscriptions"
WHOLE_NUMBERS = {
    "default_leverage", "default_max_positions", "signals_per_minute_max", "approval_seconds", "cooldown_seconds",
    "max_entries_per_day", "global_max_positions", "custom_leverage", "max_concurrent_positions", "leverage",
    "max_positions",
}  # fmt: skip
ALERTS = itertools.count()
SEED_USERS = (("Ana", 5, "20"), ("Bruno", 10, "50"))


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as running:
        yield running


async def set_price(desk: WholeDesk, symbol: str, price: str) -> None:
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post("/paper/prices", json={"symbol": symbol, "price": price})
        assert answer.status_code == 200, answer.text


async def refusal(desk: WholeDesk, method: str, path: str, **body: Any) -> tuple[int, str]:
    """Ask for what must be refused; give the status and the code."""
    answer = await desk.client.request(method, path, json=body)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"]["code"]


async def signal(
    desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    """Send an alert, always another one, and give its complete receipt."""
    body = {"ticker": symbol, "action": action, "alert_id": f"alert {next(ALERTS)}"}
    answer = await desk.post(bot, json.dumps(body))
    assert answer.status_code in (200, 202), answer.text
    assert not answer.json()["repeated"]
    return await desk.receipt(answer.json()["signal_id"])


async def until_inactive(desk: WholeDesk, bot: dict[str, Any], *, action: str) -> None:
    """Send alerts until the webhook refuses them: it knows within a second what became of its bot."""
    async with asyncio.timeout(5):
        for number in itertools.count():
            body = {"ticker": "LINKUSDT", "action": action, "alert_id": f"{action} {number}"}
            answer = await desk.post(bot, json.dumps(body))
            if answer.status_code == 400:
                assert answer.json()["error"]["code"] == "BOT_NOT_ACTIVE"
                return
            assert answer.json()["broadcast_stats"]["successful_executions"] == 0


def outcomes(receipt: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {row["account"]: (row["outcome"], row["code"]) for row in receipt["rows"]}


async def held(desk: WholeDesk) -> list[tuple[int, str]]:
    """Give account and symbol of every live position."""
    page = await desk.ask("GET", "/api/v1/positions", params={"live_only": True})
    return sorted((one["account_id"], one["symbol"]) for one in page["items"])


async def joined(desk: WholeDesk, **changes: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Give a bot, and the seed's two users who follow it."""
    bot = await desk.create_bot(**changes)
    followers = {}
    for name, leverage, margin in SEED_USERS:
        account = await desk.open_account(name)
        followers[name] = await desk.subscribe(
            bot, account, custom_leverage=leverage, custom_margin_usd=margin
        )
    return bot, followers


def value_of(name: str, number: Decimal) -> int | str:
    return int(number) if name in WHOLE_NUMBERS else str(number)


def beyond(name: str, number: Decimal, *, above: bool) -> int | str:
    return value_of(name, number + (1 if name in WHOLE_NUMBERS else Decimal("0.001")) * (1 if above else -1))


class TestBots:
    async def test_f040_every_range_ends_where_it_says(self, desk):
        refused = {}
        for name, limits in BOT_RANGES.items():
            for end in (limits.minimum, limits.maximum):
                bot = await desk.create_bot(**{name: value_of(name, end)})
                assert Decimal(bot[name]) == end
                changed = await desk.ask(
                    "PATCH", f"{BOTS}/{bot['bot_id']}", json={name: value_of(name, limits.maximum)}
                )
                assert Decimal(changed[name]) == limits.maximum
                out = {name: beyond(name, end, above=end == limits.maximum)}
                refused[name, end, "POST"] = await refusal(desk, "POST", BOTS, name="EMA cross", **out)
                refused[name, end, "PATCH"] = await refusal(desk, "PATCH", f"{BOTS}/{bot['bot_id']}", **out)

        assert set(refused.values()) == {(422, "SETTING_OUT_OF_RANGE")}

    async def test_f040_gives_path_and_address_and_takes_a_path_once(self, desk):
        named = {"name": "EMA cross", "webhook_path": "bot-ema-cross-15m"}

        made = await desk.ask("POST", BOTS, json=named)
        twice = await refusal(desk, "POST", BOTS, **named)
        short = await refusal(desk, "POST", BOTS, name="EMA cross", webhook_path="a" * 15)
        shown = await desk.ask("GET", f"{BOTS}/{made['bot_id']}")

        assert made["webhook_path"] == "bot-ema-cross-15m"
        assert made["webhook_url"].endswith(
            f":{desk.settings.server_port}{BOTS}/webhook/master/bot-ema-cross-15m"
        )
        assert shown["webhook_url"] == made["webhook_url"]
        assert (twice, short) == ((409, "WEBHOOK_PATH_TAKEN"), (422, "WEBHOOK_PATH_UNUSABLE"))

    async def test_f040_spot_is_refused_with_its_reason(self, desk):
        answer = await desk.client.post(BOTS, json={"name": "Spot bot", "market_type": "spot"})

        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (422, "MARKET_TYPE_UNSUPPORTED")
        assert "No spot venue is connected yet; use futures." in error["message"]

    async def test_f040_archiving_cancels_subscriptions_and_keeps_what_is_open_for_its_closes(self, desk):
        bot, followers = await joined(desk)
        await signal(desk, bot, "buy", "ETHUSDT")

        archived = await desk.ask("DELETE", f"{BOTS}/{bot['bot_id']}")
        shown = [
            await desk.ask("GET", f"{SUBSCRIPTIONS}/{one['subscription_id']}") for one in followers.values()
        ]
        await until_inactive(desk, bot, action="buy")
        still_held = await held(desk)
        closed = await signal(desk, bot, "close", "ETHUSDT")
        await until_inactive(desk, bot, action="close")

        assert (archived["status"], archived["close_signal_id"]) == ("archived", None)
        assert {one["status"] for one in shown} == {"canceled"}
        assert len(still_held) == 2
        assert outcomes(closed) == {"Ana": ("filled", None), "Bruno": ("filled", None)}
        assert await held(desk) == []

    async def test_f040_what_an_archived_bot_holds_is_closed_by_a_signal_to_the_other_side(self, desk):
        bot, _ = await joined(desk)
        await signal(desk, bot, "buy", "ETHUSDT")
        await desk.ask("DELETE", f"{BOTS}/{bot['bot_id']}")
        await until_inactive(desk, bot, action="buy")

        sold = await signal(desk, bot, "sell", "ETHUSDT")

        assert outcomes(sold) == {"Ana": ("filled", None), "Bruno": ("filled", None)}
        assert {row["leg"] for row in sold["rows"]} == {"exit"}
        assert await held(desk) == []

    async def test_f040_a_paused_bot_only_closes(self, desk):
        bot, _ = await joined(desk)
        await signal(desk, bot, "buy", "ETHUSDT")
        await desk.ask("PATCH", f"{BOTS}/{bot['bot_id']}", json={"status": "paused"})

        entry = await signal(desk, bot, "buy", "SOLUSDT")
        close = await signal(desk, bot, "close", "ETHUSDT")

        assert (entry["status"], entry["code"], entry["rows"]) == ("declined", "BOT_STATUS_DECLINED", [])
        assert outcomes(close) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))

    async def test_f040_archiving_closes_everything_where_that_is_asked(self, desk):
        bot, _ = await joined(desk)
        other, _ = await joined(desk)
        for symbol in ("ETHUSDT", "SOLUSDT"):
            await signal(desk, bot, "buy", symbol)
        await signal(desk, other, "buy", "SOLUSDT")
        others = await held_of(desk, other)

        archived = await desk.ask("DELETE", f"{BOTS}/{bot['bot_id']}", params={"open_positions": "close"})
        receipt = await desk.receipt(archived["close_signal_id"])
        again = await desk.ask("DELETE", f"{BOTS}/{bot['bot_id']}", params={"open_positions": "close"})

        assert [(row["symbol"], row["outcome"]) for row in receipt["rows"]].count(("ETHUSDT", "filled")) == 2
        assert {row["outcome"] for row in receipt["rows"]} == {"filled"}
        assert len(receipt["rows"]) == 4
        assert await held_of(desk, bot) == []
        assert await held_of(desk, other) == others != []
        assert again["close_signal_id"] is None
        [closing] = [
            one
            for one in (await desk.ask("GET", "/api/v1/signals"))["items"]
            if one["signal_id"] == archived["close_signal_id"]
        ]
        assert (closing["source"], closing["action"]) == ("desk", "close_all")


async def held_of(desk: WholeDesk, bot: dict[str, Any]) -> list[int]:
    page = await desk.ask("GET", "/api/v1/positions", params={"live_only": True, "bot_id": bot["bot_id"]})
    return sorted(one["position_id"] for one in page["items"])


class TestSubscriptions:
    async def test_f041_every_range_ends_where_it_says(self, desk):
        bot = await desk.create_bot()
        made = await desk.subscribe(bot, await desk.open_account("Ana"))
        path = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        other = await desk.open_account("Bruno")
        join = {"bot_id": bot["bot_id"], "account_id": other}
        refused = {}
        for name, limits in SUBSCRIPTION_RANGES.items():
            for end in (limits.minimum, limits.maximum):
                changed = await desk.ask("PATCH", path, json={name: value_of(name, end)})
                assert Decimal(changed[name]) == end
                out = {name: beyond(name, end, above=end == limits.maximum)}
                refused[name, end, "POST"] = await refusal(desk, "POST", SUBSCRIPTIONS, **join, **out)
                refused[name, end, "PATCH"] = await refusal(desk, "PATCH", path, **out)

        assert set(refused.values()) == {(422, "SETTING_OUT_OF_RANGE")}

    async def test_f041_overrides_are_optional_and_a_user_may_have_several_accounts(self, desk):
        bot = await desk.create_bot(default_leverage=7, default_margin_usd="70")
        accounts = [await desk.open_account(name) for name in ("main", "second", "third")]

        body = {"bot_id": bot["bot_id"], "account_ids": accounts[:2]}
        several = await desk.ask("POST", f"{SUBSCRIPTIONS}/multi", json=body)
        alone = await desk.subscribe(bot, accounts[2])
        twice = await refusal(desk, "POST", SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=accounts[0])
        receipt = await signal(desk, bot, "buy", "ETHUSDT")

        made = several["subscriptions"]
        assert [one["account_id"] for one in made] == accounts[:2]
        assert len({one["config_group_id"] for one in made} - {None}) == 1
        assert alone["config_group_id"] is None
        assert {(one["effective"]["leverage"], one["effective"]["margin_usd"]) for one in [*made, alone]} == {
            (7, "70")
        }
        assert twice == (409, "SUBSCRIPTION_EXISTS")
        assert outcomes(receipt) == dict.fromkeys(("main", "second", "third"), ("filled", None))

    async def test_f041_a_paused_one_only_closes(self, desk):
        bot, followers = await joined(desk)
        path = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}"
        await signal(desk, bot, "buy", "ETHUSDT")
        await desk.ask("PATCH", path, json={"status": "paused"})

        entry = await signal(desk, bot, "buy", "SOLUSDT")
        close = await signal(desk, bot, "close", "ETHUSDT")
        await desk.ask("PATCH", path, json={"status": "active"})
        resumed = await signal(desk, bot, "sell", "ETHUSDT")

        assert outcomes(entry) == {"Ana": ("denied", "SUBSCRIPTION_PAUSED"), "Bruno": ("filled", None)}
        assert outcomes(close) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))
        assert outcomes(resumed) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))

    async def test_f041_a_canceled_one_takes_part_no_more_and_is_still_closed(self, desk):
        bot, followers = await joined(desk)
        await signal(desk, bot, "buy", "ETHUSDT")
        path = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}"

        canceled = await desk.ask("DELETE", path)
        entry = await signal(desk, bot, "buy", "SOLUSDT")
        close = await signal(desk, bot, "close", "ETHUSDT")

        assert (canceled["status"], canceled["close_signal_id"]) == ("canceled", None)
        assert outcomes(entry) == {"Bruno": ("filled", None)}
        assert outcomes(close) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))
        assert await refusal(desk, "PATCH", path, status="active") == (409, "SUBSCRIPTION_CANCELED")

    async def test_f041_what_a_canceled_one_holds_is_closed_by_a_signal_to_the_other_side(self, desk):
        bot, followers = await joined(desk)
        await signal(desk, bot, "buy", "ETHUSDT")
        await desk.ask("DELETE", f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}")

        reverse = await signal(desk, bot, "sell", "ETHUSDT")

        told = {(row["account"], row["leg"]): (row["outcome"], row["code"]) for row in reverse["rows"]}
        assert told == {
            ("Ana", "exit"): ("filled", None),
            ("Ana", "entry"): ("denied", "SUBSCRIPTION_PAUSED"),
            ("Bruno", "exit"): ("filled", None),
            ("Bruno", "entry"): ("filled", None),
        }
        assert await held(desk) == [(followers["Bruno"]["account_id"], "ETHUSDT")]

    async def test_f041_canceling_closes_what_is_its_own_where_that_is_asked(self, desk):
        bot, followers = await joined(desk)
        ana, bruno = followers["Ana"], followers["Bruno"]
        for symbol in ("ETHUSDT", "SOLUSDT"):
            await signal(desk, bot, "buy", symbol)

        canceled = await desk.ask(
            "DELETE", f"{SUBSCRIPTIONS}/{ana['subscription_id']}", params={"open_positions": "close"}
        )
        receipt = await desk.receipt(canceled["close_signal_id"])

        assert canceled["status"] == "canceled"
        assert [(row["account"], row["leg"], row["outcome"]) for row in receipt["rows"]] == [
            ("Ana", "exit", "filled")
        ] * 2
        assert await held(desk) == [(bruno["account_id"], "ETHUSDT"), (bruno["account_id"], "SOLUSDT")]

    async def test_f041_nothing_stays_open_whatever_a_closing_archive_meets(self, desk):
        """An entry that is undecided, planned or on the wire at that moment: declined, or closed as soon as it fills."""
        bots = [(await joined(desk))[0] for _ in range(4)]
        for symbol, bot in zip(("ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"), bots, strict=True):
            path = f"{BOTS}/webhook/master/{bot['webhook_path']}"
            body = {"ticker": symbol, "action": "buy", "secret": bot["secret"]}
            entry = await desk.ask("POST", path, params={"wait": "0"}, json=body)
            archived = await desk.ask("DELETE", f"{BOTS}/{bot['bot_id']}", params={"open_positions": "close"})

            await desk.receipt(entry["signal_id"])
            if archived["close_signal_id"] is not None:
                await desk.receipt(archived["close_signal_id"])

        assert await held(desk) == []


class TestEffectiveSettings:
    async def test_f046_precedence_field_by_field_and_zero_is_a_value(self, desk):
        bot = await desk.create_bot(default_leverage=10, default_margin_usd="50")
        made = await desk.subscribe(bot, await desk.open_account("Ana"))
        path = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        fields = {  # what the four levels say, the widest first
            "leverage": ("default_leverage", 10, 11, 12, 13),
            "margin_usd": ("default_margin_usd", "50", "51", "52", "53"),
            "stop_loss_pct": ("default_stop_loss_pct", "2.5", "3", "0", "4"),
            "take_profit_pct": ("default_take_profit_pct", "5", "6", "0", "0"),
        }
        bots_row = {name: values[2] for name, values in fields.items()}
        customs = {f"custom_{name}": values[3] for name, values in fields.items()}
        own_row = {name: values[4] for name, values in fields.items()}

        async def effective(symbol: str = "BTCUSDT") -> dict[str, Any]:
            shown = await desk.ask("GET", f"{path}/effective", params={"symbol": symbol})
            return {name: shown[name] for name in fields}

        seen = [await effective()]
        await desk.ask("PUT", f"{BOTS}/{bot['bot_id']}/symbol-configs/BTCUSDT", json=bots_row)
        seen.append(await effective("btc-usdt"))
        await desk.ask("PATCH", path, json=customs)
        seen.append(await effective("BTCUSDT.P"))
        await desk.ask("POST", f"{path}/symbol-configs", json={"symbol": "BTCUSDT", **own_row})
        seen.append(await effective())
        others = await effective("ETHUSDT")
        await desk.ask("PATCH", path, json=dict.fromkeys(customs))
        unset = await effective("ETHUSDT")

        assert seen == [{name: values[level] for name, values in fields.items()} for level in (1, 2, 3, 4)]
        assert others == seen[2]
        assert unset == seen[0]

    @pytest.mark.parametrize(
        ("step", "quantities"),
        [
            ("0.00001", {"Ana": "0.00105", "Bruno": "0.00525"}),
            ("0.001", {"Ana": "0.001", "Bruno": "0.005"}),
        ],
    )
    async def test_f046_f047_the_seeds_two_users_trade_5x_20_and_10x_50(
        self, database, tmp_path, step, quantities
    ):
        paper = PaperSettings(still=True, listings=(f"BTCUSDT:step={step},notional_min=5",))
        async with running_desk(database, tmp_path, paper=paper) as desk:
            bot, followers = await joined(desk)
            await set_price(desk, "BTCUSDT", "95200")

            receipt = await signal(desk, bot, "buy", "BTCUSDT")

        effective = {name: one["effective"] for name, one in followers.items()}
        assert {name: (one["leverage"], one["margin_usd"]) for name, one in effective.items()} == {
            "Ana": (5, "20"),
            "Bruno": (10, "50"),
        }
        assert outcomes(receipt) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))
        assert {row["account"]: row["filled_quantity"] for row in receipt["rows"]} == quantities

    async def test_f047_below_the_venues_minimum_is_skipped_with_the_numbers(self, desk):
        bot, _ = await joined(desk)
        await set_price(desk, "BTCUSDT", "95200")

        receipt = await signal(desk, bot, "buy", "BTCUSDT")

        [ana] = [row for row in receipt["rows"] if row["account"] == "Ana"]
        assert outcomes(receipt) == {"Ana": ("denied", "NOTIONAL_BELOW_MINIMUM"), "Bruno": ("filled", None)}
        assert "notional=95.2 minimum=100" in ana["reason"]

    async def test_f046_a_symbols_row_trades_with_its_own_size(self, desk):
        bot, followers = await joined(desk)
        await set_price(desk, "ETHUSDT", "3000")
        row = {"symbol": "ETHUSDT", "leverage": 20, "margin_usd": "30"}
        path = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}/symbol-configs"
        await desk.ask("POST", path, json=row)

        receipt = await signal(desk, bot, "buy", "ETHUSDT")

        assert {row["account"]: row["quantity"] for row in receipt["rows"]} == {
            "Ana": "0.2",
            "Bruno": "0.166",
        }


class TestSymbolRows:
    async def test_f058_every_range_ends_where_it_says(self, desk):
        bot = await desk.create_bot()
        made = await desk.subscribe(bot, await desk.open_account("Ana"))
        bots, own = (
            f"{BOTS}/{bot['bot_id']}/symbol-configs/BTCUSDT",
            f"{SUBSCRIPTIONS}/{made['subscription_id']}/symbol-configs",
        )
        refused = {}
        for name, limits in SYMBOL_RANGES.items():
            for end in (limits.minimum, limits.maximum):
                value, out = value_of(name, end), beyond(name, end, above=end == limits.maximum)
                of_bot = await desk.ask("PUT", bots, json={name: value})
                of_own = await desk.ask("POST", own, json={"symbol": "BTCUSDT", name: value})
                assert Decimal(of_bot[name]) == Decimal(of_own[name]) == end
                refused[name, end, "PUT"] = await refusal(desk, "PUT", bots, **{name: out})
                refused[name, end, "POST"] = await refusal(desk, "POST", own, symbol="BTCUSDT", **{name: out})

        assert set(refused.values()) == {(422, "SETTING_OUT_OF_RANGE")}

    async def test_f058_rows_are_of_one_symbol_and_shown_where_they_count(self, desk):
        bot = await desk.create_bot(symbols=[{"symbol": "btc-usdt", "leverage": 3}])
        made = await desk.subscribe(bot, await desk.open_account("Ana"))
        path = f"{SUBSCRIPTIONS}/{made['subscription_id']}"

        copied = await desk.ask("POST", f"{path}/symbol-configs/sync-from-bot")
        await desk.ask(
            "POST", f"{path}/symbol-configs/toggle-symbol", json={"symbol": "ETHUSDT", "is_active": False}
        )
        shown = await desk.ask("GET", path)

        assert copied["copied"] == ["BTCUSDT"]
        assert {symbol: one["is_active"] for symbol, one in shown["effective_by_symbol"].items()} == {
            "BTCUSDT": True,
            "ETHUSDT": False,
        }
        assert shown["effective_by_symbol"]["BTCUSDT"]["leverage"] == 3

    async def test_f058_a_disabled_symbol_is_skipped_by_that_subscription_and_still_closed(self, desk):
        bot, followers = await joined(desk)
        path = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}/symbol-configs/toggle-symbol"
        await signal(desk, bot, "buy", "ETHUSDT")

        await desk.ask("POST", path, json={"symbol": "ETHUSDT", "is_active": False})
        closed = await signal(desk, bot, "close", "ETHUSDT")
        skipped = await signal(desk, bot, "sell", "ETHUSDT")
        other = await signal(desk, bot, "buy", "SOLUSDT")
        await desk.ask("POST", path, json={"symbol": "ETHUSDT", "is_active": True})
        await signal(desk, bot, "close", "ETHUSDT")
        again = await signal(desk, bot, "buy", "ETHUSDT")

        both = dict.fromkeys(("Ana", "Bruno"), ("filled", None))
        assert outcomes(closed) == outcomes(other) == outcomes(again) == both
        assert outcomes(skipped) == {"Ana": ("denied", "SYMBOL_DISABLED"), "Bruno": ("filled", None)}
        [ana] = [row for row in skipped["rows"] if row["account"] == "Ana"]
        assert "symbol=ETHUSDT level=subscription" in ana["reason"]

    async def test_f058_a_symbol_the_bot_disables_is_skipped_by_everybody(self, desk):
        bot, followers = await joined(desk)
        own = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}/symbol-configs"
        await desk.ask("POST", own, json={"symbol": "ETHUSDT", "leverage": 3})
        await desk.ask("PUT", f"{BOTS}/{bot['bot_id']}/symbol-configs/eth-usdt", json={"is_active": False})

        skipped = await signal(desk, bot, "buy", "ETHUSDT")

        assert outcomes(skipped) == dict.fromkeys(("Ana", "Bruno"), ("denied", "SYMBOL_DISABLED"))
        assert {"level=bot" in row["reason"] for row in skipped["rows"]} == {True}

    async def test_f058_a_symbols_own_limit_of_positions_counts(self, desk):
        """0 is a limit: nothing is opened, and other symbols are."""
        bot, followers = await joined(desk)
        own = f"{SUBSCRIPTIONS}/{followers['Ana']['subscription_id']}/symbol-configs"
        await desk.ask("POST", own, json={"symbol": "ETHUSDT", "max_positions": 0})

        limited = await signal(desk, bot, "buy", "ETHUSDT")
        other = await signal(desk, bot, "buy", "SOLUSDT")

        assert outcomes(limited)["Ana"] == ("denied", "POSITIONS_AT_LIMIT")
        assert outcomes(limited)["Bruno"] == ("filled", None)
        assert outcomes(other) == dict.fromkeys(("Ana", "Bruno"), ("filled", None))


WIDE = {"custom_leverage": 5, "custom_margin_usd": "2000", "max_daily_loss_usd": "1000000"}


class TestLimits:
    """F051: what is set over HTTP stops entries at its level, with its reason, and lets closes pass."""

    async def _lose(self, desk: WholeDesk, bot: dict[str, Any]) -> None:
        """Lose about 100 USD on ETHUSDT, and hold SOLUSDT."""
        await set_price(desk, "ETHUSDT", "3000")
        await signal(desk, bot, "buy", "SOLUSDT")
        await signal(desk, bot, "buy", "ETHUSDT")
        await set_price(desk, "ETHUSDT", "2970")
        await signal(desk, bot, "close", "ETHUSDT")

    @pytest.mark.parametrize(
        ("level", "stops_others"),
        [("subscription", True), ("bot", True), ("subscription_symbol", False), ("bot_symbol", False)],
    )
    async def test_f051_the_daily_loss_of_each_level(self, desk, level, stops_others):
        bot = await desk.create_bot()
        made = await desk.subscribe(bot, await desk.open_account("Ana"), **WIDE)
        own = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        limit = {
            "subscription": ("PATCH", own, {"max_daily_loss_usd": "50"}),
            "bot": ("PATCH", f"{BOTS}/{bot['bot_id']}", {"global_max_daily_loss_usd": "50"}),
            "subscription_symbol": (
                "POST",
                f"{own}/symbol-configs",
                {"symbol": "ETHUSDT", "max_daily_loss_usd": "50"},
            ),
            "bot_symbol": (
                "PUT",
                f"{BOTS}/{bot['bot_id']}/symbol-configs/ETHUSDT",
                {"max_daily_loss_usd": "50"},
            ),
        }
        await self._lose(desk, bot)
        before = await signal(desk, bot, "buy", "ETHUSDT")
        await signal(desk, bot, "close", "ETHUSDT")

        method, path, body = limit[level]
        await desk.ask(method, path, json=body)
        stopped = await signal(desk, bot, "buy", "ETHUSDT")
        other = await signal(desk, bot, "buy", "XRPUSDT")
        close = await signal(desk, bot, "close", "SOLUSDT")

        assert outcomes(before) == outcomes(close) == {"Ana": ("filled", None)}
        assert reason_of(stopped) == (
            "GLOBAL_LOSS_DECLINED" if level == "bot" else f"DAILY_LOSS_AT_LIMIT level={level}"
        )
        assert (reason_of(other) == reason_of(stopped)) is stops_others

    @pytest.mark.parametrize(
        ("level", "stops_others"),
        [("subscription", True), ("bot", True), ("subscription_symbol", False), ("bot_symbol", False)],
    )
    async def test_f051_the_positions_of_each_level(self, desk, level, stops_others):
        bot = await desk.create_bot()
        made = await desk.subscribe(bot, await desk.open_account("Ana"), max_concurrent_positions=10)
        own = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        limit = {
            "subscription": ("PATCH", own, {"max_concurrent_positions": 1}),
            "bot": ("PATCH", f"{BOTS}/{bot['bot_id']}", {"global_max_positions": 1}),
            "subscription_symbol": (
                "POST",
                f"{own}/symbol-configs",
                {"symbol": "ETHUSDT", "max_positions": 0},
            ),
            "bot_symbol": ("PUT", f"{BOTS}/{bot['bot_id']}/symbol-configs/ETHUSDT", {"max_positions": 0}),
        }
        await signal(desk, bot, "buy", "SOLUSDT")

        method, path, body = limit[level]
        await desk.ask(method, path, json=body)
        stopped = await signal(desk, bot, "buy", "ETHUSDT")
        other = await signal(desk, bot, "buy", "XRPUSDT")
        close = await signal(desk, bot, "close", "SOLUSDT")

        assert reason_of(stopped) == (
            "GLOBAL_POSITIONS_DECLINED" if level == "bot" else f"POSITIONS_AT_LIMIT level={level}"
        )
        assert (reason_of(other) == reason_of(stopped)) is stops_others
        assert outcomes(close) == {"Ana": ("filled", None)}


def reason_of(receipt: dict[str, Any]) -> str | None:
    """Give why a signal was declined, or its one order denied: the code, and the level where there is one."""
    if receipt["code"] is not None:
        return str(receipt["code"])
    [row] = receipt["rows"]
    return None if row["code"] is None else f"{row['code']} {row['reason'].split()[0]}"
