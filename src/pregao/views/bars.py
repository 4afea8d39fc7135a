"""Candles as charts show them: which ones a position's chart needs, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from pregao.domain.account import Venue
from pregao.domain.candle import Timeframe
from pregao.domain.clock import EPOCH

BARS_OF_POSITION = 240  # at most, between entry and exit: more are narrower than a pixel on a phone
BARS_AROUND = 40  # before the entry and after the exit
BARS_MAX = BARS_OF_POSITION + 2 * BARS_AROUND + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One candle, the last one possibly still growing."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which candles: of this length, opened from ``since`` to ``until``; both are starts of candles."""

    timeframe: Timeframe
    since: datetime
    until: datetime


class Bars(Protocol):
    """Where they are fetched; raises ``VenueError`` when a venue gives none, or may not be asked now."""

    async def bars(self, venue: Venue, symbol: str, window: Window) -> Sequence[Bar]:
        """Give the window's candles, oldest first; possibly as they were some seconds ago."""
        ...


def window_of(*, opened_at: datetime, closed_at: datetime | None, now: datetime) -> Window:
    """Give the window that shows a position whole, in the shortest candles that are not too many."""
    until = closed_at or now
    held = until - opened_at
    timeframe = next(
        (one for one in Timeframe if held <= one.length * BARS_OF_POSITION), max(Timeframe, key=_length)
    )
    around = timeframe.length * BARS_AROUND
    # A position of years shows its last candles: the venue gives no more at once.
    first = max(opened_at - around, until - timeframe.length * (BARS_OF_POSITION + BARS_AROUND))
    last = min(until + around, now)
    return Window(
        timeframe=timeframe,
        since=_start_of(first, timeframe=timeframe),
        until=_start_of(last, timeframe=timeframe),
    )


def _length(timeframe: Timeframe) -> timedelta:
    return timeframe.length


def _start_of(at: datetime, *, timeframe: Timeframe) -> datetime:
    return at - (at - EPOCH) % timeframe.length
