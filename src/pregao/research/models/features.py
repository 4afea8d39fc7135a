"""
What a model sees of a candle: figures of it and the candles before it, none in prices, so that they mean the same in every year.

The figures at a candle do not change when later candles do. They hang on the last BARS_SEEN candles only: what came before them
moves a figure by less than a millionth, so a model that is asked live sees what it was taught.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.research.candles import Candles, Prices
from pregao.research.indicators import batch
from pregao.research.indicators.cached import LAB_CACHE, cached_indicator

VERSION: Final = 1
"""Raised when a figure is added, left out or computed otherwise: a model taught with other figures is refused."""

BARS_SEEN: Final = 600
WARM_UP: Final = 120  # before that the long means are not there
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS

DAY_FIGURES: Final = ("day_sine", "day_cosine")
WEEK_FIGURES: Final = ("week_sine", "week_cosine")

Figures = NDArray[np.float64]


@cached_indicator(LAB_CACHE, version=VERSION)
def figures(candles: Candles) -> Figures:
    """Give one row for each candle, one column for each name of `NAMES`; NaN where a figure is not known."""
    columns = _columns(candles)
    assert tuple(columns) == NAMES
    table: Figures = np.column_stack(list(columns.values()))
    table[~np.isfinite(table)] = np.nan
    return table


def _columns(candles: Candles) -> dict[str, Prices]:
    with np.errstate(divide="ignore", invalid="ignore"):
        atr = batch.atr(candles)
        return {
            **_moves(candles, atr),
            **_shape(candles, atr),
            **_oscillators(candles, atr),
            **_places(candles, atr),
            **_volume(candles),
            **_calendar(candles),
        }


def _moves(candles: Candles, atr: Prices) -> dict[str, Prices]:
    """How far the close has come, as a share of how far it would come at random."""
    share = atr / candles.close
    logs = np.log(candles.close)
    return {
        f"move_{bars}": _since(logs, bars) / (share * np.sqrt(bars))
        for bars in (1, 2, 3, 5, 8, 13, 21, 55, 100)
    }


def _shape(candles: Candles, atr: Prices) -> dict[str, Prices]:
    top, bottom = np.maximum(candles.open, candles.close), np.minimum(candles.open, candles.close)
    before = np.append(np.nan, candles.close[:-1])
    return {
        "range": (candles.high - candles.low) / atr,
        "body": (candles.close - candles.open) / atr,
        "wick_above": (candles.high - top) / atr,
        "wick_below": (bottom - candles.low) / atr,
        "gap": (candles.open - before) / atr,
        "atr_share": atr / candles.close,
        "atr_to_its_mean": atr / batch.sma(atr, period=100),
        "range_to_its_mean": _rolling_range(candles, 5) / _rolling_range(candles, 50),
    }


def _oscillators(candles: Candles, atr: Prices) -> dict[str, Prices]:
    close = candles.close
    macd, stochastic, directional = (
        batch.macd(close),
        batch.stochastic(candles),
        batch.adx(candles),
    )
    strength = batch.rsi(close)
    return {
        "rsi_7": batch.rsi(close, period=7),
        "rsi_14": strength,
        "rsi_28": batch.rsi(close, period=28),
        "rsi_change": _since(strength, 3),
        "macd_line": macd.line / atr,
        "macd_histogram": macd.histogram / atr,
        "stochastic_k": stochastic.k,
        "stochastic_d": stochastic.d,
        "cci_20": batch.cci(candles),
        "adx_14": directional.adx,
        "directions": directional.plus - directional.minus,
        "williams_28": batch.williams(candles, period=28),
        "ultimate": batch.ultimate(candles),
    }


def _places(candles: Candles, atr: Prices) -> dict[str, Prices]:
    """Where the close lies: from its averages in ATR, within bands and ranges as a share of their width."""
    close = candles.close
    bands = batch.bollinger(close)
    found = {f"from_ema_{period}": (close - batch.ema(close, period=period)) / atr for period in (9, 21, 50)}
    found["from_sma_100"] = (close - batch.sma(close, period=100)) / atr
    found["bands_place"] = (close - bands.middle) / (bands.upper - bands.lower)
    found["bands_width"] = (bands.upper - bands.lower) / bands.middle
    for period in (20, 55, 100):
        channel = batch.donchian(candles, period=period)
        found[f"range_place_{period}"] = (close - channel.lower) / (channel.upper - channel.lower)
    return found


def _volume(candles: Candles) -> dict[str, Prices]:
    """Compare a volume with what is usual; 0, which says nothing, where there was none or the source tells none."""
    volume = candles.volume if candles.has_volume else np.zeros(len(candles))
    mean = batch.sma(volume, period=20)
    average = batch.sma(candles.close * volume, period=20) / mean
    found = {
        "volume_to_its_mean": volume / mean,
        "volume_trend": mean / batch.sma(volume, period=100),
        "from_vwma_20": (candles.close - average) / batch.atr(candles),
    }
    return {name: np.where(np.isfinite(column), column, 0.0) for name, column in found.items()}


def _calendar(candles: Candles) -> dict[str, Prices]:
    """Place a candle in the UTC day and week, as a point on a circle: midnight is beside midnight."""
    day = candles.opened_at_ms % DAY_MS / DAY_MS * 2 * np.pi
    week = candles.opened_at_ms % WEEK_MS / WEEK_MS * 2 * np.pi
    return {
        "day_sine": np.sin(day),
        "day_cosine": np.cos(day),
        "week_sine": np.sin(week),
        "week_cosine": np.cos(week),
    }


def _since(values: Prices, bars: int) -> Prices:
    changed = np.full(len(values), np.nan)
    changed[bars:] = values[bars:] - values[:-bars]
    return changed


def _rolling_range(candles: Candles, period: int) -> Prices:
    return batch.highest(candles.high, period=period) - batch.lowest(candles.low, period=period)


NAMES: Final = (
    *(f"move_{bars}" for bars in (1, 2, 3, 5, 8, 13, 21, 55, 100)),
    "range", "body", "wick_above", "wick_below", "gap", "atr_share", "atr_to_its_mean", "range_to_its_mean",
    "rsi_7", "rsi_14", "rsi_28", "rsi_change", "macd_line", "macd_histogram", "stochastic_k", "stochastic_d", "cci_20",
    "adx_14", "directions", "williams_28", "ultimate",
    "from_ema_9", "from_ema_21", "from_ema_50", "from_sma_100", "bands_place", "bands_width",
    "range_place_20", "range_place_55", "range_place_100",
    "volume_to_its_mean", "volume_trend", "from_vwma_20",
    *DAY_FIGURES, *WEEK_FIGURES,
)  # fmt: skip
"""The figures in the order of their columns."""
