"""A strategy feeds a bot on a whole desk: its candles, its signals, their receipts, and what it does after a restart."""

import asyncio
import contextlib
from itertools import pairwise

import asyncpg
import pytest

from pregao.bootstrap.analyzer import serve_analyzer
from pregao.edges.paper.serve import PaperSettings
from tests.journeys.test_features_b_trading import set_price
from tests.journeys.whole_desk import running_desk

SYMBOL = "ETHUSDT"
DEPLOYMENTS = "/api/v1/strategies/deployments"
SECONDS_MAX = 60.0
LEG_STEPS = 16  # quarters of a second the price goes one way: four candles


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as running:
        yield running


@contextlib.asynccontextmanager
async def analyzing(desk):
    task = asyncio.create_task(serve_analyzer(desk.settings))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def zigzag(desk):
    """Lead the price up and down for ever, a little with every step."""
    step = 0
    while True:
        leg, within = divmod(step, LEG_STEPS)
        height = within if leg % 2 == 0 else LEG_STEPS - within
        await set_price(desk, SYMBOL, str(3000 + height))
        await asyncio.sleep(0.25)
        step += 1


async def signals_of(desk, bot):
    page = await desk.ask("GET", "/api/v1/signals", params={"bot_id": bot["bot_id"], "limit": 100})
    return page["items"][::-1]


async def until(condition):
    async with asyncio.timeout(SECONDS_MAX):
        while not (found := await condition()):
            await asyncio.sleep(0.1)
        return found


async def deployed(desk, **changes):
    bot = await desk.create_bot(takes_strategies=True)
    await desk.subscribe(bot, await desk.open_account("main"))
    given = {
        "strategy": "ema_cross",
        "parameters": {"fast": 2, "slow": 3, "stop_pct": 7, "target_pct": 0},
        "symbol": SYMBOL,
        "timeframe": "1s",
        "bot_id": bot["bot_id"],
        "with_history": False,
    }
    return bot, await desk.ask("POST", DEPLOYMENTS, json={**given, **changes})


async def stored(desk, query, *values):
    connection = await asyncpg.connect(desk.settings.database_url, server_settings={"search_path": "pregao"})
    try:
        return await connection.fetch(query, *values)
    finally:
        await connection.close()


@pytest.mark.long
class TestStrategiesTrade:
    async def test_enters_and_reverses_with_its_own_stop_and_sends_each_signal_once_over_a_restart(
        self, desk
    ):
        bot, made = await deployed(desk)
        path = f"{DEPLOYMENTS}/{made['deployment_id']}"

        async def signals_are(count):
            signals = await signals_of(desk, bot)
            return signals if len(signals) >= count else None

        market = asyncio.create_task(zigzag(desk))
        try:
            async with analyzing(desk):
                first = await until(lambda: signals_are(2))
                receipts = [await desk.receipt(one["signal_id"]) for one in first]
                before = await desk.ask("GET", path)
            async with analyzing(desk):
                signals = await until(lambda: signals_are(len(first) + 2))
                await desk.ask("POST", f"{path}/pause")
                shown = await desk.ask("GET", path)
        finally:
            market.cancel()

        sides = [one["side"] for one in signals]
        assert {one["source"] for one in signals} == {"strategy"}
        assert all(side != after for side, after in pairwise(sides))  # each is a crossing
        assert [receipt["is_complete"] for receipt in receipts] == [True] * len(first)
        assert before["bars"] < shown["bars"]
        assert (shown["code"], shown["status"]) == (None, "paused")
        stops = await stored(desk, "SELECT DISTINCT rule->'stop'->>'value' AS percent FROM stops")
        assert [row["percent"] for row in stops] == ["7"]
        fills = await stored(desk, "SELECT FROM orders WHERE leg = 'entry' AND status = 'filled'")
        assert len(fills) >= 2
