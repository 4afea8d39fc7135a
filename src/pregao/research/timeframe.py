"""How long a candle lasts."""

import re
from dataclasses import dataclass
from typing import Final

UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
YEAR_MS: Final = 365 * UNIT_MS["d"]  # crypto trades on every day of it
WRITTEN: Final = re.compile(r"([1-9]\d{0,3})([smhdw])")


class TimeframeUnknownError(ValueError):
    """A timeframe is a number and one of s, m, h, d, w."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeframe:
    """A name such as ``5m``, and how many milliseconds that is."""

    name: str
    ms: int

    @property
    def bars_per_year(self) -> float:
        """How many candles a market that never closes has in a year: what annual figures are scaled by."""
        return YEAR_MS / self.ms


def read_timeframe(text: str) -> Timeframe:
    """
    Read ``1m``, ``4h``, ``1d`` and the like; sixty minutes are an hour.

    :raises TimeframeUnknownError: when it is written otherwise.
    """
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        raise TimeframeUnknownError(
            f"TIMEFRAME_UNKNOWN: timeframe={text!r}. Write a number and one of s, m, h, d, w, such as 15m."
        )
    return timeframe_of(int(found[1]) * UNIT_MS[found[2]])


def timeframe_of(ms: int) -> Timeframe:
    """Name a length by the longest unit that it is whole in."""
    assert ms > 0
    assert ms % UNIT_MS["s"] == 0
    unit = next(name for name in reversed(UNIT_MS) if ms % UNIT_MS[name] == 0)
    return Timeframe(name=f"{ms // UNIT_MS[unit]}{unit}", ms=ms)
