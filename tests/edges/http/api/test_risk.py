"""Risk figures over HTTP (F125): what to stake, what a position may be worth, how a subscription stands to its rules."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.builders import BOT_ID, NOON, closed, configured, held
from tests.edges.http.api.own_desk import BOTS, SUBSCRIPTIONS, code_of
from tests.edges.http.api.test_performance import trade

RISK = "/api/risk"
SUBSCRIPTION = UUID(int=1)
RULES = {
    "capital_usd": "1000", "consecutive_losses_max": 3, "daily_loss_pct_max": 5, "weekly_loss_pct_max": 10,
    "drawdown_pct_max": 15, "position_pct_max": 10, "reward_to_risk_min": "1.5",
}  # fmt: skip


class TestFigures:
    @pytest.mark.parametrize(
        ("odds", "kelly", "percent", "is_trade"),
        [
            ({"win_rate": "0.55", "reward_to_risk": "1.5"}, "0.25", "5", True),
            ({"win_rate": "0.4", "reward_to_risk": "1.5"}, "0", "0", False),
            ({"win_rate": "0.3", "reward_to_risk": "1.5"}, "-0.16666666", "0", False),
            ({}, None, "2", True),
        ],
    )
    async def test_f125_kelly_is_bounded_and_stakes_nothing_on_a_losing_edge(
        self, desk, odds, kelly, percent, is_trade
    ):
        told = (await desk.client.get(f"{RISK}/kelly", params=odds)).json()

        assert (told["kelly"], told["stake_percent"], told["is_trade"]) == (kelly, percent, is_trade)

    async def test_f125_sizes_in_money_at_most_a_tenth_of_the_capital(self, desk):
        asked = {"direction": "long", "capital": "10000", "entry_price": "100"}

        told = (await desk.client.get(f"{RISK}/position", params={**asked, "stop_price": "80"})).json()
        ranged = (await desk.client.get(f"{RISK}/position", params={**asked, "atr": "1"})).json()
        wrong = await desk.client.get(f"{RISK}/position", params={**asked, "stop_price": "100"})
        nothing = await desk.client.get(f"{RISK}/position", params=asked)

        assert (told["position_value"], told["risk_amount"], told["is_capped"]) == ("500", "100", False)
        assert told["targets"] == [{"price": "120", "share": "0.5"}, {"price": "140", "share": "0.5"}]
        assert (ranged["stop_price"], ranged["position_value"], ranged["is_capped"]) == ("98", "1000", True)
        assert (wrong.status_code, code_of(wrong)) == (422, "STOP_WRONG_SIDE")
        assert (nothing.status_code, code_of(nothing)) == (422, "STOP_MISSING")

    async def test_f125_a_drawdown_is_of_the_peak(self, desk):
        asked = {"peak": "120", "current": "90"}

        assert (await desk.client.get(f"{RISK}/drawdown", params=asked)).json()["drawdown_percent"] == "25"


class TestSubscription:
    async def test_f125_says_how_it_stands_to_each_rule_in_order(self, desk):
        await desk.append(*configured(accounts=1))
        for number, (days, pnl) in enumerate([(40, "300"), (2, "-20"), (0, "-30"), (0, "-40")], start=1):
            await trade(
                desk,
                closed(held("1", price="100", position_id=number), at=NOON - timedelta(days=days), pnl=pnl),
            )
        changed = await desk.client.patch(
            f"{SUBSCRIPTIONS}/{SUBSCRIPTION}", json={"custom_risk": RULES, "max_concurrent_positions": 2}
        )
        assert changed.status_code == 200, changed.text

        told = (await desk.client.get(f"{RISK}/subscriptions/{SUBSCRIPTION}")).json()

        lines = [(one["code"], one["value"], one["limit"], one["passed"]) for one in told["looked_at"]]
        assert lines == [
            ("LOSSES_IN_A_ROW", "3", "3", False),
            ("DAILY_LOSS_PCT", "7", "5", False),
            ("WEEKLY_LOSS_PCT", "9", "10", True),
            ("DRAWDOWN_PCT", "6.92307692", "15", True),  # 90 of 1,300
            ("POSITIONS_AT_LIMIT", "0", "2", True),
            ("POSITION_ABOVE_SHARE", "50", "10", False),
        ]
        assert (told["takes_entries"], told["pnl_peak_usd"], told["pnl_usd"]) == (False, "300", "210")
        assert (told["stake"]["win_rate"], told["stake"]["reward_to_risk"]) == ("0.25", "10")

    async def test_begins_anew_and_takes_the_bots_rules(self, desk):
        await desk.append(*configured(accounts=1))
        await trade(desk, closed(held("1", price="100", position_id=1), at=NOON, pnl="-200"))
        since = {**RULES, "since": (NOON + timedelta(seconds=1)).isoformat()}

        await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"risk": RULES})
        before = (await desk.client.get(f"{RISK}/subscriptions/{SUBSCRIPTION}")).json()
        await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"risk": since})
        after = (await desk.client.get(f"{RISK}/subscriptions/{SUBSCRIPTION}")).json()

        assert (before["rules"]["capital_usd"], before["pnl_usd"]) == ("1000", "-200")
        assert [one["passed"] for one in before["looked_at"][1:4]] == [False] * 3
        assert (after["pnl_usd"], [one["passed"] for one in after["looked_at"][1:4]]) == ("0", [True] * 3)

    @pytest.mark.parametrize(
        ("rules", "code"),
        [
            ({"daily_loss_pct_max": 5}, "RISK_CAPITAL_MISSING"),
            ({"capital_usd": 0}, "SETTING_OUT_OF_RANGE"),
            ({"since": "1999-12-31T00:00:00Z"}, "SETTING_OUT_OF_RANGE"),
        ],
    )
    async def test_takes_no_rules_that_cannot_be(self, desk, rules, code):
        await desk.append(*configured(accounts=1))

        answer = await desk.client.patch(f"{SUBSCRIPTIONS}/{SUBSCRIPTION}", json={"custom_risk": rules})

        assert (answer.status_code, code_of(answer)) == (422, code)

    async def test_knows_nobody_elses(self, desk):
        await desk.append(*configured(accounts=1))
        ana = await desk.enroll("ana")

        answer = await ana.client.get(f"{RISK}/subscriptions/{SUBSCRIPTION}")

        assert (answer.status_code, code_of(answer)) == (404, "SUBSCRIPTION_UNKNOWN")
