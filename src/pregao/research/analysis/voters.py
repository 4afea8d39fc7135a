"""
Eight voters on every candle, and what they decide together.

Each votes 1 (buy), -1 (sell) or 0, with a strength from 0 to 100. Three votes of one side decide when they are also stronger than
the other side's; on fewer than 200 candles nobody decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from inspect import unwrap
from typing import Final

import numpy as np
import talib
from numpy.typing import NDArray

from pregao.research.analysis import compiled
from pregao.research.candles import Candles, Prices
from pregao.research.indicators import batch
from pregao.research.indicators.cached import LAB_CACHE, cached_indicator

BARS_MIN: Final = 200
VOTES_MIN: Final = 3
PATTERNS_MIN: Final = 2
PATTERNS: Final = tuple(name for name in talib.get_function_groups()["Pattern Recognition"])
# Each wrapper asks whether its arguments are some library's frames; sixty of them are a tenth of all voting.
_FINDERS: Final = tuple(unwrap(getattr(talib, name)) for name in PATTERNS)
FORMATION_CONFIDENCE_MIN: Final = 60
WIDTH_MIN: Final = 0.02  # of the bands, as a share of their middle: narrower says nothing
STOP_ATRS: Final = 2.0
TARGET_RISKS: Final = 2.0

Votes = NDArray[np.int8]


class Signal(StrEnum):
    """What was decided about a candle."""

    BUY = "buy"
    SELL = "sell"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voter:
    """One voter's vote and its strength at every candle."""

    votes: Votes
    strengths: Prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decisions:
    """
    What was decided at every candle: 1, -1 or 0; the mean strength of its votes; their share of all votes cast, in percent.

    ``stop`` is how far a stop of two ATR lies from the close, as a share of it; infinity where no ATR is known yet.
    """

    decided: Votes
    strength: Prices
    confidence: Prices
    stop: Prices
    voters: Mapping[str, Voter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was decided about the last candle, with the prices of its stop and target; None when nothing was."""

    signal: Signal
    strength: float
    confidence: float
    votes: Mapping[str, int]
    stop_price: float | None
    target_price: float | None


def analyze(candles: Candles) -> Analysis:
    """Say what the voters decide about the last candle."""
    if len(candles) < BARS_MIN:
        return Analysis(
            signal=Signal.NEUTRAL, strength=0.0, confidence=0.0, votes={}, stop_price=None, target_price=None
        )
    found = decide(candles)
    side = int(found.decided[-1])
    close, risk = float(candles.close[-1]), float(found.stop[-1])
    return Analysis(
        signal={1: Signal.BUY, -1: Signal.SELL, 0: Signal.NEUTRAL}[side],
        strength=float(found.strength[-1]),
        confidence=float(found.confidence[-1]),
        votes={name: int(voter.votes[-1]) for name, voter in found.voters.items()},
        stop_price=close * (1 - side * risk) if side else None,
        target_price=close * (1 + side * risk * TARGET_RISKS) if side else None,
    )


@cached_indicator(LAB_CACHE)
def decide(candles: Candles) -> Decisions:
    """Let all vote on every candle, each knowing the candles up to it, and count."""
    voters = {
        "ema": _averages(candles),
        "rsi": _rsi(candles),
        "macd": _macd(candles),
        "bollinger": _bands(candles),
        "stochastic": _stochastic(candles),
        "patterns": _patterns(candles),
        "levels": _levels(candles),
        "formations": _formations(candles),
    }
    decided, strength, confidence = count(
        np.array([voter.votes for voter in voters.values()]),
        np.array([voter.strengths for voter in voters.values()]),
    )
    early = np.arange(len(candles)) < BARS_MIN - 1
    risk = STOP_ATRS * batch.atr(candles) / candles.close
    return Decisions(
        decided=np.where(early, np.int8(0), decided),
        strength=np.where(early, 0.0, strength),
        confidence=np.where(early, 0.0, confidence),
        stop=np.where(np.isnan(risk) | (risk <= 0), np.inf, risk),
        voters=voters,
    )


def count(votes: Votes, strengths: Prices) -> tuple[Votes, Prices, Prices]:
    """
    Count votes and strengths, one row for each voter: what is decided at each candle, how strongly, and with which confidence.

    A side needs three votes and a larger sum of strengths than the other.
    """
    buys, sells = (votes > 0).sum(axis=0), (votes < 0).sum(axis=0)
    buying = np.where(votes > 0, strengths, 0.0).sum(axis=0)
    selling = np.where(votes < 0, strengths, 0.0).sum(axis=0)
    bought = (buys >= VOTES_MIN) & (buying > selling)
    sold = (sells >= VOTES_MIN) & (selling > buying)
    decided = bought.astype(np.int8) - sold.astype(np.int8)
    side_votes = np.where(bought, buys, np.where(sold, sells, 0))
    total = np.where(bought, buying, np.where(sold, selling, 0.0))
    strength = np.minimum(total / np.maximum(side_votes, 1), 100.0)
    return decided, strength, side_votes / np.maximum(buys + sells, 1) * 100


def _averages(candles: Candles) -> Voter:
    fast, slow = batch.ema(candles.close, period=9), batch.ema(candles.close, period=21)
    gap = (fast - slow) / slow
    return _voter(buys=gap > 0, sells=gap < 0, strengths=np.abs(gap) * 100)


def _rsi(candles: Candles) -> Voter:
    strength = batch.rsi(candles.close, period=14)
    beyond = np.maximum(strength - 70, 30 - strength) * (10 / 3)
    return _voter(buys=strength <= 30, sells=strength >= 70, strengths=beyond)


def _macd(candles: Candles) -> Voter:
    """Strength is what lies between the lines, in hundredths of the ATR: prices of any size count alike."""
    histogram = batch.macd(candles.close).histogram
    return _voter(
        buys=histogram > 0,
        sells=histogram < 0,
        strengths=_share(np.abs(histogram), of=batch.atr(candles)) * 100,
    )


def _bands(candles: Candles) -> Voter:
    """Strength is the distance from the mean: 50 at the band, 100 at twice its distance."""
    bands = batch.bollinger(candles.close)
    wide = _share(bands.upper - bands.lower, of=bands.middle) >= WIDTH_MIN
    away = _share(np.abs(candles.close - bands.middle), of=bands.upper - bands.middle) * 50
    return _voter(
        buys=wide & (candles.close <= bands.lower),
        sells=wide & (candles.close >= bands.upper),
        strengths=away,
    )


def _stochastic(candles: Candles) -> Voter:
    found = batch.stochastic(candles, period=14)
    beyond = np.maximum(20 - found.k, found.k - 80) * 5
    return _voter(
        buys=(found.k < 20) & (found.k > found.d),
        sells=(found.k > 80) & (found.k < found.d),
        strengths=beyond,
    )


def _patterns(candles: Candles) -> Voter:
    """Two candlestick patterns of a side, and more of it than of the other; the mean of the three surest, times 0.8."""
    prices = (candles.open, candles.high, candles.low, candles.close)
    found = np.array([find(*prices) for find in _FINDERS])
    (buys, sells), (buying, selling) = compiled.surest(found)
    return _voter(
        buys=(buys >= PATTERNS_MIN) & (buys > sells),
        sells=(sells >= PATTERNS_MIN) & (sells > buys),
        strengths=np.where(buys > sells, buying, selling) * 0.8,
    )


def _levels(candles: Candles) -> Voter:
    atr = batch.atr(candles)
    votes, strengths = compiled.levels(candles.open, candles.high, candles.low, candles.close, atr)
    return Voter(votes=votes, strengths=strengths)


def _formations(candles: Candles) -> Voter:
    atr = batch.atr(candles)
    found = compiled.formations(candles.high, candles.low, candles.close, atr)
    sure = np.where(found >= FORMATION_CONFIDENCE_MIN, found, 0.0)
    buying, selling = _top(sure[:2], of=2), _top(sure[2:], of=2)
    return _voter(buys=buying > selling, sells=selling > buying, strengths=np.maximum(buying, selling) * 0.9)


def _top(found: Prices, *, of: int) -> Prices:
    """Give the mean of the largest values above 0 in each column, ``of`` at most."""
    largest = -np.sort(-found, axis=0)[:of]
    largest = np.where(largest > 0, largest, 0.0)
    mean: Prices = largest.sum(axis=0) / np.maximum((largest > 0).sum(axis=0), 1)
    return mean


def _voter(*, buys: NDArray[np.bool_], sells: NDArray[np.bool_], strengths: Prices) -> Voter:
    votes = buys.astype(np.int8) - sells.astype(np.int8)
    within = np.fmin(np.fmax(strengths, 0.0), 100.0)  # what is no number is 0
    return Voter(votes=votes, strengths=np.where(votes != 0, within, 0.0))


def _share(values: Prices, *, of: Prices) -> Prices:
    share: Prices = np.where(of > 0, values / np.where(of > 0, of, 1.0), 0.0)
    return share
