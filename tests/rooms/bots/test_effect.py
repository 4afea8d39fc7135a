"""What one entry comes to."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.bots.effect import effect_of
from pregao.domain.bot import (
    GuardSettings,
    StopSettings,
    TargetSettings,
    default_settings,
    effective_settings,
)
from tests.builders import bot, subscription

BOT = bot(
    default_leverage=10,
    default_margin_usd=Decimal(50),
    default_stop_loss_pct=Decimal("2.5"),
    default_take_profit_pct=Decimal(5),
)


class TestEffectOf:
    def test_is_margin_times_leverage_and_shares_of_that(self):
        effect = effect_of(default_settings(BOT))

        assert (effect.margin_usd, effect.position_usd) == (50, 500)
        assert (effect.loss_at_stop_usd, effect.loss_at_stop_pct, effect.gain_at_target_usd) == (
            Decimal("12.5"),
            25,
            25,
        )

    @pytest.mark.parametrize(
        ("guard", "stop", "target"),
        [
            (GuardSettings(stop=StopSettings()), None, 25),
            (GuardSettings(targets=(TargetSettings(percent=Decimal(3), share=Decimal(1)),)), Decimal("12.5"), None),
        ],
    )  # fmt: skip
    def test_says_nothing_where_a_range_or_targets_decide(self, guard, stop, target):
        effect = effect_of(default_settings(replace(BOT, guard=guard)))

        assert (effect.loss_at_stop_usd, effect.gain_at_target_usd) == (stop, target)

    def test_no_stop_loses_nothing_at_it(self):
        own = subscription(custom_stop_loss_pct=Decimal(0))

        effect = effect_of(effective_settings(BOT, own, symbol=None))

        assert (effect.loss_at_stop_usd, effect.loss_at_stop_pct) == (None, None)


class TestDefaultSettings:
    def test_are_what_counts_where_nothing_else_is_set(self):
        assert default_settings(BOT) == effective_settings(BOT, subscription(), symbol="LTCUSDT")
