"""A simulated venue's prices as the stops hear them: streamed in the call that moves the market, or asked for."""

import asyncio
from collections.abc import Collection, Mapping
from decimal import Decimal

from pregao.domain.venue import OutcomeUnknown, VenueError
from pregao.simulation.books import Quote
from pregao.simulation.venue import TIMEOUT_SECONDS, SimulatedVenue
from pregao.stops.feed import quote_ticks
from pregao.stops.ports import Prices, TakePrice


class SimulatedPrices(Prices):
    """
    The prices of one venue in memory.

    Faults: ``is_mute`` stops the stream and nothing else, until it is renewed; ``is_silent`` whatever is renewed;
    ``is_dead`` stops asking, too.
    """

    def __init__(self, venue: SimulatedVenue) -> None:
        """Hear the venue's quotes from now on."""
        self.is_mute = self.is_silent = self.is_dead = False
        self._venue = venue
        self._followed: dict[str, tuple[Decimal, TakePrice]] = {}
        self._is_running = False
        venue.on_quote.append(self._tell)

    def end(self) -> None:
        """Hear nothing more of the venue: whoever listened is gone."""
        self._venue.on_quote.remove(self._tell)

    def follow(self, symbol: str, *, price_tick: Decimal, take: TakePrice) -> None:
        """Tell a symbol's prices from now on; see the port."""
        self._followed[symbol] = price_tick, take

    def unfollow(self, symbol: str) -> None:
        """Tell a symbol's prices no more."""
        self._followed.pop(symbol, None)

    def renew(self, symbol: str) -> None:
        """Make a mute stream speak again."""
        if symbol in self._followed:
            self.is_mute = False

    async def run(self) -> None:
        """Stream until canceled."""
        self._is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self._is_running = False

    async def ask(self, symbols: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Ask the venue, which may be slow, silent or away."""
        if self.is_dead:
            await asyncio.sleep(TIMEOUT_SECONDS)
            raise OutcomeUnknown("TIMEOUT", "no answer")
        told: dict[str, tuple[int, int]] = {}
        problem: VenueError | None = None
        for symbol in sorted(symbols):
            if symbol not in self._followed or symbol not in self._venue.engine.books.quotes:
                continue
            try:
                quote = await self._venue.quote(symbol)
            except VenueError as unanswered:
                problem = unanswered
                continue
            ticks = quote_ticks(str(quote.bid), str(quote.ask), tick=self._followed[symbol][0])
            if ticks is not None:
                told[symbol] = ticks
        if problem is not None and not told:
            raise problem
        return told

    def _tell(self, quote: Quote) -> None:
        is_quiet = (
            self.is_mute or self.is_silent or self.is_dead or not self._is_running or self._venue.is_down
        )
        if not is_quiet:
            self.stream(quote)

    def stream(self, quote: Quote) -> None:
        """Tell a quote to whoever follows its symbol, be it the venue's or none that there was."""
        followed = self._followed.get(quote.symbol)
        if followed is None:
            return
        price_tick, take = followed
        ticks = quote_ticks(str(quote.bid), str(quote.ask), tick=price_tick)
        if ticks is not None:
            take(*ticks)
