"""Candles, their timeframe, and what is wrong with rows of them."""

import numpy as np
import pytest

from pregao.research.candles import PRICES, CandlesUnusableError, make_candles
from pregao.research.gaps import Gap, examine, guess_timeframe, in_order
from pregao.research.timeframe import TimeframeUnknownError, read_timeframe
from tests.rooms.research.made import candles_of, walk

HOUR = 3_600_000


def columns(times, closes, **others):
    flat = {name: np.array(closes, dtype=float) for name in PRICES}
    return {
        "opened_at_ms": np.array(times),
        **flat,
        **{name: np.array(told) for name, told in others.items()},
    }


class TestTimeframe:
    @pytest.mark.parametrize(
        ("text", "ms", "name"),
        [("1m", 60_000, "1m"), ("60m", HOUR, "1h"), ("24h", 24 * HOUR, "1d"), ("7d", 168 * HOUR, "1w")],
    )
    def test_is_read_and_named_by_its_longest_unit(self, text, ms, name):
        frame = read_timeframe(text)

        assert (frame.ms, frame.name) == (ms, name)

    @pytest.mark.parametrize("text", ["", "m", "0m", "5", "5M", "-1m", "1.5h"])
    def test_refuses_what_is_none(self, text):
        with pytest.raises(TimeframeUnknownError, match="TIMEFRAME_UNKNOWN"):
            read_timeframe(text)

    def test_knows_how_many_candles_a_year_has(self):
        """F113: what annual figures are scaled by follows the timeframe."""
        assert read_timeframe("1h").bars_per_year == 8_760
        assert read_timeframe("1d").bars_per_year == 365


class TestCandles:
    def test_cannot_be_written_into(self):
        candles = candles_of([1.0, 2.0])

        with pytest.raises(ValueError, match="read-only"):
            candles.close[0] = 5.0

    def test_have_another_digest_when_any_number_in_any_row_differs(self):
        """F110: the source system hashed the first and last rows only."""
        candles = walk(200, seed=1)
        digests = {candles.digest}
        for row in (0, 10, 100, 149, 199):
            for name in ("open", "close", "volume"):
                changed = {one: getattr(candles, one).copy() for one in ("opened_at_ms", *PRICES, "volume")}
                changed["high"] *= 2
                changed[name][row] *= 1.0001
                digests.add(
                    make_candles(symbol="T", timeframe=candles.timeframe, source="", columns=changed).digest
                )

        assert len(digests) == 16

    def test_give_the_part_between_two_times(self):
        candles = candles_of([1.0, 2.0, 3.0, 4.0])

        part = candles.between(since_ms=HOUR, until_ms=3 * HOUR)

        assert part.close.tolist() == [2.0, 3.0]
        assert len(candles.between(since_ms=9 * HOUR)) == 0

    def test_are_refused_when_times_go_back(self):
        with pytest.raises(CandlesUnusableError, match="CANDLES_NOT_IN_ORDER"):
            make_candles(
                symbol="T", timeframe=read_timeframe("1h"), source="", columns=columns([2, 1], [1, 1])
            )

    @pytest.mark.parametrize(
        "wrong", [{"high": [0.5]}, {"low": [1.5]}, {"low": [0.0]}, {"close": [np.nan]}, {"high": [np.inf]}]
    )
    def test_are_refused_when_a_candle_cannot_be(self, wrong):
        rows = columns([0], [1.0]) | {name: np.array(told) for name, told in wrong.items()}

        with pytest.raises(CandlesUnusableError, match="CANDLE_IMPOSSIBLE"):
            make_candles(symbol="T", timeframe=read_timeframe("1h"), source="", columns=rows)

    def test_say_that_no_market_made_them(self):
        """F131: whoever shows simulated candles shows the word."""
        rows = columns([0], [1.0])
        made = make_candles(
            symbol="T", timeframe=read_timeframe("1h"), source="", columns=rows, is_simulated=True
        )

        assert made.label == "SIMULATED T 1h"
        assert made.part(0, 1).label == "SIMULATED T 1h"


class TestExamine:
    def test_finds_gaps_doubles_and_rows_out_of_order(self):
        times = [0, HOUR, HOUR, 5 * HOUR, 4 * HOUR, 4 * HOUR, 7 * HOUR]
        closes = [1, 2, 2, 3, 4, 5, 6]

        found = examine(columns(times, closes), timeframe=read_timeframe("1h"))

        assert (found.rows, found.first_ms, found.last_ms) == (7, 0, 7 * HOUR)
        assert (found.missing, found.gap_count) == (3, 2)
        assert found.gaps == (Gap(after_ms=HOUR, bars=2), Gap(after_ms=5 * HOUR, bars=1))
        assert (found.repeated, found.contradicting, found.disordered) == (1, 1, 1)
        assert not found.is_clean

    def test_finds_candles_that_open_beside_the_others(self):
        found = examine(
            columns([0, HOUR, 2 * HOUR + 5, 3 * HOUR], [1, 1, 1, 1]), timeframe=read_timeframe("1h")
        )

        assert found.misaligned == 1

    def test_counts_rows_that_cannot_be(self):
        rows = columns([0, HOUR], [1, 1]) | {"low": np.array([0.5, 2.0])}

        assert examine(rows, timeframe=read_timeframe("1h")).impossible == 1

    def test_says_of_nothing_that_it_is_nothing(self):
        assert examine(columns([], []), timeframe=read_timeframe("1h")).rows == 0

    def test_lets_a_day_be_as_long_as_its_exchange_says(self):
        days = np.cumsum([0, 24, 23, 24, 25, 72]) * HOUR

        found = examine(columns(days, np.ones(6)), timeframe=read_timeframe("1d"))

        assert (found.missing, found.misaligned) == (2, 0)

    def test_puts_rows_in_order_and_keeps_the_first_of_two(self):
        kept = in_order(columns([HOUR, 0, HOUR], [7, 1, 9]))

        assert kept["opened_at_ms"].tolist() == [0, HOUR]
        assert kept["close"].tolist() == [1, 7]

    def test_guesses_the_timeframe_from_the_commonest_step(self):
        assert guess_timeframe(np.array([0, 1, 2, 9, 10]) * 300_000).name == "5m"

    @pytest.mark.parametrize("times", [[], [5], [0, 1_000, 61_000, 3_661_000, 90_000_000]])
    def test_refuses_to_guess_where_no_step_is_common(self, times):
        with pytest.raises(CandlesUnusableError, match="TIMEFRAME_UNCLEAR"):
            guess_timeframe(np.array(times, dtype=np.int64))
