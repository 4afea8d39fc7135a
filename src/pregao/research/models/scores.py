"""What a model is worth on candles that it was not taught with: its probabilities beside the base rate, and what trading it would have earned."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.domain.prediction import is_better_than_chance
from pregao.research.backtests import compiled
from pregao.research.backtests.figures import figures_of
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles
from pregao.research.indicators import batch
from pregao.research.models.labels import ATR_PERIOD, CLASSES, DOWN, NEITHER, UP, Kinds, Question
from pregao.research.models.teaching import (
    Lessons,
    Probabilities,
    Recipe,
    Rows,
    folds_of,
    probabilities,
    teach,
)
from pregao.research.strategies.strategy import FLAT, LONG, SHORT, Plan

LEAST_PROBABILITY: Final = 1e-6  # what was held for impossible and happened would cost infinitely much
ANSWERS: Final = ("down", "neither", "up")  # by the places of CLASSES
BINS: Final = 10
BLOCKS_MIN: Final = 10  # fewer independent stretches say nothing

OnDone = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The answers that were given with a confidence in one tenth: how many, how sure on average, and how many were right."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """
    How good probabilities are.

    Losses are means over all answers, the lower the better; the base rate says at every candle how often each answer came while the
    model was taught. ``gain`` is how much lower the log loss is than the base rate's, ``gain_error`` its standard error over stretches of one horizon,
    within which answers hang together; None where there are too few of them to say.
    """

    rows: int
    log_loss: float
    log_loss_base: float
    brier: float
    brier_base: float
    accuracy: float
    accuracy_base: float
    gain: float
    gain_error: float | None
    shares: dict[str, float]
    calibration: tuple[Bin, ...]

    @property
    def is_better(self) -> bool:
        """Whether it is better than the base rate by more than chance would explain."""
        return is_better_than_chance(self.gain, gain_error=self.gain_error)

    @property
    def verdict(self) -> str:
        """Say it in a sentence."""
        error = "too few answers to say how sure" if self.gain_error is None else f"± {self.gain_error:.4f}"
        told = (
            f"log loss {self.log_loss:.4f}, base rate {self.log_loss_base:.4f}, gain {self.gain:+.4f} {error}"
        )
        if self.is_better:
            return f"better than the base rate: {told}."
        return f"no better than the base rate: {told}. It foretells nothing that how often each answer comes does not."


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What came of trading the answers that were sure enough, with a stop and a target at the barriers, for a horizon at most."""

    confidence_min: float
    fee_bps: float
    slippage_bps: float
    trades: int
    return_pct: float
    drawdown_max_pct: float
    sharpe: float
    win_rate_pct: float
    fees: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """Answers to candles that were not seen before: ``given`` by the model, ``base`` by the base rate."""

    rows: Rows
    given: Probabilities
    base: Probabilities


def walk_forward(
    lessons: Lessons,
    recipe: Recipe,
    *,
    folds: int,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> Trial:
    """
    Teach on all that is known, answer the stretch after it, and go on; give all answers.

    :raises TeachingImpossibleError: when a stretch is too short.
    """
    rows, given, base = [], [], []
    for fold in folds_of(lessons, folds):
        classifier = teach(lessons, fold.spans, recipe)
        known = np.concatenate([fold.spans.taught, fold.spans.calibrated])
        rows.append(fold.tried)
        given.append(probabilities(classifier, lessons.figures[fold.tried]))
        base.append(np.tile(shares_of(lessons.answers(known)), (len(fold.tried), 1)))
        on_done(1)
    return Trial(rows=np.concatenate(rows), given=np.concatenate(given), base=np.concatenate(base))


def shares_of(answers: Kinds) -> NDArray[np.float64]:
    """Give how often each answer comes, by the places of `CLASSES`."""
    counts = np.array([(answers == kind).sum() for kind in CLASSES], dtype=np.float64)
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1.0)
    return shares


def told_by_answer(answers: Kinds) -> dict[str, float]:
    """Give how often each answer comes, by its name."""
    return dict(zip(ANSWERS, shares_of(answers).tolist(), strict=True))


def score(trial: Trial, answers: Kinds, *, horizon: int) -> Score:
    """Compare what was said with what came."""
    places = np.searchsorted(CLASSES, answers)
    lost, lost_base = _log_losses(trial.given, places), _log_losses(trial.base, places)
    chosen, chosen_base = trial.given.argmax(axis=1), trial.base.argmax(axis=1)
    return Score(
        rows=len(answers),
        log_loss=float(lost.mean()),
        log_loss_base=float(lost_base.mean()),
        brier=_brier(trial.given, places),
        brier_base=_brier(trial.base, places),
        accuracy=float((chosen == places).mean()),
        accuracy_base=float((chosen_base == places).mean()),
        gain=float((lost_base - lost).mean()),
        gain_error=block_error(lost_base - lost, block=horizon),
        shares=told_by_answer(answers),
        calibration=calibration_of(trial.given.max(axis=1), chosen == places),
    )


def block_error(values: NDArray[np.float64], *, block: int) -> float | None:
    """Give the standard error of a mean whose values hang together within ``block`` of them: that of the blocks' means."""
    blocks = len(values) // block
    if blocks < BLOCKS_MIN:
        return None
    means = values[: blocks * block].reshape(blocks, block).mean(axis=1)
    return float(means.std(ddof=1) / sqrt(blocks))


def calibration_of(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Give the tenths of confidence in which answers were given."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    found = []
    for one in range(BINS):
        here = place == one
        if here.any():
            found.append(
                Bin(
                    low=one / BINS,
                    high=(one + 1) / BINS,
                    count=int(here.sum()),
                    confidence=float(confidence[here].mean()),
                    right=float(right[here].mean()),
                )
            )
    return tuple(found)


def trade(
    candles: Candles, trial: Trial, question: Question, *, confidence_min: float, terms: Terms
) -> Traded:
    """Trade the answers from the first to the last of them."""
    first, end = int(trial.rows[0]), int(trial.rows[-1]) + 1
    plan = plan_of(candles, trial, question, confidence_min=confidence_min)
    part = candles.part(first, end)
    cut = Plan(wanted=plan.wanted[first:end], stop=plan.stop[first:end], target=plan.target[first:end])
    sums = compiled.add_up(part, cut, terms)
    found = figures_of(sums, start=terms.start, bars=len(part), bars_per_year=candles.timeframe.bars_per_year)
    return Traded(
        confidence_min=confidence_min,
        fee_bps=terms.fee_bps,
        slippage_bps=terms.slippage_bps,
        trades=found.trades,
        return_pct=found.return_pct,
        drawdown_max_pct=found.drawdown_max_pct,
        sharpe=found.sharpe,
        win_rate_pct=found.win_rate_pct,
        fees=found.fees,
    )


def plan_of(candles: Candles, trial: Trial, question: Question, *, confidence_min: float) -> Plan:
    """Want what was said with enough confidence, until a horizon later or something else is; stop and target are the barriers."""
    side = np.array([{DOWN: SHORT, NEITHER: FLAT, UP: LONG}[kind] for kind in CLASSES], dtype=np.int8)
    chosen = side[trial.given.argmax(axis=1)]
    chosen[trial.given.max(axis=1) < confidence_min] = FLAT
    said = np.zeros(len(candles), dtype=np.int8)
    said[trial.rows] = chosen
    places = np.arange(len(candles))
    latest = np.maximum.accumulate(np.where(said != FLAT, places, -1))
    wanted = np.where((latest >= 0) & (places - latest < question.horizon), said[latest], np.int8(FLAT))
    reach = question.barrier * batch.atr(candles, period=ATR_PERIOD) / candles.close
    reach = np.where(np.isnan(reach) | (reach <= 0), np.inf, reach)
    return Plan(wanted=wanted.astype(np.int8), stop=reach, target=reach)


def _log_losses(given: Probabilities, places: NDArray[np.int64]) -> NDArray[np.float64]:
    said = given[np.arange(len(places)), places]
    losses: NDArray[np.float64] = -np.log(np.maximum(said, LEAST_PROBABILITY))
    return losses


def _brier(given: Probabilities, places: NDArray[np.int64]) -> float:
    came = np.zeros_like(given)
    came[np.arange(len(places)), places] = 1.0
    return float(((given - came) ** 2).sum(axis=1).mean())
