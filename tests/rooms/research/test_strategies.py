"""The strategies that come with the lab: what they want, and when."""

import numpy as np
import pytest

from pregao.domain.strategy import ParameterUnusableError, StrategyUnknownError
from pregao.research.indicators import batch
from pregao.research.strategies import compiled
from pregao.research.strategies.shipped import STRATEGIES, get_strategy
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT
from tests.rooms.research.made import candles_of, walk

CANDLES = walk(1_500, seed=31)


@pytest.mark.parametrize("name", STRATEGIES)
class TestEvery:
    def test_wants_something_on_both_sides_and_nothing_else(self, name):
        wanted = STRATEGIES[name].plan(CANDLES).wanted

        assert wanted.dtype == np.int8
        assert len(wanted) == len(CANDLES)
        assert set(wanted.tolist()) <= {SHORT, FLAT, LONG, KEEP}
        assert {SHORT, LONG} <= set(wanted.tolist())

    def test_knows_nothing_of_what_comes(self, name):
        """What it wants at a close is the same when the candles end there."""
        whole = STRATEGIES[name].plan(CANDLES)

        for end in (260, 700, 1_111):
            part = STRATEGIES[name].plan(CANDLES.part(0, end))
            assert np.array_equal(part.wanted, whole.wanted[:end])

    def test_goes_one_way_when_told_so(self, name):
        assert SHORT not in STRATEGIES[name].plan(CANDLES, {"shorts": 0}).wanted

    def test_wants_nothing_of_too_few_candles(self, name):
        assert set(STRATEGIES[name].plan(CANDLES.part(0, 2)).wanted.tolist()) <= {FLAT, KEEP}


class TestCross:
    def test_is_flat_until_the_first_crossing_and_holds_after_it(self):
        fast = np.array([np.nan, 2, 2, 0, 0, 1, 3, 3])
        slow = np.array([np.nan, 1, 1, 1, 1, 1, 1, 1.0])

        assert compiled.cross(fast, slow).tolist() == [0, 0, 0, -1, -1, -1, 1, 1]

    def test_happens_where_the_averages_say(self):
        wanted = STRATEGIES["sma_cross"].plan(CANDLES, {"fast": 5, "slow": 20}).wanted
        above = batch.sma(CANDLES.close, period=5) > batch.sma(CANDLES.close, period=20)
        first = np.flatnonzero(wanted)[0]

        assert np.array_equal(wanted[first:] == LONG, above[first:])


class TestShipped:
    def test_rsi_enters_when_the_strength_comes_back(self):
        wanted = STRATEGIES["rsi_reversal"].plan(CANDLES).wanted
        strength = batch.rsi(CANDLES.close)

        turns = np.flatnonzero((np.diff(wanted) != 0) & (wanted[1:] == LONG)) + 1
        assert len(turns) > 3
        assert (strength[turns - 1] < 30).all()
        assert (strength[turns] >= 30).all()

    def test_bollinger_goes_back_to_the_mean(self):
        closes = [10.0, 10.1] * 15 + [8.0, 9.0, 10.2, 10.1]

        wanted = STRATEGIES["bollinger"].plan(candles_of(closes)).wanted

        assert wanted[28:].tolist() == [FLAT, FLAT, LONG, LONG, FLAT, FLAT]

    def test_breakout_follows_the_range_and_leaves_by_the_nearer_one(self):
        closes = [10, 11] * 6 + [12, 13, 14, 13.5, 12.5, 12.4]

        wanted = STRATEGIES["breakout"].plan(candles_of(closes), {"period": 10, "exit_period": 3}).wanted

        assert wanted[10:].tolist() == [FLAT, FLAT, LONG, LONG, LONG, LONG, LONG, FLAT]

    def test_gives_stops_and_targets_as_shares_and_none_for_nought(self):
        plan = STRATEGIES["macd"].plan(CANDLES, {"stop_pct": 1.5, "target_pct": 0})

        assert (plan.stop.tolist(), plan.target.tolist()) == ([0.015], [np.inf])


class TestParameters:
    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({"speed": 3}, "PARAMETER_UNKNOWN"),
            ({"fast": 1}, "PARAMETER_OUT_OF_RANGE"),
            ({"fast": 9.5}, "PARAMETER_OUT_OF_RANGE"),
            ({"fast": 30, "slow": 20}, "PARAMETERS_MAKE_NO_SENSE"),
            ({"stop_pct": float("nan")}, "PARAMETER_OUT_OF_RANGE"),
        ],
    )
    def test_are_refused_when_they_cannot_be(self, values, code):
        with pytest.raises(ParameterUnusableError, match=code):
            STRATEGIES["ema_cross"].filled(values)

    def test_combine_to_what_makes_sense(self):
        found = list(STRATEGIES["sma_cross"].combinations({"fast": [5, 10, 20], "slow": [10, 20]}))

        assert [(one["fast"], one["slow"]) for one in found] == [(5, 10), (5, 20), (10, 20)]
        assert all(one["stop_pct"] == 2 for one in found)

    def test_names_what_is_known(self):
        with pytest.raises(StrategyUnknownError, match=r"STRATEGY_UNKNOWN.*ema_cross"):
            get_strategy("moon")
