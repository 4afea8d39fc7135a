"""The strategies that come with the lab."""

from typing import Final

import numpy as np

from pregao.domain.strategy import DESCRIPTIONS, Values, get_description
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
    Line,
    Plan,
    PlanOf,
    Strategy,
    Wanted,
    as_one,
)


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


def _strategy(name: str, plan_of: PlanOf, *, line: Line | None = None) -> Strategy:
    told = DESCRIPTIONS[name]
    return Strategy(
        name=told.name,
        meaning=told.meaning,
        parameters=told.parameters,
        is_possible=told.is_possible,
        plan_of=plan_of,
        crossing=None if line is None else Crossing(line=line, fast="fast", slow="slow"),
    )


STRATEGIES: Final = {
    one.name: one
    for one in (
        _strategy(
            "sma_cross", sma_cross, line=lambda candles, period: batch.sma(candles.close, period=period)
        ),
        _strategy(
            "ema_cross", ema_cross, line=lambda candles, period: batch.ema(candles.close, period=period)
        ),
        _strategy("macd", macd),
        _strategy("rsi_reversal", rsi_reversal),
        _strategy("bollinger", bollinger),
        _strategy("breakout", breakout),
        _strategy("technical_analysis", technical_analysis),
    )
}


def get_strategy(name: str) -> Strategy:
    """
    Give a strategy by its name.

    :raises StrategyUnknownError: when there is none.
    """
    return STRATEGIES[get_description(name).name]


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
