"""
Every trade of the symbols followed, as it comes, for whoever makes candles of them.

Nothing that is traded by hangs on this: it has a connection of its own, and numbers are floats.
"""

import asyncio
import json
from collections.abc import Callable
from typing import TypeAlias

import aiohttp
import msgspec
import structlog

from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.sockets import KeptSocket, Opening, SocketLimits, texts_of

NAMES_MAX = 100  # in one SUBSCRIBE
MESSAGE_SECONDS = 0.25  # between two: above ten messages a second the venue hangs up
CLOCK_MS_MAX = 250  # the venue's clock is known to a part of a round trip

TakeTrade: TypeAlias = Callable[[str, int, float, float], None]
"""Takes a trade: symbol, time in milliseconds, price, quantity."""
VenueNow: TypeAlias = Callable[[], int]
"""Gives the venue's time in milliseconds, as far as it is known here."""

log = structlog.get_logger()


class _Trade(msgspec.Struct, gc=False):
    """What we read of an aggTrade; of an answer to a request its number, and whether it was refused."""

    id: int = 0
    code: int = 0
    error: msgspec.Raw | None = None
    s: str = ""
    a: int = 0
    T: int = 0
    p: float = 0.0
    q: float = 0.0


_trade = msgspec.json.Decoder(_Trade, strict=False)


class TradeStream:
    """One Binance venue's trades of the symbols followed, each told once."""

    def __init__(
        self,
        *,
        addresses: VenueAddresses,
        take: TakeTrade,
        venue_now_ms: VenueNow,
        limits: SocketLimits | None = None,
    ) -> None:
        """Open nothing yet."""
        self._address = f"{addresses.streams}/market/ws"
        self._take = take
        self._venue_now_ms = venue_now_ms
        self._limits = limits or SocketLimits()
        self._symbols: set[str] = set()
        self._told: set[str] = set()
        self._asked: dict[int, list[str]] = {}  # what each request that is not answered yet subscribes to
        self._heard_since_ms: dict[str, int] = {}
        self._last_ids: dict[str, int] = {}
        self._socket: KeptSocket | None = None
        self._changed = asyncio.Event()
        self._requests = 0

    def follow(self, symbols: set[str]) -> None:
        """Tell these symbols' trades from now on, and no others."""
        self._symbols = set(symbols)
        self._changed.set()

    def heard_since_ms(self, symbol: str) -> int | None:
        """Give the venue's time from which on no trade of a symbol was missed; None while some may be."""
        return self._heard_since_ms.get(symbol)

    async def run(self) -> None:
        """Keep the connection until canceled, while there is something to follow."""
        while not self._symbols:
            self._changed.clear()
            await self._changed.wait()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            connect = texts_of(session, url=lambda: self._address, on_text=self._read, limits=self._limits)
            self._socket = KeptSocket(
                connect=connect, on_open=self._opened, on_lost=self._heard_since_ms.clear, limits=self._limits
            )
            tasks.create_task(self._socket.run())
            tasks.create_task(self._subscribe(self._socket))

    async def _opened(self, opening: Opening) -> None:
        if opening is Opening.AWAY:
            self._last_ids.clear()  # after a restart of the venue they may begin anew
        self._told.clear()
        self._asked.clear()
        self._changed.set()

    async def _subscribe(self, socket: KeptSocket) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while socket.is_open and (change := self._next()):
                method, symbols = change
                self._requests += 1
                if method == "SUBSCRIBE":
                    self._asked[self._requests] = symbols
                names = [f"{symbol.lower()}@aggTrade" for symbol in symbols]
                await socket.send(json.dumps({"method": method, "params": names, "id": self._requests}))
                await asyncio.sleep(MESSAGE_SECONDS)

    def _next(self) -> tuple[str, list[str]] | None:
        leaving = sorted(self._told - self._symbols)[:NAMES_MAX]
        if leaving:
            self._told.difference_update(leaving)
            for symbol in leaving:
                self._heard_since_ms.pop(symbol, None)
            return "UNSUBSCRIBE", leaving
        coming = sorted(self._symbols - self._told)[:NAMES_MAX]
        self._told.update(coming)
        return ("SUBSCRIBE", coming) if coming else None

    async def _read(self, text: str) -> None:
        try:
            trade = _trade.decode(text)
        except msgspec.DecodeError:
            log.warning("binance.trades.unreadable", letters=len(text))
            return
        if trade.id:
            self._answered(trade)
            return
        symbol = trade.s
        if symbol not in self._symbols or trade.a <= self._last_ids.get(symbol, 0):
            return  # told already by the connection that was replaced
        self._last_ids[symbol] = trade.a
        self._take(symbol, trade.T, trade.p, trade.q)

    def _answered(self, answer: _Trade) -> None:
        """Know from when on every trade is told: from the answer on, not from the question."""
        symbols = self._asked.pop(answer.id, [])
        if answer.code or answer.error is not None:
            log.warning("binance.trades.refused", symbols=symbols, code=answer.code)
            return
        since_ms = self._venue_now_ms() + CLOCK_MS_MAX
        for symbol in symbols:
            self._heard_since_ms.setdefault(symbol, since_ms)  # a connection that is replaced had them before
