"""System A over HTTP: the screener's list, its strategies, and what it lets a bot enter (F006, F007, F024, F029 to F032)."""

import asyncio
import contextlib
import itertools
import json
from collections import deque

import pytest

from pregao.bootstrap.jobs import serve_jobs
from pregao.edges.paper.serve import PaperSettings
from tests.edges.screeners.scripted_finviz import scripted_finviz, small_page
from tests.journeys.whole_desk import running_desk

SCREENER = "/api/v1/screener"
SOON = 20.0
numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def jobs(desk):
    """Run the process that keeps the list fresh; it may be ended and started again."""
    task = asyncio.create_task(serve_jobs(desk.settings))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def site():
    async with scripted_finviz() as site:
        site.pages = {"1": small_page(["ETHUSDT", "LTCUSDT"])}
        yield site


@pytest.fixture
async def desk(database, tmp_path, site):
    hosts = (site.address.removeprefix("http://"),)
    async with running_desk(
        database, tmp_path, paper=PaperSettings(still=True), finviz_hosts=hosts
    ) as running:
        yield running


async def create(desk, site, name="small caps", **settings):
    body = {"name": name, "source": "finviz", "address": f"{site.address}/screener.ashx?v=111", **settings}
    return await desk.ask("POST", f"{SCREENER}/strategies", json=body)


async def tickers(desk):
    return [one["ticker"] for one in (await desk.ask("GET", f"{SCREENER}/tickers"))["items"]]


async def until(desk, is_true):
    """Wait for a status that people see."""
    async with asyncio.timeout(SOON):
        while not is_true(status := await desk.ask("GET", SCREENER)):
            await asyncio.sleep(0.02)
    return status


async def refreshed(desk, site, *on_it):
    """Have the list made now, of a page with these; give the status."""
    if on_it:
        site.pages = {"1": small_page(on_it)}
    before = await desk.ask("GET", SCREENER)
    await desk.ask("POST", f"{SCREENER}/refresh")
    looked = ("good_at", "failed_at")
    return await until(desk, lambda now: any(now[name] != before[name] for name in looked))


async def alert(desk, bot, action, symbol="BTCUSDT"):
    """Post an alert nobody posted before, and give its complete receipt."""
    body = {"ticker": symbol, "action": action, "alert_id": f"alert {next(numbers)}"}
    answer = await desk.post(bot, json.dumps(body))
    return await desk.receipt(answer.json()["signal_id"])


async def orders_at_the_venue(desk):
    """Count what reached the venue, as its own books say."""
    return sum(len(account["orders"]) for account in (await desk.paper_books()).values())


class TestTheList:
    async def test_f029_f030_f031_is_kept_fresh_set_up_paused_and_never_replaced_by_less(self, desk, site):
        site.pages = {"1": small_page(["MSFT", "aapl", "MSFT", "BRK-B", "TSLA"])}
        first = await create(desk, site, top_n=3)
        async with jobs(desk):
            await until(desk, lambda now: now["size"])
            made = await tickers(desk)

            site.troubles = deque(["<html>a new look</html>"])
            failed = await refreshed(desk, site)
            stayed = await tickers(desk)

            paused = await desk.ask("POST", f"{SCREENER}/pause")
            asked = len(site.asked)
            await refreshed(desk, site, "NVDA")
            once = len(site.asked) - asked

            copy = await desk.ask(
                "POST", f"{SCREENER}/strategies/{first['strategy_id']}/duplicate", json={"name": "copy"}
            )
            await desk.ask("PATCH", f"{SCREENER}/strategies/{copy['strategy_id']}", json={"top_n": 1})
            await desk.ask("POST", f"{SCREENER}/strategies/{copy['strategy_id']}/activate")
            refused = await desk.client.delete(f"{SCREENER}/strategies/{copy['strategy_id']}")
            await desk.ask("POST", f"{SCREENER}/resume")
            switched = await until(desk, lambda now: now["list_of"] == "copy")

        assert made == ["MSFT", "AAPL", "BRK.B"]
        assert (failed["code"], failed["failures"], stayed) == ("SCREENER_PAGE_CHANGED", 1, made)
        assert (paused["is_paused"], paused["next_look_at"], once) == (True, None, 1)
        assert (switched["strategy"], switched["size"], await tickers(desk)) == ("copy", 1, ["NVDA"])
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "STRATEGY_ACTIVE")

    async def test_f024_is_never_seen_empty_or_mixed(self, desk, site):
        lists = [("AAA", "BBB"), ("CCC", "DDD", "EEE")]
        await create(desk, site)
        seen, is_over = set(), asyncio.Event()

        async def read():
            while not is_over.is_set():
                seen.add(tuple(await tickers(desk)))

        async with jobs(desk):
            await refreshed(desk, site, *lists[0])
            await until(desk, lambda now: now["size"] == 2)
            reading = [asyncio.create_task(read()) for _ in range(2)]
            for number in range(1, 7):
                await refreshed(desk, site, *lists[number % 2])
            is_over.set()
            await asyncio.gather(*reading)

        assert seen == set(lists)


class TestABotThatFollowsIt:
    async def test_f006_f007_f032_enters_what_is_listed_and_tries_once_again_what_enters(self, desk, site):
        """The alert is declined, its ticker enters, and it is bought once; off the list again, it is still sold."""
        bot = await desk.create_bot(
            policy="screener", allowed_directions="buy_only", default_margin_usd="500"
        )
        await desk.subscribe(bot, await desk.open_account("main"))
        nothing_listed = await alert(desk, bot, "buy")
        await create(desk, site, reprocess_enabled=True)
        async with jobs(desk):
            await until(desk, lambda now: now["size"])
            declined = await alert(desk, bot, "buy")
            unheld = await alert(desk, bot, "sell")
            listed = await alert(desk, bot, "buy", "ETHUSDT")
            declined_last = await alert(desk, bot, "buy")

        async with jobs(desk):  # another process: what the first has seen is in the database
            await refreshed(desk, site, "BTCUSDT", "ETHUSDT")
            async with asyncio.timeout(30):  # it must be decided while the ticker is listed
                while not (again := (await desk.ask("GET", f"{SCREENER}/reprocessed"))["items"]):
                    await asyncio.sleep(0.05)
            await desk.receipt(again[0]["again_as"])
            for on_it in (["ETHUSDT"], ["BTCUSDT"], ["ETHUSDT"]):
                await refreshed(desk, site, *on_it)
            [tried] = (await desk.ask("GET", f"{SCREENER}/reprocessed"))["items"]
            bought = await desk.receipt(tried["again_as"])
            sold = await alert(desk, bot, "sell")

        codes = [one["code"] for one in (nothing_listed, declined, declined_last, unheld)]
        assert codes == ["SCREENER_DECLINED"] * 3 + ["DIRECTION_DECLINED"]
        assert "rank=none list=small caps size=2" in declined["reason"]
        assert (listed["status"], tried["signal_id"], tried["outcome"]) == (
            "settled", declined_last["signal_id"], "success",
        )  # fmt: skip
        assert (bought["status"], bought["symbol"]) == ("settled", "BTCUSDT")
        assert (sold["status"], sold["action"]) == ("settled", "close")
        assert await orders_at_the_venue(desk) == 3, "ETH bought; BTC bought once, and sold"
