"""`pregao backtest` as a person types it."""

import json
import re

import polars as pl
import pytest
from typer.testing import CliRunner

from pregao.edges.cli import backtests
from tests.rooms.research.made import CANDLE_FILES

PERP = str(CANDLE_FILES / "perp_BTCUSDT_5m_2023.csv.gz")
XRP = str(CANDLE_FILES / "binance_usdm_XRPUSDT_1h.csv.gz")
FUNDING = str(CANDLE_FILES / "binance_usdm_XRPUSDT_funding_8h.csv.gz")


@pytest.fixture
def typed(tmp_path):
    def run(*words):
        return CliRunner().invoke(backtests.app, words, env={"PREGAO_STATE_DIR": str(tmp_path)})

    return run


def read(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


class TestRun:
    def test_prints_a_table_and_writes_the_trades(self, typed, tmp_path):
        out = tmp_path / "trades.parquet"

        result = typed("run", "--strategy", "ema_cross", "--data", PERP, "--trades", str(out))

        assert result.exit_code == 0, result.stderr
        assert "10,999" in result.stdout
        trades = pl.read_parquet(out)
        assert f"trades                     {trades.height}\n" in result.stdout
        assert set(trades["ending"]) <= {"signal", "stop", "target", "liquidated", "end"}

    def test_says_how_long_reading_compiling_and_computing_took(self, typed):
        """How fast this machine is just now is nobody's mistake: the figures are there, and apart."""
        words = ("run", "--strategy", "bollinger", "--data", PERP, "--no-report")

        table, told = typed(*words), read(typed(*words, "--json"))

        assert list(told["seconds"]) == ["reading", "compiling", "computing"]
        assert all(took > 0 for took in told["seconds"].values())
        assert re.search(
            r"^seconds +reading [0-9.]+, compiling [0-9.]+, computing [0-9.]+$", table.stdout, re.MULTILINE
        )

    def test_what_is_no_number_is_null_for_machines(self, typed, tmp_path):
        path = tmp_path / "still.csv"
        rows = "\n".join(f"{at * 3600000},1,1,1,1" for at in range(50))
        path.write_text(f"ts_ms,open,high,low,close\n{rows}\n")

        told = read(typed("run", "--strategy", "macd", "--data", str(path), "--no-report", "--json"))

        assert told["figures"]["trades"] == 0
        assert told["figures"]["profit_factor"] is None

    def test_writes_its_page_where_it_says_and_none_where_it_is_not_wanted(self, typed, tmp_path):
        words = ("run", "--strategy", "ema_cross", "--data", PERP, "--until", "2023-01-04")
        named = tmp_path / "named.html"

        table = typed(*words)
        told = [read(typed(*words, "--json", *more)) for more in (("--report", str(named)), ("--no-report",))]

        own = tmp_path / "reports" / "ema_cross_perp_BTCUSDT_5m_2023_5m.html"
        assert f"report                     {own}\n" in table.stdout
        assert [one["report"] for one in told] == [str(named), None]
        assert "ema_cross" in own.read_text()
        assert own.read_text() == named.read_text()
        assert list(own.parent.iterdir()) == [own]

    def test_says_the_same_candle_by_candle(self, typed):
        words = ("run", "--strategy", "macd", "--data", PERP, "--until", "2023-01-06", "--json")

        fast, slow = read(typed(*words)), read(typed(*words, "--plain"))

        assert len(fast["trades"]) == len(slow["trades"]) > 10
        assert fast["figures"]["final_equity"] == pytest.approx(slow["figures"]["final_equity"], rel=1e-12)

    def test_takes_values_terms_and_times(self, typed):
        told = read(
            typed(
                *("run", "--strategy", "sma_cross", "--data", PERP, "--json"),
                *("--set", "fast=5", "--set", "slow=15", "--set", "shorts=0"),
                *(
                    "--since",
                    "2023-01-10",
                    "--until",
                    "2023-01-12",
                    "--sizing",
                    "money",
                    "--size",
                    "100",
                    "--fee-bps",
                    "0",
                ),
            )
        )

        assert told["candles"]["rows"] == 576
        assert told["values"]["fast"] == 5
        assert {trade["side"] for trade in told["trades"]} == {"long"}
        assert told["trades"][0]["quantity"] * told["trades"][0]["entry_price"] == pytest.approx(100)
        assert told["figures"]["fees"] == 0

    def test_pays_funding(self, typed):
        words = ("run", "--strategy", "breakout", "--data", XRP, "--set", "period=5", "--json")

        without, with_it = read(typed(*words)), read(typed(*words, "--funding", FUNDING))

        assert without["figures"]["funding"] == 0
        assert with_it["figures"]["funding"] != 0

    def test_says_that_prices_are_simulated(self, typed, tmp_path):
        """F131"""
        path = tmp_path / "made.csv"
        rows = "\n".join(f"{at * 3600000},1,{1 + at % 3},1,1,SIMULATED" for at in range(50))
        path.write_text(f"ts_ms,open,high,low,close,label\n{rows}\n")

        result = typed("run", "--strategy", "macd", "--data", str(path))

        assert "SIMULATED made 1h" in result.stdout

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("--strategy", "moon", "--data", PERP), "STRATEGY_UNKNOWN"),
            (("--strategy", "macd", "--data", "BTCUSDT_1m"), "CANDLES_MISSING"),
            (("--strategy", "macd", "--data", PERP, "--set", "fast"), "VALUE_UNREADABLE"),
            (("--strategy", "macd", "--data", PERP, "--set", "fast=99"), "PARAMETERS_MAKE_NO_SENSE"),
            (("--strategy", "macd", "--data", PERP, "--since", "soon"), "INSTANT_UNREADABLE"),
            (("--strategy", "macd", "--data", PERP, "--since", "2030-01-01"), "CANDLES_TOO_FEW"),
            (("--strategy", "macd", "--data", PERP, "--sizing", "huge"), "TERMS_OUT_OF_RANGE"),
            (("--strategy", "macd", "--data", PERP, "--size", "2"), "TERMS_OUT_OF_RANGE"),
            (("--strategy", "macd", "--data", PERP, "--trades", "out.txt"), "FILE_KIND_UNKNOWN"),
        ],
    )
    def test_says_in_one_line_why_not(self, typed, words, code):
        result = typed("run", *words)

        assert result.exit_code != 0
        assert result.stderr.startswith(code)


class TestOthers:
    def test_compare_ranks_what_it_is_given(self, typed):
        """F114"""
        told = read(
            typed(
                "compare",
                "--data",
                PERP,
                "--strategy",
                "macd",
                "--strategy",
                "ema_cross:fast=5,slow=50",
                "--json",
            )
        )

        assert [one["sharpe"] for one in told["trials"]] == sorted(
            (one["sharpe"] for one in told["trials"]), reverse=True
        )
        assert {one["strategy"] for one in told["trials"]} == {"macd", "ema_cross"}

    def test_sweep_says_how_many_were_tried_and_what_luck_explains(self, typed, tmp_path):
        out = tmp_path / "tried.parquet"
        words = (
            "sweep",
            "--strategy",
            "sma_cross",
            "--data",
            PERP,
            "--range",
            "fast=5,10,15",
            "--range",
            "slow=15:45:10",
        )

        told = read(typed(*words, "--walk-forward", "2", "--out", str(out), "--json"))
        shown = typed(*words, "--top", "3").stdout

        assert told["tried"] == pl.read_parquet(out).height == 11
        assert 0 <= told["deflated_sharpe"] <= 1
        assert len(told["walk_forward"]["folds"]) == 2
        assert "11 combinations were tried" in shown

    def test_strategies_shows_what_can_be_set(self, typed):
        told = read(typed("strategies", "--json"))

        assert {"ema_cross", "breakout"} <= {one["strategy"] for one in told}
        assert "half the bands' width" in typed("strategies").stdout
