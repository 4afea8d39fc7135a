"""The ranges every setting of a bot and a subscription must lie in; 0 is a value like any other."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pregao.bots.refusals import SettingUnusableError
from pregao.domain.bot import LEVERAGE_MAX, LEVERAGE_MIN, MARGIN_USD_MIN, Bot, Subscription

NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 3, 255
DESCRIPTION_CHARACTERS_MAX = 2_000
WEBHOOK_PATH_PATTERN = r"^[A-Za-z0-9._-]{16,255}$"
SYMBOL_PATTERN = r"^[A-Z0-9一-鿿][A-Z0-9_.一-鿿]{0,19}$"  # Binance lists symbols with Chinese names
DECIMALS_MAX = 20  # a float from 0.1 on has fewer; more is a mistake somewhere


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the largest value allowed, both included."""

    minimum: Decimal
    maximum: Decimal


def _range(minimum: Decimal | int | str, maximum: Decimal | int | str) -> Range:
    return Range(Decimal(minimum), Decimal(maximum))


LEVERAGE = _range(LEVERAGE_MIN, LEVERAGE_MAX)
MARGIN_USD = _range(MARGIN_USD_MIN, 1_000_000_000)  # the upper end keeps a slip of the keyboard out
STOP_LOSS_PCT = _range("0.1", 50)
TAKE_PROFIT_PCT = _range("0.1", 100)

BOT_RANGES = {
    "default_leverage": LEVERAGE,
    "default_margin_usd": MARGIN_USD,
    "default_stop_loss_pct": STOP_LOSS_PCT,
    "default_take_profit_pct": TAKE_PROFIT_PCT,
    "default_max_positions": _range(1, 20),
    "signals_per_minute_max": _range(1, 1_000_000),
}
SUBSCRIPTION_RANGES = {
    "custom_leverage": LEVERAGE,
    "custom_margin_usd": MARGIN_USD,
    "custom_stop_loss_pct": STOP_LOSS_PCT,
    "custom_take_profit_pct": TAKE_PROFIT_PCT,
    "max_daily_loss_usd": _range(10, 1_000_000_000),
    "max_concurrent_positions": _range(1, 10),
}


def check_bot(bot: Bot) -> None:
    """
    See that every setting of a bot can be used.

    :raises SettingUnusableError: naming the first that cannot, and its range.
    """
    if not NAME_CHARACTERS_MIN <= len(bot.name) <= NAME_CHARACTERS_MAX or not bot.name.isprintable():
        raise SettingUnusableError(
            "NAME_UNUSABLE",
            f"characters={len(bot.name)} minimum={NAME_CHARACTERS_MIN} maximum={NAME_CHARACTERS_MAX}. "
            "Use printable characters, on one line.",
            field="name",
        )
    if len(bot.description) > DESCRIPTION_CHARACTERS_MAX or "\x00" in bot.description:
        raise SettingUnusableError(
            "DESCRIPTION_UNUSABLE",
            f"characters={len(bot.description)} maximum={DESCRIPTION_CHARACTERS_MAX}. NUL is no text either.",
            field="description",
        )
    if not re.fullmatch(WEBHOOK_PATH_PATTERN, bot.webhook_path):
        raise SettingUnusableError(
            "WEBHOOK_PATH_UNUSABLE",
            f"characters={len(bot.webhook_path)} minimum=16 maximum=255. Use letters, digits, '.', '_' and '-'.",
            field="webhook_path",
        )
    if bot.market_type != "futures":
        raise SettingUnusableError(
            "MARKET_TYPE_UNSUPPORTED",
            f"market_type={bot.market_type}. No spot venue is connected yet; use futures.",
            field="market_type",
        )
    if bot.trading_symbol is not None and not re.fullmatch(SYMBOL_PATTERN, bot.trading_symbol):
        raise SettingUnusableError(
            "SYMBOL_UNUSABLE",
            "trading_symbol must be the exchange's own spelling of at most 20 characters, such as BTCUSDT.",
            field="trading_symbol",
        )
    _check_ranges(bot, BOT_RANGES)


def check_subscription(subscription: Subscription) -> None:
    """
    See that a subscription's overrides and limits can be used; null is not set, and always can.

    :raises SettingUnusableError: naming the first that cannot, and its range.
    """
    _check_ranges(subscription, SUBSCRIPTION_RANGES)


def _check_ranges(settings: Any, ranges: dict[str, Range]) -> None:
    for name, limits in ranges.items():
        value = getattr(settings, name)
        if value is None:
            continue
        number = Decimal(value)
        if not number.is_finite() or not limits.minimum <= number <= limits.maximum:
            raise SettingUnusableError(
                "SETTING_OUT_OF_RANGE",
                f"{name}={value} minimum={limits.minimum} maximum={limits.maximum}."
                + (" Leave it null to take the bot's default." if name.startswith("custom_") else ""),
                field=name,
                minimum=str(limits.minimum),
                maximum=str(limits.maximum),
            )
        if -int(number.as_tuple().exponent) > DECIMALS_MAX:
            raise SettingUnusableError(
                "SETTING_TOO_FINE", f"{name} has more than {DECIMALS_MAX} decimals.", field=name
            )
