"""
Indicators over all candles at once. The one module that knows TA-Lib.

Every array is as long as what it is computed of; it is NaN until enough bars have been seen. Moving averages start from a simple
mean, Wilder's ones (RSI, ATR, ADX) too, as TA-Lib and TradingView do it.
"""

from dataclasses import dataclass

import numpy as np
import talib

from pregao.research.candles import Candles, Prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Macd:
    """The difference of two moving averages, its own average, and the difference of these two."""

    line: Prices
    signal: Prices
    histogram: Prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bands:
    """A mean and so many standard deviations above and below it."""

    upper: Prices
    middle: Prices
    lower: Prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stochastic:
    """Where the close lies between the extremes, in percent, and the average of that."""

    k: Prices
    d: Prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directional:
    """How strong a trend is, and its two directions."""

    adx: Prices
    plus: Prices
    minus: Prices


def sma(values: Prices, *, period: int) -> Prices:
    """Give the mean of the last ``period`` values."""
    return values.copy() if period == 1 else talib.SMA(values, timeperiod=period)


def ema(values: Prices, *, period: int) -> Prices:
    """Give the exponential moving average: weight 2 / (period + 1), started from the mean of the first values."""
    return values.copy() if period == 1 else talib.EMA(values, timeperiod=period)


def wma(values: Prices, *, period: int) -> Prices:
    """Give the mean weighted 1, 2, … ``period``, the newest heaviest."""
    return values.copy() if period == 1 else talib.WMA(values, timeperiod=period)


def rsi(close: Prices, *, period: int = 14) -> Prices:
    """Give Wilder's relative strength, 0 to 100."""
    return talib.RSI(close, timeperiod=period)


def macd(close: Prices, *, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Give the moving averages' convergence and divergence."""
    line, average, histogram = talib.MACD(close, fastperiod=fast, slowperiod=slow, signalperiod=signal)
    return Macd(line=line, signal=average, histogram=histogram)


def bollinger(close: Prices, *, period: int = 20, deviations: float = 2.0) -> Bands:
    """Give the bands around the mean; the deviation is the population's."""
    upper, middle, lower = talib.BBANDS(close, timeperiod=period, nbdevup=deviations, nbdevdn=deviations)
    return Bands(upper=upper, middle=middle, lower=lower)


def atr(candles: Candles, *, period: int = 14) -> Prices:
    """Give Wilder's average of the true range."""
    return talib.ATR(candles.high, candles.low, candles.close, timeperiod=period)


def stochastic(candles: Candles, *, period: int = 14, smooth_k: int = 3, smooth_d: int = 3) -> Stochastic:
    """Give the close's place between the highest high and the lowest low, smoothed."""
    k, d = talib.STOCH(
        candles.high,
        candles.low,
        candles.close,
        fastk_period=period,
        slowk_period=smooth_k,
        slowd_period=smooth_d,
    )
    return Stochastic(k=k, d=d)


def stochastic_rsi(close: Prices, *, period: int = 14, smooth_k: int = 3, smooth_d: int = 3) -> Stochastic:
    """Give the RSI's place between its own extremes, smoothed; 0 where it stood still."""
    strength = rsi(close, period=period)
    span = highest(strength, period=period) - lowest(strength, period=period)
    above = strength - lowest(strength, period=period)
    raw = np.where(
        span > 0, 100 * above / np.where(span > 0, span, 1.0), np.where(np.isnan(span), np.nan, 0.0)
    )
    k = sma(raw, period=smooth_k)
    return Stochastic(k=k, d=sma(k, period=smooth_d))


def cci(candles: Candles, *, period: int = 20) -> Prices:
    """Give the commodity channel index."""
    return talib.CCI(candles.high, candles.low, candles.close, timeperiod=period)


def adx(candles: Candles, *, period: int = 14) -> Directional:
    """Give Wilder's directional movement."""
    prices = (candles.high, candles.low, candles.close)
    return Directional(
        adx=talib.ADX(*prices, timeperiod=period),
        plus=talib.PLUS_DI(*prices, timeperiod=period),
        minus=talib.MINUS_DI(*prices, timeperiod=period),
    )


def awesome(candles: Candles, *, fast: int = 5, slow: int = 34) -> Prices:
    """Give the difference of two means of the bars' middles."""
    middle = (candles.high + candles.low) / 2
    return sma(middle, period=fast) - sma(middle, period=slow)


def momentum(close: Prices, *, period: int = 10) -> Prices:
    """Give how far the close has come in ``period`` bars."""
    return talib.MOM(close, timeperiod=period)


def williams(candles: Candles, *, period: int = 14) -> Prices:
    """Give Williams' %R, -100 to 0."""
    return talib.WILLR(candles.high, candles.low, candles.close, timeperiod=period)


def ultimate(candles: Candles, *, short: int = 7, middle: int = 14, long: int = 28) -> Prices:
    """Give the ultimate oscillator, 0 to 100."""
    return talib.ULTOSC(
        candles.high, candles.low, candles.close, timeperiod1=short, timeperiod2=middle, timeperiod3=long
    )


def vwma(candles: Candles, *, period: int = 20) -> Prices:
    """Give the mean close weighted by volume."""
    return sma(candles.close * candles.volume, period=period) / sma(candles.volume, period=period)


def hull(close: Prices, *, period: int = 9) -> Prices:
    """Give Hull's moving average."""
    straight = 2 * wma(close, period=period // 2) - wma(close, period=period)
    return wma(straight, period=int(np.sqrt(period)))


def donchian(candles: Candles, *, period: int) -> Bands:
    """Give the highest high, the lowest low and their middle over the last ``period`` bars, this one among them."""
    upper = highest(candles.high, period=period)
    lower = lowest(candles.low, period=period)
    return Bands(upper=upper, middle=(upper + lower) / 2, lower=lower)


def highest(values: Prices, *, period: int) -> Prices:
    """Give the largest of the last ``period`` values."""
    return values.copy() if period == 1 else talib.MAX(values, timeperiod=period)


def lowest(values: Prices, *, period: int) -> Prices:
    """Give the smallest of the last ``period`` values."""
    return values.copy() if period == 1 else talib.MIN(values, timeperiod=period)
