"""The venue's line of defence on a whole desk: its stop stands beside what is held, closes it, and is gone when it is flat."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.fresh_database import fresh_database
from tests.journeys.test_features_b_trading import (
    PAPER,
    Follower,
    bot_with,
    follow,
    misbehave,
    say,
    set_price,
)
from tests.journeys.whole_desk import WholeDesk, running_desk

PRICE = {"ETHUSDT": "3000", "LTCUSDT": "90"}
PLACE = "POST /fapi/v1/algoOrder"
CANCEL = "DELETE /fapi/v1/algoOrder"
STOP_PERCENT = "2"
SHORT_STOP = "3059.98"  # 2 % above the bid that it sold at, a tick below 3,000
ENDED = ("CANCELED", "EXPIRED")  # the venue ends it itself where nothing is held any more
FAR = {"default_stop_loss_pct": STOP_PERCENT, "default_take_profit_pct": "50"}


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    """Give one desk for the whole file: each test makes the bots and accounts it needs."""
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, tmp_path_factory.mktemp("state"), paper=PAPER) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
async def as_it_was(desk: WholeDesk) -> AsyncIterator[None]:
    """Take the faults and the prices of a test back when it is over."""
    yield
    await misbehave(desk)
    for symbol, price in PRICE.items():
        await set_price(desk, symbol, price)


async def algos(follower: Follower) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await follower.books())["algo_orders"]
    return rows


async def standing(follower: Follower) -> list[tuple[str, str]]:
    """Give trigger price and position side of what waits for the account at the venue."""
    return [
        (row["trigger_price"], row["position_side"])
        for row in await algos(follower)
        if row["status"] == "NEW"
    ]


def seconds_between(opened_at: str, closed_at: str) -> float:
    return (datetime.fromisoformat(closed_at) - datetime.fromisoformat(opened_at)).total_seconds()


async def until_standing(follower: Follower, *wanted: tuple[str, str], seconds_max: float = 10.0) -> None:
    async with asyncio.timeout(seconds_max):
        while await standing(follower) != list(wanted):
            await asyncio.sleep(0.02)


class TestAStop:
    async def test_stands_at_the_venue_within_a_second_of_the_fill_and_closes_the_position(self, desk):
        bot, [follower] = await bot_with(desk, **FAR)

        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        [algo], [fill] = await algos(follower), (await follower.books())["fills"]
        assert algo["created_ms"] - fill["traded_ms"] < 1_000
        assert (algo["close_position"], algo["side"]) == (True, "sell")

        await set_price(desk, "ETHUSDT", "2939")
        position = await follower.until_closed(reason="stop_loss")

        assert Decimal(position["realized_pnl"]) == await follower.earned()
        assert await follower.held() == {}
        assert await follower.resting() == []

    async def test_of_a_short_stands_above_it(self, desk):
        bot, [follower] = await bot_with(desk, **FAR)

        await say(desk, bot, "sell")
        await until_standing(follower, (SHORT_STOP, "both"))

        await set_price(desk, "ETHUSDT", "3061")
        position = await follower.until_closed(reason="stop_loss")
        assert Decimal(position["realized_pnl"]) == await follower.earned()

    async def test_is_gone_before_the_next_position_is_opened(self, desk):
        """The opposite signal closes, takes the stop back, sees that none is left, and only then enters."""
        bot, [follower] = await bot_with(desk, **FAR)
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))
        await misbehave(desk, {"kind": "late", "ms": 400, "endpoint": CANCEL})

        await say(desk, bot, "sell")
        await until_standing(follower, (SHORT_STOP, "both"))

        first, second = await algos(follower)
        entry = (await follower.books())["orders"][-1]
        assert (first["status"] in ENDED, entry["side"], entry["reduce_only"]) == (True, "sell", False)
        assert first["updated_ms"] <= entry["created_ms"] <= second["created_ms"]

    async def test_of_a_part_that_is_left_is_not_placed_again(self, desk):
        """It closes the position, whatever is held when it triggers."""
        bot, [follower] = await bot_with(desk, **FAR)
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        await say(desk, bot, "close", percentage=50)
        await set_price(desk, "ETHUSDT", "2930")
        position = await follower.until_closed(reason="stop_loss")

        assert len(await algos(follower)) == 1
        assert Decimal(position["realized_pnl"]) == await follower.earned()

    async def test_of_a_hedged_account_guards_its_side(self, desk):
        bot = await desk.create_bot(**FAR)
        follower = await follow(desk, bot, position_mode="hedge")

        await say(desk, bot, "sell")
        await until_standing(follower, (SHORT_STOP, "short"))

        await set_price(desk, "ETHUSDT", "3070")
        position = await follower.until_closed(reason="stop_loss")
        assert Decimal(position["realized_pnl"]) == await follower.earned()
        assert await follower.resting() == []


class TestTrouble:
    async def test_a_lost_answer_is_asked_about_and_never_placed_twice(self, desk):
        bot, [follower] = await bot_with(desk, **FAR)
        await misbehave(desk, {"kind": "unknown", "count": 1, "endpoint": PLACE, "key": follower.key})

        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))
        await asyncio.sleep(2.0)  # the question comes after one

        assert await standing(follower) == [("2940", "both")]
        assert len(await algos(follower)) == 1

    async def test_what_no_venue_takes_is_closed(self, desk):
        """Refused for the third time, nothing guards as asked."""
        bot, [follower] = await bot_with(desk, **FAR)
        await misbehave(desk, {"kind": "refuse", "code": -2019, "endpoint": PLACE, "key": follower.key})

        await say(desk, bot, "buy")
        position = await follower.until_closed(reason="stop_loss")

        assert await algos(follower) == []
        assert await follower.held() == {}
        assert seconds_between(position["opened_at"], position["closed_at"]) < 5
