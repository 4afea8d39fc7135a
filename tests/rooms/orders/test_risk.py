"""An entry is denied by the rules of its subscription, else by its bot's; an exit never is."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.bot import GuardSettings, SameSide, StopSettings, TargetSettings
from pregao.domain.facts import OrderDenied, OrderPlanned
from pregao.domain.risk_rules import RiskRecord, RiskRules
from pregao.domain.signal import Action, Risked
from tests.builders import NOON, bot, held, instruction
from tests.rooms.fakes import PRICE, books, market
from tests.rooms.orders.test_plan import planned

OWN = UUID(int=1)  # the first subscription
LOSING = RiskRecord(
    losses_in_a_row=3, last_loss_at=NOON, pnl_today=Decimal(-60), pnl_week=Decimal(-100), pnl=Decimal(-150)
)
ALL = RiskRules(
    capital_usd=Decimal(1000),
    consecutive_losses_max=3,
    daily_loss_pct_max=Decimal(5),
    weekly_loss_pct_max=Decimal(10),
    drawdown_pct_max=Decimal(15),
    position_pct_max=Decimal(10),
    reward_to_risk_min=Decimal(3),
)
IN_ORDER = (
    ("consecutive_losses_max", "LOSSES_IN_A_ROW", "value=3 maximum=3"),
    ("daily_loss_pct_max", "DAILY_LOSS_PCT", "value=6 maximum=5 capital_usd=1000"),
    ("weekly_loss_pct_max", "WEEKLY_LOSS_PCT", "value=10 maximum=10"),
    ("drawdown_pct_max", "DRAWDOWN_PCT", "value=15 maximum=15"),
    ("", "POSITIONS_AT_LIMIT", "live_positions=1 maximum=1"),
    ("position_pct_max", "POSITION_ABOVE_SHARE", "maximum=100 position_pct_max=10"),
    ("reward_to_risk_min", "REWARD_TOO_SMALL", "reward_to_risk=2 minimum=3"),
)


def desk_with(rules, *, on_bot=False, **changes):
    desk = books(bots=[bot(**({"risk": rules} if on_bot else {}))], **changes)
    if not on_bot:
        desk.subscriptions[0] = replace(desk.subscriptions[0], custom_risk=rules)
    return desk


async def denied(rules, *, asked=None, in_market=None, **changes):
    [row] = await planned(asked, on=desk_with(rules, **changes), in_market=in_market)
    return (row.code, row.reason) if isinstance(row, OrderDenied) else None


class TestRiskRules:
    @pytest.mark.parametrize("on_bot", [False, True])
    async def test_are_looked_at_in_the_order_of_e7(self, on_bot):
        """Each rule that is taken away shows the next; what a bot says holds for whoever has no rules of his own."""
        rules = ALL
        for name, code, words in IN_ORDER:
            desk = desk_with(rules, on_bot=on_bot, max_concurrent_positions=1)
            desk.records[OWN] = LOSING
            desk.take(held(symbol="ETHUSDT"))
            if code in ("POSITION_ABOVE_SHARE", "REWARD_TOO_SMALL"):
                desk.positions_by_id.clear()

            [row] = await planned(on=desk)

            assert isinstance(row, OrderDenied), code
            assert (row.code, words in row.reason) == (code, True), row.reason
            rules = replace(rules, **{name: None}) if name else rules
        desk = desk_with(rules, on_bot=on_bot)
        desk.records[OWN] = LOSING
        [row] = await planned(on=desk)
        assert isinstance(row, OrderPlanned)

    async def test_own_rules_take_the_place_of_the_bots_whole(self):
        desk = desk_with(ALL, on_bot=True)
        desk.subscriptions[0] = replace(desk.subscriptions[0], custom_risk=RiskRules())
        desk.records[OWN] = LOSING

        [row] = await planned(on=desk)

        assert isinstance(row, OrderPlanned)

    async def test_keep_nobody_in_a_position(self):
        desk = desk_with(ALL)
        desk.records[OWN] = LOSING
        desk.take(held())

        [row] = await planned(instruction(Action.CLOSE), on=desk)

        assert isinstance(row, OrderPlanned)

    async def test_count_what_is_held_with_what_is_added(self):
        """450 USD are worth 45 percent of 1,000, twice that 90."""
        rules = RiskRules(capital_usd=Decimal(1000), position_pct_max=Decimal(60))
        desk = desk_with(rules, custom_same_side=SameSide.ADD)
        first = await planned(on=desk)
        desk.take(held(quantity=first[0].quantity))

        [added] = await planned(on=desk)

        assert isinstance(first[0], OrderPlanned)
        assert added.code == "POSITION_ABOVE_SHARE"
        assert f"value={(first[0].quantity * 2 * PRICE).normalize():f}" in added.reason


class TestReward:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({}, "2"),  # the bot's 5 percent over 2.5
            ({"custom_take_profit_pct": Decimal("3.7")}, "1.48"),
            ({"custom_take_profit_pct": Decimal(0)}, "unknown"),
            ({"custom_stop_loss_pct": Decimal(0)}, "unknown"),
            (
                {"custom_guard": GuardSettings(targets=(
                    TargetSettings(risk_multiple=Decimal(1), share=Decimal("0.5")),
                    TargetSettings(risk_multiple=Decimal(2), share=Decimal("0.5")),
                ))}, "1.5",
            ),
            (
                {"custom_guard": GuardSettings(targets=(
                    TargetSettings(percent=Decimal(5), share=Decimal("0.25")),
                    TargetSettings(percent=Decimal(10), share=Decimal("0.25")),
                ))}, "3",
            ),
        ],
    )  # fmt: skip
    async def test_is_the_distance_of_the_targets_over_that_of_the_stop(self, settings, told):
        code, reason = await denied(RiskRules(reward_to_risk_min=Decimal(100)), **settings)

        assert code == "REWARD_TOO_SMALL"
        assert f"reward_to_risk={told} minimum=100" in reason

    async def test_measures_a_stop_by_the_range(self):
        """Two ranges of 450 are 1 percent of 90,000."""
        stop = StopSettings()
        ranged = market()
        ranged = replace(
            ranged,
            ranges={
                (venue, "BTCUSDT", stop.measure): PRICE / 200 for venue in {one for one, _ in ranged.views}
            },
        )

        told = await denied(
            RiskRules(reward_to_risk_min=Decimal(100)), in_market=ranged, custom_guard=GuardSettings(stop=stop)
        )  # fmt: skip

        assert "reward_to_risk=5 minimum=100" in told[1]

    @pytest.mark.parametrize(("target", "told"), [(PRICE * 102 / 100, "2"), (PRICE * 98 / 100, "0"), (None, "unknown")])  # fmt: skip
    async def test_asks_a_trade_by_hand_for_its_own(self, target, told):
        risk = Risked(
            capital=Decimal(10_000), risk_percent=Decimal(1), stop_price=PRICE * 99 / 100, target_price=target
        )

        code, reason = await denied(RiskRules(reward_to_risk_min=Decimal(3)), asked=instruction(risk=risk))

        assert (code, f"reward_to_risk={told} " in reason) == ("REWARD_TOO_SMALL", True), reason
