"""What each month of a backtest brought."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pregao.research.backtests.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month's return in percent, of what the account was worth when it began."""

    year: int
    month: int
    return_pct: float


def months_of(outcome: Outcome) -> list[Month]:
    """Give every month in which a candle opened, the oldest first."""
    opened = outcome.candles.opened_at_ms
    if not len(opened):
        return []
    numbers = opened.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(numbers)), len(numbers) - 1)
    months, before = [], outcome.start
    for at in last.tolist():
        instant = datetime.fromtimestamp(int(opened[at]) / 1_000, tz=UTC)
        worth = float(outcome.equity[at])
        change = (worth / before - 1) * 100 if before > 0 else 0.0
        months.append(Month(year=instant.year, month=instant.month, return_pct=change))
        before = worth
    return months
