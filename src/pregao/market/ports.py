"""What this room needs from outside: venues and their prices, and the screener's sources."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from pregao.domain.candle import Candle, Timeframe
from pregao.domain.facts import Fact
from pregao.domain.instrument import Instrument
from pregao.domain.screener import Strategy
from pregao.domain.venue import Quote


class PricedVenue(Protocol):
    """One venue, as far as everybody may ask it; raises ``VenueError`` when it gives no usable answer."""

    async def instruments(self) -> dict[str, Instrument]:
        """Give what may be traded, by symbol; cached."""
        ...

    async def quote(self, symbol: str) -> Quote:
        """Give the symbol's price, one for all who ask at once."""
        ...

    def venue_now_ms(self) -> int:
        """Give the venue's clock, in milliseconds."""
        ...


class CandleSource(Protocol):
    """A venue that tells its candles; raises ``VenueError`` when it gives no usable answer."""

    async def candles(self, symbol: str, *, timeframe: Timeframe, limit: int) -> Sequence[Candle]:
        """Give the closed ones of the symbol's latest ``limit`` candles, oldest first."""
        ...


class ScreenError(Exception):
    """A source gave no whole list; the last good one stays. The text names no more of what was read than a code does."""

    def __init__(self, code: str, message: str, *, is_temporary: bool = False) -> None:
        """Keep the stable ``code`` and the sentence; ``is_temporary``: the same question may be answered soon."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.is_temporary = is_temporary


class Screen(Protocol):
    """A source of tickers."""

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        """
        Give the strategy's tickers as they are spelled there, the best first; possibly more than were asked for.

        :raises ScreenError: when the source gave no whole list.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingList:
    """The list that stands, in the order of rank."""

    strategy_id: UUID
    tickers: tuple[str, ...]
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclinedBuy:
    """An entry that was declined because its ticker was not on the list, and what happened since."""

    signal_id: UUID
    bot_id: UUID
    ticker: str
    symbol: str  # as the signal spelled it
    price: Decimal | None
    received_at: datetime
    is_held: bool  # the bot has a position there, pending and closing ones included
    was_tried_again: bool
    sold_at: tuple[datetime, ...]  # the first and the last sell of the bot there since


class ScreenerBook(Protocol):
    """The screener in one transaction: nobody else changes it until the transaction ends."""

    async def find_strategy(self, strategy_id: UUID) -> Strategy | None:
        """Give a strategy."""
        ...

    async def find_strategy_named(self, name: str) -> Strategy | None:
        """Give the strategy with this name."""
        ...

    async def find_active(self) -> Strategy | None:
        """Give the active strategy."""
        ...

    async def count_strategies(self) -> int:
        """Say how many strategies there are."""
        ...

    async def is_paused(self) -> bool:
        """Say whether the screener is paused."""
        ...

    async def lock_list(self) -> StandingList | None:
        """Give the list that stands, and wait for whoever decides by it; who decides next sees the next one."""
        ...

    async def declined_buys(
        self, tickers: Sequence[str], *, since: datetime | None, per_ticker_max: int
    ) -> Sequence[DeclinedBuy]:
        """Give the entries in these tickers that were declined for the list, of bots that still follow it, newest first."""
        ...

    async def ask_for_look(self) -> None:
        """Have the next look come at once, once, paused or not."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class ScreenerBooks(Protocol):
    """Where a book is opened."""

    def open(self) -> AbstractAsyncContextManager[ScreenerBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The next look at a source, and how many have failed before it in a row."""

    strategy: Strategy
    due_seconds: float  # 0 or less: now
    asked: int  # of how many times somebody asked for one
    failures: int


class LookBook(ScreenerBook, Protocol):
    """The book in which a list is swapped."""

    async def is_ours(self) -> bool:
        """Say whether the lease is still held, and keep others from taking it meanwhile."""
        ...

    async def note_success(self, look: Look, *, next_seconds: float) -> None:
        """Note a look that gave a list, and when the next is due."""
        ...


class ScreenerWork(Protocol):
    """What the loop asks: whether it may, what is due, and where it writes."""

    async def hold(self) -> bool:
        """Take or renew the lease; False while another holds it."""
        ...

    async def next_look(self) -> Look | None:
        """Give the next look; None where no strategy is active, or the screener is paused and nobody asks."""
        ...

    async def note_failure(self, look: Look, *, code: str, reason: str, next_seconds: float) -> None:
        """Note a look that gave no list, and when the next is due."""
        ...

    def open(self) -> AbstractAsyncContextManager[LookBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


class Cache(Protocol):
    """What is remembered for a while, and may be lost at any time."""

    async def get(self, key: str) -> Any:
        """Give what was put there last and has not expired; None where there is nothing."""
        ...

    async def put(self, key: str, value: Any, *, seconds: float) -> None:
        """Remember a value that JSON can hold."""
        ...
