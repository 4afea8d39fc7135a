"""Which candles show a position: all of it, with some around, never more than the venue gives at once."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.candle import Timeframe
from pregao.domain.clock import EPOCH
from pregao.views.bars import BARS_AROUND, BARS_MAX, window_of
from tests.builders import NOON

spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=200))


class TestWindow:
    @given(held=spans, since_then=spans)
    def test_holds_the_whole_position_in_few_enough_candles(self, held, since_then):
        opened_at, closed_at = NOON, NOON + held

        window = window_of(opened_at=opened_at, closed_at=closed_at, now=closed_at + since_then)

        length = window.timeframe.length
        assert window.since <= opened_at
        assert closed_at < window.until + length
        assert (window.until - window.since) // length + 1 <= BARS_MAX
        assert (window.since - EPOCH) % length == (window.until - EPOCH) % length == timedelta(0)

    def test_shows_what_is_open_up_to_now_in_short_candles(self):
        window = window_of(opened_at=NOON, closed_at=None, now=NOON + timedelta(hours=2))

        assert (window.timeframe, window.until) == (Timeframe.MINUTE, NOON + timedelta(hours=2))
        assert window.since == NOON - timedelta(minutes=BARS_AROUND)

    def test_shows_the_end_of_what_was_held_for_years(self):
        now = NOON + timedelta(days=1_000)

        window = window_of(opened_at=NOON, closed_at=None, now=now)

        assert (window.timeframe, window.since > NOON) == (Timeframe.DAY, True)
        assert (window.until - window.since) // window.timeframe.length + 1 <= BARS_MAX
