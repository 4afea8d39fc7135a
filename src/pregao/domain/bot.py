"""A bot is a channel of signals; a subscription joins it to an account, with its own overrides and limits."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")

LEVERAGE_MIN, LEVERAGE_MAX = 1, 125  # Binance's range
MARGIN_USD_MIN = Decimal(5)  # the smallest order most symbols take


class BotStatus(StrEnum):
    """Whether a bot takes signals."""

    ACTIVE = "active"
    PAUSED = "paused"  # close-only
    ARCHIVED = "archived"  # takes nothing any more


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSettings:
    """What one subscription trades with."""

    leverage: int
    margin_usd: Decimal
    stop_loss_pct: Decimal
    take_profit_pct: Decimal


def effective_settings(bot: Bot, subscription: Subscription) -> EffectiveSettings:
    """Give the subscription's own value where it is set, else the bot's default, field by field."""
    return EffectiveSettings(
        leverage=_first_set(subscription.custom_leverage, bot.default_leverage),
        margin_usd=_first_set(subscription.custom_margin_usd, bot.default_margin_usd),
        stop_loss_pct=_first_set(subscription.custom_stop_loss_pct, bot.default_stop_loss_pct),
        take_profit_pct=_first_set(subscription.custom_take_profit_pct, bot.default_take_profit_pct),
    )


def _first_set(own: T | None, default: T) -> T:
    return default if own is None else own
