"""Choose on one stretch of candles, trade on the next, and go on: what counts is what a choice earns on candles it never saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pregao.domain.strategy import Values
from pregao.research.backtests import compiled
from pregao.research.backtests.figures import Figures, figures_of
from pregao.research.backtests.outcome import BEST, SUMS, TRADES, WORST, added_up, trades_of
from pregao.research.backtests.sweep import OnDone, require_candles, sweep
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import figures_of_outcome
from pregao.research.candles import Candles, Prices
from pregao.research.strategies.strategy import Plan, Strategy

BARS_MIN: Final = 50  # of a stretch: fewer say nothing

OF_TRADES: Final = SUMS.index("final_equity")  # sums before it are of trades, the others of the curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One choice and what came of it: the chosen values' figures where they were chosen, and after that."""

    chosen_until_ms: int
    traded_until_ms: int
    values: Values
    before: Figures
    after: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """All folds, and the stretches that were traded put together: the account goes on from one to the next."""

    folds: tuple[Fold, ...]
    traded: Figures
    tried: int


def walk_forward(
    candles: Candles,
    strategy: Strategy,
    combinations: Sequence[Values],
    terms: Terms,
    *,
    folds: int,
    funding: Prices | None = None,
    jobs: int = -1,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> WalkForward:
    """
    Cut the candles into ``folds`` + 1 stretches of one length; choose on each by the Sharpe ratio, and trade on the next.

    A position is closed at the end of its stretch. Indicators have seen all candles before it, as they would have live.

    :raises CandlesUnusableError: when a stretch has fewer than 50 candles.
    """
    length = len(candles) // (folds + 1)
    require_candles(candles, rows_min=BARS_MIN * (folds + 1))
    equity, done, sums = terms.start, [], np.zeros(len(SUMS))
    curves: list[Prices] = []
    for fold in range(folds):
        first, middle = fold * length, (fold + 1) * length
        end = len(candles) if fold == folds - 1 else middle + length
        seen = candles.part(first, middle)
        swept = sweep(
            seen,
            strategy,
            combinations,
            terms,
            funding=_part(funding, first, middle),
            jobs=jobs,
            on_done=on_done,
        )
        best = swept.best(1)[0]
        plan = strategy.plan_of(candles.part(0, end), best.values)
        if equity <= 0:
            break
        # One candle earlier: what was wanted at the last close that was seen is had at the first open that was not.
        outcome = compiled.replay(
            candles.part(middle - 1, end),
            _plan_part(plan, middle - 1, end),
            replace(terms, start=equity),
            funding=_part(funding, middle - 1, end),
        )
        equity = float(outcome.equity[-1])
        sums = _together(sums, outcome.sums)
        curves.append(outcome.equity[1:])
        done.append(
            Fold(
                chosen_until_ms=int(candles.opened_at_ms[middle - 1]),
                traded_until_ms=int(candles.opened_at_ms[end - 1]),
                values=best.values,
                before=best.figures,
                after=figures_of_outcome(outcome),
            )
        )
    return WalkForward(
        folds=tuple(done),
        traded=_traded(
            np.concatenate(curves), sums, terms=terms, bars_per_year=candles.timeframe.bars_per_year
        ),
        tried=len(combinations),
    )


def _traded(curve: Prices, sums: Prices, *, terms: Terms, bars_per_year: float) -> Figures:
    of_curve = added_up(trades_of([]), curve, start=terms.start, bars_held=0, denied=0)
    of_curve[:OF_TRADES] = sums[:OF_TRADES]
    return figures_of(of_curve, start=terms.start, bars=len(curve), bars_per_year=bars_per_year)


def _together(one: Prices, other: Prices) -> Prices:
    if not one[TRADES] or not other[TRADES]:
        return one if one[TRADES] else other
    both = one + other
    both[BEST], both[WORST] = max(one[BEST], other[BEST]), min(one[WORST], other[WORST])
    return both


def _part(funding: Prices | None, first: int, end: int) -> Prices | None:
    return None if funding is None else funding[first:end]


def _plan_part(plan: Plan, first: int, end: int) -> Plan:
    return Plan(
        wanted=plan.wanted[first:end],
        stop=plan.stop if len(plan.stop) == 1 else plan.stop[first:end],
        target=plan.target if len(plan.target) == 1 else plan.target[first:end],
    )
