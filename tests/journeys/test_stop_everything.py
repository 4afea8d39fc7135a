"""
F092 over HTTP: whoever looks after the desk stops it, and knows that it has stopped.

A halt answers once every live trader has acknowledged it: from then on nothing it forbids leaves, and exits go on.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pregao.edges.paper.serve import PaperSettings
from tests.fresh_database import fresh_database
from tests.journeys.test_features_b_trading import (
    Follower,
    alert,
    bot_with,
    enroll,
    follow,
    legs,
    misbehave,
    outcomes,
    say,
)
from tests.journeys.whole_desk import WholeDesk, running_desk

STATE = "/api/v1/trading-state"
PAPER = PaperSettings(still=True, weight_max=100_000)
FILLED = ("filled", None)
HALTED = ("denied", "TRADING_HALTED")
LEVELS = ("desk", "user", "account", "bot", "symbol")


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(
            database, tmp_path_factory.mktemp("state"), paper=PAPER, orders_in_flight_max=1
        ) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
async def resumed(desk: WholeDesk) -> AsyncIterator[None]:
    """Take back what a test has halted, and the faults it has made."""
    yield
    await misbehave(desk)
    for one in (await desk.ask("GET", STATE))["states"]:
        await set_state(desk, _scope_of(one), "active")


def _scope_of(state: dict[str, Any]) -> dict[str, Any]:
    level, subject = state["level"], state["subject"]
    venue, _, symbol = subject.partition(":")
    named = {
        "desk": {}, "user": {"user_id": subject}, "bot": {"bot_id": subject}, "symbol": {"venue": venue, "symbol": symbol},
    }  # fmt: skip
    return {"level": level, **(named[level] if level in named else {"account_id": int(subject)})}


async def set_state(
    desk: WholeDesk, scope: dict[str, Any], state: str = "halted", **more: Any
) -> dict[str, Any]:
    body = {**scope, "state": state, "reason": "the venue is mad", **more}
    told: dict[str, Any] = await desk.ask("POST", STATE, json=body)
    return told


async def scopes_of(desk: WholeDesk, bot: dict[str, Any], one: Follower) -> dict[str, dict[str, Any]]:
    return {
        "desk": {"level": "desk"},
        "user": {"level": "user", "user_id": one.user_id},
        "account": {"level": "account", "account_id": one.account_id},
        "bot": {"level": "bot", "bot_id": bot["bot_id"]},
        "symbol": {"level": "symbol", "venue": "paper", "symbol": "ETHUSDT"},
    }


def assert_stopped(receipt: dict[str, Any], one: Follower, *, code: str = "TRADING_HALTED") -> None:
    """See that the receipt says by which code the entry was stopped, and why."""
    if receipt["rows"]:
        assert outcomes(receipt)[one.name] == ("denied", code)
        reason = {row["account"]: row["reason"] for row in receipt["rows"]}[one.name]
    else:
        assert (receipt["status"], receipt["code"]) == ("declined", code)
        assert [verdict["check"] for verdict in receipt["verdicts"] if not verdict["passed"]] == [
            "TRADING_STATE"
        ]
        reason = receipt["reason"]
    assert "reason=the venue is mad" in reason


class TestTheKillSwitch:
    @pytest.mark.parametrize("state", ["halted", "reducing"])
    @pytest.mark.parametrize("level", LEVELS)
    async def test_f092_stops_entries_at_every_level_at_once_and_exits_go_on(self, desk, level, state):
        bot, _ = await bot_with(desk, 0)
        one = await follow(desk, bot, user_id=await enroll(desk))
        await say(desk, bot, "buy")
        scope = (await scopes_of(desk, bot, one))[level]

        told = await set_state(desk, scope, state)
        closed = await say(desk, bot, "close")
        stopped = await say(desk, bot, "buy")
        resumed = await set_state(desk, scope, "active")
        again = await say(desk, bot, "buy")

        assert (told["is_acknowledged"], told["waiting_for"]) == (True, [])
        assert [(row["level"], row["state"], row["reason"]) for row in told["states"]] == [
            (level, state, "the venue is mad")
        ]
        assert outcomes(closed) == {one.name: FILLED}
        assert_stopped(stopped, one, code=f"TRADING_{state.upper()}")
        assert (resumed["states"], resumed["is_acknowledged"]) == ([], True)
        assert outcomes(again) == {one.name: FILLED}

    async def test_f092_is_per_tenant_and_audited(self, desk):
        bot, [other] = await bot_with(desk, 1)
        ana = await enroll(desk)
        one = await follow(desk, bot, user_id=ana)

        switched = await desk.ask(
            "POST", "/api/admin/kill-switch/", json={"tenant_id": ana, "reason": "the venue is mad"}
        )
        bought = await say(desk, bot, "buy")
        actions = (await desk.ask("GET", "/api/v1/admin/actions"))["items"]

        assert (switched["success"], switched["trading_enabled"], switched["is_acknowledged"]) == (
            True,
            False,
            True,
        )
        assert outcomes(bought) == {one.name: HALTED, other.name: FILLED}
        [action] = [row for row in actions if row["action"] == "post_kill_switch"]
        assert (action["status"], action["targets"]["subject"]) == (200, ana)

    async def test_f092_takes_back_what_waits_for_its_turn(self, desk):
        """One order at a time here, and a venue that takes half a second for each."""
        bot, followers = await bot_with(desk, 6)
        await say(desk, bot, "buy")
        await say(desk, bot, "close")
        await misbehave(desk, {"kind": "late", "ms": 500, "endpoint": "POST /fapi/v1/order"})

        delivered = await desk.post(bot, alert("buy"))
        told = await set_state(desk, {"level": "desk"})
        receipt = await desk.receipt(delivered.json()["signal_id"])

        assert told["is_acknowledged"]
        came = sorted(outcomes(receipt).values(), key=str)
        assert set(came) == {FILLED, HALTED}
        assert came.count(HALTED) >= 2
        held = [one.name for one in followers if await one.held()]
        assert sorted(held) == sorted(name for name, came in outcomes(receipt).items() if came == FILLED)

    async def test_f092_denies_the_entry_half_of_a_reverse_and_does_the_exit_half(self, desk):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy")
        await set_state(desk, {"level": "account", "account_id": one.account_id})

        turned = await say(desk, bot, "sell")

        assert legs(turned) == [("entry", *HALTED), ("exit", *FILLED)]
        assert await one.held() == {}

    async def test_x11_blocks_exits_only_when_told_to(self, desk):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy")

        await set_state(desk, {"level": "desk"}, block_exits=True)
        kept = await say(desk, bot, "close")
        await set_state(desk, {"level": "desk"})
        closed = await say(desk, bot, "close")

        assert outcomes(kept) == {one.name: ("denied", "EXITS_BLOCKED")}
        assert outcomes(closed) == {one.name: FILLED}

    async def test_f092_asks_no_person_about_what_would_be_denied(self, desk):
        bot, [one] = await bot_with(desk, approval="manual")
        await set_state(desk, {"level": "desk"})

        stopped = await say(desk, bot, "buy")

        assert_stopped(stopped, one)
        assert (await desk.ask("GET", "/api/v1/approvals"))["items"] == []

    async def test_the_health_shows_it(self, desk):
        await set_state(desk, {"level": "desk"}, "reducing")

        health = await desk.ask("GET", "/health/detailed")

        assert (health["status"], health["trading"]["state"]) == ("healthy", "reducing")


FLATTEN = "/api/v1/flatten"


async def sell_out(desk: WholeDesk, scope: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Start a job and give its receipt once it is over."""
    job = await desk.ask("POST", FLATTEN, json={**scope, "reason": "enough", **more})
    return await over(desk, job["flatten_id"])


async def over(desk: WholeDesk, flatten_id: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            job: dict[str, Any] = await desk.ask("GET", f"{FLATTEN}/{flatten_id}")
            if job["status"] != "running":
                return job
            await asyncio.sleep(0.1)


def row_of(job: dict[str, Any], one: Follower) -> dict[str, Any]:
    [row] = [row for row in job["rows"] if row["account_id"] == one.account_id]
    return row


class TestSellingOut:
    """F092: a desk that is sold out is flat because the venue says so, and the receipt says what was closed."""

    @pytest.mark.parametrize("position_mode", ["one_way", "hedge"])
    async def test_closes_everything_and_proves_it(self, desk, position_mode):
        bot, _ = await bot_with(desk, 0)
        followers = [await follow(desk, bot, position_mode=position_mode) for _ in range(3)]
        await say(desk, bot, "buy")
        await say(desk, bot, "sell", "LTCUSDT")

        job = await sell_out(desk, {"level": "bot", "bot_id": bot["bot_id"]})
        stopped = await say(desk, bot, "buy")

        assert (job["status"], job["accounts"], job["proven"]) == ("done", 3, 3)
        for one in followers:
            row = row_of(job, one)
            assert [place["symbol"] for place in row["closed"]] == ["ETHUSDT", "LTCUSDT"]
            assert (row["attempts"], row["foreign"], row["standing"], row["code"]) == (2, [], [], None)
            assert row["proved_at"] is not None
            assert await one.held() == {}
        assert (stopped["status"], stopped["code"]) == ("declined", "TRADING_REDUCING")

    async def test_leaves_what_is_not_ours_and_what_is_elsewhere(self, desk):
        bot, [one, other] = await bot_with(desk, 2)
        await say(desk, bot, "buy")
        async with one.by_hand() as client:
            status, answer = await client.order("BUY", "1.000", symbol="LTCUSDT")
            assert status == 200, answer

        job = await sell_out(desk, {"level": "account", "account_id": one.account_id}, keep_trading=True)

        row = row_of(job, one)
        assert [(place["symbol"], place["quantity"]) for place in row["foreign"]] == [("LTCUSDT", "1")]
        assert await one.held() == {("LTCUSDT", "both"): "1"}
        assert list(await other.held()) == [("ETHUSDT", "both")]
        assert (await desk.ask("GET", STATE))["states"] == []

    async def test_asks_again_when_the_venue_refuses(self, desk):
        bot, [one] = await bot_with(desk)
        await say(desk, bot, "buy")
        refuse = {
            "kind": "refuse",
            "code": -2019,
            "endpoint": "POST /fapi/v1/order",
            "key": one.key,
            "count": 2,
        }
        await misbehave(desk, refuse)

        job = await sell_out(desk, {"level": "account", "account_id": one.account_id})

        assert (job["status"], row_of(job, one)["attempts"]) == ("done", 3)
        assert await one.held() == {}
