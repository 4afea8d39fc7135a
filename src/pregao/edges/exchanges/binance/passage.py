"""What a request passes before it leaves: the breaker of the venue, and of the symbol where it is an order."""

from typing import TypeAlias

from pregao.domain.breaker import (
    VENUE,
    Breaker,
    Breakers,
    BreakerScope,
    BreakerState,
    CircuitBreakerOpenError,
    Outcome,
    Ticket,
    symbol_breaker_name,
)
from pregao.domain.venue import RetryLater
from pregao.edges.exchanges.binance.outcomes import outcome_of

Tickets: TypeAlias = tuple[Ticket, Ticket | None]

CLOSED = BreakerState.CLOSED  # looked up once: a burst of orders passes here
CODES = {BreakerScope.SERVICE: "VENUE_BREAKER_OPEN", BreakerScope.SYMBOL: "SYMBOL_BREAKER_OPEN"}


class Passage:
    """The breakers of one kind of request."""

    __slots__ = ("_symbol", "_venue")

    def __init__(self, venue: Breaker, symbol: Breaker | None = None) -> None:
        """Pass the one, or both."""
        self._venue = venue
        self._symbol = symbol

    def begin(self, *, is_exit: bool = False) -> Tickets:
        """
        Let a request leave; an exit always may.

        :raises RetryLater: with the time of the next try; nothing was sent.
        """
        venue, symbol = self._venue, self._symbol
        if venue.state is CLOSED and (symbol is None or symbol.state is CLOSED):
            return venue.ticket, None if symbol is None else symbol.ticket
        first = _begin(venue, is_exit=is_exit)
        if symbol is None:
            return first, None
        try:
            return first, _begin(symbol, is_exit=is_exit)
        except RetryLater:
            venue.release(first)
            raise

    def is_calm(self) -> bool:
        """Say whether one more success would change nothing: nearly always."""
        venue, symbol = self._venue, self._symbol
        if venue.failure_count or venue.state is not CLOSED:
            return False
        return symbol is None or (not symbol.failure_count and symbol.state is CLOSED)

    def end(self, tickets: Tickets, problem: BaseException | None = None) -> None:
        """
        Take note of how it ended: answered, or by what it raised.

        A symbol is to blame only while the venue answers other questions; else the venue is, and the symbol's minutes
        of silence would outlast a short outage.
        """
        venue, symbol = self._venue, self._symbol
        outcome = Outcome.SUCCESS
        if problem is not None:
            outcome = outcome_of(problem) if isinstance(problem, Exception) else Outcome.NOTHING
        venue.end(tickets[0], outcome)
        if symbol is None or tickets[1] is None:
            return
        is_venues = outcome is Outcome.FAILURE and venue.failure_count > 1
        symbol.end(tickets[1], Outcome.NOTHING if is_venues else outcome)


def _begin(breaker: Breaker, *, is_exit: bool) -> Ticket:
    try:
        return breaker.begin(is_exit=is_exit)
    except CircuitBreakerOpenError as is_open:
        raise RetryLater(
            CODES[breaker.scope], str(is_open), retry_after_seconds=is_open.retry_after_seconds
        ) from is_open


class Passages:
    """The breakers of one venue."""

    def __init__(self, breakers: Breakers, *, venue: str) -> None:
        """Take them from the process's; ``venue`` is the name of the address."""
        self._breakers = breakers
        self._name = venue
        self._venue = breakers.get(venue, VENUE)
        self._orders: dict[str, Passage] = {}
        self.of_reads = Passage(self._venue)

    def of_orders(self, symbol: str) -> Passage:
        """Give what an order on a symbol passes."""
        passage = self._orders.get(symbol)
        if passage is None:
            name = symbol_breaker_name(self._name, symbol)
            breaker = self._breakers.get(name, scope=BreakerScope.SYMBOL)
            passage = self._orders[symbol] = Passage(self._venue, breaker)
        return passage
