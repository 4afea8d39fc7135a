"""Strategies candle by candle want what their plans want."""

import numpy as np
import pytest

from pregao.domain.strategy import DESCRIPTIONS
from pregao.research.strategies.live import MAKERS, LiveStrategy
from pregao.research.strategies.shipped import STRATEGIES
from pregao.research.ticks import Candle
from tests.rooms.research.made import walk

VALUES = {
    "sma_cross": [{}, {"fast": 3, "slow": 50, "shorts": 0}],
    "ema_cross": [{}, {"fast": 2, "slow": 9, "shorts": 0, "stop_pct": 0}],
    "macd": [{}, {"fast": 3, "slow": 7, "signal": 4}],
    "rsi_reversal": [{}, {"period": 5, "low": 45, "high": 55, "shorts": 0}],
    "bollinger": [{}, {"period": 7, "deviations": 1}],
    "breakout": [{}, {"period": 5, "exit_period": 12}, {"shorts": 0}],
}
CASES = [(name, values) for name, some in VALUES.items() for values in some]


def candles_in(candles):
    columns = (
        candles.opened_at_ms,
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        candles.volume,
    )
    names = ("opened_at_ms", "open", "high", "low", "close", "volume")
    return [
        Candle(**dict(zip(names, row, strict=True)))
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]


class TestLive:
    def test_are_all_but_the_one_whose_voters_look_back(self):
        assert MAKERS.keys() == VALUES.keys() == DESCRIPTIONS.keys() - {"technical_analysis"}

    @pytest.mark.parametrize(("name", "values"), CASES)
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_wants_what_the_plan_wants_at_every_candle(self, name, values, seed):
        candles = walk(2_000, seed=seed)
        plan = STRATEGIES[name].plan(candles, values)
        live = LiveStrategy(name, STRATEGIES[name].filled(values))

        opinions = [live.add(candle) for candle in candles_in(candles)]

        assert [one.wanted for one in opinions] == plan.wanted.tolist()
        assert {one.stop for one in opinions} == set(plan.stop.tolist())
        assert {one.target for one in opinions} == set(plan.target.tolist())
        assert len(np.unique(plan.wanted)) > 1
