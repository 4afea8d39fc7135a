"""
What a filter was worth: the entries it let through and those it denied, each as the same trade.

Every entry is tried alone: bought or sold at the open of the first candle after its decision, ended by the stop, the target or the
time, whichever is first, after fees. So both sides are measured by one measure, whatever else stood in the way of the real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from pregao.research.backtests import plain
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles
from pregao.research.strategies.strategy import LONG, SHORT, Plan, as_one

WHOLE: Final = 1.0  # of the equity: a result is a share of what was traded


class Fate(StrEnum):
    """What the filter did with an entry."""

    PASSED = "passed"
    UNFILTERED = "unfiltered"  # it passed because the model said nothing fresh
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry that met the filter; ``earned`` is what its positions came to so far, in the accounts' money."""

    decided_at_ms: int
    symbol: str
    is_buy: bool
    fate: Fate
    earned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the entries of one fate came to; shares are in percent of what each would have traded."""

    fate: str
    entries: int
    judged: int  # those that the candles tell of
    won_pct: float
    mean_pct: float
    sum_pct: float
    earned: float


def board(
    entries: Sequence[Entry], candles: Candles, *, stop: float, target: float, bars: int, fee_bps: float
) -> list[Line]:
    """
    Give a line for each fate and one for all together, which is what no filter would have given.

    ``stop`` and ``target`` are shares of the entry price, 0 is none; ``bars`` is the longest that a trade is held.
    """
    terms = Terms(size=WHOLE, fee_bps=fee_bps)
    plans = {is_buy: _plan(is_buy=is_buy, stop=stop, target=target, bars=bars) for is_buy in (True, False)}
    results = [_result(one, candles, plans[one.is_buy], terms) for one in entries]
    lines = []
    for fate in (*Fate, None):
        own = [
            (one, result)
            for one, result in zip(entries, results, strict=True)
            if fate is None or one.fate is fate
        ]
        lines.append(_line("no filter" if fate is None else fate.value, own))
    return lines


def _line(name: str, own: Sequence[tuple[Entry, float | None]]) -> Line:
    judged = np.array([result for _, result in own if result is not None])
    return Line(
        fate=name,
        entries=len(own),
        judged=len(judged),
        won_pct=float((judged > 0).mean() * 100) if len(judged) else 0.0,
        mean_pct=float(judged.mean()) if len(judged) else 0.0,
        sum_pct=float(judged.sum()),
        earned=sum(one.earned for one, _ in own),
    )


def _plan(*, is_buy: bool, stop: float, target: float, bars: int) -> Plan:
    side = LONG if is_buy else SHORT
    return Plan(wanted=np.full(bars + 1, side, dtype=np.int8), stop=as_one(stop), target=as_one(target))


def _result(entry: Entry, candles: Candles, plan: Plan, terms: Terms) -> float | None:
    """Try one entry; None where the candles do not tell of all of it."""
    running = int(np.searchsorted(candles.opened_at_ms, entry.decided_at_ms, side="right")) - 1
    end = running + len(plan.wanted)
    if entry.symbol != candles.symbol or running < 0 or end > len(candles):
        return None
    if entry.decided_at_ms - candles.opened_at_ms[running] > candles.timeframe.ms:
        return None  # nothing is known of that time
    outcome = plain.replay(candles.part(running, end), plan, terms)
    return float(outcome.equity[-1] / terms.start - 1) * 100
