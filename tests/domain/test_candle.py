"""How far a price ranges: Wilder's average, in decimals, over closed candles."""

import csv
import gzip
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pregao.domain.candle import (
    CANDLES_MAX,
    CANDLES_MIN,
    Candle,
    Measure,
    Range,
    Timeframe,
    average_true_range,
    measure_range,
)
from pregao.domain.clock import from_ms
from tests.builders import NOON

CANDLES = Path(__file__).resolve().parents[3] / "shared/data/candles/binance_BTCUSDT_1h_202605.csv.gz"


def candles(*rows: str) -> list[Candle]:
    """Give candles of a quarter of an hour: high, low, close."""
    return [
        Candle(opened_at=NOON + number * timedelta(minutes=15), high=high, low=low, close=close)
        for number, (high, low, close) in enumerate([[Decimal(one) for one in row.split()] for row in rows])
    ]


def on_tape() -> list[Candle]:
    with gzip.open(CANDLES, "rt") as lines:
        return [
            Candle(
                opened_at=from_ms(int(row["ts_ms"])),
                high=Decimal(row["high"]),
                low=Decimal(row["low"]),
                close=Decimal(row["close"]),
            )
            for row in csv.DictReader(lines)
        ]


BY_HAND = ("11 9 10", "12 10 11", "11 8 9", "16 13 15", "15 14 15", "15 9 10")
"""True ranges from the second on: 2, 3, 7 (from the close before up to 16), 1, 6 (15 to 9)."""


class TestAverageTrueRange:
    @pytest.mark.parametrize(
        ("count", "average"),
        [(4, "4"), (5, "3"), (6, "4")],  # (2+3+7)/3; (4x2+1)/3; (3x2+6)/3
    )
    def test_is_wilders(self, count, average):
        assert average_true_range(candles(*BY_HAND[:count]), period=3) == Decimal(average)

    def test_needs_one_candle_more_than_its_period(self):
        assert average_true_range(candles(*BY_HAND[:3]), period=3) is None

    def test_of_a_price_that_stands_still_is_none(self):
        assert average_true_range(candles(*["5 5 5"] * 9), period=3) is None

    def test_has_an_end(self):
        average = average_true_range(candles("2 1 1", "2 1 1", "3 1 1", "2 1 1"), period=3)

        assert average == Decimal("1.33333333333")

    @pytest.mark.skipif(not CANDLES.exists(), reason="the recorded candles are not here")
    @pytest.mark.parametrize("period", [2, 14, 50])
    def test_of_recorded_candles_is_what_floats_give(self, period):
        tape = on_tape()
        high, low, close = (
            np.array([float(getattr(one, name)) for one in tape]) for name in ("high", "low", "close")
        )
        ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
        wanted = ranges[:period].mean()
        for one in ranges[period:]:
            wanted += (one - wanted) / period

        assert float(average_true_range(tape, period=period) or 0) == pytest.approx(wanted, rel=1e-9)


class TestMeasure:
    def test_is_good_from_the_close_of_its_last_candle(self):
        measure = Measure(timeframe=Timeframe.MINUTES_15, period=3)

        assert measure_range(candles(*BY_HAND), measure) == Range(
            value=Decimal(4), closed_at=NOON + timedelta(minutes=90)
        )
        assert measure_range([], measure) is None

    def test_reads_more_candles_for_a_long_period(self):
        asked = [Measure(timeframe=Timeframe.DAY, period=period).candles for period in (2, 14, 35, 36, 100)]

        assert asked == [CANDLES_MIN, CANDLES_MIN, CANDLES_MIN, CANDLES_MAX, CANDLES_MAX]

    def test_knows_how_long_each_candle_is(self):
        lengths = {one.value: one.length for one in Timeframe}

        assert (lengths["1m"], lengths["4h"], lengths["1d"]) == (
            timedelta(minutes=1),
            timedelta(hours=4),
            timedelta(days=1),
        )
