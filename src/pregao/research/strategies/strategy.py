"""What a strategy is: parameters with ranges, and a function that gives a plan for candles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.research.candles import Candles, Prices

SHORT: Final = -1
FLAT: Final = 0
LONG: Final = 1
KEEP: Final = 2
"""No opinion: whatever is held is held on."""

Wanted = NDArray[np.int8]
Values = Mapping[str, float]


class ParameterUnusableError(ValueError):
    """A strategy has no such parameter, or it cannot have such a value."""


class StrategyUnknownError(LookupError):
    """Nothing of this name is a strategy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that a strategy can be given; ``step`` 1 means whole numbers."""

    name: str
    default: float
    low: float
    high: float
    step: float = 1.0
    meaning: str

    @property
    def is_whole(self) -> bool:
        """Whether it counts something."""
        return self.step == 1 and float(self.low).is_integer()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """
    What a strategy wants at the close of every candle, to be had from the next open on.

    ``stop`` and ``target`` say how far from the entry price they lie, as a share of it; they have one value for all candles or
    one for each, of which that of the candle before the entry counts. Infinity means that there is none.
    """

    wanted: Wanted
    stop: Prices
    target: Prices

    def __post_init__(self) -> None:
        assert not np.isnan(self.stop).any()
        assert not np.isnan(self.target).any()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """
    A strategy that is nothing but two lines of a kind crossing, each by its period, with stops and targets of one distance.

    A sweep computes each line once for all combinations, and goes from lines to sums without a plan between.
    """

    line: Callable[[Candles, int], Prices]
    fast: str
    slow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A name, what can be set, and what it does with candles."""

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    plan_of: Callable[[Candles, Values], Plan]
    is_possible: Callable[[Values], bool] = lambda values: True  # noqa: ARG005
    crossing: Crossing | None = None

    def plan(self, candles: Candles, values: Values | None = None) -> Plan:
        """
        Give what it wants at every candle.

        :raises ParameterUnusableError: when a value is out of range or makes no sense beside the others.
        """
        return self.plan_of(candles, self.filled(values or {}))

    def filled(self, values: Values) -> dict[str, float]:
        """
        Give every parameter's value, the default where none is given.

        :raises ParameterUnusableError: when one cannot be.
        """
        known = {one.name: one for one in self.parameters}
        if unknown := values.keys() - known.keys():
            raise ParameterUnusableError(
                f"PARAMETER_UNKNOWN: strategy={self.name} parameter={min(unknown)} known={', '.join(known)}."
            )
        filled = {name: float(values.get(name, one.default)) for name, one in known.items()}
        for name, value in filled.items():
            one = known[name]
            if not one.low <= value <= one.high or (one.is_whole and not value.is_integer()):
                raise ParameterUnusableError(
                    f"PARAMETER_OUT_OF_RANGE: strategy={self.name} {name}={value:g} low={one.low:g} high={one.high:g}."
                )
        if not self.is_possible(filled):
            told = " ".join(f"{name}={value:g}" for name, value in filled.items())
            raise ParameterUnusableError(
                f"PARAMETERS_MAKE_NO_SENSE: strategy={self.name} {told}. A fast average must be shorter than a slow one."
            )
        return filled

    def combinations(self, ranges: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
        """
        Give every combination of the ranges' values that makes sense, parameters without a range at their default.

        :raises ParameterUnusableError: when a value is out of range.
        """
        names = list(ranges)
        for chosen in product(*ranges.values()):
            values = dict(zip(names, chosen, strict=True))
            known = {one.name: one.default for one in self.parameters} | values
            if known.keys() == {one.name for one in self.parameters} and not self.is_possible(known):
                continue
            yield self.filled(values)


def as_one(share: float) -> Prices:
    """Give a stop's or target's distance for all candles; 0 means that there is none."""
    return np.array([share if share > 0 else np.inf])
