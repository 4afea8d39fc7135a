"""
Strategies candle by candle: each wants at every close what its plan over all candles wants there, in constant time.

`technical_analysis` is not among them: its voters look at the last candles anew (`research/analyzer/judge.py`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, nan
from typing import Final, Protocol

from pregao.domain.strategy import Values
from pregao.research.indicators.incremental import Bollinger, Ema, Macd, Rsi, Sma
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT
from pregao.research.ticks import Candle

WANTED: Final = {SHORT: "short", FLAT: "flat", LONG: "long", KEEP: "keep"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """
    What is wanted from the close of a candle on, with the distances of stop and target as shares of the entry price.

    Infinity is none. ``confidence`` is in percent; None where nobody doubts.
    """

    wanted: int
    stop: float = inf
    target: float = inf
    confidence: float | None = None
    source: str = ""


class Live(Protocol):
    """One strategy on one row of candles."""

    def add(self, candle: Candle) -> int:
        """Take the next candle, closed; give what is wanted from its close on."""
        ...


class Cross:
    """Two lines of a kind cross."""

    __slots__ = ("_fast", "_held", "_side", "_slow")

    def __init__(self, *, fast: Sma | Ema, slow: Sma | Ema) -> None:
        """Begin with two lines that have seen nothing."""
        self._fast, self._slow = fast, slow
        self._side = self._held = FLAT

    def add(self, candle: Candle) -> int:
        """Take the next candle."""
        return self._crossed(self._fast.add(candle.close), self._slow.add(candle.close))

    def _crossed(self, fast: float, slow: float) -> int:
        side = self._side
        now = LONG if fast > slow else SHORT if fast < slow else side
        if now != side:
            if side != FLAT:  # being above from the start is no crossing
                self._held = now
            self._side = now
        return self._held


class MacdCross(Cross):
    """The MACD crosses its own average."""

    __slots__ = ("_macd",)

    def __init__(self, macd: Macd) -> None:
        """Begin with one that has seen nothing."""
        self._macd = macd
        self._side = self._held = FLAT

    def add(self, candle: Candle) -> int:
        """Take the next candle."""
        line, signal, _ = self._macd.add(candle.close)
        return self._crossed(line, signal)


class RsiReversal:
    """The strength comes back from an extreme."""

    __slots__ = ("_before", "_held", "_high", "_low", "_rsi")

    def __init__(self, *, period: int, low: float, high: float) -> None:
        """Begin without candles."""
        self._rsi = Rsi(period=period)
        self._low, self._high = low, high
        self._before = nan
        self._held = FLAT

    def add(self, candle: Candle) -> int:
        """Take the next candle."""
        strength, before = self._rsi.add(candle.close), self._before
        self._before = strength
        if before > self._high and strength <= self._high:
            self._held = SHORT
        elif before < self._low and strength >= self._low:
            self._held = LONG
        return self._held


class Bands:
    """The close leaves the bands: back to the mean; flat when it is there."""

    __slots__ = ("_bands", "_close", "_held", "_middle")

    def __init__(self, *, period: int, deviations: float) -> None:
        """Begin without candles."""
        self._bands = Bollinger(period=period, deviations=deviations)
        self._close = self._middle = nan
        self._held = FLAT

    def add(self, candle: Candle) -> int:
        """Take the next candle."""
        close = candle.close
        upper, middle, lower = self._bands.add(close)
        before, middle_before = self._close, self._middle
        self._close, self._middle = close, middle
        if close > upper:
            self._held = SHORT
        elif close < lower:
            self._held = LONG
        elif (before < middle_before and close >= middle) or (before > middle_before and close <= middle):
            self._held = FLAT
        return self._held


class Breakout:
    """The close leaves the range of the bars before it; flat when it leaves a shorter one the other way."""

    __slots__ = ("_exit_period", "_held", "_highs", "_lows", "_period")

    def __init__(self, *, period: int, exit_period: int) -> None:
        """Begin without candles."""
        self._period, self._exit_period = period, exit_period
        self._highs: deque[float] = deque(maxlen=max(period, exit_period))
        self._lows: deque[float] = deque(maxlen=max(period, exit_period))
        self._held = FLAT

    def add(self, candle: Candle) -> int:
        """Take the next candle."""
        close, held = candle.close, self._held
        if close > _highest(self._highs, self._period):
            held = LONG
        elif close < _lowest(self._lows, self._period):
            held = SHORT
        elif (held == LONG and close < _lowest(self._lows, self._exit_period)) or (
            held == SHORT and close > _highest(self._highs, self._exit_period)
        ):
            held = FLAT
        self._highs.append(candle.high)
        self._lows.append(candle.low)
        self._held = held
        return held


def _highest(values: deque[float], period: int) -> float:
    if len(values) < period:
        return inf
    return max(values) if len(values) == period else max(list(values)[-period:])


def _lowest(values: deque[float], period: int) -> float:
    if len(values) < period:
        return -inf
    return min(values) if len(values) == period else min(list(values)[-period:])


MAKERS: Final[Mapping[str, Callable[[Values], Live]]] = {
    "sma_cross": lambda v: Cross(fast=Sma(period=int(v["fast"])), slow=Sma(period=int(v["slow"]))),
    "ema_cross": lambda v: Cross(fast=Ema(period=int(v["fast"])), slow=Ema(period=int(v["slow"]))),
    "macd": lambda v: MacdCross(Macd(fast=int(v["fast"]), slow=int(v["slow"]), signal=int(v["signal"]))),
    "rsi_reversal": lambda v: RsiReversal(period=int(v["period"]), low=v["low"], high=v["high"]),
    "bollinger": lambda v: Bands(period=int(v["period"]), deviations=v["deviations"]),
    "breakout": lambda v: Breakout(period=int(v["period"]), exit_period=int(v["exit_period"])),
}


class LiveStrategy:
    """A strategy with its values, on one row of candles: what `Strategy.plan` says, one candle after the other."""

    __slots__ = ("_has_shorts", "_live", "_stop", "_target")

    def __init__(self, name: str, values: Values) -> None:
        """Begin without candles; every value must be given, and the name be one of ``MAKERS``."""
        self._live = MAKERS[name](values)
        self._has_shorts = bool(values["shorts"])
        self._stop = _share(values["stop_pct"])
        self._target = _share(values["target_pct"])

    def add(self, candle: Candle) -> Opinion:
        """Take the next candle, closed."""
        wanted = self._live.add(candle)
        if wanted == SHORT and not self._has_shorts:
            wanted = FLAT
        return Opinion(wanted=wanted, stop=self._stop, target=self._target)


def bars_before(values: Values) -> int:
    """Give how many candles a strategy should have seen before its first: nothing is left of how its averages began."""
    longest = max(
        (values[name] for name in ("fast", "slow", "signal", "period", "exit_period") if name in values),
        default=0,
    )
    return 500 + 10 * int(longest)


def _share(percent: float) -> float:
    return percent / 100 if percent > 0 else inf
