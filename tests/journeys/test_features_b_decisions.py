"""System B over HTTP: what a bot's checks say to a signal, and what a person is asked (F059)."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import WholeDesk, running_desk

APPROVALS = "/api/v1/approvals"
MINE = "/api/v1/bot-subscriptions/my-subscriptions"
PASSWORD = "correct horse battery staple"
PRICE_STANDS_SECONDS = 1.3  # a quote may be a second old where no stream has told another
numbers = itertools.count(1)


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as running:
        yield running


async def set_price(desk: WholeDesk, symbol: str, price: str) -> None:
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post("/paper/prices", json={"symbol": symbol, "price": price})
        assert answer.status_code == 200, answer.text
    await asyncio.sleep(PRICE_STANDS_SECONDS)


async def posted(
    desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str = "BTCUSDT"
) -> httpx.Response:
    """Post an alert nobody posted before."""
    alert = {"ticker": symbol, "action": action, "alert_id": f"alert {next(numbers)}"}
    answer = await desk.post(bot, json.dumps(alert))
    assert answer.status_code in (200, 202), answer.text
    return answer


async def signal(
    desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    """Post an alert and give its complete receipt."""
    return await desk.receipt((await posted(desk, bot, action, symbol)).json()["signal_id"])


async def followed(desk: WholeDesk, *, accounts: int = 1, **settings: Any) -> dict[str, Any]:
    """Give a bot that so many accounts follow."""
    bot = await desk.create_bot(default_margin_usd="500", **settings)
    for number in range(accounts):
        account = await desk.open_account(f"account {number} of {bot['bot_id']}")
        await desk.subscribe(bot, account, max_concurrent_positions=10)
    return bot


async def change(desk: WholeDesk, bot: dict[str, Any], **settings: Any) -> dict[str, Any]:
    changed: dict[str, Any] = await desk.ask("PATCH", f"/api/v1/bots/{bot['bot_id']}", json=settings)
    return changed


async def live(desk: WholeDesk, bot: dict[str, Any]) -> list[tuple[str, str]]:
    query = {"live_only": True, "bot_id": bot["bot_id"]}
    page = await desk.ask("GET", "/api/v1/positions", params=query)
    return sorted((one["symbol"], one["direction"]) for one in page["items"])


def verdict(receipt: dict[str, Any], check: str) -> dict[str, Any]:
    [found] = [one for one in receipt["verdicts"] if one["check"] == check]
    return {"passed": found["passed"], **found["numbers"]}


async def orders_at_the_venue(desk: WholeDesk) -> int:
    """Count what reached the venue, as its own books say."""
    return sum(len(account["orders"]) for account in (await desk.paper_books()).values())


async def enroll(desk: WholeDesk, name: str, role: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Give a user, and the header he comes in with."""
    user = {"email": f"{name}@desk.test", "name": name, "role": role, "password": PASSWORD}
    made = await desk.ask("POST", "/api/v1/admin/users", json=user)
    credentials = {"email": made["email"], "password": PASSWORD}
    login = await desk.ask("POST", "/api/v1/auth/login", json=credentials)
    return made, {"Authorization": f"Bearer {login['token']}"}


def closed_window() -> dict[str, Any]:
    """Give hours that are neither today nor tomorrow, in any zone."""
    return {"days": [(datetime.now(UTC).isoweekday() + 2) % 7 + 1], "start": "09:00", "end": "17:00"}


class TestDirections:
    @pytest.mark.parametrize(
        ("allowed", "entry", "opposite", "direction"),
        [("buy_only", "buy", "sell", "long"), ("sell_only", "sell", "buy", "short")],
    )
    async def test_f059_the_other_way_is_filtered_when_flat_and_closes_what_is_held(
        self, desk, allowed, entry, opposite, direction
    ):
        bot = await followed(desk, accounts=2, allowed_directions=allowed)

        filtered = await signal(desk, bot, opposite)
        entered = await signal(desk, bot, entry)
        between = await live(desk, bot)
        closed = await signal(desk, bot, opposite)

        assert (filtered["status"], filtered["code"], filtered["rows"]) == (
            "declined",
            "DIRECTION_DECLINED",
            [],
        )
        assert verdict(filtered, "DIRECTION") == {
            "passed": False,
            "side": opposite,
            "allowed_directions": allowed,
            "positions_against": "0",
        }
        assert [row["outcome"] for row in entered["rows"]] == ["filled"] * 2
        assert between == [("BTCUSDT", direction)] * 2
        assert (closed["status"], closed["action"]) == ("settled", "close")
        assert [(row["leg"], row["outcome"]) for row in closed["rows"]] == [("exit", "filled")] * 2
        assert verdict(closed, "DIRECTION")["positions_against"] == "2"
        assert await live(desk, bot) == []

    async def test_f059_the_other_way_closes_on_the_accounts_that_hold_and_opens_on_none(self, desk):
        """One account followed later: it is flat when the sell comes, and stays it."""
        bot = await followed(desk, allowed_directions="buy_only")
        await signal(desk, bot, "buy")
        late = await desk.open_account("follows later")
        await desk.subscribe(bot, late)

        closed = await signal(desk, bot, "sell")

        told = {row["account"]: (row["leg"], row["outcome"], row["code"]) for row in closed["rows"]}
        assert told == {
            f"account 0 of {bot['bot_id']}": ("exit", "filled", None),
            "follows later": ("exit", "denied", "NOTHING_OPEN"),
        }
        assert await live(desk, bot) == []


class TestChecks:
    @pytest.mark.parametrize(
        ("settings", "code", "numbers"),
        [
            ({"trading_symbol": "ETHUSDT"}, "SYMBOL_DECLINED", {"symbol": "BTCUSDT", "trading_symbol": "ETHUSDT"}),
            (
                {"allowed_symbols": ["ETHUSDT", "LTCUSDT"]}, "ALLOW_LIST_DECLINED",
                {"symbol": "BTCUSDT", "allowed_symbols": "ETHUSDT,LTCUSDT"},
            ),
            (
                {"max_entries_per_day": 0}, "DAILY_ENTRIES_DECLINED",
                {"entries_today": "0", "max_entries_per_day": "0"},
            ),
            (
                {"global_max_positions": 0}, "GLOBAL_POSITIONS_DECLINED",
                {"live_positions": "0", "global_max_positions": "0", "positions_here": "0"},
            ),
            (
                {"global_max_daily_loss_usd": "0"}, "GLOBAL_LOSS_DECLINED",
                {"loss_today_usd": "0", "global_max_daily_loss_usd": "0"},
            ),
        ],
    )  # fmt: skip
    async def test_decline_with_their_numbers(self, desk, settings, code, numbers):
        bot = await followed(desk, **settings)

        receipt = await signal(desk, bot, "buy")

        assert (receipt["status"], receipt["code"], receipt["rows"]) == ("declined", code, [])
        assert verdict(receipt, code.removesuffix("_DECLINED")) == {"passed": False, **numbers}
        assert len(receipt["verdicts"]) == 11

    async def test_decline_for_a_paused_bot_and_outside_its_hours(self, desk):
        bot = await followed(desk, trading_hours=[closed_window()])

        outside = await signal(desk, bot, "buy")
        await change(desk, bot, status="paused")
        paused = await signal(desk, bot, "buy")

        hours = f"{closed_window()['days'][0]}@09:00-17:00@UTC"
        assert (outside["code"], verdict(outside, "TRADING_HOURS")["trading_hours"]) == (
            "TRADING_HOURS_DECLINED",
            hours,
        )
        assert (paused["code"], verdict(paused, "BOT_STATUS")) == (
            "BOT_STATUS_DECLINED",
            {"passed": False, "status": "paused"},
        )
        assert verdict(paused, "TRADING_HOURS")["passed"] is False

    async def test_decline_a_second_entry_on_a_symbol_that_cools_down(self, desk):
        bot = await followed(desk, cooldown_seconds=600)

        first = await signal(desk, bot, "buy")
        again = await signal(desk, bot, "buy")
        elsewhere = await signal(desk, bot, "buy", "ETHUSDT")

        told = verdict(again, "COOLDOWN")
        assert (first["status"], elsewhere["status"]) == ("settled", "settled")
        assert (again["code"], told["cooldown_seconds"]) == ("COOLDOWN_DECLINED", "600")
        assert 0 <= float(told["since_last_entry_seconds"]) < 60

    async def test_decline_what_is_beyond_the_entries_of_a_day(self, desk):
        bot = await followed(desk, max_entries_per_day=2)

        receipts = [await signal(desk, bot, "buy", symbol) for symbol in ("BTCUSDT", "ETHUSDT", "LTCUSDT")]

        assert [one["code"] for one in receipts] == [None, None, "DAILY_ENTRIES_DECLINED"]
        assert verdict(receipts[2], "DAILY_ENTRIES")["entries_today"] == "2"

    async def test_decline_when_all_together_hold_as_much_as_they_may(self, desk):
        bot = await followed(desk, accounts=2, global_max_positions=2)

        receipts = [await signal(desk, bot, "buy", symbol) for symbol in ("BTCUSDT", "ETHUSDT")]

        assert [one["code"] for one in receipts] == [None, "GLOBAL_POSITIONS_DECLINED"]
        assert verdict(receipts[1], "GLOBAL_POSITIONS") == {
            "passed": False,
            "live_positions": "2",
            "global_max_positions": "2",
            "positions_here": "0",
        }

    async def test_let_what_is_held_be_reversed_when_all_together_hold_as_much_as_they_may(self, desk):
        bot = await followed(desk, accounts=2, global_max_positions=2)
        await signal(desk, bot, "buy")

        reversed_ = await signal(desk, bot, "sell")

        assert sorted((row["leg"], row["outcome"]) for row in reversed_["rows"]) == [
            *[("entry", "filled")] * 2,
            *[("exit", "filled")] * 2,
        ]
        assert await live(desk, bot) == [("BTCUSDT", "short")] * 2

    async def test_close_what_an_entry_goes_against_although_they_stop_it(self, desk):
        """F051: behind a bot that only buys and sells, declining the sell would keep everybody in what loses."""
        bot = await followed(desk, accounts=3)
        ignoring = (await desk.ask("GET", MINE, params={"bot_id": bot["bot_id"]}))["items"][2]
        await desk.ask(
            "PATCH",
            f"/api/v1/bot-subscriptions/{ignoring['subscription_id']}",
            json={"custom_opposite_side": "ignore"},
        )
        await signal(desk, bot, "buy")
        await change(desk, bot, global_max_daily_loss_usd="0")

        receipt = await signal(desk, bot, "sell")

        assert (receipt["status"], receipt["action"], receipt["code"]) == ("settled", "close", None)
        assert verdict(receipt, "GLOBAL_LOSS")["passed"] is False
        assert sorted((row["leg"], row["outcome"], row["code"]) for row in receipt["rows"]) == [
            ("exit", "denied", "OPPOSITE_SIDE_OPEN"),
            ("exit", "filled", None),
            ("exit", "filled", None),
        ]
        assert await live(desk, bot) == [("BTCUSDT", "long")]

    async def test_decline_when_all_together_have_lost_as_much_as_they_may(self, desk):
        bot = await followed(desk, accounts=2, global_max_daily_loss_usd="100")
        await set_price(desk, "BTCUSDT", "95000")
        await signal(desk, bot, "buy")
        await set_price(desk, "BTCUSDT", "94000")
        await signal(desk, bot, "close")

        receipt = await signal(desk, bot, "buy", "ETHUSDT")

        told = verdict(receipt, "GLOBAL_LOSS")
        assert (receipt["code"], told["global_max_daily_loss_usd"]) == ("GLOBAL_LOSS_DECLINED", "100")
        assert 100 <= float(told["loss_today_usd"]) < 130  # 2 accounts, 5,000 USD each, 1.05 % and fees

    async def test_decline_what_became_too_old_while_the_desk_was_busy(self, database, tmp_path):
        still = PaperSettings(still=True)
        async with running_desk(database, tmp_path, paper=still, signal_age_seconds_max=1) as desk:
            bot = await followed(desk)
            busy = await asyncpg.connect(database)
            async with busy.transaction():
                await busy.execute("LOCK TABLE pregao.accounts IN ACCESS EXCLUSIVE MODE")
                answer = await posted(desk, bot, "buy")
                await asyncio.sleep(1.5)
            await busy.close()

            receipt = await desk.receipt(answer.json()["signal_id"])

        assert receipt["code"] == "AGE_DECLINED"
        assert float(verdict(receipt, "AGE")["left_seconds"]) < 0

    async def test_never_keep_anybody_in_a_position(self, desk):
        """F051: closes pass them all, and wait for nobody."""
        bot = await followed(desk, accounts=2)
        await signal(desk, bot, "buy")
        await change(
            desk,
            bot,
            allowed_directions="buy_only",
            trading_symbol="ETHUSDT",
            allowed_symbols=["ETHUSDT"],
            trading_hours=[closed_window()],
            cooldown_seconds=600,
            max_entries_per_day=0,
            global_max_daily_loss_usd="0",
            global_max_positions=0,
            approval="manual",
        )
        await change(desk, bot, status="paused")

        closed = await signal(desk, bot, "close")

        assert [(row["leg"], row["outcome"]) for row in closed["rows"]] == [("exit", "filled")] * 2
        assert closed["verdicts"] == []
        assert await live(desk, bot) == []


class TestManualApproval:
    @asynccontextmanager
    async def asked(self, desk, *, bot=None, **settings):
        """Post an entry to a bot that asks a person; give the signal's id when it waits for one."""
        bot = bot or await followed(desk, accounts=2, approval="manual", **settings)
        await set_price(desk, "BTCUSDT", "95000")
        answer = await posted(desk, bot, "buy")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        signal_id = answer.json()["signal_id"]
        async with asyncio.timeout(5):
            while not (waiting := (await desk.ask("GET", APPROVALS))["items"]):
                await asyncio.sleep(0.05)
        assert [one["signal_id"] for one in waiting] == [signal_id]
        yield signal_id

    async def test_shows_what_is_asked_and_trades_nothing_before(self, desk):
        async with self.asked(desk) as signal_id:
            [line] = (await desk.ask("GET", APPROVALS))["items"]
            receipt = await desk.ask("GET", f"/api/v1/signals/{signal_id}/receipt")

        assert (line["symbol"], line["side"], line["venue"], line["subscriptions"]) == (
            "BTCUSDT", "buy", "paper", 2,
        )  # fmt: skip
        assert (line["price_then"], line["price_move_pct_max"]) == ("95000", "1")
        assert 290 <= line["seconds_left"] <= 300
        assert len(line["verdicts"]) == 11
        assert (receipt["status"], receipt["is_complete"], receipt["rows"]) == ("pending", False, [])
        assert receipt["approval"]["price_then"] == "95000"
        assert await orders_at_the_venue(desk) == 0

    async def test_follows_the_settings_as_they_were_changed_last(self, desk):
        bot = await followed(desk, accounts=2)
        shown = await change(desk, bot, approval="manual", approval_seconds=60, approval_price_move_pct="0.5")
        async with self.asked(desk, bot=bot) as signal_id:
            line = await desk.ask("GET", f"{APPROVALS}/{signal_id}")
            await set_price(desk, "BTCUSDT", "95600")  # 0.63 %
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve")
            receipt = await desk.receipt(signal_id)

        assert (shown["approval"], shown["approval_seconds"], shown["approval_price_move_pct"]) == (
            "manual", 60, "0.5",
        )  # fmt: skip
        assert 50 <= line["seconds_left"] <= 60
        assert (receipt["code"], receipt["rows"]) == ("PRICE_MOVED", [])

    async def test_approved_is_traded_once_on_every_account(self, desk):
        async with self.asked(desk) as signal_id:
            told = await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve", json={"reason": "as planned"})
            receipt = await desk.receipt(signal_id)
            again = await desk.client.post(f"{APPROVALS}/{signal_id}/approve")
            line = await desk.ask("GET", f"{APPROVALS}/{signal_id}")

        assert (again.status_code, again.json()["error"]["code"]) == (409, "APPROVAL_ANSWERED")
        assert (line["status"], line["is_approved"], line["code"]) == ("settled", True, None)
        assert await orders_at_the_venue(desk) == 2
        assert (told["is_approved"], told["answered_by"]) == (True, "admin token")
        assert [row["outcome"] for row in receipt["rows"]] == ["filled"] * 2
        assert (receipt["approval"]["is_approved"], receipt["approval"]["reason"]) == (True, "as planned")
        assert verdict(receipt, "PRICE_MOVE") == {
            "passed": True,
            "price_then": "95000",
            "price_now": "95000",
            "approval_price_move_pct": "1",
            "moved_pct": "0",
        }

    async def test_declined_is_not_traded_and_says_who_and_why(self, desk):
        async with self.asked(desk) as signal_id:
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/decline", json={"reason": "news at two"})
            receipt = await desk.receipt(signal_id)
            [line] = (await desk.ask("GET", APPROVALS, params={"status": "answered"}))["items"]

        assert (receipt["code"], receipt["reason"], receipt["rows"]) == (
            "DECLINED_BY_PERSON", "answered_by=admin token reason=news at two", [],
        )  # fmt: skip
        assert (line["signal_id"], line["code"], line["reason"]) == (
            signal_id, "DECLINED_BY_PERSON", "news at two",
        )  # fmt: skip
        assert await orders_at_the_venue(desk) == 0

    async def test_expires_when_nobody_answers(self, desk):
        async with self.asked(desk, approval_seconds=5) as signal_id:
            receipt = await desk.receipt(signal_id)
            late = await desk.client.post(f"{APPROVALS}/{signal_id}/approve")

        assert (receipt["code"], receipt["rows"]) == ("APPROVAL_EXPIRED", [])
        assert receipt["approval"]["answered_by"] == "clock"
        assert (late.status_code, late.json()["error"]["code"]) == (409, "APPROVAL_EXPIRED")
        assert (await desk.ask("GET", APPROVALS))["items"] == []
        assert await orders_at_the_venue(desk) == 0

    @pytest.mark.parametrize(("price", "code"), [("96000", "PRICE_MOVED"), ("95900", None)])
    async def test_counts_only_at_about_the_same_price(self, desk, price, code):
        async with self.asked(desk) as signal_id:
            await set_price(desk, "BTCUSDT", price)
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve")
            receipt = await desk.receipt(signal_id)
            line = await desk.ask("GET", f"{APPROVALS}/{signal_id}")

        told = verdict(receipt, "PRICE_MOVE")
        assert receipt["code"] == line["code"] == code
        assert told == verdict(line, "PRICE_MOVE")
        assert told == {
            "passed": code is None,
            "price_then": "95000",
            "price_now": price,
            "approval_price_move_pct": "1",
            "moved_pct": "1.0526" if code else "0.9474",
        }
        assert await orders_at_the_venue(desk) == len(receipt["rows"]) == (0 if code else 2)

    async def test_holds_up_no_exit(self, desk):
        """A close, a part of one, and a sell that may only close: nobody is asked."""
        bot = await followed(desk, accounts=2)
        await signal(desk, bot, "buy")
        await signal(desk, bot, "buy", "ETHUSDT")
        await change(desk, bot, approval="manual", allowed_directions="buy_only")
        alert = {"ticker": "ETHUSDT", "action": "close", "quantity": "50%", "alert_id": "half of it"}

        half = await desk.receipt((await desk.post(bot, json.dumps(alert))).json()["signal_id"])
        sold = await signal(desk, bot, "sell")
        rest = await signal(desk, bot, "close_all", "ETHUSDT")

        outcomes = [[(row["leg"], row["outcome"]) for row in one["rows"]] for one in (half, sold, rest)]
        assert outcomes == [[("exit", "filled")] * 2] * 3
        assert [one["approval"] for one in (half, sold, rest)] == [None] * 3
        assert await live(desk, bot) == []

    async def test_is_for_staff_and_what_came_of_it_is_in_the_followers_receipt(self, desk):
        ana, anas = await enroll(desk, "ana", "trader")
        _, bruno = await enroll(desk, "bruno", "viewer")
        account = await desk.open_account("Ana's", user_id=ana["user_id"])
        bot = await desk.create_bot(default_margin_usd="500", approval="manual")
        await desk.subscribe(bot, account)
        async with self.asked(desk, bot=bot) as signal_id:
            refused = [
                await desk.client.request(method, f"{APPROVALS}{path}", headers=headers)
                for headers in (anas, bruno)
                for method, path in (
                    ("GET", ""),
                    ("GET", f"/{signal_id}"),
                    ("POST", f"/{signal_id}/approve"),
                    ("POST", f"/{signal_id}/decline"),
                )
            ]
            nobody = await desk.client.post(f"{APPROVALS}/{signal_id}/approve", headers={"Authorization": ""})
            still = (await desk.ask("GET", f"{APPROVALS}/{signal_id}"))["status"]
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve")
            await desk.receipt(signal_id)
            path = f"/api/v1/signals/{signal_id}/receipt"
            seen = await desk.ask("GET", path, headers=anas)
            unseen = await desk.client.get(path, headers=bruno)
            log = (await desk.ask("GET", "/api/v1/admin/actions", params={"action": "approve_entry"}))[
                "items"
            ]

        told = {(one.status_code, one.json()["error"]["code"]) for one in refused}
        assert told == {(403, "ROLE_FORBIDDEN")}
        assert (nobody.status_code, still) == (401, "pending")
        assert ([row["outcome"] for row in seen["rows"]], seen["approval"]["is_approved"]) == (
            ["filled"],
            True,
        )
        assert unseen.status_code == 404
        assert [(one["principal"], one["status"]) for one in log] == [
            ("admin token", 200), ("", 401), ("session", 403), ("session", 403),
        ]  # fmt: skip

    @pytest.mark.parametrize("action", ["close", "close_all", "sell"])
    async def test_does_not_count_when_the_bot_went_the_other_way_meanwhile(self, desk, action):
        """Else the desk would open what its sender has left already, and nobody would come to close it."""
        bot = await followed(desk, accounts=2, approval="manual")
        async with self.asked(desk, bot=bot) as signal_id:
            await change(desk, bot, approval="automatic")
            left = await signal(desk, bot, action)
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve")
            receipt = await desk.receipt(signal_id)

        assert (receipt["code"], receipt["rows"]) == ("NEWER_SIGNAL_DECLINED", [])
        assert verdict(receipt, "NEWER_SIGNAL")["newer_signal"] == left["signal_id"]
        assert await live(desk, bot) == ([("BTCUSDT", "short")] * 2 if action == "sell" else [])

    async def test_does_not_count_for_a_bot_that_was_paused_meanwhile(self, desk):
        async with self.asked(desk) as signal_id:
            [line] = (await desk.ask("GET", APPROVALS))["items"]
            await change(desk, line, status="paused")
            await desk.ask("POST", f"{APPROVALS}/{signal_id}/approve")
            receipt = await desk.receipt(signal_id)

        assert (receipt["code"], receipt["rows"]) == ("BOT_STATUS_DECLINED", [])

    async def test_of_two_people_at_once_counts_one(self, desk):
        operators = [await enroll(desk, name, "operator") for name in ("ana", "bruno")]

        async with self.asked(desk) as signal_id:
            told = await asyncio.gather(
                *(
                    desk.client.post(f"{APPROVALS}/{signal_id}/{verb}", headers=headers)
                    for (_, headers), verb in zip(operators, ("approve", "decline"), strict=True)
                )
            )
            receipt = await desk.receipt(signal_id)

        assert sorted(one.status_code for one in told) == [200, 409]
        [lost] = [one.json()["error"] for one in told if one.status_code == 409]
        winner = [one.status_code for one in told].index(200)
        answered_by = f"{operators[winner][0]['email']}, session"
        told = lost["details"]["answered_by"], lost["details"]["is_approved"]
        assert (lost["code"], told) == ("APPROVAL_ANSWERED", (answered_by, winner == 0))
        assert receipt["approval"]["answered_by"] == answered_by
        assert receipt["code"] == (None if winner == 0 else "DECLINED_BY_PERSON")
        assert await orders_at_the_venue(desk) == len(receipt["rows"]) == (2 if winner == 0 else 0)
