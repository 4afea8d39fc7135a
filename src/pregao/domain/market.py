"""The market as planning sees it: what each symbol allows at each venue, its fresh price, the venues' clocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.instrument import Instrument
from pregao.domain.venue import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """One symbol at one venue: what it allows, and its fresh price."""

    instrument: Instrument
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """
    The venues as planning sees them, read before the transaction opened.

    A (venue, symbol) missing from ``views`` could not be read in time: entries there are denied, exits are not.
    ``instruments`` are known however old their price is: a share is closed in their steps.
    """

    views: Mapping[tuple[Venue, str], MarketView]
    venue_now_ms: Mapping[Venue, int]  # every venue's clock, in milliseconds
    instruments: Mapping[tuple[Venue, str], Instrument] = field(default_factory=dict)
    ranges: Mapping[tuple[Venue, str, Measure], Decimal] = field(default_factory=dict)
    """The average true range of a symbol, where a stop is measured by it; one that is too old is left out."""
    outages: Mapping[tuple[Venue, str], datetime] = field(default_factory=dict)
    """Until when a venue (symbol "") or one symbol there takes no entries, because its breaker is open."""

    def last_price(self, venue: Venue | None, symbol: str | None) -> Decimal | None:
        """Give a symbol's last price at a venue, None where it could not be read."""
        view = self.views.get((venue, symbol)) if venue and symbol else None
        return None if view is None else view.quote.last_price
