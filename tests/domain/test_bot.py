"""A subscriber's own setting wins; null is not set, 0 is a value."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.bot import (
    Bot,
    OppositeSide,
    SameSide,
    Subscription,
    SymbolSettings,
    effective_settings,
    secrets_taken,
    set_by,
)

BOT = Bot(
    bot_id=UUID(int=1),
    name="EMA cross 15m",
    webhook_path="bot-ema-cross-15m",
    secret_sha256="",
    default_leverage=10,
    default_margin_usd=Decimal(50),
)
SUBSCRIPTION = Subscription(subscription_id=UUID(int=2), bot_id=BOT.bot_id, account_id=1)
FIELDS = {  # field: its custom name, its default's name
    "leverage": ("custom_leverage", "default_leverage"),
    "margin_usd": ("custom_margin_usd", "default_margin_usd"),
    "stop_loss_pct": ("custom_stop_loss_pct", "default_stop_loss_pct"),
    "take_profit_pct": ("custom_take_profit_pct", "default_take_profit_pct"),
}


def effective(bot: Bot = BOT, subscription: Subscription = SUBSCRIPTION, symbol: str = "BTCUSDT"):
    return effective_settings(bot, subscription, symbol=symbol)


SETTINGS = [
    one.name for one in fields(Subscription) if one.name.startswith("custom_") or one.name == "symbols"
]


class TestWhatASubscriptionSets:
    """Who sets the same is planned alike: what is left out here, one account would trade with another's setting."""

    @pytest.mark.parametrize("name", SETTINGS)
    def test_holds_every_setting_of_its_own(self, name):
        assert set_by(replace(SUBSCRIPTION, **{name: "something else"})) != set_by(SUBSCRIPTION)

    def test_is_the_same_for_whoever_sets_the_same(self):
        other = replace(SUBSCRIPTION, subscription_id=UUID(int=3), account_id=2, max_concurrent_positions=9)

        assert set_by(other) == set_by(SUBSCRIPTION)
        assert effective(subscription=other) == effective()


@pytest.mark.parametrize("field", FIELDS)
class TestPrecedence:
    """Rule X-5, for every field: symbol custom, custom, the bot's symbol, the bot's default."""

    def test_f046_takes_the_widest_setting_that_is_set(self, field):
        custom, default = FIELDS[field]
        bot = replace(BOT, **{default: 1})
        with_bot_symbol = replace(bot, symbols=(SymbolSettings(symbol="BTCUSDT", **{field: 2}),))
        with_custom = replace(SUBSCRIPTION, **{custom: 3})
        with_own_symbol = replace(with_custom, symbols=(SymbolSettings(symbol="BTCUSDT", **{field: 4}),))

        found = [
            getattr(effective(bot), field),
            getattr(effective(with_bot_symbol), field),
            getattr(effective(with_bot_symbol, with_custom), field),
            getattr(effective(with_bot_symbol, with_own_symbol), field),
        ]

        assert found == [1, 2, 3, 4]

    def test_f046_honours_zero_as_a_value(self, field):
        custom, default = FIELDS[field]
        bot = replace(BOT, **{default: 7})

        assert getattr(effective(bot, replace(SUBSCRIPTION, **{custom: 0})), field) == 0

    def test_f046_leaves_other_symbols_alone(self, field):
        own = replace(SUBSCRIPTION, symbols=(SymbolSettings(symbol="ETHUSDT", **{field: 4}),))

        assert effective(BOT, own) == effective(BOT)

    def test_f046_leaves_a_row_out_that_takes_the_bots_values(self, field):
        row = SymbolSettings(symbol="BTCUSDT", use_bot_default=True, **{field: 4})

        assert effective(BOT, replace(SUBSCRIPTION, symbols=(row,))) == effective(BOT)


class TestTheSeedsTwoUsers:
    def test_f046_gives_5x_20_and_10x_50(self):
        first = effective(BOT, replace(SUBSCRIPTION, custom_leverage=5, custom_margin_usd=Decimal(20)))
        second = effective(BOT)

        assert (first.leverage, first.margin_usd) == (5, Decimal(20))
        assert (second.leverage, second.margin_usd) == (10, Decimal(50))


class TestRulesOfTheSides:
    def test_are_the_bots_until_the_subscription_has_its_own(self):
        own = replace(SUBSCRIPTION, custom_same_side=SameSide.ADD, custom_opposite_side=OppositeSide.IGNORE)

        assert (effective().same_side, effective().opposite_side) == (SameSide.IGNORE, OppositeSide.REVERSE)
        assert effective(BOT, own).same_side is SameSide.ADD
        assert effective(BOT, own).opposite_side is OppositeSide.IGNORE


class TestSecretsTaken:
    NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

    @pytest.mark.parametrize(("seconds", "taken"), [(-1, ("new", "former")), (0, ("new",)), (1, ("new",))])
    def test_has_the_former_one_until_its_time_has_come(self, seconds, taken):
        bot = replace(BOT, secret_sha256="new", former_secret_sha256="former", former_secret_until=self.NOON)

        assert secrets_taken(bot, now=self.NOON + timedelta(seconds=seconds)) == taken

    @pytest.mark.parametrize(
        "former", [{}, {"former_secret_sha256": "x"}, {"former_secret_until": NOON + timedelta(days=1)}]
    )
    def test_has_its_own_only_where_half_of_a_former_one_is_known(self, former):
        assert secrets_taken(replace(BOT, secret_sha256="new", **former), now=self.NOON) == ("new",)
