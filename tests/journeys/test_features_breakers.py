"""F091, F119, F120 over HTTP: a venue that fails is left alone, exits apart, and everybody can see it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog

from pregao.edges.paper.serve import PaperSettings
from tests.fresh_database import fresh_database
from tests.journeys.whole_desk import WholeDesk, running_desk

PAPER = PaperSettings(still=True, weight_max=100_000)
ORDER = "POST /fapi/v1/order"
BROKEN_SYMBOL = {"kind": "refuse", "code": -1001, "endpoint": ORDER}
METRICS_TOKEN = "words-of-the-scraper"

numbers = itertools.count(1)


@pytest.fixture
async def desk(database_server: str, database_template: str, tmp_path: Any) -> AsyncIterator[WholeDesk]:
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(
            database, tmp_path, paper=PAPER, webhook_wait_seconds=2.5, metrics_token=METRICS_TOKEN
        ) as running,
    ):
        yield running


async def control(desk: WholeDesk, path: str, **body: Any) -> Any:
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def misbehave(desk: WholeDesk, *faults: dict[str, Any]) -> None:
    await control(desk, "/paper/faults", faults=list(faults))


async def followed_bot(desk: WholeDesk, symbol: str = "ETHUSDT") -> dict[str, Any]:
    await control(desk, "/paper/prices", symbol=symbol, price="3000")
    number = next(numbers)
    bot = await desk.create_bot(f"Bot {number}")
    await desk.subscribe(bot, await desk.open_account(f"Account {number}"))
    await asyncio.sleep(0.3)  # its stream
    return bot


async def trade(desk: WholeDesk, bot: dict[str, Any], action: str, symbol: str = "ETHUSDT") -> dict[str, Any]:
    alert = {"ticker": symbol, "action": action, "alert_id": f"alert {next(numbers)}"}
    answer = await desk.post(bot, json.dumps(alert))
    assert answer.status_code in (200, 202), answer.text
    told: dict[str, Any] = answer.json()
    return told


async def breakers(desk: WholeDesk) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await desk.ask("GET", "/api/v1/breakers"))["items"]}


async def until_state(desk: WholeDesk, name: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            one = (await breakers(desk)).get(name)
            if one is not None and one["state"] == state:
                return one
            await asyncio.sleep(0.1)


@pytest.mark.long
class TestSymbol:
    async def test_f091_three_failures_deny_entries_there_until_an_exit_is_answered(self, desk):
        holding, *failing = [await followed_bot(desk) for _ in range(4)]
        bought = await trade(desk, holding, "buy")
        assert bought["executions"][0]["outcome"] == "filled"
        await misbehave(desk, BROKEN_SYMBOL)
        for bot in failing:
            await trade(desk, bot, "buy")
            await asyncio.sleep(1.5)  # asked about: the venue answers questions
        opened = await until_state(desk, "paper:ETHUSDT", "open")

        denied = await trade(desk, await followed_bot(desk), "buy")
        elsewhere = await trade(desk, await followed_bot(desk, "BTCUSDT"), "buy", "BTCUSDT")
        await misbehave(desk)
        closed = await trade(desk, holding, "close")
        await until_state(desk, "paper:ETHUSDT", "closed")
        entered = await trade(desk, holding, "buy")

        assert opened["failure_count"] == 3
        assert opened["next_try_at"] is not None
        [denial] = denied["executions"]
        assert (denial["outcome"], denial["code"]) == ("denied", "SYMBOL_BREAKER_OPEN")
        receipt = await desk.receipt(denied["signal_id"])
        assert opened["next_try_at"][:16] in str(receipt)
        assert elsewhere["executions"][0]["code"] != "SYMBOL_BREAKER_OPEN"
        assert closed["executions"][0]["outcome"] == "filled"
        assert entered["executions"][0]["outcome"] == "filled"


@pytest.mark.long
class TestVenue:
    async def test_f119_f120_a_dead_venue_gets_exits_only_and_is_tried_again(self, desk):
        holding, other = [await followed_bot(desk) for _ in range(2)]
        await trade(desk, holding, "buy")
        with structlog.testing.capture_logs() as logs:
            await misbehave(desk, {"kind": "down", "seconds": 60, "count": 1})
            await trade(desk, other, "buy")
            opened = await until_state(desk, "paper", "open")
            # Another symbol: on a slow machine the entry before may still own its own.
            denied = await trade(desk, await bot_without_a_stream(desk), "buy", "BTCUSDT")
            leaving = await trade(desk, holding, "close")
            await asyncio.sleep(1)
            seen = await scraped(desk)
            await misbehave(desk)
            closed = await desk.receipt(leaving["signal_id"])
            await until_state(desk, "paper", "closed")

        assert opened["failure_count"] >= 5
        [denial] = denied["executions"]
        assert (denial["outcome"], denial["code"]) == ("denied", "VENUE_BREAKER_OPEN")
        assert [one["outcome"] for one in closed["rows"]] == ["filled"]
        assert 'pregao_breaker_state{name="paper",scope="service"} 2' in seen
        events = [(one["event"], one["log_level"]) for one in logs if one.get("name") == "paper"]
        assert ("breakers.state.opened", "error") in events
        assert ("breakers.state.closed", "info") in events


class TestThrottled:
    async def test_an_exit_that_is_told_1008_is_out_within_moments(self, desk):
        """The venue says it exempts what only reduces; told no all the same, it is sent again at once."""
        holding = await followed_bot(desk)
        await trade(desk, holding, "buy")
        await misbehave(desk, {"kind": "refuse", "code": -1008, "endpoint": ORDER, "count": 2})
        began = asyncio.get_running_loop().time()

        closing = await trade(desk, holding, "close")
        receipt = await desk.receipt(closing["signal_id"])

        assert asyncio.get_running_loop().time() - began < 4
        assert [one["outcome"] for one in receipt["rows"]] == ["filled"]
        [order] = (await desk.ask("GET", f"/api/v1/orders?signal_id={closing['signal_id']}"))["items"]
        assert (order["attempt"], order["status"], order["next_question_at"]) == (3, "filled", None)


async def bot_without_a_stream(desk: WholeDesk) -> dict[str, Any]:
    """Make a bot with an account of before: while the venue is down none can be opened there."""
    accounts = (await desk.ask("GET", "/api/v1/exchange-accounts"))["items"]
    bot = await desk.create_bot(f"Bot {next(numbers)}")
    await desk.subscribe(bot, accounts[-1]["account_id"])
    return bot


async def scraped(desk: WholeDesk) -> str:
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    answer = await desk.client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text
