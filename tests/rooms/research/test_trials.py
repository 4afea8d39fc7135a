"""Figures, comparisons, sweeps and walking forward; and both ways to compute on real candles."""

import itertools
import math
import os
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.research.backtests import compiled, plain
from pregao.research.backtests.figures import (
    Figures,
    deflated_sharpe,
    drawdowns,
    expected_best,
    figures_of,
    ranked,
)
from pregao.research.backtests.funding import funding_by_candle
from pregao.research.backtests.outcome import Trades, added_up, trades_of
from pregao.research.backtests.sweep import RangeUnreadableError, ranges_of, read_range, sweep, sweep_wanted
from pregao.research.backtests.terms import Sizing, Terms
from pregao.research.backtests.trial import compare, try_out
from pregao.research.backtests.walk_forward import walk_forward
from pregao.research.candles import CandlesUnusableError
from pregao.research.strategies.shipped import STRATEGIES
from tests.rooms.research.made import CANDLE_FILES, candles_of, real, walk

TERMS = Terms(size=0.5, leverage=2, fee_bps=4, slippage_bps=1)
SERIES = sorted(
    path.name.removesuffix(".csv.gz")
    for path in CANDLE_FILES.glob("*.csv.gz")
    if "funding" not in path.name and "multi_symbol" not in path.name
)

MULTI = "binance_multi_symbol_multi_timeframe"
GROUPS = [
    *itertools.product(("ADA/BTC", "ADA/USDT", "ETH/BTC"), ("1m", "5m", "15m", "1h", "4h", "1d")),
    *itertools.product(("BNB/USDT", "BTC/USDT", "ETH/USDT", "SOL/USDT"), ("4h",)),
]
SMALL_SERIES = [name for name in SERIES if (CANDLE_FILES / f"{name}.csv.gz").stat().st_size < 250_000]


def figures(equity, *, start=100.0, bars_per_year=365.0):
    curve = np.array(equity, dtype=float)
    sums = added_up(trades_of([]), curve, start=start, bars_held=0, denied=0)
    return figures_of(sums, start=start, bars=len(curve), bars_per_year=bars_per_year)


def hold_to_the_plain_one(candles, name):
    plan = STRATEGIES[name].plan(candles)
    judge, other = plain.replay(candles, plan, TERMS), compiled.replay(candles, plan, TERMS)
    for field in fields(Trades):
        np.testing.assert_allclose(
            getattr(other.trades, field.name), getattr(judge.trades, field.name), rtol=1e-9, atol=1e-9
        )
    np.testing.assert_allclose(other.equity, judge.equity, rtol=1e-9)
    return len(judge.trades)


class TestBothWays:
    @pytest.mark.parametrize("name", SMALL_SERIES)
    def test_agree_on_real_candles(self, name):
        candles = real(name).part(0, 4_000)

        assert hold_to_the_plain_one(candles, "ema_cross") > 0 or len(candles) < 200

    @pytest.mark.parametrize("name", SERIES)
    def test_agree_on_real_candles_whatever_the_strategy(self, name):
        """On the first ones; on every candle (minutes) with ``PREGAO_BACKTEST_CANDLES=all``."""
        candles = real(name)
        if os.environ.get("PREGAO_BACKTEST_CANDLES") != "all":
            candles = candles.part(0, 2_000)
        for strategy in STRATEGIES:
            hold_to_the_plain_one(candles, strategy)

    @pytest.mark.skipif(not CANDLE_FILES.exists(), reason="the real series lie beside the repository")
    @pytest.mark.parametrize(("symbol", "timeframe"), GROUPS)
    def test_agree_on_each_of_several_series_in_one_file(self, symbol, timeframe):
        candles = real(MULTI, symbol=symbol, timeframe=timeframe)

        assert len(candles) == 500
        for strategy in STRATEGIES:
            hold_to_the_plain_one(candles, strategy)


class TestFigures:
    def test_f113_say_how_far_it_fell(self):
        assert figures([100, 120, 90, 110]).drawdown_max_pct == pytest.approx(25)
        assert drawdowns(np.array([100, 120, 90, 110]), start=100) == pytest.approx(
            [0, 0, 25, 8.333333], rel=1e-6
        )

    def test_f113_count_the_fall_from_the_start_too(self):
        found = figures([90, 80, 100, 95])

        assert (found.drawdown_max_pct, found.drawdown_bars_max) == (pytest.approx(20), 2)

    def test_f113_scale_by_the_bars_of_a_year(self):
        equity = [101, 100, 103, 102, 105]
        changes = np.diff([100, *equity]) / np.array([100, *equity[:-1]])
        expected = changes.mean() / changes.std(ddof=1)

        assert figures(equity, bars_per_year=365).sharpe == pytest.approx(expected * math.sqrt(365))
        assert figures(equity, bars_per_year=8_760).sharpe == pytest.approx(expected * math.sqrt(8_760))

    @pytest.mark.parametrize("equity", [[100, 100, 100], [110, 121, 133.1, 146.41], [100], []])
    def test_f113_are_nought_where_nothing_varied(self, equity):
        assert figures(equity).sharpe == 0

    def test_tell_an_endless_profit_factor_from_none(self):
        candles = candles_of([10, 10, 12, 12], opens=[10, 10, 10, 12])
        won, _ = try_out(
            candles,
            STRATEGIES["breakout"],
            {"period": 2, "exit_period": 2, "stop_pct": 0, "target_pct": 0},
            TERMS,
        )

        assert math.isnan(figures([100, 100]).profit_factor)
        assert won.figures.trades == 0 or won.figures.profit_factor in (0.0, math.inf)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60))
    def test_have_the_moments_of_the_returns(self, changes):
        returns = np.array(changes)
        curve = 100 * np.cumprod(1 + returns)
        found = figures(curve.tolist())

        centered = returns - returns.mean()
        variance = (centered**2).mean()
        if variance > 1e-9:
            assert found.skew == pytest.approx((centered**3).mean() / variance**1.5, rel=1e-4, abs=1e-4)
            assert found.kurtosis == pytest.approx((centered**4).mean() / variance**2, rel=1e-4, abs=1e-4)

    def test_take_the_luck_of_many_tries_off(self):
        found = figures((100 * np.cumprod(1 + np.random.default_rng(3).normal(0.001, 0.01, 1_000))).tolist())
        one = replace(found, trades=10)
        tries = np.random.default_rng(4).normal(0, 0.5, 200).tolist()

        alone = deflated_sharpe(one, sharpes=[one.sharpe], bars_per_year=365)
        among_many = deflated_sharpe(one, sharpes=[*tries, one.sharpe], bars_per_year=365)

        assert 0.5 < among_many < alone < 1
        assert math.isnan(deflated_sharpe(replace(one, trades=0), sharpes=[1.0], bars_per_year=365))

    def test_know_what_the_best_of_many_reaches_by_luck(self):
        """Against drawing: the best of 100 standard normal numbers is 2.51 on average."""
        draws = np.random.default_rng(5).normal(0, 1, (4_000, 100)).max(axis=1).mean()
        spread = np.random.default_rng(6).normal(0, 1, 100)
        spread = ((spread - spread.mean()) / spread.std(ddof=1)).tolist()

        assert expected_best(spread) == pytest.approx(draws, abs=0.05)


class TestCompare:
    def test_f114_ranks_by_sharpe_equal_ones_in_their_order_and_nan_last(self):
        rows = [("a", 1.0), ("b", math.nan), ("c", 2.0), ("d", 1.0), ("e", math.nan), ("f", -1.0)]

        assert [name for name, _ in ranked(rows, sharpe_of=lambda row: row[1])] == [
            "c",
            "a",
            "d",
            "f",
            "b",
            "e",
        ]

    def test_f114_tries_all_on_the_same_candles(self):
        candles = walk(2_000, seed=42)

        trials = compare(candles, [(one, {}) for one in STRATEGIES.values()], TERMS)

        assert sorted(trial.strategy for trial in trials) == sorted(STRATEGIES)
        sharpes = [trial.figures.sharpe for trial in trials]
        assert sharpes == sorted(sharpes, reverse=True)
        alone, _ = try_out(candles, STRATEGIES[trials[0].strategy], {}, TERMS)
        assert alone.figures == trials[0].figures


class TestSweep:
    @pytest.mark.parametrize("pays", [False, True])
    @pytest.mark.parametrize(
        ("name", "ranges"),
        [
            ("sma_cross", ["fast=3:11:2", "slow=10:40:10", "stop_pct=0,2", "shorts=0,1"]),
            ("ema_cross", ["fast=3:11:2", "slow=10:40:10", "target_pct=0,3"]),
            ("breakout", ["period=10:30:10", "exit_period=5,10"]),
        ],
    )
    def test_gives_each_combination_what_it_gets_alone_and_in_order(self, name, ranges, pays):
        candles = walk(30_000 if name == "ema_cross" else 3_000, seed=43)
        strategy = STRATEGIES[name]
        combinations = list(strategy.combinations(ranges_of(ranges)))
        funding = np.random.default_rng(1).normal(0, 1e-4, len(candles)) if pays else None
        heard = []

        swept = sweep(candles, strategy, combinations, TERMS, funding=funding, jobs=2, on_done=heard.append)

        assert sum(heard) == len(swept) == len(combinations)
        for number in range(0, len(swept), 5):
            alone, _ = try_out(candles, strategy, combinations[number], TERMS, funding=funding)
            assert swept.trial(number) == alone
            for figure, column in swept.table.items():
                assert column[number] == pytest.approx(
                    getattr(alone.figures, figure), rel=1e-9, nan_ok=True
                ), figure

    def test_takes_lines_that_touch_for_what_they_take_alone(self):
        """Equal lines are no crossing, and where they part again on the same side there is none."""
        closes = 100 + np.repeat(np.random.default_rng(3).integers(-2, 3, 300), 8)
        strategy = STRATEGIES["sma_cross"]
        combinations = list(strategy.combinations(ranges_of(["fast=2,3,4", "slow=6,8,16", "shorts=0,1"])))

        swept = sweep(candles_of(closes), strategy, combinations, TERMS)

        for number, values in enumerate(combinations):
            assert swept.trial(number) == try_out(candles_of(closes), strategy, values, TERMS)[0]
        assert swept.table["trades"].min() > 0

    def test_tries_signals_that_somebody_else_made(self):
        candles = walk(2_000, seed=46)
        strategy = STRATEGIES["breakout"]
        tried = [{"period": 10.0}, {"period": 30.0}, {"period": 50.0}]
        wanted = np.array([strategy.plan(candles, values).wanted for values in tried])

        swept = sweep_wanted(candles, wanted, TERMS, stop=0.02, target=0.04)

        for number, values in enumerate(tried):
            assert swept.trial(number).figures == try_out(candles, strategy, values, TERMS)[0].figures

    def test_ranks_by_sharpe(self):
        strategy = STRATEGIES["sma_cross"]
        combinations = list(strategy.combinations(ranges_of(["fast=3:11:2", "slow=10:40:10"])))

        best = sweep(walk(3_000, seed=43), strategy, combinations, TERMS).best(5)

        assert len(best) == 5
        assert [one.figures.sharpe for one in best] == sorted(
            (one.figures.sharpe for one in best), reverse=True
        )

    @pytest.mark.parametrize(
        ("text", "values"),
        [("5", [5]), ("5,8,13", [5, 8, 13]), ("5:20:5", [5, 10, 15, 20]), ("0.1:0.3:0.1", [0.1, 0.2, 0.3])],
    )
    def test_reads_ranges(self, text, values):
        assert read_range(text) == values

    @pytest.mark.parametrize("text", ["", "a", "5:1:1", "1:5:0", "1:5", "1:5:-1"])
    def test_refuses_ranges_that_are_none(self, text):
        with pytest.raises(RangeUnreadableError, match="RANGE_UNREADABLE"):
            read_range(text)


class TestWalkForward:
    def test_judges_a_choice_on_candles_it_never_saw(self):
        candles = walk(2_000, seed=44)
        strategy = STRATEGIES["ema_cross"]
        combinations = list(strategy.combinations(ranges_of(["fast=5,9", "slow=20,40"])))

        found = walk_forward(candles, strategy, combinations, TERMS, folds=3)

        assert [fold.traded_until_ms for fold in found.folds[:-1]] == [
            fold.chosen_until_ms for fold in found.folds[1:]
        ]
        assert found.folds[-1].traded_until_ms == candles.opened_at_ms[-1]
        assert found.traded.bars == 1_500
        assert found.traded.trades == sum(fold.after.trades for fold in found.folds)
        assert found.traded.final_equity == pytest.approx(found.folds[-1].after.final_equity)
        assert found.traded.worst == min(fold.after.worst for fold in found.folds)

    def test_chooses_without_what_comes_after(self):
        """Other candles after a choice do not change it."""
        candles = walk(1_200, seed=45)
        strategy = STRATEGIES["sma_cross"]
        combinations = list(strategy.combinations(ranges_of(["fast=5,9,13", "slow=20,40"])))

        whole = walk_forward(candles, strategy, combinations, TERMS, folds=3)
        first = walk_forward(candles.part(0, 600), strategy, combinations, TERMS, folds=1)

        assert whole.folds[0].values == first.folds[0].values
        assert whole.folds[0].after == first.folds[0].after

    def test_refuses_stretches_that_say_nothing(self):
        with pytest.raises(CandlesUnusableError, match="CANDLES_TOO_FEW"):
            walk_forward(walk(100, seed=1), STRATEGIES["macd"], [{}], TERMS, folds=3)


class TestFunding:
    def test_falls_to_the_candle_that_runs(self):
        candles = candles_of([1.0] * 4)
        hour = 3_600_000

        due = funding_by_candle(
            candles,
            due_at_ms=np.array([-5, 17, hour - 1, 2 * hour, 9 * hour]),
            rates=np.array([9.0, 1.0, 2.0, 4.0, 9.0]),
        )

        assert due.tolist() == [3.0, 0.0, 4.0, 0.0]

    def test_waits_over_a_gap_for_the_next_candle(self):
        whole = candles_of([1.0] * 6)
        kept = [0, 1, 5]
        from pregao.research.candles import COLUMNS, make_candles

        gapped = make_candles(
            symbol="T",
            timeframe=whole.timeframe,
            source="",
            columns={name: getattr(whole, name)[kept] for name in COLUMNS},
        )

        due = funding_by_candle(gapped, due_at_ms=np.array([3 * 3_600_000]), rates=np.array([7.0]))

        assert due.tolist() == [0.0, 0.0, 7.0]


def test_figures_can_be_told_as_json():
    assert set(asdict(figures([100, 101]))) == {field.name for field in fields(Figures)}
    assert Sizing.SHARE == 0
