"""Models: what they see and are asked, how they are taught without a look ahead, and what their scores say."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain.prediction import Direction
from pregao.research.backtests.terms import Terms
from pregao.research.models import scores
from pregao.research.models.archive import from_bytes, to_bytes
from pregao.research.models.features import BARS_SEEN, NAMES, WARM_UP, figures
from pregao.research.models.labels import CLASSES, LabelsUnusableError, Question, label
from pregao.research.models.predictor import ModelUnusableError
from pregao.research.models.teaching import (
    Recipe,
    TeachingImpossibleError,
    folds_of,
    lessons_of,
    probabilities,
    spans_of,
    teach,
)
from pregao.research.models.trained import train
from tests.rooms.research.made import CANDLE_FILES, candles_of, real, walk

QUESTION = Question(horizon=8, barrier=1.7)
SMALL = Recipe(question=QUESTION, rounds=10, leaves=7, leaf_rows_min=50)


def tide(bars=4_000):
    """Prices that swing to and fro with little chance in them: who looks back knows what comes."""
    chance = np.random.default_rng(5)
    steps = np.arange(bars)
    closes = 100 * np.exp(0.05 * np.sin(steps / 12) + np.cumsum(chance.normal(0, 0.0015, bars)))
    highs, lows = closes * 1.004, closes * 0.996
    opens = np.append(closes[:1], closes[:-1])
    return candles_of(closes, highs=np.maximum(highs, opens), lows=np.minimum(lows, opens))


@cache
def taught_by_tide():
    return train(tide(), SMALL, folds=3, confidence_min=0.5, terms=Terms(fee_bps=5))


class TestFigures:
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**16), cut=st.integers(WARM_UP, 399))
    def test_do_not_change_when_later_candles_do(self, seed, cut):
        candles, other = walk(400, seed=seed), walk(400, seed=seed + 1, start=150.0)
        columns = {
            name: np.concatenate([getattr(candles, name)[: cut + 1], getattr(other, name)[cut + 1 :]])
            for name in ("open", "high", "low", "close", "volume")
        }
        changed = replace(candles, **columns)

        np.testing.assert_array_equal(figures(candles)[: cut + 1], figures(changed)[: cut + 1])

    def test_asked_live_are_those_that_were_taught(self):
        candles = walk(2_000, seed=3)
        whole = figures(candles)

        for end in (900, 1_500, 2_000):
            live = figures(candles.part(end - BARS_SEEN, end))[-1]
            np.testing.assert_allclose(live, whole[end - 1], rtol=1e-6, atol=1e-6)

    def test_are_known_for_every_candle_after_the_warm_up(self):
        table = figures(walk(400, seed=1))

        assert table.shape == (400, len(NAMES))
        assert not np.isnan(table[WARM_UP:]).any()

    @pytest.mark.parametrize("volumes", [np.nan, 0.0])
    def test_of_volume_say_nothing_where_there_is_none(self, volumes):
        candles = walk(300, seed=1)
        table = figures(replace(candles, volume=np.full(300, volumes, dtype=float)))

        silent = {name for name, column in zip(NAMES, table.T, strict=True) if not column[WARM_UP:].any()}
        assert silent == {"volume_to_its_mean", "volume_trend", "from_vwma_20"}

    def test_do_not_hang_on_the_size_of_the_price(self):
        candles = walk(300, seed=2)
        dear = replace(
            candles, **{name: getattr(candles, name) * 1_000 for name in ("open", "high", "low", "close")}
        )

        np.testing.assert_allclose(figures(dear)[WARM_UP:], figures(candles)[WARM_UP:], rtol=1e-6, atol=1e-7)


class TestLabels:
    """After 40 candles that range by 1 each the ATR is 1 and the barriers of 2 ATR lie at 98 and 102."""

    def answers(self, *, highs=(), lows=(), horizon=3):
        later = max(len(highs), len(lows), horizon)
        high = np.concatenate([np.full(40, 100.5), np.full(later + horizon, 100.5)])
        low = np.concatenate([np.full(40, 99.5), np.full(later + horizon, 99.5)])
        high[40 : 40 + len(highs)] = highs
        low[40 : 40 + len(lows)] = lows
        candles = candles_of(np.full(len(high), 100.0), highs=high, lows=low)
        found = label(candles, Question(horizon=horizon, barrier=2.0))
        return int(found.answers[39]), int(found.settled[39])

    def test_up_when_the_barrier_above_is_touched_first(self):
        assert self.answers(highs=[100.5, 102.0], lows=[99.5, 99.5, 98.0]) == (1, 41)

    def test_down_when_the_barrier_below_is_touched_first(self):
        assert self.answers(lows=[98.0], highs=[100.5, 102.0]) == (-1, 40)

    def test_neither_when_the_horizon_ends_before(self):
        assert self.answers(highs=[100.5, 100.5, 100.5, 102.0]) == (0, 42)

    def test_neither_when_one_candle_touches_both(self):
        assert self.answers(highs=[102.5], lows=[97.5]) == (0, 40)

    def test_nothing_is_settled_by_the_last_candles(self):
        found = label(walk(100, seed=1), Question(horizon=7, barrier=0.1))

        assert found.is_settled[20:93].all()
        assert not found.is_settled[93:].any()

    @pytest.mark.parametrize(
        "told", [{"horizon": 0}, {"horizon": 1_001}, {"barrier": 0.05}, {"barrier": 51.0}]
    )
    def test_refuses_what_nobody_can_foretell(self, told):
        with pytest.raises(LabelsUnusableError, match="LABELS_OUT_OF_RANGE"):
            Question(**told)


class TestPurging:
    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 999), folds=st.integers(2, 3), horizon=st.integers(2, 20))
    def test_no_answer_that_was_taught_is_settled_where_it_is_tried(self, seed, folds, horizon):
        lessons = lessons_of(walk(8_000, seed=seed), Question(horizon=horizon, barrier=0.6 * horizon**0.5))
        settled = lessons.labels.settled

        for fold in folds_of(lessons, folds):
            taught, calibrated = fold.spans.taught, fold.spans.calibrated
            assert settled[taught].max() + lessons.embargo < calibrated.min()
            assert settled[calibrated].max() + lessons.embargo < fold.tried.min()

    def test_every_candle_after_the_first_stretch_is_tried_once(self):
        lessons = lessons_of(walk(4_000, seed=1), QUESTION)

        tried = np.concatenate([fold.tried for fold in folds_of(lessons, 3)])

        np.testing.assert_array_equal(tried, lessons.rows[len(lessons.rows) // 4 :])

    def test_says_that_the_candles_are_too_few(self):
        with pytest.raises(TeachingImpossibleError, match="LESSONS_TOO_FEW"):
            list(folds_of(lessons_of(walk(400, seed=1), QUESTION), 3))

    def test_of_no_candles_at_all_nothing_is_taught(self):
        with pytest.raises(TeachingImpossibleError, match="LESSONS_TOO_FEW"):
            list(folds_of(lessons_of(walk(40, seed=1), QUESTION), 3))

    @pytest.mark.parametrize("told", [{"seed": -1}, {"rounds": 0}, {"leaves": 1}, {"method": "none"}])
    def test_refuses_a_recipe_that_cannot_be(self, told):
        with pytest.raises(TeachingImpossibleError, match="RECIPE_OUT_OF_RANGE"):
            Recipe(question=QUESTION, **told)


class TestTeach:
    def test_gives_the_same_for_the_same_seed(self):
        first = taught_by_tide()

        again = teach(first.lessons, first.spans, SMALL)

        seen = first.lessons.figures[-200:]
        np.testing.assert_array_equal(probabilities(again, seen), probabilities(first.classifier, seen))

    @pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
    def test_gives_probabilities_of_three_answers(self, method):
        lessons = taught_by_tide().lessons
        classifier = teach(lessons, spans_of(lessons, lessons.rows), replace(SMALL, rounds=3, method=method))

        given = probabilities(classifier, lessons.figures[-50:])

        assert given.shape == (50, len(CLASSES))
        np.testing.assert_allclose(given.sum(axis=1), 1.0)
        assert (given >= 0).all()

    def test_finds_what_is_there_and_says_so(self):
        found = taught_by_tide()

        assert found.score.is_better
        assert found.score.verdict.startswith("better than the base rate: ")
        assert found.score.log_loss < 0.8 * found.score.log_loss_base
        assert found.score.brier < found.score.brier_base
        assert found.score.accuracy > found.score.accuracy_base + 0.2
        assert found.traded.return_pct > 0
        assert found.traded.fees > 0

    def test_says_plainly_that_chance_cannot_be_foretold(self):
        found = train(
            walk(4_000, seed=11), replace(SMALL, rounds=6), folds=2, confidence_min=0.5, terms=Terms()
        )

        assert not found.score.is_better
        assert found.score.verdict.startswith("no better than the base rate: ")

    @pytest.mark.skipif(not CANDLE_FILES.exists(), reason="the real series lie beside the repository")
    def test_learns_of_a_real_market(self):
        candles = real("perp_BTCUSDT_5m_2023")
        recipe = replace(SMALL, question=Question(horizon=24, barrier=3.0), rounds=3)

        found = train(candles, recipe, folds=2, confidence_min=0.45, terms=Terms(fee_bps=5))

        assert found.score.rows > 7_000
        assert 0.9 < found.score.log_loss / found.score.log_loss_base < 1.1
        assert sum(one.count for one in found.score.calibration) == found.score.rows


class TestScore:
    def trial(self, given, base=(0.25, 0.5, 0.25)):
        given = np.array(given)
        return scores.Trial(rows=np.arange(len(given)), given=given, base=np.tile(base, (len(given), 1)))

    def test_by_hand(self):
        trial = self.trial([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]])

        found = scores.score(trial, np.array([-1, 0], dtype=np.int8), horizon=1)

        assert found.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)
        assert found.log_loss_base == pytest.approx(-(np.log(0.25) + np.log(0.5)) / 2)
        assert found.brier == pytest.approx((0.04 + 0.01 + 0.01 + 0.04 + 0.64 + 0.36) / 2)
        assert (found.accuracy, found.accuracy_base) == (0.5, 0.5)
        assert found.shares == {"down": 0.5, "neither": 0.5, "up": 0.0}
        assert found.calibration == (
            scores.Bin(low=0.6, high=0.7, count=1, confidence=0.6, right=0.0),
            scores.Bin(low=0.8, high=0.9, count=1, confidence=0.8, right=1.0),
        )

    def test_too_few_answers_are_never_better(self):
        trial = self.trial([[0.9, 0.05, 0.05]] * 50)

        found = scores.score(trial, np.full(50, -1, dtype=np.int8), horizon=10)

        assert found.gain > 0
        assert (found.gain_error, found.is_better) == (None, False)
        assert "too few" in found.verdict

    def test_what_was_held_for_impossible_costs_much_and_not_everything(self):
        found = scores.score(self.trial([[1.0, 0.0, 0.0]]), np.array([1], dtype=np.int8), horizon=1)

        assert found.log_loss == pytest.approx(-np.log(1e-6))

    def test_the_error_of_the_gain_is_that_of_independent_stretches(self):
        values = np.repeat([1.0, 3.0] * 6, 5)

        assert scores.block_error(values, block=5) == pytest.approx(np.std([1, 3] * 6, ddof=1) / np.sqrt(12))

    def test_what_was_said_is_wanted_for_a_horizon_unless_something_else_is_said(self):
        candles = walk(40, seed=1)
        up, down, unsure = [0.1, 0.2, 0.7], [0.7, 0.2, 0.1], [0.3, 0.3, 0.4]
        trial = scores.Trial(
            rows=np.arange(20, 30),
            given=np.array([up, *[unsure] * 5, up, down, *[unsure] * 2]),
            base=np.tile([1 / 3] * 3, (10, 1)),
        )

        plan = scores.plan_of(candles, trial, Question(horizon=4, barrier=2.0), confidence_min=0.5)

        assert plan.wanted[18:33].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 1, -1, -1, -1, -1, 0, 0]
        np.testing.assert_array_equal(plan.stop, plan.target)


class TestArchive:
    def test_gives_back_what_was_written(self):
        found = taught_by_tide()

        read = from_bytes(to_bytes(found.classifier))

        seen = found.lessons.figures[-100:]
        np.testing.assert_array_equal(probabilities(read, seen), probabilities(found.classifier, seen))

    @pytest.mark.parametrize("what", ["estimator", "function"])
    def test_refuses_types_that_no_model_of_ours_is_made_of(self, what):
        import os

        import skops.io
        from sklearn.linear_model import LinearRegression

        foreign = skops.io.dumps({"estimator": LinearRegression(), "function": [os.getcwd]}[what])

        with pytest.raises(ModelUnusableError, match="MODEL_TYPE_UNKNOWN"):
            from_bytes(foreign)

    @pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"PK\x03\x04 and no more"])
    def test_refuses_what_is_no_such_file(self, content):
        with pytest.raises(ModelUnusableError, match="MODEL_FILE_UNREADABLE"):
            from_bytes(content)


def test_three_answers_are_three_directions():
    from pregao.research.models.trained import DIRECTIONS

    assert [DIRECTIONS[kind] for kind in CLASSES] == [
        Direction.PRICE_DOWN,
        Direction.NO_MOVE,
        Direction.PRICE_UP,
    ]
