"""
A venue's prices in memory: told to whoever follows a symbol, and to whoever asks.

Faults: `silence()` (the stream tells nothing more, asking goes on), `die()` (asking fails too).
"""

import asyncio
from collections.abc import Collection, Mapping
from decimal import Decimal

from pregao.domain.venue import OutcomeUnknown
from pregao.stops.book import ask_ticks, bid_ticks
from pregao.stops.ports import TakePrice


class FakePrices:
    """Implements `stops.ports.Prices`."""

    def __init__(self) -> None:
        self.now: dict[str, tuple[Decimal, Decimal]] = {}
        self.followed: dict[str, tuple[Decimal, TakePrice]] = {}
        self.renewed: list[str] = []
        self.asked = 0
        self._is_silent = self._is_dead = False

    def silence(self, *, silent: bool = True) -> None:
        self._is_silent = silent

    def die(self, *, dead: bool = True) -> None:
        self._is_dead = dead

    def move(self, symbol: str, price: str | Decimal, ask: str | Decimal | None = None) -> None:
        bid = Decimal(price)
        self.now[symbol] = bid, bid if ask is None else Decimal(ask)
        if symbol in self.followed and not self._is_silent:
            tick, take = self.followed[symbol]
            take(*self._ticks(symbol, tick))

    def _ticks(self, symbol: str, tick: Decimal) -> tuple[int, int]:
        bid, ask = self.now[symbol]
        return bid_ticks(bid, tick=tick), ask_ticks(ask, tick=tick)

    # --- the port ---

    def follow(self, symbol: str, *, price_tick: Decimal, take: TakePrice) -> None:
        self.followed[symbol] = price_tick, take

    def unfollow(self, symbol: str) -> None:
        self.followed.pop(symbol, None)

    def renew(self, symbol: str) -> None:
        self.renewed.append(symbol)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def ask(self, symbols: Collection[str]) -> Mapping[str, tuple[int, int]]:
        self.asked += 1
        await asyncio.sleep(0)
        if self._is_dead:
            raise OutcomeUnknown("TIMEOUT", "no answer")
        return {
            symbol: self._ticks(symbol, self.followed[symbol][0])
            for symbol in symbols
            if symbol in self.followed and symbol in self.now
        }
