"""
TradingView's technical rating, version 3: fifteen moving averages and eleven oscillators vote -1, 0 or 1.

The rating of the averages is the mean of their votes, that of the oscillators of theirs, and the whole the mean of the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from pregao.research.candles import Candles, CandlesUnusableError, Prices
from pregao.research.indicators import batch

PERIODS: Final = (10, 20, 30, 50, 100, 200)
STRONG: Final = 0.5
WEAK: Final = 0.1


class Recommendation(StrEnum):
    """A rating in words."""

    STRONG_BUY = "strong_buy"
    BUY = "buy"
    NEUTRAL = "neutral"
    SELL = "sell"
    STRONG_SELL = "strong_sell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What the voters say of the last candle."""

    averages: Mapping[str, int]
    oscillators: Mapping[str, int]

    @property
    def of_averages(self) -> float:
        """The mean vote of the moving averages."""
        return sum(self.averages.values()) / len(self.averages)

    @property
    def of_oscillators(self) -> float:
        """The mean vote of the oscillators."""
        return sum(self.oscillators.values()) / len(self.oscillators)

    @property
    def of_all(self) -> float:
        """The mean of the two."""
        return (self.of_averages + self.of_oscillators) / 2

    @property
    def recommendation(self) -> Recommendation:
        """The whole in words."""
        size = abs(self.of_all)
        if size <= WEAK:
            return Recommendation.NEUTRAL
        if self.of_all > 0:
            return Recommendation.STRONG_BUY if size > STRONG else Recommendation.BUY
        return Recommendation.STRONG_SELL if size > STRONG else Recommendation.SELL


def rate(candles: Candles) -> Rating:
    """
    Rate the last candle; a voter that has not seen enough bars votes 0.

    :raises CandlesUnusableError: when there are fewer than three candles.
    """
    if len(candles) < 3:
        raise CandlesUnusableError(
            f"CANDLES_TOO_FEW: candles={candles.label} rows={len(candles)} rows_min=3. Bring in more."
        )
    return Rating(averages=_averages(candles), oscillators=_oscillators(candles))


def _averages(candles: Candles) -> dict[str, int]:
    close = candles.close
    lines = {f"sma{period}": batch.sma(close, period=period) for period in PERIODS}
    lines |= {f"ema{period}": batch.ema(close, period=period) for period in PERIODS}
    lines["hull9"] = batch.hull(close, period=9)
    if candles.has_volume:
        lines["vwma20"] = batch.vwma(candles, period=20)
    votes = {name: _sign(close[-1] - line[-1]) for name, line in lines.items()}
    # The published rule for Ichimoku's cloud asks that the base line be above and below the mean of itself and the faster line at
    # once, so nobody ever votes; TradingView's scanner says 0 for it too. The seat counts, as it does there.
    return {**votes, "vwma20": votes.get("vwma20", 0), "ichimoku": 0}


def _oscillators(candles: Candles) -> dict[str, int]:
    close = candles.close
    trend = _sign(close[-1] - batch.ema(close, period=50)[-1])
    return {
        "rsi": _turn(batch.rsi(close, period=14), low=30, high=70),
        "stochastic": _extreme(batch.stochastic(candles), falling=True, rising=True),
        "cci": _turn(batch.cci(candles, period=20), low=-100, high=100),
        "adx": _directional(batch.adx(candles, period=14)),
        "awesome": _saucer(batch.awesome(candles)),
        "momentum": _sign(_step(batch.momentum(close, period=10))),
        "macd": _sign(batch.macd(close).histogram[-1]),
        "stochastic_rsi": _extreme(batch.stochastic_rsi(close), falling=trend < 0, rising=trend > 0),
        "williams": _turn(batch.williams(candles, period=14), low=-80, high=-20),
        "bull_bear": _bull_bear(candles, trend=trend),
        "ultimate": _vote(
            buys=(strength := batch.ultimate(candles)[-1]) > 70,
            sells=strength < 30,
        ),
    }


def _turn(line: Prices, *, low: float, high: float) -> int:
    return _vote(buys=line[-1] < low and _step(line) > 0, sells=line[-1] > high and _step(line) < 0)


def _extreme(lines: batch.Stochastic, *, falling: bool, rising: bool) -> int:
    """Vote for a turn where both lines are at an extreme and the fast one leads: the scanner asks for no crossing."""
    k, d = lines.k[-1], lines.d[-1]
    return _vote(buys=falling and max(k, d) < 20 and k > d, sells=rising and min(k, d) > 80 and k < d)


def _directional(lines: batch.Directional) -> int:
    strengthens = lines.adx[-1] > 20 and _step(lines.adx) > 0
    return _vote(
        buys=strengthens and lines.plus[-1] > lines.minus[-1],
        sells=strengthens and lines.plus[-1] < lines.minus[-1],
    )


def _saucer(line: Prices) -> int:
    older, before, now = line[-3:]
    return _vote(
        buys=(now > 0 > before) or (now > 0 and before > 0 and now > before and older > before),
        sells=(now < 0 < before) or (now < 0 and before < 0 and now < before and older < before),
    )


def _bull_bear(candles: Candles, *, trend: int) -> int:
    average = batch.ema(candles.close, period=13)
    bull, bear = candles.high - average, candles.low - average
    return _vote(
        buys=trend > 0 and bear[-1] < 0 and _step(bear) > 0,
        sells=trend < 0 and bull[-1] > 0 and _step(bull) < 0,
    )


def _step(line: Prices) -> float:
    return float(line[-1] - line[-2])


def _sign(value: float) -> int:
    return 0 if np.isnan(value) else int(np.sign(value))


def _vote(*, buys: bool | np.bool_, sells: bool | np.bool_) -> int:
    return int(bool(buys)) - int(bool(sells))
