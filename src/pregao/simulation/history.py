"""
What the market leaves behind per symbol: recent trades, candles and the last day's figures.

In memory only; before the exchange opened there is a history made up from the seed, so that a chart is not empty.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pregao.domain.money import ZERO, floor_to_step
from pregao.simulation.books import Quote
from pregao.simulation.instruments import Listing

MINUTE_MS: Final = 60_000
MINUTES_KEPT: Final = 1_500
TRADES_KEPT: Final = 1_000
INTERVALS: Final[dict[str, int]] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1_440 * MINUTE_MS,
}
"""The venue's candle intervals that fit the minutes kept."""


@dataclass(slots=True, kw_only=True)
class Candle:
    """Open, high, low, close and what was traded in one interval."""

    opened_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO  # of takers that bought
    taker_quote_volume: Decimal = ZERO
    trades: int = 0
    first_id: int = 0
    last_id: int = 0

    def add(self, quote: Quote) -> None:
        """Count one more trade."""
        worth = quote.last * quote.quantity
        self.high, self.low, self.close = max(self.high, quote.last), min(self.low, quote.last), quote.last
        self.volume += quote.quantity
        self.quote_volume += worth
        if not quote.is_buyer_maker:
            self.taker_volume += quote.quantity
            self.taker_quote_volume += worth
        self.trades += 1
        self.first_id = self.first_id or quote.trade_id
        self.last_id = quote.trade_id

    def join(self, later: "Candle") -> None:
        """Take in the candle that follows."""
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.taker_volume += later.taker_volume
        self.taker_quote_volume += later.taker_quote_volume
        self.trades += later.trades
        self.first_id = self.first_id or later.first_id
        self.last_id = later.last_id or self.last_id


class History:
    """One symbol's recent past."""

    def __init__(self, listing: Listing, *, seed: int) -> None:
        """Start empty; the made-up past comes with the first price."""
        self._listing = listing
        self._chance = random.Random(f"{seed}/{listing.symbol}/history")
        self.trades: deque[Quote] = deque(maxlen=TRADES_KEPT)
        self.minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT)
        self._is_backfilled = False

    def add(self, quote: Quote) -> None:
        """Take in one trade of the market."""
        self.trades.append(quote)
        opened_ms = quote.at_ms - quote.at_ms % MINUTE_MS
        if not self.minutes or self.minutes[-1].opened_ms < opened_ms:
            price = quote.last
            self.minutes.append(Candle(opened_ms=opened_ms, open=price, high=price, low=price, close=price))
        self.minutes[-1].add(quote)

    def candles(self, interval: str, *, limit: int, until_ms: int) -> list[Candle]:
        """Give the latest candles of an interval that opened up to ``until_ms``, oldest first."""
        self._backfill()
        length = INTERVALS[interval]
        found: list[Candle] = []
        for minute in self.minutes:
            if minute.opened_ms > until_ms:
                break
            opened_ms = minute.opened_ms - minute.opened_ms % length
            if not found or found[-1].opened_ms != opened_ms:
                found.append(
                    Candle(
                        opened_ms=opened_ms,
                        open=minute.open,
                        high=minute.high,
                        low=minute.low,
                        close=minute.close,
                    )
                )
            found[-1].join(minute)
        return found[-limit:]

    def day(self) -> Candle:
        """Give the last 24 hours as one candle."""
        self._backfill()
        minutes: Sequence[Candle] = list(self.minutes)[-1_440:]
        first = minutes[0]
        whole = Candle(
            opened_ms=first.opened_ms, open=first.open, high=first.high, low=first.low, close=first.close
        )
        for minute in minutes:
            whole.join(minute)
        return whole

    def latest(self, interval: str) -> Candle:
        """Give the candle that is still growing."""
        length = INTERVALS[interval]
        newest = self.minutes[-1]
        start_ms = newest.opened_ms - newest.opened_ms % length
        whole: Candle | None = None
        for minute in reversed(self.minutes):
            if minute.opened_ms < start_ms:
                break
            joined = Candle(
                opened_ms=start_ms, open=minute.open, high=minute.high, low=minute.low, close=minute.close
            )
            joined.join(minute)
            if whole is not None:
                joined.join(whole)
            whole = joined
        assert whole is not None
        return whole

    def _backfill(self) -> None:
        if self._is_backfilled or not self.minutes:
            return
        self._is_backfilled = True
        tick, step = self._listing.instrument.price_tick, self._listing.instrument.quantity_step
        close, opened_ms = self.minutes[0].open, self.minutes[0].opened_ms
        while len(self.minutes) < MINUTES_KEPT:
            opened_ms -= MINUTE_MS
            opened = floor_to_step(close * Decimal(1 + self._chance.gauss(0, 0.0006)), step=tick) or tick
            reach = floor_to_step(close * Decimal(abs(self._chance.gauss(0, 0.0003))), step=tick)
            volume = floor_to_step(Decimal(self._chance.randint(10_000, 400_000)) / close, step=step)
            self.minutes.appendleft(
                Candle(
                    opened_ms=opened_ms,
                    open=opened,
                    high=max(opened, close) + reach,
                    low=max(min(opened, close) - reach, tick),
                    close=close,
                    volume=volume,
                    quote_volume=volume * close,
                    taker_volume=floor_to_step(volume / 2, step=step),
                    taker_quote_volume=floor_to_step(volume / 2, step=step) * close,
                    trades=self._chance.randint(10, 300),
                )
            )
            close = opened
