"""
Many combinations of a strategy's parameters, tried on all cores.

joblib runs the parts: in threads on this machine, for what takes long runs without the interpreter's lock, or on a cluster when
the caller has put it into a joblib context (``parallel_config(backend="dask")``). What is kept of each is its figures, so memory
does not grow with candles times combinations.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from joblib import Parallel, delayed

from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import Trial, try_only
from pregao.research.candles import Candles, CandlesUnusableError, Prices
from pregao.research.strategies.strategy import Strategy, Values

PART_MAX: Final = 64  # combinations handed over at once
PARTS_MIN: Final = 16  # so that the last worker does not finish long after the others

OnDone = Callable[[int], None]


class RangeUnreadableError(ValueError):
    """A range is a value, values with commas, or LOW:HIGH:STEP."""


def sweep(
    candles: Candles,
    strategy: Strategy,
    combinations: Sequence[Values],
    terms: Terms,
    *,
    funding: Prices | None = None,
    jobs: int = -1,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> list[Trial]:
    """Try every combination and give the trials in the order of the combinations; ``on_done`` hears how many more are done."""
    size = max(1, min(PART_MAX, len(combinations) // PARTS_MIN))
    parts = [combinations[at : at + size] for at in range(0, len(combinations), size)]
    run = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    trials: list[Trial] = []
    for done in run(delayed(_tried)(candles, strategy, part, terms, funding) for part in parts):
        trials += done
        on_done(len(done))
    return trials


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


def require_candles(candles: Candles, *, rows_min: int) -> None:
    """
    Refuse to judge on next to nothing.

    :raises CandlesUnusableError: when there are fewer candles.
    """
    if len(candles) < rows_min:
        raise CandlesUnusableError(
            f"CANDLES_TOO_FEW: candles={candles.label} rows={len(candles)} rows_min={rows_min}. Bring in more."
        )


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


def _tried(
    candles: Candles, strategy: Strategy, part: Sequence[Values], terms: Terms, funding: Prices | None
) -> list[Trial]:
    return [try_only(candles, strategy, values, terms, funding=funding) for values in part]
