"""
How a model is taught: trees on the older candles, their probabilities set right on newer ones, nothing that overlaps.

No answer that a span was taught with is settled inside the span that comes after it, or within an embargo before that (purging and
embargo; López de Prado 2018, chapter 7). Taught on the past alone, a model has nothing after its test: the embargo stands before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from pregao.domain.lab import (
    ROUNDS_MAX,
    ROUNDS_MIN,
    SEED_MAX,
    TEACHING_FOLDS_MAX,
    TEACHING_FOLDS_MIN,
    Calibration,
)
from pregao.research.candles import Candles
from pregao.research.models.features import (
    DAY_FIGURES,
    DAY_MS,
    NAMES,
    WARM_UP,
    WEEK_FIGURES,
    WEEK_MS,
    Figures,
    figures,
)
from pregao.research.models.labels import CLASSES, Kinds, Labels, Question, label

Rows = NDArray[np.int64]
Probabilities = NDArray[np.float64]

CALIBRATED_SHARE: Final = 0.2  # of the rows that are taught: the newest
EMBARGO_SHARE: Final = 0.01  # of all rows, between what is taught and what it is tried on; a horizon at least
DAYS_MIN, WEEKS_MIN = 10, 6  # within fewer an hour, or a weekday, is one moment of the past
ANSWERS_MIN: Final = 30  # of each kind, in every span that is taught or set right
METHODS: Final = tuple(one.value for one in Calibration)


class TeachingImpossibleError(ValueError):
    """These candles cannot teach what is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what a model becomes, beside the candles."""

    question: Question
    seed: int = 0
    rounds: int = 150  # trees of each kind of answer
    learning_rate: float = 0.05
    leaves: int = 15
    leaf_rows_min: int = 100
    regularization: float = 1.0
    method: str = "sigmoid"  # or isotonic, which needs a thousand answers and more to be set right by

    def __post_init__(self) -> None:
        """
        Refuse what cannot be.

        :raises TeachingImpossibleError: when one is out of its range.
        """
        ranges = {
            "seed": (0, SEED_MAX),
            "rounds": (ROUNDS_MIN, ROUNDS_MAX),
            "learning_rate": (1e-4, 1.0),
            "leaves": (2, 1_000),
            "leaf_rows_min": (1, 100_000),
            "regularization": (0.0, 1e6),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TeachingImpossibleError(
                    f"RECIPE_OUT_OF_RANGE: {name}={value:g} low={low:g} high={high:g}."
                )
        if self.method not in METHODS:
            raise TeachingImpossibleError(
                f"RECIPE_OUT_OF_RANGE: method={self.method} known={', '.join(METHODS)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """Candles with what a model sees of each and what it is to answer; ``rows`` are those that have both, oldest first."""

    candles: Candles
    figures: Figures
    labels: Labels
    rows: Rows
    embargo: int

    def answers(self, rows: Rows) -> Kinds:
        """Give what is to be answered of some rows."""
        answers: Kinds = self.labels.answers[rows]
        return answers

    def settled_before(self, rows: Rows, first: int) -> Rows:
        """Leave out the rows whose answer is settled later than an embargo before candle number ``first``."""
        kept: Rows = rows[self.labels.settled[rows] + self.embargo < first]
        return kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """The rows that trees are taught with, and the later ones that their probabilities are set right by."""

    taught: Rows
    calibrated: Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """One part of a walk forward: what is taught, and the rows after it that the result is tried on."""

    spans: Spans
    tried: Rows


def lessons_of(candles: Candles, question: Question) -> Lessons:
    """Give what candles can teach."""
    labels = label(candles, question)
    rows = np.flatnonzero(labels.is_settled & (np.arange(len(candles)) >= WARM_UP))
    embargo = max(question.horizon, int(len(rows) * EMBARGO_SHARE))
    return Lessons(candles=candles, figures=figures(candles), labels=labels, rows=rows, embargo=embargo)


def spans_of(lessons: Lessons, rows: Rows) -> Spans:
    """
    Part rows into those that are taught and the newest, that probabilities are set right by.

    :raises TeachingImpossibleError: when an answer is too rare in one of them.
    """
    calibrated = rows[len(rows) - int(len(rows) * CALIBRATED_SHARE) :]
    taught = rows[: len(rows) - len(calibrated)]
    if len(calibrated):
        taught = lessons.settled_before(taught, int(calibrated[0]))
    for name, span in (("taught", taught), ("calibrated", calibrated)):
        answers = lessons.answers(span)
        fewest = min(int((answers == kind).sum()) for kind in CLASSES)
        if fewest < ANSWERS_MIN:
            raise TeachingImpossibleError(
                f"LESSONS_TOO_FEW: candles={lessons.candles.label} bars={len(lessons.candles)} span={name} rows={len(span)} "
                f"rarest_answer={fewest} minimum={ANSWERS_MIN}. Take more candles or fewer folds; where only NO_MOVE is rare, "
                "a shorter horizon or a wider barrier, where only moves are, the other way."
            )
    return Spans(taught=taught, calibrated=calibrated)


def folds_of(lessons: Lessons, folds: int) -> Iterator[Fold]:
    """
    Cut the rows into ``folds`` + 1 stretches; each after the first is tried on what all before it teach.

    :raises TeachingImpossibleError: when a stretch is too short.
    """
    low, high = TEACHING_FOLDS_MIN, TEACHING_FOLDS_MAX
    if not low <= folds <= high:
        raise TeachingImpossibleError(f"RECIPE_OUT_OF_RANGE: folds={folds} low={low} high={high}.")
    rows, length = lessons.rows, len(lessons.rows) // (folds + 1)
    for fold in range(1, folds + 1):
        tried = rows[fold * length :] if fold == folds else rows[fold * length : (fold + 1) * length]
        known = lessons.settled_before(rows[: fold * length], int(tried[0])) if length else rows[:0]
        yield Fold(spans=spans_of(lessons, known), tried=tried)


def teach(lessons: Lessons, spans: Spans, recipe: Recipe) -> Any:
    """Give a classifier that was taught with one span and set right by the other; the same for the same seed."""
    trees = HistGradientBoostingClassifier(
        max_iter=recipe.rounds,
        learning_rate=recipe.learning_rate,
        max_leaf_nodes=recipe.leaves,
        min_samples_leaf=recipe.leaf_rows_min,
        l2_regularization=recipe.regularization,
        early_stopping=False,  # it would look at rows among the taught ones, whose answers overlap
        random_state=recipe.seed,
    )
    classifier = CalibratedClassifierCV(FrozenEstimator(trees), method=recipe.method)
    with one_thread():
        trees.fit(_seen_of(lessons, spans.taught), lessons.answers(spans.taught))
        classifier.fit(lessons.figures[spans.calibrated], lessons.answers(spans.calibrated))
    return classifier


def _seen_of(lessons: Lessons, rows: Rows) -> Figures:
    """
    Give the figures of rows that are taught; hours and weekdays say nothing where there are too few days and weeks of them.

    Trees do not ask about a figure that is always the same, so what they are asked later need not be blanked out.
    """
    seen: Figures = lessons.figures[rows]  # a copy, since the rows are named one by one
    opened = lessons.candles.opened_at_ms[rows]
    lasted_ms = int(opened[-1] - opened[0])
    for names, least_ms in ((DAY_FIGURES, DAYS_MIN * DAY_MS), (WEEK_FIGURES, WEEKS_MIN * WEEK_MS)):
        if lasted_ms < least_ms:
            seen[:, [NAMES.index(name) for name in names]] = 0.0
    return seen


def probabilities(classifier: Any, seen: Figures) -> Probabilities:
    """Give how likely each answer is, by the places of `CLASSES`."""
    assert tuple(int(kind) for kind in classifier.classes_) == CLASSES
    with one_thread():
        found: Probabilities = classifier.predict_proba(seen)
    return found


def one_thread() -> Any:
    """Compute on one core: sums in one order, whatever the machine has, and no threads that wait for each other on a busy one."""
    return threadpool_limits(limits=1, user_api="openmp")
