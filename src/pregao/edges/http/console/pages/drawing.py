"""Lines and bars as pages draw them without a script: points of an SVG whose box is 100 wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from pregao.domain.money import ZERO

WIDTH, HEIGHT = Decimal(100), Decimal(40)
MARGIN = Decimal(1)  # above and below, so that no line is cut in half
STEP = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A line through values at equal distances, and where 0 is."""

    points: str  # of a polyline
    zero: Decimal  # from the top
    step: Decimal  # between two values
    low: Decimal
    high: Decimal


def curve_of(values: Sequence[Decimal]) -> Curve | None:
    """Draw values from left to right; 0 is always in sight. None where there are fewer than two."""
    if len(values) < 2:
        return None
    low, high = min(*values, ZERO), max(*values, ZERO)
    step = WIDTH / (len(values) - 1)
    points = [
        f"{_rounded(number * step)},{_height(value, low=low, high=high)}"
        for number, value in enumerate(values)
    ]
    return Curve(
        points=" ".join(points),
        zero=_height(ZERO, low=low, high=high),
        step=_rounded(step),
        low=min(values),
        high=max(values),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One value's bar, from where 0 is."""

    x: Decimal
    y: Decimal
    width: Decimal
    height: Decimal
    value: Decimal

    @property
    def kind(self) -> str:
        """Say whether it is a gain or a loss."""
        return "bad" if self.value < ZERO else "good"


def columns_of(values: Sequence[Decimal]) -> list[Column]:
    """Draw a bar for each value, from left to right, up from 0 or down."""
    if not values:
        return []
    low, high = min(*values, ZERO), max(*values, ZERO)
    step = WIDTH / len(values)
    zero = _height(ZERO, low=low, high=high)
    tops = [_height(value, low=low, high=high) for value in values]
    return [
        Column(
            x=_rounded(number * step),
            y=min(top, zero),
            width=_rounded(step * 4 / 5),
            height=abs(top - zero),
            value=value,
        )
        for number, (value, top) in enumerate(zip(values, tops, strict=True))
    ]


def share_of(part: Decimal | int, whole: Decimal | int) -> Decimal:
    """Give how wide the bar of a part is, of 100; 0 where there is no whole."""
    return _rounded(WIDTH * Decimal(part) / Decimal(whole)) if whole else ZERO


def _height(value: Decimal, *, low: Decimal, high: Decimal) -> Decimal:
    if low == high:
        return HEIGHT / 2
    return _rounded(MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / (high - low))


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(STEP, ROUND_HALF_UP)
