"""A bot is a channel of signals; a subscription joins it to an account, with its own overrides and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any
from uuid import UUID

from pregao.domain.candle import Measure, Timeframe
from pregao.domain.level import Method
from pregao.domain.prediction import ModelFilter
from pregao.domain.risk_rules import NO_RULES, RiskRules
from pregao.domain.stop_rule import TrailingMode

LEVERAGE_MIN, LEVERAGE_MAX = 1, 125  # Binance's range
MARGIN_USD_MIN = Decimal(5)  # the smallest order most symbols take


class BotStatus(StrEnum):
    """Whether a bot takes signals."""

    ACTIVE = "active"
    PAUSED = "paused"  # close-only
    ARCHIVED = "archived"  # takes closes while it holds something, then nothing any more


class SubscriptionStatus(StrEnum):
    """Whether an account follows its bot."""

    ACTIVE = "active"
    PAUSED = "paused"  # close-only
    CANCELED = "canceled"  # ended; what is open is guarded until it is closed


class Directions(StrEnum):
    """Which way a bot's entries may go."""

    BOTH = "both"
    BUY_ONLY = "buy_only"
    SELL_ONLY = "sell_only"


class Approval(StrEnum):
    """Who says yes to an entry that passed every check."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"  # a person, in time and at about the same price


class Policy(StrEnum):
    """Which tickers a bot enters, beside its own rules."""

    ANY = "any"
    SCREENER = "screener"  # those on the screener's list, when they are decided


class SameSide(StrEnum):
    """What an entry does that finds a position of its own on the same side."""

    IGNORE = "ignore"
    ADD = "add"  # enter once more, into the same position
    REPLACE = "replace"  # close it, then enter anew


class OppositeSide(StrEnum):
    """What an entry does that finds a position of its own on the other side."""

    REVERSE = "reverse"  # close it, then enter
    CLOSE = "close"
    IGNORE = "ignore"


class Origin(StrEnum):
    """Where a setting may be set; the first that is counts."""

    OWN_SYMBOL = "own_symbol"  # the subscription's row for the symbol
    OWN = "own"  # the subscription
    BOT_SYMBOL = "bot_symbol"  # the bot's row for the symbol
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSettings:
    """
    What counts on one symbol; None is "not set": the next wider setting counts. 0 is a value.

    A bot's limits count all its subscribers together, a subscription's only its own.
    """

    symbol: str
    is_active: bool = True
    leverage: int | None = None
    margin_usd: Decimal | None = None
    stop_loss_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    max_positions: int | None = None
    max_daily_loss_usd: Decimal | None = None
    use_bot_default: bool = False  # on a subscription: leave the values of this row out, its limits stay


NOTHING_SET = SymbolSettings(symbol="")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """A stop that is measured by how far the price ranges: so many average true ranges from the entry."""

    method: Method = Method.ATR
    period: int = 14  # candles
    multiple: Decimal = Decimal(2)
    timeframe: Timeframe = Timeframe.MINUTES_15

    @property
    def measure(self) -> Measure:
        """What the range is the average of."""
        return Measure(timeframe=self.timeframe, period=self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """One of several targets, for a share of what was entered: either so many percent from the entry, or so many risks."""

    percent: Decimal | None = None
    risk_multiple: Decimal | None = None  # of the first distance between entry and stop
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """How positions are guarded beside the two percentages; percentages are of the entry price."""

    stop: StopSettings | None = None  # in place of stop_loss_pct
    targets: tuple[TargetSettings, ...] = ()  # the nearest first; in place of take_profit_pct
    trailing: TrailingMode | None = None
    trailing_percent: Decimal = Decimal(2)  # behind the best price; of the mode percent
    trailing_step_percent: Decimal = Decimal("0.1")  # the least move; of the mode percent
    break_even_after_target: bool = False  # the stop goes to break-even when the first target has filled
    fee_percent: Decimal = Decimal("0.1")  # of a round trip: break-even earns it back
    slippage_percent: Decimal = Decimal("0.05")  # the same
    is_required: bool | None = None  # None: where there is a stop, no position may be open without it


STANDARD_GUARD = GuardSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHours:
    """
    A weekly window in which entries are taken; ``end`` is not part of it, and not after ``start`` is over midnight.

    Days count as in ISO 8601, Monday is 1; a window over midnight belongs to the day it starts on.
    """

    days: tuple[int, ...]
    start: time
    end: time
    timezone: str = "UTC"  # a name of the IANA database


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One channel of signals. Margins are in USD, percentages in percent of the entry price."""

    bot_id: UUID
    name: str
    webhook_path: str
    secret_sha256: str
    description: str = ""
    market_type: str = "futures"
    status: BotStatus = BotStatus.ACTIVE
    allowed_directions: Directions = Directions.BOTH
    trading_symbol: str | None = None
    default_leverage: int = 10
    default_margin_usd: Decimal = Decimal(50)
    default_stop_loss_pct: Decimal = Decimal("2.5")
    default_take_profit_pct: Decimal = Decimal("5.0")
    default_max_positions: int = 3
    signals_per_minute_max: int | None = 600  # None is no limit; far above any honest sender
    is_open: bool = False  # takes signals without a secret; paper accounts only
    approval: Approval = Approval.AUTOMATIC
    approval_seconds: int = 300  # how long a person may take
    approval_price_move_pct: Decimal = Decimal(1)  # how far the price may have gone meanwhile, either way
    allowed_symbols: tuple[str, ...] = ()  # none named: any
    trading_hours: tuple[TradingHours, ...] = ()  # none named: always
    cooldown_seconds: int = 0  # between two entries on one symbol
    max_entries_per_day: int | None = None  # approved ones, by UTC day
    global_max_daily_loss_usd: Decimal | None = None  # of all subscribers together, by UTC day
    global_max_positions: int | None = None  # of all subscribers together
    same_side: SameSide = SameSide.IGNORE
    opposite_side: OppositeSide = OppositeSide.REVERSE
    symbols: tuple[SymbolSettings, ...] = ()
    guard: GuardSettings = STANDARD_GUARD
    former_secret_sha256: str | None = (
        None  # taken beside the present one, so that alerts can be changed in peace
    )
    former_secret_until: datetime | None = None
    policy: Policy = Policy.ANY
    risk: RiskRules = NO_RULES  # of each subscriber
    model_filter: ModelFilter | None = None
    takes_strategies: bool = False  # signals of the desk's own strategies, with their stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An account following a bot. None is "not set": the bot's default counts; 0 is a value."""

    subscription_id: UUID
    bot_id: UUID
    account_id: int
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    custom_leverage: int | None = None
    custom_margin_usd: Decimal | None = None
    custom_stop_loss_pct: Decimal | None = None
    custom_take_profit_pct: Decimal | None = None
    max_daily_loss_usd: Decimal = Decimal(200)
    max_concurrent_positions: int = 3
    custom_same_side: SameSide | None = None
    custom_opposite_side: OppositeSide | None = None
    symbols: tuple[SymbolSettings, ...] = ()
    custom_guard: GuardSettings | None = None
    config_group_id: UUID | None = None  # subscriptions made together share one
    custom_risk: RiskRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSettings:
    """What one subscription trades a symbol with."""

    leverage: int
    margin_usd: Decimal
    stop_loss_pct: Decimal
    take_profit_pct: Decimal
    same_side: SameSide
    opposite_side: OppositeSide
    guard: GuardSettings
    risk: RiskRules


def secrets_taken(bot: Bot, *, now: datetime) -> tuple[str, ...]:
    """Give the SHA-256 of every secret the bot takes: its own, and the former one until its time has come."""
    until = bot.former_secret_until
    if until is None or bot.former_secret_sha256 is None or now >= until:
        return (bot.secret_sha256,)
    return (bot.secret_sha256, bot.former_secret_sha256)


def effective_settings(bot: Bot, subscription: Subscription, *, symbol: str | None) -> EffectiveSettings:
    """
    Give what the subscription trades a symbol with, field by field.

    Its own setting wins: its symbol row, then its custom value, then the bot's symbol row, then the bot's default.
    """
    settings: dict[str, Any] = {
        name: own
        if own is not None
        else custom
        if custom is not None
        else row
        if row is not None
        else default
        for name, (own, custom, row, default) in _places(bot, subscription, symbol=symbol)
    }
    return EffectiveSettings(**settings)


set_by = attrgetter(
    "custom_leverage", "custom_margin_usd", "custom_stop_loss_pct", "custom_take_profit_pct", "custom_same_side",
    "custom_opposite_side", "symbols", "custom_guard", "custom_risk",
)  # fmt: skip
"""Gives what a subscription itself sets: those of a bot that set the same trade a symbol alike."""


def origins_of(bot: Bot, subscription: Subscription, *, symbol: str | None) -> dict[str, Origin]:
    """Say of each effective setting where it is set."""
    return {
        name: next(origin for origin, value in zip(Origin, values, strict=True) if value is not None)
        for name, values in _places(bot, subscription, symbol=symbol)
    }


def _places(
    bot: Bot, subscription: Subscription, *, symbol: str | None
) -> tuple[tuple[str, tuple[object, object, object, object]], ...]:
    # By setting, what each origin says of it, in their order; None is not set, 0 is a value.
    row = settings_of(subscription.symbols, symbol) if subscription.symbols else NOTHING_SET
    own = NOTHING_SET if row.use_bot_default else row
    bots = settings_of(bot.symbols, symbol) if bot.symbols else NOTHING_SET
    mine = subscription
    return (
        ("leverage", (own.leverage, mine.custom_leverage, bots.leverage, bot.default_leverage)),
        ("margin_usd", (own.margin_usd, mine.custom_margin_usd, bots.margin_usd, bot.default_margin_usd)),
        (
            "stop_loss_pct",
            (own.stop_loss_pct, mine.custom_stop_loss_pct, bots.stop_loss_pct, bot.default_stop_loss_pct),
        ),
        (
            "take_profit_pct",
            (
                own.take_profit_pct,
                mine.custom_take_profit_pct,
                bots.take_profit_pct,
                bot.default_take_profit_pct,
            ),
        ),
        ("same_side", (None, mine.custom_same_side, None, bot.same_side)),
        ("opposite_side", (None, mine.custom_opposite_side, None, bot.opposite_side)),
        ("guard", (None, mine.custom_guard, None, bot.guard)),
        ("risk", (None, mine.custom_risk, None, bot.risk)),
    )


def rules_of(bot: Bot, subscription: Subscription) -> RiskRules:
    """Give what a subscription may lose, hold and aim for: its own rules, whole, or the bot's."""
    return bot.risk if subscription.custom_risk is None else subscription.custom_risk


def default_settings(bot: Bot) -> EffectiveSettings:
    """Give what is traded with where neither a subscription nor a symbol's row says otherwise."""
    return EffectiveSettings(
        leverage=bot.default_leverage,
        margin_usd=bot.default_margin_usd,
        stop_loss_pct=bot.default_stop_loss_pct,
        take_profit_pct=bot.default_take_profit_pct,
        same_side=bot.same_side,
        opposite_side=bot.opposite_side,
        guard=bot.guard,
        risk=bot.risk,
    )


def settings_of(symbols: Sequence[SymbolSettings], symbol: str | None) -> SymbolSettings:
    """Give the row of a symbol; one that sets nothing when it has none."""
    for row in symbols:
        if row.symbol == symbol:
            return row
    return NOTHING_SET
