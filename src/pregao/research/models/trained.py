"""Make a model of candles, and ask it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pregao.domain.prediction import Direction
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles
from pregao.research.models.features import BARS_SEEN, figures
from pregao.research.models.labels import CLASSES, DOWN, NEITHER, UP
from pregao.research.models.manifest import Manifest
from pregao.research.models.predictor import Prediction, PredictionImpossibleError
from pregao.research.models.scores import ANSWERS, OnDone, Score, Traded, Trial, score, trade, walk_forward
from pregao.research.models.teaching import (
    ANSWERS_MIN,
    Lessons,
    Recipe,
    Spans,
    TeachingImpossibleError,
    lessons_of,
    probabilities,
    spans_of,
    teach,
)

DIRECTIONS = {DOWN: Direction.PRICE_DOWN, NEITHER: Direction.NO_MOVE, UP: Direction.PRICE_UP}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A classifier with what it was taught and what the same recipe was worth on candles it had not seen."""

    classifier: Any
    lessons: Lessons
    spans: Spans
    recipe: Recipe
    folds: int
    score: Score
    traded: Traded


def train(
    candles: Candles,
    recipe: Recipe,
    *,
    folds: int,
    confidence_min: float,
    terms: Terms,
    on_done: OnDone = lambda count: None,  # noqa: ARG005
) -> Trained:
    """
    Score a recipe by walking forward, then teach with everything.

    :raises TeachingImpossibleError: when the candles are too few for it.
    """
    lessons = lessons_of(candles, recipe.question)
    trial = walk_forward(lessons, recipe, folds=folds, on_done=on_done)
    spans = spans_of(lessons, lessons.rows)
    classifier = teach(lessons, spans, recipe)
    on_done(1)
    return Trained(
        classifier=classifier,
        lessons=lessons,
        spans=spans,
        recipe=recipe,
        folds=folds,
        score=score(trial, lessons.answers(trial.rows), horizon=recipe.question.horizon),
        traded=trade(candles, trial, recipe.question, confidence_min=confidence_min, terms=terms),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedPredictor:
    """A model that was read from its file; a `Predictor`."""

    manifest: Manifest
    classifier: Any

    @property
    def model(self) -> str:
        """Its name and the beginning of its checksum."""
        return self.manifest.model

    @property
    def bars_min(self) -> int:
        """How many candles it must see to say anything."""
        return BARS_SEEN

    def predict(self, candles: Candles) -> Prediction:
        """
        Say what comes after the last candle, which must be closed.

        :raises PredictionImpossibleError: when the candles are another symbol's or timeframe's, or too few.
        """
        self.require_own(candles)
        if len(candles) < self.bars_min:
            raise PredictionImpossibleError(
                f"PREDICTION_IMPOSSIBLE: model={self.model} candles={len(candles)} minimum={self.bars_min}. "
                "Its figures look back so far."
            )
        (said,) = self.predict_each(candles, first=len(candles) - 1)
        return said[1]

    def predict_each(self, candles: Candles, *, first: int) -> Iterator[tuple[int, Prediction]]:
        """
        Say it after each candle from number ``first`` on that enough candles lie before, as `predict` would have said it there.

        :raises PredictionImpossibleError: when the candles are another symbol's or timeframe's.
        """
        self.require_own(candles)
        rows = range(max(first, self.bars_min - 1), len(candles))
        if not rows:
            return
        seen = [figures(candles.part(at + 1 - BARS_SEEN, at + 1))[-1] for at in rows]
        for at, given in zip(rows, probabilities(self.classifier, np.array(seen)), strict=True):
            place = int(given.argmax())
            yield (
                at,
                Prediction(
                    direction=DIRECTIONS[CLASSES[place]],
                    confidence=min(float(given[place]), 1.0),
                    model=self.model,
                    symbol=candles.symbol,
                    timeframe=candles.timeframe.name,
                    bar_opened_at_ms=int(candles.opened_at_ms[at]),
                ),
            )

    def require_own(self, candles: Candles) -> None:
        """
        See that candles are of what the model was taught with.

        :raises PredictionImpossibleError: when they are another symbol's or timeframe's, or tell less.
        """
        manifest = self.manifest
        if (candles.symbol, candles.timeframe.name) != (manifest.symbol, manifest.timeframe):
            raise PredictionImpossibleError(
                f"PREDICTION_IMPOSSIBLE: model={self.model} of={manifest.symbol} {manifest.timeframe} "
                f"candles={candles.symbol} {candles.timeframe.name}. Ask the model of these candles."
            )
        if manifest.has_volume and not candles.has_volume:
            raise PredictionImpossibleError(
                f"PREDICTION_IMPOSSIBLE: model={self.model} candles={candles.label} source={candles.source}. It was taught with "
                "volumes, and these candles tell none."
            )


def evaluate(
    candles: Candles, read: TrainedPredictor, *, confidence_min: float, terms: Terms
) -> tuple[Score, Traded]:
    """
    Score a model on the candles that had no part in its making; the base rate is that of the answers it was taught with.

    :raises PredictionImpossibleError: when the candles are another symbol's or timeframe's.
    :raises TeachingImpossibleError: when there are too few of them.
    """
    manifest = read.manifest
    read.require_own(candles)
    question = manifest.recipe.question
    lessons = lessons_of(candles, question)
    rows = lessons.rows[candles.opened_at_ms[lessons.rows] > manifest.looked_at_until_ms]
    if len(rows) < ANSWERS_MIN:
        raise TeachingImpossibleError(
            f"CANDLES_NOT_NEW: model={manifest.model} candles={candles.label} new={len(rows)} minimum={ANSWERS_MIN} "
            f"looked_at_until_ms={manifest.looked_at_until_ms}. Only candles that had no part in its making can judge it."
        )
    base = np.array([manifest.base[kind] for kind in ANSWERS])
    trial = Trial(
        rows=rows,
        given=probabilities(read.classifier, lessons.figures[rows]),
        base=np.tile(base, (len(rows), 1)),
    )
    return (
        score(trial, lessons.answers(rows), horizon=question.horizon),
        trade(candles, trial, question, confidence_min=confidence_min, terms=terms),
    )
