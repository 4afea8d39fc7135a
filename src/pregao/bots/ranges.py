"""The ranges every setting of a bot and a subscription must lie in; 0 is a value like any other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from pregao.bots.refusals import SettingUnusableError
from pregao.domain.bot import (
    LEVERAGE_MAX,
    LEVERAGE_MIN,
    MARGIN_USD_MIN,
    Bot,
    GuardSettings,
    Subscription,
    SymbolSettings,
    TargetSettings,
    TradingHours,
)
from pregao.domain.lab import MODEL_NAME
from pregao.domain.prediction import ModelFilter
from pregao.domain.risk_rules import RiskRules

NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 3, 255
DESCRIPTION_CHARACTERS_MAX = 2_000
WEBHOOK_PATH_PATTERN = r"^[A-Za-z0-9._-]{16,255}$"
SYMBOL_PATTERN = r"^[A-Z0-9一-鿿][A-Z0-9_.一-鿿]{0,19}$"  # Binance lists symbols with Chinese names
DECIMALS_MAX = 20  # a float from 0.1 on has fewer; more is a mistake somewhere
ALLOWED_SYMBOLS_MAX = 500
SYMBOL_ROWS_MAX = 200
TRADING_HOURS_MAX = 50
DAYS = frozenset(range(1, 8))  # ISO 8601: Monday is 1
NO_ZONES = frozenset(
    {"localtime", "Factory"}
)  # files beside the zones; they mean another one on every machine


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the largest value allowed, both included; 0 too where it means "none at all"."""

    minimum: Decimal
    maximum: Decimal
    or_zero: bool = False


def _range(minimum: Decimal | int | str, maximum: Decimal | int | str, *, or_zero: bool = False) -> Range:
    return Range(Decimal(minimum), Decimal(maximum), or_zero)


LEVERAGE = _range(LEVERAGE_MIN, LEVERAGE_MAX)
USD_MAX = 1_000_000_000  # keeps a slip of the keyboard out
POSITIONS_MAX = 1_000_000
MARGIN_USD = _range(MARGIN_USD_MIN, USD_MAX)
STOP_LOSS_PCT = _range("0.1", 50)
TAKE_PROFIT_PCT = _range("0.1", 100)
OWN_STOP_LOSS_PCT = _range("0.1", 50, or_zero=True)
OWN_TAKE_PROFIT_PCT = _range("0.1", 100, or_zero=True)
LOSS_USD = _range(0, USD_MAX)
POSITIONS = _range(0, POSITIONS_MAX)

BOT_RANGES = {
    "default_leverage": LEVERAGE,
    "default_margin_usd": MARGIN_USD,
    "default_stop_loss_pct": STOP_LOSS_PCT,
    "default_take_profit_pct": TAKE_PROFIT_PCT,
    "default_max_positions": _range(1, 20),
    "signals_per_minute_max": _range(1, 1_000_000),
    "approval_seconds": _range(5, 86_400),
    "approval_price_move_pct": _range("0.01", 50),
    "cooldown_seconds": _range(0, 86_400),
    "max_entries_per_day": _range(0, 100_000),
    "global_max_daily_loss_usd": LOSS_USD,
    "global_max_positions": POSITIONS,
}
OVERLAP_SECONDS = _range(0, 30 * 86_400)  # whoever takes longer to change his alerts has not begun
SUBSCRIPTION_RANGES = {
    "custom_leverage": LEVERAGE,
    "custom_margin_usd": MARGIN_USD,
    "custom_stop_loss_pct": OWN_STOP_LOSS_PCT,
    "custom_take_profit_pct": OWN_TAKE_PROFIT_PCT,
    "max_daily_loss_usd": _range(10, USD_MAX),
    "max_concurrent_positions": _range(1, 10),
}
SYMBOL_RANGES = {
    "leverage": LEVERAGE,
    "margin_usd": MARGIN_USD,
    "stop_loss_pct": OWN_STOP_LOSS_PCT,
    "take_profit_pct": OWN_TAKE_PROFIT_PCT,
    "max_positions": POSITIONS,
    "max_daily_loss_usd": LOSS_USD,
}


GUARD_RANGES = {
    "trailing_percent": _range("0.1", 50),
    "trailing_step_percent": _range(0, 10),
    "fee_percent": _range(0, 5),
    "slippage_percent": _range(0, 5),
}
STOP_RANGES = {"period": _range(2, 100), "multiple": _range("0.1", 20)}
TARGET_RANGES = {
    "percent": _range("0.1", 1_000),
    "risk_multiple": _range("0.1", 100),
    "share": _range("0.01", 1),
}
TARGETS_MAX = 10
SINCE_MIN, SINCE_MAX = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  in whatever zone it is told
MODEL_PATTERN = rf"^{MODEL_NAME}$"  # as the lab names its models' files
CONFIDENCE = _range(0, 1)
RISK_RANGES = {
    "capital_usd": _range(1, USD_MAX),
    "consecutive_losses_max": _range(1, 100),
    "daily_loss_pct_max": _range("0.1", 100),
    "weekly_loss_pct_max": _range("0.1", 100),
    "drawdown_pct_max": _range("0.1", 100),
    "position_pct_max": _range("0.1", 12_500),
    "reward_to_risk_min": _range("0.1", 100),
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
    if bot.trading_symbol is not None:
        _check_symbol(bot.trading_symbol, field="trading_symbol")
    _check_allowed_symbols(bot.allowed_symbols)
    _check_hours(bot.trading_hours)
    _check_ranges(bot, BOT_RANGES)
    _check_guard(bot.guard, field="guard")
    _check_risk(bot.risk, field="risk")
    if bot.model_filter is not None:
        _check_model_filter(bot.model_filter)
    _check_rows(bot.symbols)
    if any(row.use_bot_default for row in bot.symbols):
        raise SettingUnusableError(
            "SETTING_MISPLACED",
            "use_bot_default stands on symbol rows of subscriptions only; leave it out on a bot.",
            field="symbols",
        )


def check_overlap(overlap: timedelta) -> None:
    """
    See that a former secret may be taken for so long.

    :raises SettingUnusableError: naming the range.
    """
    seconds = overlap.total_seconds()
    if not OVERLAP_SECONDS.minimum <= seconds <= OVERLAP_SECONDS.maximum:
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"overlap_seconds={seconds:.0f} minimum={OVERLAP_SECONDS.minimum} maximum={OVERLAP_SECONDS.maximum}. "
            "0 ends the former secret at once.",
            field="overlap_seconds",
            minimum=str(OVERLAP_SECONDS.minimum),
            maximum=str(OVERLAP_SECONDS.maximum),
        )


def check_subscription(subscription: Subscription) -> None:
    """
    See that a subscription's overrides and limits can be used; null is not set, and always can.

    :raises SettingUnusableError: naming the first that cannot, and its range.
    """
    _check_ranges(subscription, SUBSCRIPTION_RANGES)
    if subscription.custom_guard is not None:
        _check_guard(subscription.custom_guard, field="custom_guard")
    if subscription.custom_risk is not None:
        _check_risk(subscription.custom_risk, field="custom_risk")
    _check_rows(subscription.symbols)


def spelled(symbol: str) -> str:
    """Give the exchange's spelling, which signals carry: btcusdt.p and BTC-USDT mean BTCUSDT here too."""
    return symbol.strip().upper().removesuffix(".P").replace("-", "")


def to_symbol(spelling: str) -> str:
    """
    Give the exchange's spelling of a symbol that is named alone.

    :raises SettingUnusableError: when there is none.
    """
    symbol = spelled(spelling)
    _check_symbol(symbol, field="symbol")
    return symbol


def spelled_rows(rows: Sequence[SymbolSettings]) -> tuple[SymbolSettings, ...]:
    """Give symbol rows in the exchange's spelling, by symbol."""
    return tuple(
        sorted((replace(row, symbol=spelled(row.symbol)) for row in rows), key=lambda row: row.symbol)
    )


def _check_symbol(symbol: str, *, field: str) -> None:
    if not re.fullmatch(SYMBOL_PATTERN, symbol):
        raise SettingUnusableError(
            "SYMBOL_UNUSABLE",
            f"{field} must be the exchange's own spelling of at most 20 characters, such as BTCUSDT.",
            field=field,
        )


def _check_allowed_symbols(symbols: Sequence[str]) -> None:
    _check_count(symbols, ALLOWED_SYMBOLS_MAX, field="allowed_symbols")
    for symbol in symbols:
        _check_symbol(symbol, field="allowed_symbols")
    _check_repeated(symbols, field="allowed_symbols")


def _check_rows(rows: Sequence[SymbolSettings]) -> None:
    _check_count(rows, SYMBOL_ROWS_MAX, field="symbols")
    for row in rows:
        _check_symbol(row.symbol, field="symbols")
        _check_ranges(row, SYMBOL_RANGES, within=f"symbols.{row.symbol}.")
    _check_repeated([row.symbol for row in rows], field="symbols")


def _check_guard(guard: GuardSettings, *, field: str) -> None:
    _check_ranges(guard, GUARD_RANGES, within=f"{field}.")
    if guard.stop is not None:
        _check_ranges(guard.stop, STOP_RANGES, within=f"{field}.stop.")
    _check_count(guard.targets, TARGETS_MAX, field=f"{field}.targets")
    for number, target in enumerate(guard.targets):
        _check_ranges(target, TARGET_RANGES, within=f"{field}.targets.{number}.")
    shares = sum((target.share for target in guard.targets), Decimal(0))
    if shares > 1 or not _are_in_order(guard.targets):
        shown = ", ".join(_target_text(target) for target in guard.targets)
        raise SettingUnusableError(
            "TARGETS_UNUSABLE",
            f"{field}.targets={shown} shares={shares} maximum=1. Each is either so many percent away or so many risks, all "
            "by the same; name the nearest first, each once; together at most all.",
            field=f"{field}.targets",
        )


def _check_risk(rules: RiskRules, *, field: str) -> None:
    _check_ranges(rules, RISK_RANGES, within=f"{field}.")
    if rules.needs_capital and rules.capital_usd is None:
        raise SettingUnusableError(
            "RISK_CAPITAL_MISSING",
            f"{field}.capital_usd=none. A share of the capital needs the capital: say how much the account trades with.",
            field=f"{field}.capital_usd",
        )
    if rules.since is not None and not SINCE_MIN <= rules.since.replace(tzinfo=None) <= SINCE_MAX:
        raise SettingUnusableError(
            "SETTING_OUT_OF_RANGE",
            f"{field}.since={rules.since.isoformat()} minimum={SINCE_MIN:%Y-%m-%d} maximum={SINCE_MAX:%Y-%m-%d}.",
            field=f"{field}.since",
            minimum=f"{SINCE_MIN:%Y-%m-%d}",
            maximum=f"{SINCE_MAX:%Y-%m-%d}",
        )


def _check_model_filter(model_filter: ModelFilter) -> None:
    _check_ranges(model_filter, {"confidence_min": CONFIDENCE}, within="model_filter.")
    if not re.fullmatch(MODEL_PATTERN, model_filter.model):
        raise SettingUnusableError(
            "MODEL_NAME_UNUSABLE",
            f"characters={len(model_filter.model)} maximum=64. Use a name of `pregao model list`: small letters, digits, '_' and '-'.",
            field="model_filter.model",
        )


def _are_in_order(targets: Sequence[TargetSettings]) -> bool:
    percents = [target.percent for target in targets if target.percent is not None]
    risks = [target.risk_multiple for target in targets if target.risk_multiple is not None]
    distances = percents or risks
    is_one_kind = len(percents) + len(risks) == len(distances) == len(targets)
    return is_one_kind and distances == sorted(set(distances))


def _target_text(target: TargetSettings) -> str:
    percent = "" if target.percent is None else f"{target.percent}%"
    risks = "" if target.risk_multiple is None else f"{target.risk_multiple}R"
    return f"{percent}{risks}={target.share}"


def _check_count(entries: Sequence[object], maximum: int, *, field: str) -> None:
    if len(entries) > maximum:
        raise SettingUnusableError(
            "SETTING_TOO_LONG",
            f"{field} has entries={len(entries)} maximum={maximum}. Leave some out.",
            field=field,
            maximum=maximum,
        )


def _check_repeated(symbols: Sequence[str], *, field: str) -> None:
    repeated = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if repeated is not None:
        raise SettingUnusableError(
            "SYMBOL_REPEATED",
            f"{field} has symbol={repeated} more than once; spellings such as BTC-USDT and BTCUSDT.P mean BTCUSDT.",
            field=field,
            symbol=repeated,
        )


def _check_hours(windows: Sequence[TradingHours]) -> None:
    _check_count(windows, TRADING_HOURS_MAX, field="trading_hours")
    for window in windows:
        if not window.days or len(set(window.days)) < len(window.days) or not DAYS.issuperset(window.days):
            raise SettingUnusableError(
                "TRADING_DAYS_UNUSABLE",
                f"days={','.join(map(str, window.days)) or 'none'}. Name each day once, 1 (Monday) to 7 (Sunday).",
                field="trading_hours",
            )
        if window.start.tzinfo is not None or window.end.tzinfo is not None:
            raise SettingUnusableError(
                "TRADING_TIME_UNUSABLE",
                f"start={window.start} end={window.end}. Give plain times; the zone stands in timezone.",
                field="trading_hours",
            )
        if window.timezone not in _zones():
            raise SettingUnusableError(
                "TIMEZONE_UNKNOWN",
                f"timezone={window.timezone[:40]}. Give a name of the IANA database, such as America/Sao_Paulo.",
                field="trading_hours",
            )


@cache
def _zones() -> frozenset[str]:
    # Read once: it looks into every file of the database.
    return frozenset(available_timezones()) - NO_ZONES


def _check_ranges(settings: Any, ranges: dict[str, Range], *, within: str = "") -> None:
    for name, limits in ranges.items():
        value = getattr(settings, name)
        if value is None or (limits.or_zero and value == 0):
            continue
        number = Decimal(value)
        if not number.is_finite() or not limits.minimum <= number <= limits.maximum:
            raise SettingUnusableError(
                "SETTING_OUT_OF_RANGE",
                f"{within}{name}={value} minimum={limits.minimum} maximum={limits.maximum}."
                + (" 0 is none at all." if limits.or_zero else "")
                + (" Leave it null to take the bot's default." if name.startswith("custom_") else ""),
                field=f"{within}{name}",
                minimum=str(limits.minimum),
                maximum=str(limits.maximum),
            )
        if -int(number.as_tuple().exponent) > DECIMALS_MAX:
            raise SettingUnusableError(
                "SETTING_TOO_FINE",
                f"{within}{name} has more than {DECIMALS_MAX} decimals.",
                field=f"{within}{name}",
            )
