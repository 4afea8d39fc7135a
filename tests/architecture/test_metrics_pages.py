"""What is made of the table of figures is what the table gives."""

import json
import re
from pathlib import Path

import pytest

from pregao.domain.figures import FIGURES, Kind, Told
from pregao.domain.lab import LabKind
from pregao.research.analyzer.wishes import Act
from pregao.views.dashboards import dashboard, page, rules

ROOT = Path(__file__).parents[2]
SOURCE_NAMES = [
    "trades_total",
    "trade_duration_seconds",
    "current_pnl",
    "win_rate",
    "profit_loss_total",
    "signal_latency_milliseconds",
    "signals_generated_total",
    "model_confidence",
    "model_accuracy",
    "tick_processing_milliseconds",
    "ticks_processed_total",
    "ticks_per_second",
    "cache_operations_total",
    "cache_hit_rate",
    "api_calls_total",
    "api_latency_milliseconds",
    "backtest_duration_seconds",
    "backtest_sharpe_ratio",
    "backtest_max_drawdown",
    "info",
    "uptime_seconds",
    "errors_total",
]
METRIC = re.compile(r"\b(?:deriv_bot|pregao)_[a-z_]+\b")


def shown(figure):
    """Give the names Prometheus knows a figure by."""
    return (
        {f"{figure.name}{end}" for end in ("_bucket", "_sum", "_count")}
        if figure.kind is Kind.HISTOGRAM
        else {figure.name}
    )


class TestTable:
    def test_has_the_sources_names_to_the_letter(self):
        assert {f"deriv_bot_{name}" for name in SOURCE_NAMES} == {
            name for name in FIGURES if name.startswith("deriv_bot_")
        }

    def test_shows_from_the_start_only_labels_it_has(self):
        assert [
            one.name for one in FIGURES.values() if any(len(zero) != len(one.labels) for zero in one.zeros)
        ] == []

    def test_shows_each_act_of_a_strategy_and_each_kind_of_a_labs_run_from_the_start(self):
        acts = {labels[0] for labels in FIGURES["deriv_bot_signals_generated_total"].zeros}
        methods = {labels[0] for labels in FIGURES["deriv_bot_backtest_duration_seconds"].zeros}

        assert (acts, methods) == (set(Act), set(LabKind))

    def test_shows_no_zero_of_what_nobody_feeds(self):
        assert [one.name for one in FIGURES.values() if one.told is Told.NOBODY and one.zeros] == []


class TestPages:
    @pytest.mark.parametrize(
        ("path", "made"),
        [("deploy/grafana/pregao.json", dashboard), ("deploy/prometheus/rules.yml", rules)],
    )
    def test_are_current(self, path, made):
        assert (ROOT / path).read_text(encoding="utf-8") == made()

    def test_the_docs_have_the_table(self):
        assert page() in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

    def test_ask_for_figures_there_are(self):
        known = set().union(*map(shown, FIGURES.values()))
        asked = [one["expr"] for panel in json.loads(dashboard())["panels"] for one in panel["targets"]]

        assert set(METRIC.findall(" ".join([*asked, rules()]))) <= known

    def test_alert_on_nothing_that_nobody_feeds(self):
        unfed = {name for name, figure in FIGURES.items() if figure.told is Told.NOBODY}

        assert not unfed & set(METRIC.findall(rules()))
