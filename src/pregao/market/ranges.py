"""How far prices range, measured once per venue, symbol and candle for everybody who sets a stop by it."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from pregao.domain.account import Venue
from pregao.domain.candle import Measure, Range, measure_range
from pregao.domain.clock import Clock
from pregao.domain.venue import VenueError
from pregao.market.ports import CandleSource

READ_SECONDS_MAX = 2.0  # as long as a price may take: who plans waits for both at once
CLOSED_SECONDS = 1.0  # so long after its end a candle is asked for: the venue counts its last trades then
AGAIN_SECONDS = 5.0  # between two questions for a range that was not to be had
CANDLES_LATE_MAX = 2  # a range that has not been measured anew for so many candles sets no stop
USED_HOURS = 24  # so long a range is kept fresh after it was last asked for

Pair = tuple[Venue, str]
Key = tuple[Venue, str, Measure]


class Ranges:
    """What was last measured of each symbol; never shows a range that is too old to set a stop by."""

    def __init__(self, venues: Mapping[Venue, CandleSource], *, clock: Clock) -> None:
        """Ask ``venues`` when told to; a venue that is not among them tells no candles, and no range is known there."""
        self._venues = venues
        self._clock = clock
        self._measures: set[Measure] = set()
        self._measured: dict[Key, Range] = {}
        self._asked_at: dict[Key, datetime] = {}  # of those that were not to be had
        self._used_at: dict[Key, datetime] = {}

    def learn(self, measures: Iterable[Measure]) -> None:
        """Measure by these, too, from now on."""
        self._measures.update(measures)

    async def read(self, pairs: Iterable[Pair]) -> list[tuple[Key, str]]:
        """Measure what is not known of these symbols, all at once; give what could not be measured, and why."""
        now = self._clock()
        wanted = [
            (venue, symbol, measure)
            for venue, symbol in sorted(set(pairs))
            if venue in self._venues
            for measure in sorted(self._measures, key=lambda one: (one.timeframe, one.period))
        ]
        self._used_at.update(dict.fromkeys(wanted, now))
        known = self.seen()
        return await self._read(
            [key for key in wanted if key not in known and not self._was_asked(key, now=now)]
        )

    async def refresh(self) -> list[tuple[Key, str]]:
        """Measure anew what is used and whose next candle has closed; give what could not be measured, and why."""
        now = self._clock()
        for key in [key for key, at in self._used_at.items() if now - at > timedelta(hours=USED_HOURS)]:
            del self._used_at[key]
            self._measured.pop(key, None)
            self._asked_at.pop(key, None)
        return await self._read(
            [key for key in self._used_at if self._is_due(key, now=now) and not self._was_asked(key, now=now)]
        )

    def seen(self) -> dict[Key, Decimal]:
        """Give the ranges that are young enough."""
        now = self._clock()
        return {
            key: known.value
            for key, known in self._measured.items()
            if now < known.closed_at + CANDLES_LATE_MAX * key[2].timeframe.length
        }

    def _is_due(self, key: Key, *, now: datetime) -> bool:
        known = self._measured.get(key)
        if known is None:
            return True
        return now >= known.closed_at + key[2].timeframe.length + timedelta(seconds=CLOSED_SECONDS)

    def _was_asked(self, key: Key, *, now: datetime) -> bool:
        at = self._asked_at.get(key)
        return at is not None and (now - at).total_seconds() < AGAIN_SECONDS

    async def _read(self, keys: Iterable[Key]) -> list[tuple[Key, str]]:
        due = list(keys)
        troubles = await asyncio.gather(*(self._measure(key) for key in due))
        return [(key, trouble) for key, trouble in zip(due, troubles, strict=True) if trouble]

    async def _measure(self, key: Key) -> str:
        venue, symbol, measure = key
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                candles = await self._venues[venue].candles(
                    symbol, timeframe=measure.timeframe, limit=measure.candles
                )
        except (VenueError, TimeoutError) as trouble:
            self._asked_at[key] = self._clock()
            return str(trouble) or f"TIMEOUT: seconds={READ_SECONDS_MAX}"
        measured = measure_range(candles, measure)
        if measured is None:
            self._asked_at[key] = self._clock()
            return f"CANDLES_TOO_FEW: candles={len(candles)} minimum={measure.period + 1}"
        self._measured[key] = measured
        self._asked_at.pop(key, None)
        return ""
