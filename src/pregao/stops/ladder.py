"""
The steps of a stop that follows the price, in whole ticks: where it is raised next, and to what.

The same rules as ``domain.trailing``, which is their oracle, in integers, because the book asks at every step of a
hundred thousand stops. Prices of a short are negative here: so both directions rise to earn, and one code serves both.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from pregao.domain.money import HUNDRED
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus
from pregao.domain.stop_rule import Trailing, TrailingMode
from pregao.domain.trailing import break_even_price

BREAK_EVEN = 1  # the step of it


class Rung(NamedTuple):
    """Where a stop is raised to; ``step_index`` is 1 for break-even, n for n spans, 0 for percent."""

    stop: int
    step_index: int


class Ladder(ABC):
    """The steps of one stop."""

    __slots__ = ()

    @abstractmethod
    def next_raise(self, stop: int) -> int | None:
        """Give the first price at which a stop that stands here is raised; None where nothing raises it any more."""

    @abstractmethod
    def rung_at(self, price: int, *, stop: int) -> Rung | None:
        """Give where the stop is raised to at a price; None to leave it."""


class BreakEven(Ladder):
    """One step: to break-even, as soon as that lies behind the market."""

    __slots__ = ("_begins", "_level")

    def __init__(self, level: int, *, begins: int) -> None:
        """Raise to a level, from a price on."""
        self._level = level
        self._begins = begins

    def next_raise(self, stop: int) -> int | None:
        """Give where it may be placed, while it is better than the stop."""
        return self._begins if self._level > stop else None

    def rung_at(self, price: int, *, stop: int) -> Rung | None:
        """Give the level from there on."""
        return Rung(self._level, BREAK_EVEN) if price >= self._begins and self._level > stop else None


class Spans(BreakEven):
    """Break-even after one span, then one span behind at each of the next; counted in ``scale`` parts of a tick."""

    __slots__ = ("_entry", "_scale", "_span")

    def __init__(self, level: int, *, begins: int, entry: int, span: int, scale: int) -> None:
        """Measure from the entry, which lies between ticks where it is an average."""
        super().__init__(level, begins=begins)
        self._entry = entry
        self._span = span
        self._scale = scale

    def next_raise(self, stop: int) -> int:
        """Give where the next span is full, or break-even may be placed."""
        span, scale = self._span, self._scale
        behind = max(1, (stop * scale - self._entry) // span + 1)
        level = self._entry + behind * span
        # The span above the level is full, and the level, on its tick, lies behind the market.
        price = max(-(-(level + span) // scale), -(-level // scale) + 1)
        return self._begins if self._level > stop and self._begins < price else price

    def rung_at(self, price: int, *, stop: int) -> Rung | None:
        """Give the last level that is full and behind the market, or break-even where that is better."""
        scale, span = self._scale, self._span
        gone = price * scale - self._entry
        behind = min(gone // span - 1, (gone - scale) // span)
        if behind >= 1:
            level = -(-(self._entry + behind * span) // scale)
            if level > stop and (level > self._level or price < self._begins):
                return Rung(level, behind + 1)
        return Rung(self._level, BREAK_EVEN) if price >= self._begins and self._level > stop else None


class Percent(Ladder):
    """A share of the price behind it, a tick at least, in steps; break-even beside it where that is due."""

    __slots__ = ("_break_even", "_share", "_step")

    def __init__(self, share: Fraction, *, step: int, break_even: BreakEven | None) -> None:
        """Multiply the price by a share; a smaller move than a step is not worth a fact."""
        self._share = share
        self._step = step
        self._break_even = break_even

    def next_raise(self, stop: int) -> int:
        """Give where the share of the price is a step above the stop."""
        least = stop + self._step
        price = max((least - 1) * self._share.denominator // self._share.numerator + 1, least + 1)
        other = self._break_even.next_raise(stop) if self._break_even else None
        return price if other is None else min(price, other)

    def rung_at(self, price: int, *, stop: int) -> Rung | None:
        """Give the share of the price where it is worth it, or break-even where that is better."""
        best = self._break_even.rung_at(price, stop=stop) if self._break_even else None
        level = min(-(-price * self._share.numerator // self._share.denominator), price - 1)
        if level >= stop + self._step and (best is None or level > best.stop):
            return Rung(level, 0)
        return best


def ladder_of(stop: Stop) -> Ladder | None:
    """Give the ladder of a stop; None for one that stays where it is."""
    if stop.stop_price is None or stop.initial_stop is None:
        return None
    trailing = stop.rule.trailing
    is_due = stop.rule.break_even_after_target and any(
        target.status is StopStatus.DISARMED for target in stop.targets
    )
    if trailing is None and not is_due:
        return None
    level = _break_even_ticks(stop)
    break_even = BreakEven(level, begins=level + 1)
    if trailing is None:
        return break_even
    if trailing.mode is TrailingMode.PERCENT:
        return _percent(stop, trailing, break_even=break_even if is_due else None)
    sign, tick = _sign(stop), Fraction(stop.price_tick)
    entry = sign * Fraction(stop.entry_price) / tick
    span = abs(entry - sign * Fraction(stop.initial_stop) / tick)
    scale = entry.denominator
    return Spans(
        level,
        begins=level + 1 if is_due else max(ceil(entry + span), level + 1),
        entry=entry.numerator,
        span=int(span * scale),
        scale=scale,
    )


def _percent(stop: Stop, trailing: Trailing, *, break_even: BreakEven | None) -> Percent:
    step = max(stop.price_tick, stop.entry_price * trailing.step_percent / HUNDRED)
    return Percent(
        1 - _sign(stop) * Fraction(trailing.percent) / 100,
        step=ceil(Fraction(step) / Fraction(stop.price_tick)),
        break_even=break_even,
    )


def _break_even_ticks(stop: Stop) -> int:
    price: Decimal = break_even_price(
        direction=stop.direction, entry_price=stop.entry_price, costs=stop.rule.costs
    )
    return ceil(_sign(stop) * Fraction(price) / Fraction(stop.price_tick))


def _sign(stop: Stop) -> int:
    return 1 if stop.direction is Direction.LONG else -1
