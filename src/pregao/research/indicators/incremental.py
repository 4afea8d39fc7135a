"""
Indicators one bar after the other: the same values as the batch form at every bar, in constant time.

``add`` takes a finished bar. ``peek`` says what it would give for a bar that is not finished yet, and changes nothing: that is for
live ticks. Both give NaN until enough bars have been seen.
"""

from collections import deque
from math import nan, sqrt
from typing import Final

NOT_YET: Final = nan


MacdValue = tuple[float, float, float]
"""The line, its average, and what lies between. A plain tuple: one with names takes longer to make than to compute."""
BandsValue = tuple[float, float, float]
"""The upper band, the mean, the lower band."""
StochasticValue = tuple[float, float]
"""The place of the close, smoothed, and the average of that."""


class Sma:
    """The mean of the last ``period`` values; its sum is taken anew once a period, so that errors do not build up."""

    __slots__ = ("_at", "_sum", "_values", "period")

    def __init__(self, *, period: int) -> None:
        """Start without values."""
        self.period = period
        self._values: list[float] = []
        self._at = 0
        self._sum = 0.0

    def add(self, value: float) -> float:
        """Take the next value."""
        values, period = self._values, self.period
        if len(values) < period:
            values.append(value)
            self._sum += value
            return self._sum / period if len(values) == period else NOT_YET
        at = self._at
        self._sum += value - values[at]
        values[at] = value
        at += 1
        if at == period:
            at = 0
            self._sum = sum(values)
        self._at = at
        return self._sum / period

    def peek(self, value: float) -> float:
        """Give the mean with this value as the newest."""
        values, period = self._values, self.period
        if len(values) < period:
            return (self._sum + value) / period if len(values) == period - 1 else NOT_YET
        return (self._sum + value - values[self._at]) / period


class Ema:
    """The exponential moving average, started from the mean of the first ``period`` values."""

    __slots__ = ("_left", "_sum", "_value", "_weight", "period")

    def __init__(self, *, period: int) -> None:
        """Start without values."""
        self.period = period
        self._weight = 2 / (period + 1)
        self._left = period
        self._sum = 0.0
        self._value = NOT_YET

    def add(self, value: float) -> float:
        """Take the next value."""
        if self._left:
            self._left -= 1
            self._sum += value
            if not self._left:
                self._value = self._sum / self.period
            return self._value
        before = self._value
        after = self._value = before + (value - before) * self._weight
        return after

    def peek(self, value: float) -> float:
        """Give the average with this value as the newest."""
        if self._left:
            return (self._sum + value) / self.period if self._left == 1 else NOT_YET
        return self._value + (value - self._value) * self._weight


class Rsi:
    """Wilder's relative strength."""

    __slots__ = ("_before", "_gain", "_left", "_loss", "_weight", "period")

    def __init__(self, *, period: int = 14) -> None:
        """Start without closes."""
        self.period = period
        self._weight = 1 / period
        self._left = period + 1
        self._before = 0.0
        self._gain = self._loss = 0.0

    def add(self, close: float) -> float:
        """Take the next close."""
        change = close - self._before
        self._before = close
        if self._left:
            return self._begin(change)
        weight = self._weight
        if change > 0:
            gain = self._gain = self._gain + (change - self._gain) * weight
            loss = self._loss = self._loss - self._loss * weight
        else:
            gain = self._gain = self._gain - self._gain * weight
            loss = self._loss = self._loss - (change + self._loss) * weight
        return 100 * gain / (gain + loss) if gain + loss > 0 else 0.0

    def peek(self, close: float) -> float:
        """Give the strength with this close as the newest."""
        change, weight = close - self._before, self._weight
        gain, loss = (change, 0.0) if change > 0 else (0.0, -change)
        if self._left:
            return (
                _strength(self._gain + gain * weight, self._loss + loss * weight)
                if self._left == 1
                else NOT_YET
            )
        return _strength(self._gain + (gain - self._gain) * weight, self._loss + (loss - self._loss) * weight)

    def _begin(self, change: float) -> float:
        self._left -= 1
        if self._left < self.period:  # the first close has no change
            self._gain += max(change, 0.0) * self._weight
            self._loss += max(-change, 0.0) * self._weight
        return NOT_YET if self._left else _strength(self._gain, self._loss)


class Macd:
    """The moving averages' convergence and divergence; both averages start at the slow one's first bar."""

    __slots__ = (
        "_averages",
        "_fast",
        "_fast_weight",
        "_signal",
        "_signal_weight",
        "_slow",
        "_slow_weight",
        "_wait",
        "_warm",
    )

    def __init__(self, *, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        """Start without closes; ``fast`` must be the shorter."""
        assert fast < slow
        self._averages = (
            Ema(period=fast),
            Ema(period=slow),
            Ema(period=signal),
        )  # until all three have begun
        self._wait = slow - fast  # closes that the fast average leaves out, so that both start together
        self._warm = False
        self._fast = self._slow = self._signal = NOT_YET
        self._fast_weight, self._slow_weight, self._signal_weight = (
            2 / (n + 1) for n in (fast, slow, signal)
        )

    def add(self, close: float) -> MacdValue:
        """Take the next close."""
        if not self._warm:
            return self._begin(close)
        fast = self._fast = self._fast + (close - self._fast) * self._fast_weight
        slow = self._slow = self._slow + (close - self._slow) * self._slow_weight
        line = fast - slow
        signal = self._signal = self._signal + (line - self._signal) * self._signal_weight
        return (line, signal, line - signal)

    def peek(self, close: float) -> MacdValue:
        """Give the values with this close as the newest."""
        if not self._warm:
            fast, slow, average = self._averages
            line = fast.peek(close) - slow.peek(close)  # not a number until both have begun
            signal = average.peek(line)
            return (line, signal, line - signal) if signal == signal else _NO_MACD  # noqa: PLR0124
        line = (
            self._fast
            + (close - self._fast) * self._fast_weight
            - self._slow
            - (close - self._slow) * self._slow_weight
        )
        signal = self._signal + (line - self._signal) * self._signal_weight
        return (line, signal, line - signal)

    def _begin(self, close: float) -> MacdValue:
        fast, slow, average = self._averages
        self._slow = slow.add(close)
        if self._wait:
            self._wait -= 1
            return _NO_MACD
        self._fast = fast.add(close)
        line = self._fast - self._slow
        if line != line:  # noqa: PLR0124  # not a number: one of the two has not begun
            return _NO_MACD
        self._signal = average.add(line)
        self._warm = self._signal == self._signal
        return (line, self._signal, line - self._signal) if self._warm else _NO_MACD


class Bollinger:
    """
    Bands around the mean of the last ``period`` closes.

    Sums are of distances from a close nearby, and taken anew once a period: squares of large prices would swallow small deviations.
    """

    __slots__ = ("_anchor", "_at", "_closes", "_squares", "_sum", "deviations", "period")

    def __init__(self, *, period: int = 20, deviations: float = 2.0) -> None:
        """Start without closes."""
        self.period = period
        self.deviations = deviations
        self._closes: list[float] = []
        self._at = 0
        self._anchor = self._sum = self._squares = 0.0

    def add(self, close: float) -> BandsValue:
        """Take the next close."""
        closes = self._closes
        if len(closes) < self.period:
            closes.append(close)
            if len(closes) < self.period:
                return _NO_BANDS
            self._take_anew()
        else:
            at, anchor, period = self._at, self._anchor, self.period
            new, old = close - anchor, closes[at] - anchor
            total = self._sum = self._sum + (new - old)
            squares = self._squares = self._squares + (new * new - old * old)
            closes[at] = close
            at += 1
            if at < period:
                self._at = at
                mean = total / period
                spread = squares / period - mean * mean
                width = self.deviations * sqrt(spread) if spread > 0 else 0.0
                middle = anchor + mean
                return (middle + width, middle, middle - width)
            self._at = 0
            self._take_anew()
        return self._bands(self._sum, self._squares)

    def peek(self, close: float) -> BandsValue:
        """Give the bands with this close as the newest."""
        closes = self._closes
        if len(closes) < self.period:
            if len(closes) < self.period - 1:
                return _NO_BANDS
            tried = Bollinger(period=self.period, deviations=self.deviations)
            tried._closes = closes.copy()
            return tried.add(close)
        anchor = self._anchor
        new, old = close - anchor, closes[self._at] - anchor
        return self._bands(self._sum + new - old, self._squares + new * new - old * old)

    def _take_anew(self) -> None:
        anchor = self._anchor = self._closes[-1]
        distances = [close - anchor for close in self._closes]
        self._sum = sum(distances)
        self._squares = sum(distance * distance for distance in distances)

    def _bands(self, total: float, squares: float) -> BandsValue:
        mean = total / self.period
        width = self.deviations * sqrt(max(squares / self.period - mean * mean, 0.0))
        middle = self._anchor + mean
        return (middle + width, middle, middle - width)


class Atr:
    """Wilder's average of the true range."""

    __slots__ = ("_before", "_left", "_value", "period")

    def __init__(self, *, period: int = 14) -> None:
        """Start without bars."""
        self.period = period
        self._left = period + 1
        self._before = 0.0
        self._value = 0.0

    def add(self, *, high: float, low: float, close: float) -> float:
        """Take the next bar."""
        before = self._before
        self._before = close
        reach = (high if high > before else before) - (low if low < before else before)  # noqa: FURB136  # a third faster
        if self._left:
            self._left -= 1
            if self._left < self.period:  # the first bar has no true range
                self._value += reach / self.period
            return NOT_YET if self._left else self._value
        value = self._value
        value = self._value = value + (reach - value) / self.period
        return value

    def peek(self, *, high: float, low: float, close: float) -> float:
        """Give the average with this bar as the newest; its close changes nothing yet."""
        del close
        reach = max(high, self._before) - min(low, self._before)
        if self._left:
            return self._value + reach / self.period if self._left == 1 else NOT_YET
        return self._value + (reach - self._value) / self.period


class Stochastic:
    """The close's place between the extremes of the last ``period`` bars, smoothed twice."""

    __slots__ = ("_highs", "_k", "_lows", "_smoothed", "period")

    def __init__(self, *, period: int = 14, smooth_k: int = 3, smooth_d: int = 3) -> None:
        """Start without bars."""
        self.period = period
        self._highs: deque[float] = deque(maxlen=period)
        self._lows: deque[float] = deque(maxlen=period)
        self._k = Sma(period=smooth_k)
        self._smoothed = Sma(period=smooth_d)

    def add(self, *, high: float, low: float, close: float) -> StochasticValue:
        """Take the next bar."""
        self._highs.append(high)
        self._lows.append(low)
        if len(self._highs) < self.period:
            return _NO_STOCHASTIC
        k = self._k.add(_place(close, high=max(self._highs), low=min(self._lows)))
        if k != k:  # noqa: PLR0124
            return _NO_STOCHASTIC
        d = self._smoothed.add(k)
        return _NO_STOCHASTIC if d != d else (k, d)  # noqa: PLR0124

    def peek(self, *, high: float, low: float, close: float) -> StochasticValue:
        """Give the values with this bar as the newest."""
        if len(self._highs) < self.period - 1:
            return _NO_STOCHASTIC
        older = max(0, len(self._highs) - self.period + 1)
        highs, lows = [*self._highs][older:], [*self._lows][older:]
        k = self._k.peek(_place(close, high=max(*highs, high), low=min(*lows, low)))
        if k != k:  # noqa: PLR0124
            return _NO_STOCHASTIC
        d = self._smoothed.peek(k)
        return _NO_STOCHASTIC if d != d else (k, d)  # noqa: PLR0124


_NO_MACD: Final = (NOT_YET, NOT_YET, NOT_YET)
_NO_BANDS: Final = (NOT_YET, NOT_YET, NOT_YET)
_NO_STOCHASTIC: Final = (NOT_YET, NOT_YET)


def _strength(gain: float, loss: float) -> float:
    return 100 * gain / (gain + loss) if gain + loss > 0 else 0.0


def _place(close: float, *, high: float, low: float) -> float:
    return 100 * (close - low) / (high - low) if high > low else 0.0
