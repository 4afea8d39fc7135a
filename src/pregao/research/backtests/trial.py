"""One strategy with its values, tried on candles; and several, ranked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pregao.domain.strategy import Values
from pregao.research.backtests import compiled
from pregao.research.backtests.figures import Figures, figures_of, ranked
from pregao.research.backtests.outcome import Outcome
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles, Prices
from pregao.research.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a strategy with these values came to."""

    strategy: str
    values: Mapping[str, float]
    figures: Figures


def try_out(
    candles: Candles, strategy: Strategy, values: Values, terms: Terms, *, funding: Prices | None = None
) -> tuple[Trial, Outcome]:
    """Try a strategy and give every trade and the equity, too."""
    filled = strategy.filled(values)
    outcome = compiled.replay(candles, strategy.plan_of(candles, filled), terms, funding=funding)
    return Trial(strategy=strategy.name, values=filled, figures=figures_of_outcome(outcome)), outcome


def try_only(
    candles: Candles, strategy: Strategy, filled: Values, terms: Terms, *, funding: Prices | None = None
) -> Trial:
    """Try a strategy for its figures alone; every value must be given."""
    sums = compiled.add_up(candles, strategy.plan_of(candles, filled), terms, funding=funding)
    figures = figures_of(
        sums, start=terms.start, bars=len(candles), bars_per_year=candles.timeframe.bars_per_year
    )
    return Trial(strategy=strategy.name, values=filled, figures=figures)


def compare(
    candles: Candles,
    contenders: Sequence[tuple[Strategy, Values]],
    terms: Terms,
    *,
    funding: Prices | None = None,
) -> list[Trial]:
    """Try several on the same candles and terms: the highest Sharpe ratio first, equal ones in the order given, NaN last."""
    trials = [
        try_only(candles, strategy, strategy.filled(values), terms, funding=funding)
        for strategy, values in contenders
    ]
    return ranked(trials, sharpe_of=lambda trial: trial.figures.sharpe)


def figures_of_outcome(outcome: Outcome) -> Figures:
    """Give the figures of a run."""
    return figures_of(
        outcome.sums,
        start=outcome.start,
        bars=len(outcome.candles),
        bars_per_year=outcome.candles.timeframe.bars_per_year,
    )
