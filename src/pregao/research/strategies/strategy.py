"""What a strategy is: parameters with ranges, and a function that gives a plan for candles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.domain.strategy import Description, Values
from pregao.research.candles import Candles, Prices

SHORT: Final = -1
FLAT: Final = 0
LONG: Final = 1
KEEP: Final = 2
"""No opinion: whatever is held is held on."""

Wanted = NDArray[np.int8]
Line = Callable[[Candles, int], Prices]


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


PlanOf = Callable[[Candles, Values], Plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """
    A strategy that is nothing but two lines of a kind crossing, each by its period, with stops and targets of one distance.

    A sweep computes each line once for all combinations, and goes from lines to sums without a plan between.
    """

    line: Line
    fast: str
    slow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy(Description):
    """A description, and what it does with candles."""

    plan_of: PlanOf
    crossing: Crossing | None = None

    def plan(self, candles: Candles, values: Values | None = None) -> Plan:
        """
        Give what it wants at every candle.

        :raises ParameterUnusableError: when a value is out of range or makes no sense beside the others.
        """
        return self.plan_of(candles, self.filled(values or {}))

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
