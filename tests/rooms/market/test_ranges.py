"""Ranges are measured once per candle for everybody, before they are needed; one that is too old sets no stop."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.candle import Candle, Measure, Timeframe
from pregao.domain.venue import RetryLater
from pregao.market.ranges import AGAIN_SECONDS, CANDLES_LATE_MAX, CLOSED_SECONDS, USED_HOURS, Ranges
from tests.rooms.fakes import MovingClock

BTC = (Venue.PAPER, "BTCUSDT")
QUARTER = Measure(timeframe=Timeframe.MINUTES_15, period=3)
KEY = (*BTC, QUARTER)
SECONDS = 15 * 60


class FakeCandles:
    """Closed candles up to now, of one range each; the range may be changed, and the answers stopped."""

    def __init__(self, clock):
        self.clock = clock
        self.range = Decimal(10)
        self.count = 20
        self.is_silent = False
        self.asked = []

    async def candles(self, symbol, *, timeframe, limit):
        self.asked.append((symbol, timeframe, limit))
        if self.is_silent:
            raise RetryLater("VENUE_PAUSED", "silence", retry_after_seconds=1)
        now = self.clock()
        closed = now - timedelta(seconds=now.timestamp() % SECONDS)
        return [
            Candle(
                opened_at=closed - number * timeframe.length,
                high=100 + self.range,
                low=Decimal(100),
                close=Decimal(100),
            )
            for number in range(self.count, 0, -1)
        ]


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def venue(clock):
    return FakeCandles(clock)


@pytest.fixture
def ranges(venue, clock):
    one = Ranges({Venue.PAPER: venue}, clock=clock)
    one.learn([QUARTER])
    return one


class TestRanges:
    async def test_are_measured_once_for_all_who_ask_within_a_candle(self, ranges, venue):
        assert await ranges.read([BTC]) == []
        assert await ranges.read([BTC, BTC]) == []

        assert ranges.seen() == {KEY: Decimal(10)}
        assert venue.asked == [("BTCUSDT", Timeframe.MINUTES_15, QUARTER.candles)]

    async def test_are_measured_anew_when_the_next_candle_has_closed(self, ranges, venue, clock):
        await ranges.read([BTC])
        venue.range = Decimal(40)

        await ranges.refresh()
        clock.forward(SECONDS + CLOSED_SECONDS)
        assert ranges.seen() == {KEY: Decimal(10)}
        await ranges.refresh()

        assert ranges.seen() == {KEY: Decimal(40)}
        assert len(venue.asked) == 2

    async def test_keep_nobody_waiting_who_may_still_use_the_last_one(self, ranges, venue, clock):
        await ranges.read([BTC])
        clock.forward(SECONDS + CLOSED_SECONDS)

        await ranges.read([BTC])

        assert len(venue.asked) == 1

    async def test_that_are_too_old_are_not_shown_and_are_asked_for(self, ranges, venue, clock):
        await ranges.read([BTC])
        clock.forward(CANDLES_LATE_MAX * SECONDS)

        assert ranges.seen() == {}
        await ranges.read([BTC])
        assert ranges.seen() == {KEY: Decimal(10)}

    async def test_that_were_not_to_be_had_are_not_asked_for_with_every_signal(self, ranges, venue, clock):
        venue.is_silent = True

        [(key, trouble)] = await ranges.read([BTC])
        assert await ranges.read([BTC]) == []
        assert await ranges.refresh() == []
        clock.forward(AGAIN_SECONDS)
        venue.is_silent = False
        assert await ranges.refresh() == []

        assert (key, trouble.partition(":")[0]) == (KEY, "VENUE_PAUSED")
        assert len(venue.asked) == 2
        assert ranges.seen() == {KEY: Decimal(10)}

    async def test_of_too_few_candles_are_not_known(self, ranges, venue):
        venue.count = 3

        [(_, trouble)] = await ranges.read([BTC])

        assert trouble == "CANDLES_TOO_FEW: candles=3 minimum=4"
        assert ranges.seen() == {}

    async def test_that_nobody_uses_any_more_are_left(self, ranges, venue, clock):
        await ranges.read([BTC])
        clock.forward(USED_HOURS * 3600 + 1)

        await ranges.refresh()

        assert len(venue.asked) == 1

    async def test_of_a_venue_without_candles_are_not_known(self, ranges, venue):
        assert await ranges.read([(Venue.BINANCE, "BTCUSDT")]) == []

        assert (ranges.seen(), venue.asked) == ({}, [])

    async def test_are_measured_by_nothing_until_a_stop_asks(self, venue, clock):
        ranges = Ranges({Venue.PAPER: venue}, clock=clock)

        await ranges.read([BTC])

        assert venue.asked == []
