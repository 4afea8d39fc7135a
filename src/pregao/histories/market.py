"""Where prices go: a step now and then, leaps away and back, and a crash that they recover from."""

import asyncio
import random
from decimal import Decimal

from pregao.histories.plan import SYMBOLS
from pregao.histories.world import World
from pregao.simulation.instruments import LISTINGS

PRICE_SECONDS = 0.5
CRASH = Decimal("0.75")


class Market:
    """The prices of a history."""

    def __init__(self, world: World) -> None:
        """Begin where the plan says."""
        self._world = world
        self._prices = dict(SYMBOLS)
        self._crash = Decimal(1)
        self._leaps = dict.fromkeys(SYMBOLS, Decimal(1))

    def open(self) -> None:
        """Tell the venue where prices begin."""
        for symbol, price in self._prices.items():
            self._world.venue.move_price(symbol, price)

    async def move(self) -> None:
        """Move the prices for ever."""
        world = self._world
        chance = random.Random(f"{world.plan.seed}/prices")
        while True:
            await asyncio.sleep(PRICE_SECONDS)
            for symbol in SYMBOLS:
                tick = LISTINGS[symbol].instrument.price_tick
                self._prices[symbol] += tick * chance.randint(-40, 40)
                price = self._prices[symbol] * self._leaps[symbol] * self._crash // tick * tick
                world.watch.moved(symbol, price - tick, price + tick, at=world.clock())
                world.venue.move_price(symbol, price)
            world.venue.pass_time()
            world.watch.check_executions(world.venue.engine)

    def leap(self, symbol: str, factor: Decimal, *, seconds: float) -> None:
        """Let a price leap, and come back after so long."""
        self._leaps[symbol] = factor
        self._world.loop.call_later(seconds, self._leap_back, symbol)

    def crash(self, *, seconds: float) -> None:
        """Let all prices fall by a quarter, and recover after so long."""
        self._crash = CRASH
        self._world.loop.call_later(seconds, self._recover)

    def calm(self) -> None:
        """End what was out of the ordinary."""
        self._recover()
        self._leaps = dict.fromkeys(SYMBOLS, Decimal(1))

    def _leap_back(self, symbol: str) -> None:
        self._leaps[symbol] = Decimal(1)

    def _recover(self) -> None:
        self._crash = Decimal(1)
