"""A model beside technical analysis: what a backtest plans is what the analyzer says live, candle by candle."""

from functools import partial

import numpy as np
import pytest

from pregao.domain.breaker import Breakers
from pregao.domain.prediction import Direction
from pregao.edges.model_files.store import ModelFolder
from pregao.research.analyzer.judge import Judging, Question, opinion_of
from pregao.research.analyzer.plan import plan_with_model
from pregao.research.models.predictor import Prediction
from pregao.research.strategies.shipped import technical_analysis
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT
from tests.builders import NOON
from tests.edges.model_files.test_store import candles, trained

VALUES = {"confidence": 60.0, "shorts": 1.0}


class Says:
    """A model that says one thing after another."""

    bars_min = 600
    model = "says@000000000000"

    def __init__(self, *said):
        self._said = said

    def predict_each(self, seen, *, first):
        for at in range(max(first, self.bars_min - 1), len(seen)):
            direction, confidence = self._said[at % len(self._said)]
            yield (
                at,
                Prediction(
                    direction=direction, confidence=confidence, model=self.model, symbol=seen.symbol,
                    timeframe=seen.timeframe.name, bar_opened_at_ms=int(seen.opened_at_ms[at]),
                ),
            )  # fmt: skip


def find(predictors):
    return predictors


class TestPlanWithModel:
    def test_lets_a_sure_model_have_the_word_and_else_the_voters(self):
        seen = candles().part(0, 700)
        sure = Says(
            (Direction.PRICE_UP, 0.8),
            (Direction.PRICE_DOWN, 0.8),
            (Direction.NO_MOVE, 0.9),
            (Direction.PRICE_UP, 0.6),
        )

        plan, alone = plan_with_model(seen, VALUES, sure), technical_analysis(seen, VALUES)
        long_only = plan_with_model(seen, {**VALUES, "shorts": 0.0}, sure)

        assert plan.wanted[:599].tolist() == alone.wanted[:599].tolist()
        wanted = plan.wanted[600:].reshape(-1, 4)
        assert set(wanted[:, 0]) == {LONG}
        assert set(wanted[:, 1]) == {SHORT}
        assert set(wanted[:, 2]) == {KEEP}
        assert wanted[:, 3].tolist() == alone.wanted[603::4].tolist()
        assert set(long_only.wanted[601::4]) == {FLAT}
        assert np.array_equal(plan.stop, alone.stop)

    async def test_is_what_the_analyzer_says_at_each_close(self, tmp_path):
        folder = ModelFolder(tmp_path / "models")
        folder.keep("btc_1h", trained(), now=NOON)
        seen = candles()
        read = folder.find(symbol=seen.symbol, timeframe=seen.timeframe.name)
        first = len(seen) - 12

        async def compute(function, *asked):
            return function(*asked)

        judging = Judging(
            compute,
            breaker=Breakers(monotonic=lambda: 0.0, clock=lambda: NOON).get("ml_predictor"),
            find_predictors=partial(find, folder),
        )
        plan = plan_with_model(seen, VALUES, read, first=first)

        said = []
        for at in range(first, len(seen)):
            question = Question(
                symbol=seen.symbol,
                timeframe=seen.timeframe.name,
                read=partial(seen.part, max(0, at - 999), at + 1),
            )
            looked = await judging.look(question, with_model=True)
            assert looked.combined.ml_prediction is not None
            said.append(opinion_of(looked.combined, stop=looked.stop, confidence_min=60.0, has_shorts=True))
        each = dict(read.predict_each(seen, first=first))

        assert plan.wanted[first:].tolist() == [one.wanted for one in said]
        assert plan.stop[first:] == pytest.approx([one.stop for one in said])
        assert each[len(seen) - 1] == read.predict(seen)
