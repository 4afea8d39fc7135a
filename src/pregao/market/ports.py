"""What this room needs from outside: venues that say what they trade, at which price, and what time it is there."""

from typing import Protocol

from pregao.domain.instrument import Instrument
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
