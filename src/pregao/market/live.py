"""Live prices, read once per venue and symbol for everybody who trades it now."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers, BreakerScope
from pregao.domain.clock import Clock
from pregao.domain.instrument import Instrument
from pregao.domain.market import Market, MarketView
from pregao.domain.venue import VenueError
from pregao.market.ports import CandleSource, PricedVenue
from pregao.market.ranges import Ranges

READ_SECONDS_MAX = 2.0  # a venue that gives no price in time gets no entries; the others do not wait longer
PRICE_AGE_SECONDS_MAX = 2.0  # an older price sizes nothing

Pair = tuple[Venue, str]


class LiveMarket:
    """What was last read of each symbol; never shows a price that is too old to size with."""

    def __init__(
        self,
        venues: Mapping[Venue, PricedVenue],
        *,
        clock: Clock,
        breakers: Breakers | None = None,
        candles: Mapping[Venue, CandleSource] | None = None,
    ) -> None:
        """Ask ``venues`` when told to; ``breakers`` say which of them take no entries, ``candles`` how far prices range."""
        self.ranges = Ranges({} if candles is None else candles, clock=clock)
        self._venues = venues
        self._breakers = breakers
        self._clock = clock
        self._views: dict[Pair, MarketView] = {}
        self._instruments: dict[Pair, Instrument] = {}
        self._symbols: set[str] = set()  # of the instruments, at any venue

    async def read(self, pairs: Iterable[Pair]) -> list[tuple[Pair, str]]:
        """Read the pairs' prices, all at once; give those that could not be read, and why."""
        wanted = sorted(set(pairs))
        troubles = await asyncio.gather(*(self._read(pair) for pair in wanted))
        return [(pair, trouble) for pair, trouble in zip(wanted, troubles, strict=True) if trouble]

    def seen(self) -> Market:
        """Give the market as it was last read."""
        oldest = self._clock() - timedelta(seconds=PRICE_AGE_SECONDS_MAX)
        return Market(
            views={pair: view for pair, view in self._views.items() if view.quote.quoted_at >= oldest},
            venue_now_ms={name: venue.venue_now_ms() for name, venue in self._venues.items()},
            instruments=dict(self._instruments),
            ranges=self.ranges.seen(),
            outages=self._outages(),
        )

    def knows(self, symbol: str) -> bool:
        """Say whether the rules of a symbol have been told, by whichever venue."""
        return symbol in self._symbols

    def unknown(self, pairs: Iterable[Pair]) -> set[Pair]:
        """Give those of the pairs whose rules have not been told yet."""
        return {pair for pair in pairs if pair not in self._instruments}

    def _outages(self) -> dict[Pair, datetime]:
        closed = self._breakers.outages() if self._breakers is not None else {}
        if not closed:
            return {}
        now = self._clock()
        outages: dict[Pair, datetime] = {}
        for (scope, name), seconds in closed.items():
            venue, _, symbol = name.partition(":")
            if venue in self._venues and (scope is BreakerScope.SYMBOL) is bool(symbol):
                outages[Venue(venue), symbol] = now + timedelta(seconds=seconds)
        return outages

    async def _read(self, pair: Pair) -> str:
        name, symbol = pair
        venue = self._venues[name]
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                instrument = (await venue.instruments()).get(symbol)
                if instrument is not None:
                    self._instruments[pair] = instrument
                    self._symbols.add(symbol)
                    self._views[pair] = MarketView(instrument=instrument, quote=await venue.quote(symbol))
        except (VenueError, TimeoutError) as trouble:
            return str(trouble) or f"TIMEOUT: seconds={READ_SECONDS_MAX}"
        return ""
