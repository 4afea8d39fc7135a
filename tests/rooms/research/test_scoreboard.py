"""What a filter let through and what it denied, as the same trades."""

import numpy as np
import pytest

from pregao.research.models.scoreboard import Entry, Fate, board
from tests.rooms.research.made import candles_of

HOUR = 3_600_000


def entry(hours, *, is_buy=True, fate=Fate.PASSED, symbol="TEST", earned=0.0):
    """Decide half an hour into a candle."""
    return Entry(
        decided_at_ms=int((hours + 0.5) * HOUR), symbol=symbol, is_buy=is_buy, fate=fate, earned=earned
    )


def tried(*entries, closes, stop=0.0, target=0.0, bars=3, fee_bps=0.0, **columns):
    lines = board(
        entries, candles_of(closes, **columns), stop=stop, target=target, bars=bars, fee_bps=fee_bps
    )
    return {line.fate: line for line in lines}


# Candle 1 opens at 100, candle 2 at 101, candle 3 at 102; the last of three closes at 103.
RISING = [100.0, 101.0, 102.0, 103.0, 104.0]


def test_an_entry_is_had_at_the_next_open_and_ends_with_its_time():
    lines = tried(entry(0), closes=RISING)

    assert lines["passed"].sum_pct == pytest.approx(3.0)
    assert (lines["passed"].judged, lines["passed"].won_pct) == (1, 100.0)


def test_a_sell_earns_what_the_price_loses():
    lines = tried(entry(0, is_buy=False), closes=RISING)

    assert lines["passed"].sum_pct == pytest.approx(-3.0)
    assert lines["passed"].won_pct == 0.0


def test_a_stop_and_a_target_end_it_before():
    lows = np.array([99.0, 99.9, 95.0, 99.0, 99.0])

    stopped = tried(entry(0), closes=RISING, lows=lows, stop=0.02)
    hit = tried(entry(0), closes=RISING, target=0.015)

    assert stopped["passed"].sum_pct == pytest.approx(-2.0)
    assert hit["passed"].sum_pct == pytest.approx(1.5)


def test_fees_are_taken_at_both_fills():
    without, with_fees = (tried(entry(0), closes=RISING, fee_bps=bps)["passed"].sum_pct for bps in (0, 10))

    assert without - with_fees == pytest.approx(0.2, rel=0.03)


def test_each_fate_has_a_line_and_no_filter_is_all_of_them():
    lines = tried(
        entry(0, earned=5.0),
        entry(0, is_buy=False, fate=Fate.DENIED),
        entry(1, fate=Fate.UNFILTERED, earned=-2.0),
        closes=RISING,
    )

    assert [(line.fate, line.entries) for line in lines.values()] == [
        ("passed", 1), ("unfiltered", 1), ("denied", 1), ("no filter", 3),
    ]  # fmt: skip
    assert lines["no filter"].earned == 3.0
    assert lines["no filter"].sum_pct == pytest.approx(sum(line.sum_pct for line in list(lines.values())[:3]))


@pytest.mark.parametrize("late", [entry(2), entry(-2), entry(90), entry(0, symbol="OTHER")])
def test_what_the_candles_do_not_tell_of_whole_is_counted_and_not_judged(late):
    line = tried(late, closes=RISING)["passed"]

    assert (line.entries, line.judged, line.sum_pct) == (1, 0, 0.0)


def test_of_no_entries_there_is_a_board_too():
    assert {line.entries for line in tried(closes=RISING).values()} == {0}
