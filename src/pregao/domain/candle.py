"""
Candles as stops need them: how far a symbol's price ranges in one of them, on average.

In decimals, over closed candles only; the lab's indicators on arrays are a room apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from itertools import pairwise

RANGE_DIGITS = 12  # significant ones, of an average that seldom ends
CANDLES_MIN = 499  # after so many nothing is left of how the average began, for a period of 14
CANDLES_MAX = 1_000
LONG_PERIOD = 35  # candles; a longer one is read over more of them

_exactly = Context(prec=RANGE_DIGITS)


class Timeframe(StrEnum):
    """How long a candle is."""

    MINUTE = "1m"
    MINUTES_3 = "3m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    MINUTES_30 = "30m"
    HOUR = "1h"
    HOURS_2 = "2h"
    HOURS_4 = "4h"
    HOURS_6 = "6h"
    HOURS_8 = "8h"
    HOURS_12 = "12h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """The time from one candle to the next."""
        return timedelta(minutes=int(self[:-1]) * MINUTES_OF[self[-1]])


MINUTES_OF = {"m": 1, "h": 60, "d": 1_440}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """What one closed candle says of the price's range."""

    opened_at: datetime
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a range is an average of: so many candles of this length."""

    timeframe: Timeframe
    period: int

    @property
    def candles(self) -> int:
        """How many candles are read for it, the unfinished one among them."""
        return CANDLES_MIN if self.period <= LONG_PERIOD else CANDLES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A symbol's average true range, and the end of the last candle it was measured over."""

    value: Decimal
    closed_at: datetime


def average_true_range(candles: Sequence[Candle], *, period: int) -> Decimal | None:
    """
    Give Wilder's average true range of closed candles, oldest first; None where there are too few, or none moved.

    The first average is plain, over ``period`` true ranges; each later one is (previous x (period - 1) + range) / period.
    A true range reaches to the close before, too, so one candle more than the period is needed.
    """
    ranges = [
        max(candle.high, before.close) - min(candle.low, before.close) for before, candle in pairwise(candles)
    ]
    if len(ranges) < period:
        return None
    average = sum(ranges[:period], Decimal(0)) / period
    for one in ranges[period:]:
        average = (average * (period - 1) + one) / period
    return _exactly.plus(average).normalize() if average > 0 else None


def measure_range(candles: Sequence[Candle], measure: Measure) -> Range | None:
    """Give the range of closed candles, oldest first; None where there are too few."""
    value = average_true_range(candles, period=measure.period)
    if value is None:
        return None
    return Range(value=value, closed_at=candles[-1].opened_at + measure.timeframe.length)
