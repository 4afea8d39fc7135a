"""Candles for tests: real ones from the files that lie beside the repository, and made ones."""

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from pregao.edges.candle_files.bring import Told, bring
from pregao.research.candles import make_candles
from pregao.research.timeframe import read_timeframe

SHARED = Path(__file__).parents[4] / "shared" / "data"
CANDLE_FILES = SHARED / "candles"
TICKS = SHARED / "ticks"


@cache
def real(name, **told):
    """Give the candles of a file such as ``binance_XRPETH_1m``."""
    return bring(CANDLE_FILES / f"{name}.csv.gz", told=Told(**told))[0].candles


def tape(name):
    return pl.read_csv(TICKS / f"{name}.csv.gz")


def candles_of(
    closes, *, opens=None, highs=None, lows=None, volumes=None, timeframe="1h", symbol="TEST", start_ms=0
):
    """Make candles of closes; a candle opens where the last one closed unless told otherwise."""
    closes = np.asarray(closes, dtype=float)
    opens = np.append(closes[:1], closes[:-1]) if opens is None else np.asarray(opens, dtype=float)
    frame = read_timeframe(timeframe)
    columns = {
        "opened_at_ms": start_ms + np.arange(len(closes)) * frame.ms,
        "open": opens,
        "high": np.maximum(opens, closes) if highs is None else np.asarray(highs, dtype=float),
        "low": np.minimum(opens, closes) if lows is None else np.asarray(lows, dtype=float),
        "close": closes,
    }
    if volumes is not None:
        columns["volume"] = np.asarray(volumes, dtype=float)
    return make_candles(symbol=symbol, timeframe=frame, source="a test", columns=columns)


def walk(bars, *, seed, volatility=0.01, gaps=0.2, start=100.0, timeframe="1h"):
    """Walk at random: candles with wicks, some of which open away from the last close."""
    chance = np.random.default_rng(seed)
    closes = start * np.exp(np.cumsum(chance.normal(0, volatility, bars)))
    opens = np.append([start], closes[:-1])
    opens = opens * np.exp(np.where(chance.random(bars) < gaps, chance.normal(0, volatility * 2, bars), 0.0))
    wick = np.abs(chance.normal(0, volatility, (2, bars)))
    return candles_of(
        closes,
        opens=opens,
        highs=np.maximum(opens, closes) * (1 + wick[0]),
        lows=np.minimum(opens, closes) * (1 - wick[1]).clip(0.05),
        volumes=chance.integers(1, 1_000, bars),
        timeframe=timeframe,
    )
