"""The pages about backtests: whole, without a network, and true."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from pregao.edges.candle_files.drawing import curve, thinned
from pregao.edges.candle_files.page import page_of_run, page_of_sweep
from pregao.research.backtests.months import months_of
from pregao.research.backtests.sweep import ranges_of, sweep
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import try_out
from pregao.research.backtests.walk_forward import walk_forward
from pregao.research.candles import COLUMNS, make_candles
from pregao.research.strategies.shipped import STRATEGIES
from tests.rooms.research.made import walk

TERMS = Terms(size=0.5, fee_bps=4)


def run_of(candles, name="ema_cross"):
    return try_out(candles, STRATEGIES[name], {}, TERMS)


def parts_of(page, tag):
    return [ET.fromstring(part) for part in re.findall(rf"<{tag}[ >].*?</{tag}>", page, re.DOTALL)]


class TestPageOfRun:
    def test_shows_figures_charts_months_trades_and_terms(self):
        trial, outcome = run_of(walk(3_000, seed=61))

        page = page_of_run(trial, outcome, TERMS)

        assert f"{trial.figures.final_equity:,.2f}" in page
        assert len(parts_of(page, "svg")) == 3
        assert len(parts_of(page, "table")) == 5
        assert outcome.candles.digest in page
        circles = list(parts_of(page, "svg")[2].iter("circle"))
        shown = [one for one in outcome.trades if one.exit_bar >= int(outcome.trades.exit_bar[-1]) + 10 - 240]
        assert 0 < len(circles) <= len(shown)

    def test_needs_no_network(self):
        page = page_of_run(*run_of(walk(300, seed=62)), TERMS)

        assert not re.search(r"https?:|src=|@import|url\(", page)

    def test_is_whole_without_a_trade(self):
        trial, outcome = run_of(walk(25, seed=63), "technical_analysis")

        page = page_of_run(trial, outcome, TERMS)

        assert trial.figures.trades == 0
        assert "The last 0 of 0 trades" in page

    def test_says_that_prices_are_simulated_and_writes_no_markup_of_others(self):
        """F131"""
        candles = walk(300, seed=64)
        named = make_candles(
            symbol="<b>BTC</b>",
            timeframe=candles.timeframe,
            source="<script>alert(1)</script>",
            is_simulated=True,
            columns={name: getattr(candles, name) for name in COLUMNS},
        )

        page = page_of_run(*run_of(named), TERMS)

        assert "SIMULATED: no market made these prices" in page
        assert "<script" not in page
        assert "<b>" not in page

    def test_has_months_that_come_to_the_whole(self):
        _, outcome = run_of(walk(2_500, seed=65))

        months = months_of(outcome)

        assert len(months) == 4
        whole = np.prod([1 + one.return_pct / 100 for one in months])
        assert whole == pytest.approx(outcome.equity[-1] / outcome.start)


class TestPageOfSweep:
    def test_shows_the_best_the_heat_map_and_what_was_walked_forward(self):
        candles = walk(1_500, seed=66)
        strategy = STRATEGIES["sma_cross"]
        combinations = list(strategy.combinations(ranges_of(["fast=5,10", "slow=20,30,40", "stop_pct=1,2"])))
        swept = sweep(candles, strategy, combinations, TERMS)
        forward = walk_forward(candles, strategy, combinations, TERMS, folds=2)

        page = page_of_sweep(candles, swept, TERMS, lucky_sharpe=1.25, deflated_sharpe=0.4, forward=forward)

        heat = next(table for table in parts_of(page, "table") if table.get("class") == "heat")
        cells = [[cell.text for cell in row.findall("td")] for row in heat.findall("tr")[1:]]
        assert [len(row) for row in cells] == [3, 3]
        sharpes = {
            (values["fast"], values["slow"], values["stop_pct"]): sharpe
            for values, sharpe in zip(combinations, swept.table["sharpe"], strict=True)
        }
        assert cells[0][0] == f"{max(sharpes[5, 20, 1], sharpes[5, 20, 2]):.2f}"
        assert "12 combinations were tried" in page
        assert "On candles that no choice had seen" in page


class TestDrawing:
    def test_loses_no_peak_of_a_long_curve(self):
        values = np.sin(np.arange(100_000) / 5_000)
        values[77_777] = 9.0

        places, kept = thinned(values)

        assert len(kept) <= 1_200
        assert (kept.max(), kept.min()) == (9.0, values.min())
        assert (np.diff(places) > 0).all()

    def test_draws_a_flat_curve_and_none(self):
        assert "polyline" in curve(np.full(5, 3.0))
        assert curve(np.empty(0)) == ""
