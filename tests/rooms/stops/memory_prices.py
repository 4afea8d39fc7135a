"""A venue's prices in memory: they say what a test says, in ticks of whoever follows."""

import asyncio
from decimal import Decimal

from pregao.domain.venue import RetryLater
from pregao.domain.weight import Importance, importance_of


class MemoryPrices:
    """The port of `stops/ports.py`: a quote is told as it is, a trade widens the last quote to itself."""

    def __init__(self):
        self.followed = {}  # symbol to its tick and who takes its prices
        self.quotes = {}  # as the venue would answer now, in decimals
        self.asked = []
        self.asked_for = []  # how much hung on each question
        self.renewed = []
        self.is_away = False
        self.is_mute = False  # then nothing is streamed, and the venue answers
        self.is_running = False

    def follow(self, symbol, *, price_tick, take):
        self.followed[symbol] = (price_tick, take)

    def unfollow(self, symbol):
        self.followed.pop(symbol, None)

    def renew(self, symbol):
        self.renewed.append(symbol)

    async def run(self):
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False

    async def ask(self, symbols):
        self.asked.append(sorted(symbols))
        self.asked_for.append(importance_of(Importance.EXITS))
        await asyncio.sleep(0)
        if self.is_away:
            raise RetryLater("AWAY", "nobody answers", retry_after_seconds=1.0)
        return {symbol: self._ticks(symbol) for symbol in symbols if symbol in self.quotes}

    def say(self, symbol, bid, ask=None):
        """Move the market, and tell it unless the stream is mute."""
        self.quotes[symbol] = (Decimal(bid), Decimal(bid if ask is None else ask))
        if symbol in self.followed and not self.is_mute:
            self.followed[symbol][1](*self._ticks(symbol))

    def say_trade(self, symbol, price):
        tick, take = self.followed[symbol]
        bid, ask = self.quotes.get(symbol, (Decimal(price), Decimal(price)))
        if not self.is_mute:
            take(int(min(bid, Decimal(price)) / tick), int(max(ask, Decimal(price)) / tick))

    def _ticks(self, symbol):
        tick = self.followed[symbol][0]
        return tuple(int(price / tick) for price in self.quotes[symbol])


class Watching:
    """A watcher that does what its book says, and remembers it."""

    def __init__(self, symbol, book, told):
        self.symbol, self.book, self.told = symbol, book, told

    @property
    def price_tick(self):
        return self.book.price_tick

    @property
    def price(self):
        return self.book.price

    @property
    def is_in_doubt(self):
        return self.book.is_in_doubt

    def take(self, bid, ask, source):
        happened = self.book.tick(bid, ask)
        if happened:
            self.told.append((self.symbol, happened, source))
