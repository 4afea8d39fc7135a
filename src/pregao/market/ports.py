"""What this room needs from outside: venues and their prices, and the screener's sources."""

from collections.abc import Sequence
from typing import Protocol

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
