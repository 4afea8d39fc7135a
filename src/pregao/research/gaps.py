"""What is wrong with rows of candles as they came: gaps, duplicates, rows that cannot be."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.research.candles import COLUMNS, PRICES, CandlesUnusableError, Columns, Prices, Times, impossible
from pregao.research.timeframe import UNIT_MS, Timeframe, timeframe_of

GAPS_SHOWN: Final = 10
SHARE_OF_STEPS: Final = (
    0.3  # the least share of steps between candles that must be one timeframe to call it so
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Candles that are missing between two that are there."""

    after_ms: int
    bars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found in rows of candles; the gaps are the longest ones, longest first."""

    rows: int
    first_ms: int
    last_ms: int
    missing: int
    gap_count: int
    gaps: tuple[Gap, ...]
    repeated: int
    contradicting: int
    disordered: int
    misaligned: int
    impossible: int

    @property
    def is_clean(self) -> bool:
        """Whether each row is a candle of its own; gaps are the market's business."""
        return not (self.repeated or self.contradicting or self.disordered or self.impossible)


def examine(columns: Columns, *, timeframe: Timeframe) -> Examination:
    """Look rows over that need not be in order."""
    times = np.asarray(columns["opened_at_ms"], dtype=np.int64)
    if not len(times):
        return Examination(
            rows=0,
            first_ms=0,
            last_ms=0,
            missing=0,
            gap_count=0,
            gaps=(),
            repeated=0,
            contradicting=0,
            disordered=0,
            misaligned=0,
            impossible=0,
        )
    order = np.argsort(times, kind="stable")
    repeats, contradictions = _doubles(columns, order)
    distinct = _distinct(times[order])
    # Days of exchanges with a summer time are 23 or 25 hours long: what counts is the nearest whole number of bars.
    missing = np.rint(np.diff(distinct) / timeframe.ms).astype(np.int64) - 1
    where = np.flatnonzero(missing > 0)
    longest = where[np.argsort(-missing[where], kind="stable")][:GAPS_SHOWN]
    return Examination(
        rows=len(times),
        first_ms=int(distinct[0]),
        last_ms=int(distinct[-1]),
        missing=int(missing[where].sum()),
        gap_count=len(where),
        gaps=tuple(Gap(after_ms=int(distinct[at]), bars=int(missing[at])) for at in longest),
        repeated=int(repeats.sum()),
        contradicting=int(contradictions.sum()),
        disordered=int((np.diff(times) < 0).sum()),
        misaligned=_misaligned(distinct, timeframe),
        impossible=int(
            impossible({name: np.asarray(columns[name], dtype=np.float64) for name in PRICES}).sum()
        ),
    )


def in_order(columns: Columns) -> Columns:
    """Give each opening time's row once, oldest first; of rows that contradict each other the first."""
    times = np.asarray(columns["opened_at_ms"])
    _, first = np.unique(times, return_index=True)
    return {name: np.asarray(column)[first] for name, column in columns.items()}


def guess_timeframe(times: Times) -> Timeframe:
    """
    Give the step that most candles of a row follow each other by.

    :raises CandlesUnusableError: when no step is frequent enough to call it that.
    """
    steps = np.diff(_distinct(np.sort(times)))
    if len(steps):
        lengths, counts = np.unique(steps, return_counts=True)
        commonest = int(lengths[counts.argmax()])
        if counts.max() >= SHARE_OF_STEPS * len(steps) and commonest % UNIT_MS["s"] == 0:
            return timeframe_of(commonest)
    raise CandlesUnusableError(
        f"TIMEFRAME_UNCLEAR: rows={len(times)}. The times of the rows do not say how long a candle lasts; give --timeframe."
    )


def _distinct(ordered: Times) -> Times:
    """Leave out what is there twice: times are nearly in order, and a hash of each, as `np.unique` makes, costs forty times that."""
    distinct: Times = ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]
    return distinct


def _doubles(columns: Columns, order: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    times = np.asarray(columns["opened_at_ms"])[order]
    doubled = np.diff(times) == 0
    same = np.ones(len(doubled), dtype=bool)
    for name in COLUMNS[1:]:
        if name in columns:
            column: Prices = np.asarray(columns[name], dtype=np.float64)[order]
            same &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    return doubled & same, doubled & ~same


def _misaligned(times: Times, timeframe: Timeframe) -> int:
    if timeframe.ms >= UNIT_MS["d"]:
        return 0  # a day begins when its exchange says so
    offsets, counts = np.unique(times % timeframe.ms, return_counts=True)
    return int(len(times) - counts.max()) if len(offsets) > 1 else 0
