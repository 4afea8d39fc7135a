"""Ask venues for the candles of charts: loaded by the first chart, and by none before."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from pregao.bootstrap.keyless import KeylessVenues
from pregao.domain.account import Venue
from pregao.domain.clock import Clock, from_ms, to_ms
from pregao.edges.exchanges.binance.candles import BinanceBars
from pregao.edges.postgres.cache import PostgresCache
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.weights import BELL as WEIGHTS_BELL
from pregao.settings import Settings
from pregao.views.bars import Bar, Window

GROWING_SECONDS = (
    5.0  # so long a candle that still grows is shown as it was; everybody who looks shares the question
)
CLOSED_SECONDS = 86_400.0  # what is over changes no more


class VenueBars:
    """The port `views.bars.Bars`: each venue is joined when it is asked for the first time."""

    def __init__(self, settings: Settings, *, journal: Journal, doorbell: Doorbell, clock: Clock) -> None:
        """Ask within the weight that all processes of this address share, and not again what was just told."""
        self._venues = KeylessVenues(
            settings, pool=journal.pool, ring_weights=partial(doorbell.ring, WEIGHTS_BELL), clock=clock
        )
        self._cache = PostgresCache(journal.pool)
        self._clock = clock
        self._asking: dict[str, asyncio.Lock] = {}

    async def bars(self, venue: Venue, symbol: str, window: Window) -> Sequence[Bar]:
        """Give the window's candles, oldest first; possibly as they were some seconds ago."""
        address = self._venues.address_of(venue).rest
        since, until = (to_ms(at) for at in (window.since, window.until))
        key = f"bars:{venue}:{address}:{symbol}:{window.timeframe}:{since}:{until}"
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                told = await self._cache.get(key)
                if told is None:
                    told = [
                        _kept(bar) for bar in await BinanceBars(self._venues.of(venue)).bars(symbol, window)
                    ]
                    await self._cache.put(key, told, seconds=self._seconds(window))
        finally:
            if not lock.locked():
                self._asking.pop(key, None)
        return [_bar(row) for row in told]

    async def close(self) -> None:
        """Leave them all."""
        await self._venues.close()

    def _seconds(self, window: Window) -> float:
        is_over = window.until + window.timeframe.length <= self._clock()
        return CLOSED_SECONDS if is_over else GROWING_SECONDS


def _kept(bar: Bar) -> list[int | str]:
    return [to_ms(bar.opened_at), *(str(price) for price in (bar.open, bar.high, bar.low, bar.close))]


def _bar(row: Sequence[int | str]) -> Bar:
    prices = (Decimal(text) for text in row[1:])
    names = ("open", "high", "low", "close")
    return Bar(opened_at=from_ms(int(row[0])), **dict(zip(names, prices, strict=True)))
