"""What was found out about an account and what it follows, before anybody says what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription, effective_settings, settings_of
from pregao.domain.instrument import Instrument
from pregao.domain.preflight import (
    AccountRules,
    ClockReading,
    Funds,
    KeyRights,
    LeverageBracket,
    SymbolRules,
)
from pregao.domain.venue import VenueError

SYMBOLS_MAX = 20  # of one subscription: whoever trades more finds the rest at its first signal


T = TypeVar("T")
Answer: TypeAlias = T | VenueError


class Unfit(Protocol):
    """Why an entry has no size."""

    @property
    def code(self) -> str:
        """Give the stable code."""
        ...


class Sizing(Protocol):
    """How an entry is sized when its signal comes."""

    def __call__(
        self, *, margin_usd: Decimal, leverage: int, price: Decimal, instrument: Instrument
    ) -> "Decimal | Unfit":
        """Give the quantity, or why there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """An active subscription of the account, its bot, and the symbols the bot's signals have named of late."""

    bot: Bot
    subscription: Subscription
    lately: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An entry that may be asked of the account: one subscription, one symbol."""

    subscription_id: UUID
    symbol: str
    leverage: int
    margin_usd: Decimal

    @property
    def notional(self) -> Decimal:
        """Give what the entry is worth at most."""
        return self.margin_usd * self.leverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that was found out about an account; an error stands where the venue did not tell."""

    account: Account
    follows: Sequence[Follows]
    rights: Answer[KeyRights]
    rules: Answer[AccountRules]
    funds: Answer[Funds]
    symbols: Answer[Mapping[str, SymbolRules]]
    brackets: Answer[Mapping[str, Sequence[LeverageBracket]]]
    instruments: Answer[Mapping[str, Instrument]]
    prices: Mapping[str, Decimal] = field(default_factory=dict)  # of those that gave one
    refusals: Mapping[str, VenueError] = field(default_factory=dict)  # of setting a symbol
    clock: ClockReading = field(default_factory=lambda: ClockReading(offset_ms=None))
    is_streamed: bool | None = None  # None: it is not known here


def symbols_of(follows: Follows) -> list[str]:
    """Give the symbols a subscription may trade, as far as anybody can know: the bot's own, its list, rows, or of late."""
    bot, subscription = follows.bot, follows.subscription
    if bot.trading_symbol is not None:
        named: Sequence[str] = (bot.trading_symbol,)
    else:
        rows = [row.symbol for row in (*subscription.symbols, *bot.symbols) if row.is_active]
        named = bot.allowed_symbols or rows or follows.lately
    allowed = [
        symbol
        for symbol in dict.fromkeys(named)
        if all(
            not rows or settings_of(rows, symbol).is_active for rows in (subscription.symbols, bot.symbols)
        )
    ]
    return allowed[:SYMBOLS_MAX]


def wanted_of(follows: Follows) -> list[Wanted]:
    """Give the entries that a subscription may ask of its account."""
    wanted = []
    for symbol in symbols_of(follows):
        settings = effective_settings(follows.bot, follows.subscription, symbol=symbol)
        wanted.append(
            Wanted(
                subscription_id=follows.subscription.subscription_id,
                symbol=symbol,
                leverage=settings.leverage,
                margin_usd=settings.margin_usd,
            )
        )
    return wanted
