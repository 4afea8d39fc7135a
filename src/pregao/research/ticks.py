"""
Trades become candles: a whole tape at once, or one trade after the other; both give the same candles.

Volumes are added without rounding on the way, so that the order of adding does not show.
"""

from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from pregao.research.candles import Candles, CandlesUnusableError, Columns, Prices, Times, make_candles
from pregao.research.timeframe import Timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One candle; volume in the base asset."""

    opened_at_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def candles_of_trades(
    *, symbol: str, source: str, timeframe: Timeframe, traded_at_ms: Times, prices: Prices, quantities: Prices
) -> Candles:
    """
    Make candles of a tape in order of arrival; its times never go back.

    Rows without a price or a quantity are no trades: venues send such rows, and they are left out.

    :raises CandlesUnusableError: when the times go back.
    """
    if bool((np.diff(traded_at_ms) < 0).any()):
        raise CandlesUnusableError(f"TRADES_NOT_IN_ORDER: symbol={symbol}. The times of the trades go back.")
    real = (prices > 0) & (quantities > 0)
    times, prices, quantities = traded_at_ms[real], prices[real], quantities[real]
    opened = times - times % timeframe.ms
    first = np.flatnonzero(np.diff(opened, prepend=np.int64(-1)))
    last = np.append(first[1:], len(opened)) - 1
    columns: Columns = {"opened_at_ms": opened[first]}
    if len(first):
        columns |= {
            "open": prices[first],
            "high": np.maximum.reduceat(prices, first),
            "low": np.minimum.reduceat(prices, first),
            "close": prices[last],
            "volume": _summed(quantities, first),
        }
    else:
        columns |= {name: np.empty(0) for name in ("open", "high", "low", "close", "volume")}
    return make_candles(symbol=symbol, timeframe=timeframe, source=source, columns=columns)


class CandleMaker:
    """Makes candles of trades as they come; a candle is finished when a trade of a later one comes."""

    __slots__ = ("_close", "_end_ms", "_frame_ms", "_high", "_low", "_open", "_quantities", "_start_ms")

    def __init__(self, timeframe: Timeframe) -> None:
        """Make candles of this length."""
        self._frame_ms = timeframe.ms
        self._start_ms = self._end_ms = 0
        self._open = self._high = self._low = self._close = 0.0
        self._quantities: list[float] = []

    def add(self, *, traded_at_ms: int, price: float, quantity: float) -> Candle | None:
        """
        Take a trade, and give the candle that it ended, if it ended one.

        :raises CandlesUnusableError: when it is older than the candle that is being made.
        """
        if not (price > 0 and quantity > 0):
            return None
        if traded_at_ms >= self._end_ms:
            finished = self.current
            self._start_ms = traded_at_ms - traded_at_ms % self._frame_ms
            self._end_ms = self._start_ms + self._frame_ms
            self._open = self._high = self._low = self._close = price
            self._quantities = [quantity]
            return finished
        if traded_at_ms < self._start_ms:
            raise CandlesUnusableError(
                f"TRADES_NOT_IN_ORDER: traded_at_ms={traded_at_ms}. It came too late for its candle."
            )
        if price > self._high:  # every tick comes by here: two calls are a third of what it costs
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._quantities.append(quantity)
        return None

    def end(self, *, until_ms: int) -> Candle | None:
        """Give the candle that ended at this time or before, though no later trade has come; it takes no more trades."""
        if self._end_ms > until_ms:
            return None
        finished = self.current
        self._start_ms = self._end_ms
        return finished

    @property
    def current(self) -> Candle | None:
        """The candle as far as it is made; None before the first trade, and after the candle was ended."""
        if self._start_ms == self._end_ms:
            return None
        return Candle(
            opened_at_ms=self._start_ms,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=fsum(self._quantities),
        )


def _summed(quantities: Prices, first: NDArray[np.intp]) -> Prices:
    ends = np.append(first[1:], len(quantities))
    return np.array([fsum(quantities[start:end]) for start, end in zip(first, ends, strict=True)])
