"""Candles of one symbol as columns, oldest first."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pregao.research.timeframe import Timeframe

Prices = NDArray[np.float64]
Times = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]
PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("opened_at_ms", *PRICES, "volume")
SIMULATED: Final = "SIMULATED"


class CandlesUnusableError(ValueError):
    """What was given is no row of candles; the text says where it goes wrong."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candles:
    """
    One row of candles, each by its opening time (UTC); nobody can write into the columns.

    A minute in which nobody traded has no candle. Volume is in the base asset, and NaN where the source has none.
    """

    symbol: str
    timeframe: Timeframe
    source: str
    is_simulated: bool = False
    opened_at_ms: Times
    open: Prices
    high: Prices
    low: Prices
    close: Prices
    volume: Prices

    def __post_init__(self) -> None:
        for name in COLUMNS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.opened_at_ms)

    @property
    def label(self) -> str:
        """What they are, for whoever looks at them; SIMULATED when no market made these prices."""
        name = f"{self.symbol} {self.timeframe.name}"
        return f"{SIMULATED} {name}" if self.is_simulated else name

    @property
    def described(self) -> dict[str, Any]:
        """What candles these are, for whoever is told something of them; simulated ones say so everywhere."""
        opened = self.opened_at_ms
        return {
            "label": self.label,
            "symbol": self.symbol,
            "timeframe": self.timeframe.name,
            "source": self.source,
            "is_simulated": self.is_simulated,
            "rows": len(self),
            "first_ms": int(opened[0]) if len(opened) else None,
            "last_ms": int(opened[-1]) if len(opened) else None,
        }

    @property
    def has_volume(self) -> bool:
        """Whether every candle says how much was traded."""
        return not bool(np.isnan(self.volume).any())

    @cached_property
    def digest(self) -> str:
        """A hash of every number in every row: two rows of candles with one digest are the same."""
        summed = hashlib.blake2b(digest_size=16)
        for name in COLUMNS:
            summed.update(np.ascontiguousarray(getattr(self, name)).view(np.uint8).data)
        return summed.hexdigest()

    def part(self, first: int, end: int) -> "Candles":
        """Give the candles from number ``first`` up to ``end``, which is not in it; nothing is copied."""
        return _replaced(self, **{name: getattr(self, name)[first:end] for name in COLUMNS})

    def between(self, *, since_ms: int | None = None, until_ms: int | None = None) -> "Candles":
        """Give the candles that open at ``since_ms`` or later and before ``until_ms``."""
        first = 0 if since_ms is None else int(np.searchsorted(self.opened_at_ms, since_ms))
        end = len(self) if until_ms is None else int(np.searchsorted(self.opened_at_ms, until_ms))
        return self.part(first, max(first, end))


def make_candles(
    *,
    symbol: str,
    timeframe: Timeframe,
    source: str,
    columns: Columns,
    is_simulated: bool = False,
) -> Candles:
    """
    Make candles of columns that are in order; ``volume`` may be missing.

    :raises CandlesUnusableError: when the times do not rise, or a candle's prices cannot be.
    """
    times = np.array(columns["opened_at_ms"], dtype=np.int64)
    prices = {name: np.array(columns[name], dtype=np.float64) for name in PRICES}
    volume = np.array(columns.get("volume", np.full(len(times), np.nan)), dtype=np.float64)
    made = Candles(
        symbol=symbol,
        timeframe=timeframe,
        source=source,
        is_simulated=is_simulated,
        opened_at_ms=times,
        volume=volume,
        **prices,
    )
    _assert_usable(made)
    return made


def impossible(columns: "Candles | Columns") -> NDArray[np.bool_]:
    """Say of each candle whether it cannot be: a price that is none, or a high or low that is not the outermost."""
    found = {name: columns[name] if isinstance(columns, dict) else getattr(columns, name) for name in PRICES}
    top = np.maximum(found["open"], found["close"])
    bottom = np.minimum(found["open"], found["close"])
    with np.errstate(invalid="ignore"):
        possible = (
            (found["high"] >= top) & (found["low"] <= bottom) & (found["low"] > 0) & (found["high"] < np.inf)
        )
    return ~possible


def _assert_usable(candles: Candles) -> None:
    backwards = np.flatnonzero(np.diff(candles.opened_at_ms) <= 0)
    if len(backwards):
        at = int(candles.opened_at_ms[backwards[0] + 1])
        raise CandlesUnusableError(
            f"CANDLES_NOT_IN_ORDER: candles={candles.label} rows={len(backwards)} opened_at_ms={at}. "
            "Each candle must open later than the one before it."
        )
    wrong = np.flatnonzero(impossible(candles))
    if len(wrong):
        at = int(candles.opened_at_ms[wrong[0]])
        raise CandlesUnusableError(
            f"CANDLE_IMPOSSIBLE: candles={candles.label} rows={len(wrong)} opened_at_ms={at}. "
            "Prices must be above 0, the high the highest and the low the lowest of the four."
        )
    if bool((candles.volume < 0).any()):
        raise CandlesUnusableError(f"CANDLE_IMPOSSIBLE: candles={candles.label}. A volume is below 0.")


def _replaced(candles: Candles, **columns: NDArray[Any]) -> Candles:
    return Candles(
        symbol=candles.symbol,
        timeframe=candles.timeframe,
        source=candles.source,
        is_simulated=candles.is_simulated,
        **columns,
    )
