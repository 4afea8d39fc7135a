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

TakeTrade: TypeAlias = Callable[[str, int, float, float], None]
"""Takes a trade: symbol, time in milliseconds, price, quantity."""
TellGap: TypeAlias = Callable[[], None]
"""Is told that trades may have been missed."""

log = structlog.get_logger()


class _Trade(msgspec.Struct, gc=False):
    """What we read of an aggTrade."""

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
        gap: TellGap,
        limits: SocketLimits | None = None,
    ) -> None:
        """Open nothing yet; ``gap`` is told at every opening that another connection was not still there for."""
        self._address = f"{addresses.streams}/market/ws"
        self._take = take
        self._gap = gap
        self._limits = limits or SocketLimits()
        self._symbols: set[str] = set()
        self._told: set[str] = set()
        self._last_ids: dict[str, int] = {}
        self._socket: KeptSocket | None = None
        self._changed = asyncio.Event()
        self._requests = 0

    def follow(self, symbols: set[str]) -> None:
        """Tell these symbols' trades from now on, and no others."""
        self._symbols = set(symbols)
        self._changed.set()

    async def run(self) -> None:
        """Keep the connection until canceled, while there is something to follow."""
        while not self._symbols:
            self._changed.clear()
            await self._changed.wait()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            connect = texts_of(session, url=lambda: self._address, on_text=self._read, limits=self._limits)
            self._socket = KeptSocket(connect=connect, on_open=self._opened, limits=self._limits)
            tasks.create_task(self._socket.run())
            tasks.create_task(self._subscribe(self._socket))

    async def _opened(self, opening: Opening) -> None:
        if opening is Opening.AWAY:
            self._last_ids.clear()  # after a restart of the venue they may begin anew
            self._gap()
        self._told.clear()
        self._changed.set()

    async def _subscribe(self, socket: KeptSocket) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while socket.is_open and (change := self._next()):
                method, symbols = change
                self._requests += 1
                names = [f"{symbol.lower()}@aggTrade" for symbol in symbols]
                await socket.send(json.dumps({"method": method, "params": names, "id": self._requests}))
                await asyncio.sleep(MESSAGE_SECONDS)

    def _next(self) -> tuple[str, list[str]] | None:
        leaving = sorted(self._told - self._symbols)[:NAMES_MAX]
        if leaving:
            self._told.difference_update(leaving)
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
        symbol = trade.s
        if symbol not in self._symbols or trade.a <= self._last_ids.get(symbol, 0):
            return  # an answer to a request, or told already by the connection that was replaced
        self._last_ids[symbol] = trade.a
        self._take(symbol, trade.T, trade.p, trade.q)
