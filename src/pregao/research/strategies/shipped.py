"""The strategies that come with the lab."""

from typing import Final

import numpy as np

from pregao.research.analysis import voters
from pregao.research.candles import Candles, Prices
from pregao.research.indicators import batch
from pregao.research.strategies import compiled
from pregao.research.strategies.strategy import (
    FLAT,
    KEEP,
    LONG,
    SHORT,
    Crossing,
    Parameter,
    Plan,
    Strategy,
    StrategyUnknownError,
    Values,
    Wanted,
    as_one,
)

BOTH_WAYS: Final = Parameter(
    name="shorts", default=1, low=0, high=1, meaning="1 goes short too, 0 is flat instead"
)
EXITS: Final = (
    Parameter(
        name="stop_pct",
        default=2,
        low=0,
        high=50,
        step=0.1,
        meaning="stop, percent from the entry; 0 has none",
    ),
    Parameter(
        name="target_pct",
        default=4,
        low=0,
        high=500,
        step=0.1,
        meaning="target, percent from the entry; 0 has none",
    ),
)


def _count(name: str, default: int, meaning: str, *, low: int = 2, high: int = 1_000) -> Parameter:
    return Parameter(name=name, default=default, low=low, high=high, meaning=meaning)


def sma_cross(candles: Candles, values: Values) -> Plan:
    """Two simple means cross."""
    fast = batch.sma(candles.close, period=int(values["fast"]))
    slow = batch.sma(candles.close, period=int(values["slow"]))
    return _planned(compiled.cross(fast, slow), values)


def ema_cross(candles: Candles, values: Values) -> Plan:
    """Two exponential averages cross."""
    fast = batch.ema(candles.close, period=int(values["fast"]))
    slow = batch.ema(candles.close, period=int(values["slow"]))
    return _planned(compiled.cross(fast, slow), values)


def macd(candles: Candles, values: Values) -> Plan:
    """The MACD crosses its own average."""
    found = batch.macd(
        candles.close, fast=int(values["fast"]), slow=int(values["slow"]), signal=int(values["signal"])
    )
    return _planned(compiled.cross(found.line, found.signal), values)


def rsi_reversal(candles: Candles, values: Values) -> Plan:
    """The strength comes back from an extreme."""
    strength = batch.rsi(candles.close, period=int(values["period"]))
    before = np.append(np.nan, strength[:-1])
    wanted = np.zeros(len(candles))
    wanted[(before < values["low"]) & (strength >= values["low"])] = LONG
    wanted[(before > values["high"]) & (strength <= values["high"])] = SHORT
    return _planned(_last_that_is_not(wanted, 0).astype(np.int8), values)


def bollinger(candles: Candles, values: Values) -> Plan:
    """The close leaves the bands: back to the mean; flat when it is there."""
    bands = batch.bollinger(candles.close, period=int(values["period"]), deviations=values["deviations"])
    close = candles.close
    before = np.append(np.nan, close[:-1])
    middle_before = np.append(np.nan, bands.middle[:-1])
    wanted = np.full(len(candles), np.nan)
    wanted[(before < middle_before) & (close >= bands.middle)] = FLAT
    wanted[(before > middle_before) & (close <= bands.middle)] = FLAT
    wanted[close < bands.lower] = LONG
    wanted[close > bands.upper] = SHORT
    return _planned(np.nan_to_num(_last_that_is_not(wanted, np.nan)).astype(np.int8), values)


def breakout(candles: Candles, values: Values) -> Plan:
    """The close leaves the range of the bars before it; flat when it leaves a shorter one the other way."""
    far = batch.donchian(candles, period=int(values["period"]))
    near = batch.donchian(candles, period=int(values["exit_period"]))
    wanted = compiled.breakout(candles.close, far.upper, far.lower, near.upper, near.lower)
    return _planned(wanted, values)


def technical_analysis(candles: Candles, values: Values) -> Plan:
    """Eight voters decide; what was entered is held until its stop or target, or until they decide for the other side."""
    found = voters.decide(candles)
    sure = (found.decided != FLAT) & (found.confidence >= values["confidence"])
    wanted = np.where(sure, found.decided, np.int8(KEEP))
    if not values["shorts"]:
        wanted = np.where(wanted == SHORT, np.int8(FLAT), wanted)
    return Plan(wanted=wanted, stop=found.stop, target=found.stop * voters.TARGET_RISKS)


STRATEGIES: Final = {
    one.name: one
    for one in (
        Strategy(
            name="sma_cross",
            meaning="two simple means cross",
            parameters=(
                _count("fast", 10, "bars of the fast mean"),
                _count("slow", 30, "bars of the slow mean"),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=sma_cross,
            is_possible=lambda values: values["fast"] < values["slow"],
            crossing=Crossing(
                line=lambda candles, period: batch.sma(candles.close, period=period), fast="fast", slow="slow"
            ),
        ),
        Strategy(
            name="ema_cross",
            meaning="two exponential averages cross",
            parameters=(
                _count("fast", 9, "bars of the fast average"),
                _count("slow", 21, "bars of the slow average"),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=ema_cross,
            is_possible=lambda values: values["fast"] < values["slow"],
            crossing=Crossing(
                line=lambda candles, period: batch.ema(candles.close, period=period), fast="fast", slow="slow"
            ),
        ),
        Strategy(
            name="macd",
            meaning="the MACD crosses its own average",
            parameters=(
                _count("fast", 12, "bars of the fast average"),
                _count("slow", 26, "bars of the slow average"),
                _count("signal", 9, "bars of the MACD's average"),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=macd,
            is_possible=lambda values: values["fast"] < values["slow"],
        ),
        Strategy(
            name="rsi_reversal",
            meaning="the RSI comes back from an extreme",
            parameters=(
                _count("period", 14, "bars of the RSI"),
                Parameter(name="low", default=30, low=1, high=50, step=0.5, meaning="below is oversold"),
                Parameter(name="high", default=70, low=50, high=99, step=0.5, meaning="above is overbought"),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=rsi_reversal,
        ),
        Strategy(
            name="bollinger",
            meaning="back to the mean after the close left the bands",
            parameters=(
                _count("period", 20, "bars of the mean"),
                Parameter(
                    name="deviations", default=2, low=0.5, high=5, step=0.1, meaning="half the bands' width"
                ),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=bollinger,
        ),
        Strategy(
            name="breakout",
            meaning="the close leaves the range of the bars before",
            parameters=(
                _count("period", 20, "bars of the range that opens"),
                _count("exit_period", 10, "bars of the range that closes"),
                BOTH_WAYS,
                *EXITS,
            ),
            plan_of=breakout,
        ),
        Strategy(
            name="technical_analysis",
            meaning="eight voters decide; stop two ATR away, target twice as far",
            parameters=(
                Parameter(
                    name="confidence",
                    default=60,
                    low=0,
                    high=100,
                    meaning="votes of a side, percent of all cast",
                ),
                BOTH_WAYS,
            ),
            plan_of=technical_analysis,
        ),
    )
}


def get_strategy(name: str) -> Strategy:
    """
    Give a strategy by its name.

    :raises StrategyUnknownError: when there is none.
    """
    if name not in STRATEGIES:
        raise StrategyUnknownError(f"STRATEGY_UNKNOWN: strategy={name} known={', '.join(STRATEGIES)}.")
    return STRATEGIES[name]


def _planned(wanted: Wanted, values: Values) -> Plan:
    if not values["shorts"]:
        wanted = np.where(wanted == SHORT, np.int8(FLAT), wanted)
    return Plan(
        wanted=wanted, stop=as_one(values["stop_pct"] / 100), target=as_one(values["target_pct"] / 100)
    )


def _last_that_is_not(values: Prices, empty: float) -> Prices:
    """Give at each place the last value up to it that is not ``empty``."""
    told = ~np.isnan(values) if np.isnan(empty) else values != empty
    at = np.maximum.accumulate(np.where(told, np.arange(len(values)), 0))
    return values[at]
