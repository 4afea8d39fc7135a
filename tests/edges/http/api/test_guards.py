"""What guards positions, over HTTP: stops that stand, what fired exits, one position's story and its chart."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import AccountConfigured
from pregao.domain.venue import RetryLater
from tests.builders import NOON, account, configured
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_glance import told
from tests.edges.http.api.test_stops import fired, moved_to, open_position

STOPS, EXITS = "/api/v1/stops", "/api/v1/stops/executions"


@pytest.fixture
async def guarded(desk):
    """Two positions at 95,200, each guarded at 93,296; the first one's stop has been reached."""
    await desk.append(*configured(accounts=3))
    for number in (1, 2):
        await open_position(desk, number)
    await told(desk, "BTCUSDT", bid="95300", ask="95301")
    return desk


async def fire(desk, number: int = 1) -> None:
    """Have the stream see the stop reached, and the exit fill."""
    claimed, _ = fired(number, at=desk.now)
    filled = moved_to(
        ExecutionStatus.EXECUTED, claimed, at=desk.now + timedelta(seconds=1), price=Decimal(93_280),
        slippage_percent=Decimal("0.0171"),
    )  # fmt: skip
    await desk.append(claimed, filled)


class TestStops:
    async def test_say_how_far_the_price_is_from_them(self, guarded):
        shown = (await guarded.client.get(STOPS)).json()["items"]

        assert [(one["position_id"], one["status"], one["stop_price"]) for one in shown] == [
            (2, "armed", "93296"),
            (1, "armed", "93296"),
        ]
        assert (shown[0]["price"], shown[0]["distance"], shown[0]["distance_pct"]) == ("95300", "2004", "2.1")
        assert shown[0]["rule"].startswith("stop percent 2")

    @pytest.mark.parametrize(
        ("chosen", "found"),
        [
            ({"account_id": 2}, [2]),
            ({"symbol": "btc"}, [2, 1]),
            ({"symbol": "ETH"}, []),
            ({"cursor": 2}, [1]),
        ],
    )
    async def test_are_chosen_and_paged(self, guarded, chosen, found):
        shown = (await guarded.client.get(STOPS, params=chosen)).json()["items"]

        assert [one["position_id"] for one in shown] == found

    async def test_of_others_are_not_shown(self, guarded):
        ana = await guarded.enroll("ana")
        await guarded.append(
            AccountConfigured(happened_at=NOON, account=replace(account(2), user_id=ana.user_id))
        )
        await fire(guarded)

        stops, exits = [(await ana.client.get(path)).json()["items"] for path in (STOPS, EXITS)]
        others = [await ana.client.get(f"/api/v1/positions/1{path}") for path in ("", "/chart")]

        assert ([one["position_id"] for one in stops], exits) == ([2], [])
        assert [(one.status_code, code_of(one)) for one in others] == [(404, "POSITION_UNKNOWN")] * 2


class TestExecutions:
    async def test_say_what_fired_them_and_what_came_of_it(self, guarded):
        await fire(guarded)

        [shown] = (await guarded.client.get(EXITS, params={"status": "executed"})).json()["items"]
        none = (await guarded.client.get(EXITS, params={"status": "failed"})).json()["items"]
        file = (await guarded.client.get(EXITS, params={"format": "csv"})).text

        assert (shown["kind"], shown["level"], shown["price"], shown["source"], shown["claimed_by"]) == (
            "stop", "93296", "93290", "ws", "monitor-1",
        )  # fmt: skip
        assert (shown["status"], shown["exit_price"], shown["slippage_percent"]) == (
            "executed",
            "93280",
            "0.0171",
        )
        assert (none, shown["token"] in file) == ([], True)

    async def test_are_paged_without_a_gap(self, guarded):
        for number in (1, 2):
            await fire(guarded, number)
        seen, cursor = [], None
        while len(seen) < 5:
            page = (
                await guarded.client.get(EXITS, params={"limit": 1, **({"cursor": cursor} if cursor else {})})
            ).json()
            seen += [one["position_id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break

        assert sorted(seen) == [1, 2]


class TestOnePosition:
    async def test_tells_its_guard_and_what_happened_to_it(self, guarded):
        await fire(guarded)

        shown = (await guarded.client.get("/api/v1/positions/1")).json()

        assert (shown["position"]["symbol"], shown["venue"], shown["account_name"]) == (
            "BTCUSDT",
            "paper",
            "account 1",
        )
        assert (shown["guard"]["stop_price"], shown["guard"]["bid"]) == ("93296", "95300")
        assert [(one["what"], one["by"], one["stop_price"]) for one in shown["events"]] == [
            ("armed", None, "93296"),
            ("triggered", "ws", None),
            ("executed", None, None),
        ]

    async def test_unknown_is_said(self, guarded):
        answer = await guarded.client.get("/api/v1/positions/99")

        assert (answer.status_code, code_of(answer)) == (404, "POSITION_UNKNOWN")


class TestChart:
    async def test_has_candles_around_the_position_and_the_way_of_its_stop(self, guarded):
        guarded.later(hours=1)

        shown = (await guarded.client.get("/api/v1/positions/1/chart")).json()

        assert (shown["timeframe"], shown["timeframe_seconds"], shown["code"]) == ("1m", 60, None)
        assert len(shown["candles"]) == 101  # forty before it, sixty of it, and the one that grows
        assert shown["candles"][0]["close"] == "95000"
        assert [one["price"] for one in shown["stops"]] == ["93296"]

    async def test_says_why_there_are_no_candles_and_shows_the_rest(self, guarded):
        guarded.bars.trouble = RetryLater(
            "WEIGHT_NEARLY_USED", "used=1500 of=2400. Kept for what matters more.", retry_after_seconds=9
        )

        answer = await guarded.client.get("/api/v1/positions/1/chart")
        shown = answer.json()

        assert (answer.status_code, shown["code"], shown["candles"]) == (200, "WEIGHT_NEARLY_USED", [])
        assert len(shown["stops"]) == 1
