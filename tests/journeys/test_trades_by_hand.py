"""A person trades by hand: sized by what the stop may cost, through the one pipeline, and never past the month's limit."""

import asyncio
from decimal import Decimal

import httpx
import pytest

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.whole_desk import running_desk

OPERATIONS, TRADE = "/api/operations", "/api/trade/risk-managed"
SYMBOL = "LTCUSDT"


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk:
        await set_price(desk, "100")
        yield desk


async def set_price(desk, price: str) -> None:
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post("/paper/prices", json={"symbol": SYMBOL, "price": price})
        assert answer.status_code == 200, answer.text


class TestTradesByHand:
    async def test_are_sized_by_the_stop_at_the_venues_price_and_end_as_operations(self, desk, database):
        """F100, F080: what the stop would cost is never more than 1 % of the capital; closed by hand, closed once."""
        account_id = await desk.open_account("mine")
        stop = Decimal(98)
        asked = {
            "symbol": "ltcusdt.p", "stop_price": str(stop), "entry_price": "100", "capital": 1000, "account_id": account_id,
            "strategy_name": "breakout",
        }  # fmt: skip

        dry = await desk.ask("POST", f"{TRADE}/buy/", json=asked)
        assert (await desk.ask("GET", f"{OPERATIONS}/"))["items"] == []
        live = await desk.ask("POST", f"{TRADE}/buy/", json={**asked, "mode": "live"})
        again = await desk.client.post(f"{TRADE}/buy/", json={**asked, "mode": "live"})

        assert (dry["executed"], dry["is_valid"]) == (False, True)
        assert (live["executed"], live["operation"]["status"]) == (True, "ACTIVE")
        operation = live["operation"]
        receipt = await desk.receipt(live["signal_id"])
        (row,) = receipt["rows"]
        distance = Decimal(row["decision_price"]) - stop
        assert 0 < Decimal(operation["quantity"]) * distance <= 10
        assert Decimal(operation["quantity"]) * Decimal(row["decision_price"]) <= 500
        assert (operation["symbol"], operation["strategy"], operation["side"]) == (SYMBOL, "breakout", "BUY")
        guard = (operation["stop_price"], operation["initial_stop"], operation["stop_status"])
        assert guard == ("98", "98", "armed")  # at his price, not at what the subscription would ask for
        assert (again.status_code, again.json()["error"]["code"]) == (400, "SAME_SIDE_OPEN")

        (held,) = (await desk.ask("GET", f"{OPERATIONS}/", params={"status": "ACTIVE"}))["items"]
        assert held["operation_id"] == operation["operation_id"]
        one = f"{OPERATIONS}/{operation['operation_id']}"
        canceled = await desk.ask("POST", f"{one}/cancel/")
        twice = await desk.ask("POST", f"{one}/cancel/")
        closed = await desk.client.post(f"{one}/close/")

        assert (canceled["operation"]["status"], canceled["operation"]["quantity"]) == ("CANCELLED", "0")
        assert (twice["signal_id"], twice["operation"]["status"]) == (None, "CANCELLED")
        assert (closed.status_code, closed.json()["error"]["code"]) == (409, "OPERATION_STATE")
        assert (await desk.ask("GET", f"{OPERATIONS}/", params={"status": "ACTIVE"}))["items"] == []
        journal = await open_journal(database)
        assert (await compare_with_journal(journal)).differences == ()
        await journal.pool.close()

    async def test_sell_short_under_the_same_rules_and_a_stop_the_market_has_passed_sells_nothing(self, desk):
        account_id = await desk.open_account("mine")
        asked = {"symbol": SYMBOL, "capital": 1000, "account_id": account_id, "mode": "live"}

        passed = await desk.client.post(f"{TRADE}/sell/", json={**asked, "stop_price": "90"})
        sold = await desk.ask("POST", f"{TRADE}/sell/", json={**asked, "stop_price": "105"})
        closed = await desk.ask("POST", f"{OPERATIONS}/{sold['operation']['operation_id']}/close/")

        assert (passed.status_code, passed.json()["error"]["code"]) == (400, "STOP_WRONG_SIDE")
        assert (sold["operation"]["side"], sold["operation"]["status"]) == ("SELL", "ACTIVE")
        assert (closed["operation"]["status"], closed["operation"]["quantity"]) == ("CLOSED", "0")

    async def test_an_operation_is_created_at_once_or_looked_at_only(self, desk):
        """D3.2: create answers 201 where it executes, and 400 where the stop is on the wrong side."""
        account_id = await desk.open_account("mine")
        asked = {
            "symbol": SYMBOL, "side": "BUY", "entry_price": "100", "stop_price": "97",
            "target_price": "110", "strategy_name": "swing", "capital": 2000, "account_id": account_id,
        }  # fmt: skip

        looked = await desk.client.post(f"{OPERATIONS}/create/", json={**asked, "execute": False})
        made = await desk.client.post(f"{OPERATIONS}/create/", json={**asked, "execute": True})
        wrong = await desk.client.post(
            f"{OPERATIONS}/create/", json={**asked, "side": "SELL", "execute": True}
        )

        assert (looked.status_code, looked.json()["operation"]) == (200, None)
        assert made.status_code == 201, made.text
        assert made.json()["operation"]["status"] == "ACTIVE"
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "STOP_WRONG_SIDE")

    async def test_guard_what_they_hold_where_they_were_told_to_and_where_they_are_moved_to(
        self, desk, database
    ):
        """D1.4: a stop that is moved by hand reaches the venue's own order too."""
        account_id = await desk.open_account("mine")
        asked = {
            "symbol": SYMBOL, "stop_price": "98", "target_price": "110", "capital": 1000, "account_id": account_id, "mode": "live",
        }  # fmt: skip
        bought = await desk.ask("POST", f"{TRADE}/buy/", json=asked)
        one = f"{OPERATIONS}/{bought['operation']['operation_id']}"
        journal = await open_journal(database)
        await venue_stands_at(journal, "98")

        moved = await desk.ask(
            "POST", f"{one}/stop/", json={"stop_price": "98.5", "reason": "the news", "force": True}
        )
        await venue_stands_at(journal, "98.5")
        await journal.pool.close()

        assert (bought["operation"]["stop_price"], bought["operation"]["target_price"]) == ("98", "110")
        assert (moved["stop_price"], moved["initial_stop"], moved["stop_status"]) == ("98.5", "98", "armed")


async def venue_stands_at(journal, price: str) -> None:
    """Wait until the venue has acknowledged one protective order, at this price."""
    async with asyncio.timeout(15):
        while True:
            rows = await journal.pool.fetch("SELECT trigger_price FROM protections WHERE status = 'accepted'")
            if [row["trigger_price"] for row in rows] == [Decimal(price)]:
                return
            await asyncio.sleep(0.05)


class TestTheMonth:
    async def test_that_has_cost_its_share_lets_a_tenant_enter_nothing_more(self, desk):
        """F101: the desk pauses him by itself, and his neighbour trades on; an operator's word counts for the month."""
        ana, bruno = [await tenant(desk, name) for name in ("ana", "bruno")]
        asked = {"symbol": SYMBOL, "mode": "live", "stop_price": "98"}

        bought = await desk.ask("POST", f"{TRADE}/buy/", json={**asked, "account_id": ana})
        await set_price(desk, "97.5")
        one = f"{OPERATIONS}/{bought['operation']['operation_id']}"
        closed = await desk.ask("POST", f"{one}/close/")
        lost = -Decimal(closed["operation"]["realized_pnl"])
        paused = await state_is(desk, "reducing")
        status = await desk.ask("GET", f"{TRADE}/status/", params={"account_id": ana})
        refused = await desk.client.post(
            f"{TRADE}/buy/", json={**asked, "stop_price": "95", "account_id": ana}
        )
        neighbours = await desk.ask(
            "POST", f"{TRADE}/buy/", json={**asked, "stop_price": "95", "account_id": bruno}
        )

        assert 10 < lost < 20  # 1 % of 1000 is the limit
        assert (paused["level"], paused["name"]) == ("user", "ana@desk.test")
        assert paused["set_by"] == "the desk: monthly drawdown"
        assert (status["state"], Decimal(status["monthly_loss"]), status["remaining_usd"]) == (
            "paused",
            lost,
            "0",
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "MONTHLY_DRAWDOWN")
        assert neighbours["operation"]["status"] == "ACTIVE"

        scope = {"level": "user", "user_id": paused["subject"]}
        await desk.ask("POST", "/api/v1/trading-state/resume", json={**scope, "reason": "his own money"})
        on = await desk.ask("POST", f"{TRADE}/buy/", json={**asked, "stop_price": "95", "account_id": ana})

        assert on["operation"]["status"] == "ACTIVE"
        await asyncio.sleep(1.5)  # longer than the watch looks away
        assert (await desk.ask("GET", "/api/v1/trading-state"))["states"] == []


async def tenant(desk, name: str) -> int:
    settings = {"risk_capital_usd": 1000, "monthly_drawdown_pct": 1}
    person = {"email": f"{name}@desk.test", "name": name, "role": "trader", **settings}
    user = await desk.ask("POST", "/api/v1/admin/users", json=person)
    return await desk.open_account(name, user_id=user["user_id"])


async def state_is(desk, state: str) -> dict:
    async with asyncio.timeout(10):
        while True:
            for one in (await desk.ask("GET", "/api/v1/trading-state"))["states"]:
                if one["state"] == state:
                    return one
            await asyncio.sleep(0.05)
