"""The software line on a whole desk: over the paper exchange's own streams, with the trader and the web beside it."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise

import asyncpg
import pytest

from pregao.domain.money import to_text
from tests.fresh_database import fresh_database
from tests.journeys.test_features_b_trading import PAPER, bot_with, misbehave, say, set_price
from tests.journeys.test_lines import FAR, PRICE, algos, until_standing
from tests.journeys.whole_desk import WholeDesk, running_desk


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, tmp_path_factory.mktemp("state"), paper=PAPER) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
async def as_it_was(desk: WholeDesk) -> AsyncIterator[None]:
    yield
    await misbehave(desk)
    for symbol, price in PRICE.items():
        await set_price(desk, symbol, price)


class TestTheSoftwareLine:
    async def test_f051_takes_a_target_and_the_venues_stop_is_taken_back(self, desk):
        bot, [follower] = await bot_with(desk, default_stop_loss_pct="2", default_take_profit_pct="3")
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        await set_price(desk, "ETHUSDT", "3095")
        position = await follower.until_closed(reason="take_profit")

        assert Decimal(position["realized_pnl"]) == await follower.earned()
        assert all(row["status"] in ("CANCELED", "EXPIRED") for row in await algos(follower))

    async def test_f095_exits_where_the_venues_order_is_stuck(self, desk):
        """Its price has come, and the venue places nothing: a second and a half later ours leaves."""
        bot, [follower] = await bot_with(desk, **FAR)
        await misbehave(desk, {"kind": "stick"})
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        await set_price(desk, "ETHUSDT", "2939")
        position = await follower.until_closed(reason="stop_loss")

        assert Decimal(position["realized_pnl"]) == await follower.earned()
        assert await follower.held() == {}

    async def test_f096_follows_the_price_in_spans_and_so_does_the_venues_stop(self, desk):
        bot, [follower] = await bot_with(desk, **FAR, guard={"trailing": "hand_span"})
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        await set_price(desk, "ETHUSDT", "3070")
        await until_standing(follower, ("3004.5", "both"))  # one span: break-even, with its costs
        await set_price(desk, "ETHUSDT", "3130")
        await until_standing(follower, ("3060", "both"))  # two: one span above the entry

        await set_price(desk, "ETHUSDT", "3059")
        position = await follower.until_closed(reason="trailing_stop")
        assert Decimal(position["realized_pnl"]) == await follower.earned()

    async def test_f050_takes_each_target_with_its_share_and_then_loses_nothing_more(self, desk):
        targets = [{"percent": 3, "share": 0.5}, {"percent": 6, "share": 0.5}]
        bot, [follower] = await bot_with(
            desk, **FAR, guard={"targets": targets, "break_even_after_target": True}
        )
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))
        [whole] = (await follower.held()).values()

        await set_price(desk, "ETHUSDT", "3095")
        await until_standing(follower, ("3004.5", "both"))
        [rest] = (await follower.held()).values()
        await set_price(desk, "ETHUSDT", "3185")
        position = await follower.until_closed(reason="take_profit")

        assert abs(Decimal(rest) * 2 - Decimal(whole)) <= Decimal("0.001")
        assert Decimal(position["realized_pnl"]) == await follower.earned()

    async def test_x6_stands_two_ranges_below_and_takes_profit_at_twice_the_risk(self, desk):
        """F081, F082: by the candles that the exchange itself shows; the range is kept with the stop."""
        stop = {"method": "atr", "period": 14, "multiple": 2, "timeframe": "15m"}
        targets = [{"risk_multiple": 2, "share": 1}]
        bot, [follower] = await bot_with(desk, **FAR, guard={"stop": stop, "targets": targets})
        await say(desk, bot, "buy")
        async with asyncio.timeout(20):
            while not (positions := await follower.positions()) or positions[0]["status"] != "open":
                await asyncio.sleep(0.1)
        async with follower.by_hand() as client:
            rows = await client.get("/fapi/v1/klines", symbol="ETHUSDT", interval="15m", limit="499")
        connection = await asyncpg.connect(desk.settings.database_url)
        row = await connection.fetchrow(
            "SELECT entry_price, initial_stop, atr, rule, targets FROM pregao.stops WHERE position_id = $1",
            positions[0]["position_id"],
        )
        await connection.close()

        # A quarter of an hour may have ended since the entry was planned.
        measured = [_average_true_range(rows[:-left], period=14) for left in (1, 2)]
        entry, atr = row["entry_price"], float(row["atr"])
        assert min(abs(atr - one) for one in measured) < 1e-6
        assert float(row["initial_stop"]) == pytest.approx(float(entry) - 2 * atr, abs=0.011)
        [target] = json.loads(row["targets"])
        assert Decimal(target["price"]) == entry + 2 * (entry - row["initial_stop"])
        assert json.loads(row["rule"])["stop"]["measure"] == {"timeframe": "15m", "period": 14}
        await until_standing(follower, (to_text(row["initial_stop"]), "both"))

        await set_price(desk, "ETHUSDT", str(Decimal(target["price"]) + 5))
        await follower.until_closed(reason="take_profit")


def _average_true_range(rows, *, period: int) -> float:
    """Give Wilder's average of klines, plainly: the first range needs a close before it."""
    ranges = [
        max(float(now[2]), float(before[4])) - min(float(now[3]), float(before[4]))
        for before, now in pairwise(rows)
    ]
    average = sum(ranges[:period]) / period
    for one in ranges[period:]:
        average = (average * (period - 1) + one) / period
    return average
