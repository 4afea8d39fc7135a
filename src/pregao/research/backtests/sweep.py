"""
Many combinations of a strategy's parameters, tried on all cores.

joblib runs the parts: in threads on this machine, for what takes long runs without the interpreter's lock, or on a cluster when
the caller has put it into `cluster.on_cluster`. What is kept of each is what it adds up to, so
memory does not grow with candles times combinations.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from joblib import Parallel, delayed

from pregao.domain.strategy import Values
from pregao.research.backtests import compiled
from pregao.research.backtests.figures import Table, figures_of, table_of
from pregao.research.backtests.outcome import SUMS
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import Trial
from pregao.research.candles import Candles, CandlesUnusableError, Prices
from pregao.research.strategies.strategy import FLAT, SHORT, Crossing, Strategy, Wanted, as_one

CANDLES_OF_A_PART: Final = 4_000_000  # candles times combinations: some hundredths of a second
PARTS_MIN: Final = 8  # so that the last worker does not finish long after the others
SMALL: Final = 1_000_000  # handing parts over would take longer

OnDone = Callable[[int], None]


class RangeUnreadableError(ValueError):
    """A range is a value, values with commas, or LOW:HIGH:STEP."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Swept:
    """What every combination added up to, one row each, in the order of the combinations."""

    strategy: str
    combinations: Sequence[Values]
    sums: Prices
    start: float
    bars: int
    bars_per_year: float

    def __len__(self) -> int:
        return len(self.combinations)

    @cached_property
    def table(self) -> Table:
        """Every figure as a column."""
        return table_of(self.sums, start=self.start, bars=self.bars, bars_per_year=self.bars_per_year)

    def trial(self, number: int) -> Trial:
        """Give one combination with its figures."""
        figures = figures_of(
            self.sums[number], start=self.start, bars=self.bars, bars_per_year=self.bars_per_year
        )
        return Trial(strategy=self.strategy, values=self.combinations[number], figures=figures)

    def best(self, count: int) -> list[Trial]:
        """Give the trials with the highest Sharpe ratios, the highest first; equal ones in their order."""
        order = np.argsort(-self.table["sharpe"], kind="stable")[:count]
        return [self.trial(int(number)) for number in order]


def sweep(
    candles: Candles,
    strategy: Strategy,
    combinations: Sequence[Values],
    terms: Terms,
    *,
    funding: Prices | None = None,
    jobs: int = -1,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> Swept:
    """Try every combination, each with all its values given; ``on_done`` hears how many more are done."""
    lines = _lines(candles, strategy.crossing, combinations) if strategy.crossing else None

    def task(first: int, end: int) -> Any:
        # What all parts share is an argument by itself: a cluster sends it to each worker once.
        part = combinations[first:end]
        return delayed(_added_up)(candles, strategy, part, terms, funding=funding, lines=lines)

    sums = _in_parts(task, len(combinations), bars=len(candles), jobs=jobs, on_done=on_done)
    return _swept(strategy.name, combinations, sums, candles=candles, terms=terms)


def sweep_wanted(
    candles: Candles,
    wanted: Wanted,
    terms: Terms,
    *,
    stop: float = 0.0,
    target: float = 0.0,
    funding: Prices | None = None,
    jobs: int = -1,
) -> Swept:
    """
    Try what somebody else's signals want, a row for each try and a column for each candle; -1, 0, 1, or 2 for no opinion.

    ``stop`` and ``target`` are shares of the entry price, for all tries; 0 has none.
    """
    assert wanted.shape[1] == len(candles)
    rows = np.ascontiguousarray(wanted, dtype=np.int8)

    def added_up(first: int, end: int) -> Prices:
        part = rows[first:end]
        return compiled.add_up_each(
            candles, part, stop=as_one(stop), target=as_one(target), terms=terms, funding=funding
        )

    sums = _in_parts(delayed(added_up), len(rows), bars=len(candles), jobs=jobs)
    numbers = [{"number": float(number)} for number in range(len(rows))]
    return _swept("signals", numbers, sums, candles=candles, terms=terms)


def read_range(text: str) -> list[float]:
    """
    Read ``5``, ``5,8,13`` or ``5:50:5``, whose end is included.

    :raises RangeUnreadableError: when it is written otherwise, or is empty.
    """
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        low, high, step = (float(part) for part in text.split(":"))
        if step <= 0 or high < low:
            raise ValueError
        return [round(low + step * number, 10) for number in range(int((high - low) / step + 1e-9) + 1)]
    except ValueError as error:
        raise RangeUnreadableError(
            f"RANGE_UNREADABLE: range={text!r}. Write a value, values with commas, or LOW:HIGH:STEP."
        ) from error


def ranges_of(written: Iterable[str]) -> Mapping[str, list[float]]:
    """
    Read ``NAME=RANGE`` for each parameter.

    :raises RangeUnreadableError: when one is written otherwise.
    """
    ranges = {}
    for text in written:
        name, given, values = text.partition("=")
        if not given or not name:
            raise RangeUnreadableError(
                f"RANGE_UNREADABLE: range={text!r}. Write NAME=RANGE, such as fast=5:50:5."
            )
        ranges[name.strip()] = read_range(values)
    return ranges


def require_candles(candles: Candles, *, rows_min: int) -> None:
    """
    Refuse to judge on next to nothing.

    :raises CandlesUnusableError: when there are fewer candles.
    """
    if len(candles) < rows_min:
        raise CandlesUnusableError(
            f"CANDLES_TOO_FEW: candles={candles.label} rows={len(candles)} rows_min={rows_min}. Bring in more."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLines:
    """The lines of all combinations, each once, and in which row that of a period is."""

    rows: Prices
    row_of: Mapping[int, int]


def _lines(candles: Candles, crossing: Crossing, combinations: Sequence[Values]) -> SharedLines:
    periods = sorted(
        {int(values[name]) for values in combinations for name in (crossing.fast, crossing.slow)}
    )
    rows = np.empty((len(periods), len(candles)))
    for row, period in enumerate(periods):
        rows[row] = crossing.line(candles, period)
    return SharedLines(rows=rows, row_of={period: row for row, period in enumerate(periods)})


def _in_parts(
    task: Callable[[int, int], Any],
    count: int,
    *,
    bars: int,
    jobs: int,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> Prices:
    size = max(1, min(CANDLES_OF_A_PART // max(bars, 1), -(-count // PARTS_MIN)))
    if bars * count <= SMALL:
        size, jobs = max(count, 1), 1
    tasks = (task(at, min(at + size, count)) for at in range(0, count, size))
    found = []
    for sums in Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(tasks):
        found.append(sums)
        on_done(len(sums))
    return np.concatenate(found) if found else np.empty((0, len(SUMS)))


def _swept(
    strategy: str, combinations: Sequence[Values], sums: Prices, *, candles: Candles, terms: Terms
) -> Swept:
    return Swept(
        strategy=strategy,
        combinations=combinations,
        sums=sums,
        start=terms.start,
        bars=len(candles),
        bars_per_year=candles.timeframe.bars_per_year,
    )


def _added_up(
    candles: Candles,
    strategy: Strategy,
    part: Sequence[Values],
    terms: Terms,
    *,
    funding: Prices | None,
    lines: SharedLines | None,
) -> Prices:
    if strategy.crossing is None or lines is None:
        return np.array(
            [
                compiled.add_up(candles, strategy.plan_of(candles, values), terms, funding=funding)
                for values in part
            ]
        )
    crossing = strategy.crossing
    return compiled.add_up_crossings(
        candles,
        lines.rows,
        fasts=np.array([lines.row_of[int(values[crossing.fast])] for values in part]),
        slows=np.array([lines.row_of[int(values[crossing.slow])] for values in part]),
        belows=np.array([SHORT if values["shorts"] else FLAT for values in part]),
        stops=np.array([values["stop_pct"] / 100 or np.inf for values in part]),
        targets=np.array([values["target_pct"] / 100 or np.inf for values in part]),
        terms=terms,
        funding=funding,
    )
