"""Live prices: what the market streams tell, per symbol, and how old it is."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import aiohttp
import msgspec
import structlog

from pregao.domain.clock import Clock
from pregao.domain.money import ZERO
from pregao.domain.venue import Quote
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.sockets import KeptSocket, SocketLimits, texts_of

SYMBOLS_PER_MESSAGE = 100  # in one SUBSCRIBE
SUBSCRIBE_SECONDS = 0.15  # between them: the exchange hangs up above ten messages a second

log = structlog.get_logger()


class _Tick(msgspec.Struct):
    """A bookTicker or an aggTrade: the fields of both."""

    e: str = ""
    s: str = ""
    b: str = "0"
    B: str = "0"
    a: str | int = "0"  # bookTicker: best ask; aggTrade: id
    A: str = "0"
    p: str = "0"
    q: str = "0"


class _Wrapped(msgspec.Struct):
    data: _Tick | None = None


@dataclass(slots=True)
class _Symbol:
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    last_price: Decimal = ZERO
    book_read: tuple[float, datetime] | None = None
    last_read: tuple[float, datetime] | None = None


class PriceBook:
    """The newest bid, ask and last price of every symbol followed."""

    def __init__(self, clock: Clock) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._symbols: dict[str, _Symbol] = {}

    def note_book(self, symbol: str, *, bid: Decimal, ask: Decimal) -> None:
        """Take the best bid and ask; an empty side is no price and is left out."""
        if bid > ZERO and ask > ZERO:
            known = self._symbols.setdefault(symbol, _Symbol())
            known.bid, known.ask, known.book_read = bid, ask, self._now()

    def note_last(self, symbol: str, *, price: Decimal) -> None:
        """Take the last trade's price."""
        if price > ZERO:
            known = self._symbols.setdefault(symbol, _Symbol())
            known.last_price, known.last_read = price, self._now()

    def quote(self, symbol: str, *, age_seconds_max: float) -> Quote | None:
        """Give the symbol's quote when both of its halves are fresh; the older half dates it."""
        known = self._symbols.get(symbol)
        if known is None or known.book_read is None or known.last_read is None:
            return None
        read, quoted_at = min(known.book_read, known.last_read)
        if asyncio.get_running_loop().time() - read > age_seconds_max:
            return None
        return Quote(
            symbol=symbol, last_price=known.last_price, bid=known.bid, ask=known.ask, quoted_at=quoted_at
        )

    def _now(self) -> tuple[float, datetime]:
        return asyncio.get_running_loop().time(), self._clock()


class MarketStream:
    """Follows symbols on the public (book) and market (trades) streams into a price book."""

    def __init__(
        self,
        *,
        addresses: VenueAddresses,
        book: PriceBook,
        limits: SocketLimits | None = None,
        on_price: Callable[[str], None] | None = None,
    ) -> None:
        """Open nothing yet; ``on_price`` is told the symbol after each new price."""
        self._addresses = addresses
        self._book = book
        self._limits = limits or SocketLimits()
        self._on_price = on_price
        self._symbols: set[str] = set()
        self._sockets: dict[str, KeptSocket] = {}  # by the stream's kind

    async def follow(self, symbols: set[str]) -> None:
        """Subscribe symbols not followed yet."""
        new = symbols - self._symbols
        self._symbols |= new
        await self._tell("SUBSCRIBE", new)

    async def unfollow(self, symbols: set[str]) -> None:
        """Drop symbols."""
        old = symbols & self._symbols
        self._symbols -= old
        await self._tell("UNSUBSCRIBE", old)

    async def run(self) -> None:
        """Keep both connections until canceled."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for kind, path in (("bookTicker", "public"), ("aggTrade", "market")):
                self._sockets[kind] = KeptSocket(
                    connect=texts_of(
                        session,
                        url=lambda path=path: f"{self._addresses.streams}/{path}/stream",  # type: ignore[misc]
                        on_text=self._read,
                        limits=self._limits,
                    ),
                    on_open=lambda _, kind=kind: self._opened(kind),  # type: ignore[misc]
                    limits=self._limits,
                )
                tasks.create_task(self._sockets[kind].run())

    async def _opened(self, kind: str) -> None:
        await self._tell_one(kind, "SUBSCRIBE", self._symbols)

    async def _tell(self, method: str, symbols: set[str]) -> None:
        for kind in tuple(self._sockets):
            await self._tell_one(kind, method, symbols)

    async def _tell_one(self, kind: str, method: str, symbols: set[str]) -> None:
        names = [f"{symbol.lower()}@{kind}" for symbol in sorted(symbols)]
        for start in range(0, len(names), SYMBOLS_PER_MESSAGE):
            part = names[start : start + SYMBOLS_PER_MESSAGE]
            await self._sockets[kind].send(json.dumps({"method": method, "params": part, "id": start + 1}))
            if start + SYMBOLS_PER_MESSAGE < len(names):
                await asyncio.sleep(SUBSCRIBE_SECONDS)

    async def _read(self, text: str) -> None:
        try:
            tick = _wrapped.decode(text).data or _tick.decode(text)
            self._note(tick)
        except (msgspec.DecodeError, ArithmeticError):
            log.warning("binance.prices.unreadable", letters=len(text))

    def _note(self, tick: _Tick) -> None:
        if tick.e == "bookTicker":
            if Decimal(tick.B) == ZERO or Decimal(tick.A) == ZERO:
                return  # a side without quantity is no price
            self._book.note_book(tick.s, bid=Decimal(tick.b), ask=Decimal(tick.a))
        elif tick.e == "aggTrade":
            if Decimal(tick.q) == ZERO:
                return
            self._book.note_last(tick.s, price=Decimal(tick.p))
        else:
            return
        if self._on_price is not None:
            self._on_price(tick.s)


_wrapped = msgspec.json.Decoder(_Wrapped)
_tick = msgspec.json.Decoder(_Tick)
