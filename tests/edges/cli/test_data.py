"""`pregao data` as a person types it."""

import json

import pytest
from typer.testing import CliRunner

from pregao.edges.cli import candles
from tests.rooms.research.made import CANDLE_FILES, TICKS

TAPE = str(TICKS / "binance_XRPETH_aggtrades_201910.csv.gz")
FIVE = str(CANDLE_FILES / "binance_XRPETH_5m.csv.gz")


@pytest.fixture
def typed(tmp_path):
    def run(*words):
        return CliRunner().invoke(candles.app, words, env={"PREGAO_STATE_DIR": str(tmp_path)})

    return run


class TestData:
    def test_brings_candles_in_lists_them_and_writes_them_out(self, typed, tmp_path):
        brought = typed("import", FIVE, "--symbol", "XRPETH", "--source", "Binance")
        listed = json.loads(typed("list", "--json").stdout)
        out = typed("export", "XRPETH_5m", str(tmp_path / "out.csv.gz"))
        checked = json.loads(typed("check", str(tmp_path / "out.csv.gz"), "--json").stdout)

        assert "XRPETH_5m: 706 candles brought in, 706 there now" in brought.stdout
        assert "6 candles are missing in" in brought.stdout
        assert [(one["name"], one["source"], one["rows"]) for one in listed] == [
            ("XRPETH_5m", "Binance", 706)
        ]
        assert "706 candles" in out.stdout
        assert (checked[0]["rows"], checked[0]["missing"], checked[0]["is_clean"]) == (706, 6, True)

    def test_makes_of_a_tape_what_the_exchange_made_of_it(self, typed):
        typed("import", FIVE, "--symbol", "XRPETH")

        again = typed("import", TAPE, "--symbol", "XRPETH", "--trades", "--timeframe", "5m")

        assert again.exit_code == 0, again.stderr  # equal rows do not contradict each other
        assert "706 there now" in again.stdout

    def test_says_that_prices_are_simulated(self, typed):
        """F131"""
        typed("import", FIVE, "--symbol", "XRPETH", "--simulated")

        assert "SIMULATED" in typed("list").stdout

    def test_ends_with_one_when_rows_are_wrong(self, typed, tmp_path):
        path = tmp_path / "wrong.csv"
        path.write_text("time,open,high,low,close\n0,1,1,1,1\n3600,1,1,2,1\n7200,1,1,1,1\n7200,2,2,2,2\n")

        checked = typed("check", str(path))
        brought = typed("import", str(path))

        assert checked.exit_code == 1
        assert "contradicting rows  1" in checked.stdout
        assert "impossible rows     1" in checked.stdout
        assert brought.exit_code == 1
        assert brought.stderr.startswith("CANDLE_IMPOSSIBLE")

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("import", TAPE, "--trades"), "TIMEFRAME_UNCLEAR"),
            (("import", TAPE), "COLUMNS_MISSING"),
            (("import", FIVE, "--timeframe", "5 minutes"), "TIMEFRAME_UNKNOWN"),
            (("check", "BTCUSDT_1m"), "CANDLES_MISSING"),
            (("export", "BTCUSDT_1m", "out.csv"), "CANDLES_MISSING"),
        ],
    )
    def test_says_in_one_line_why_not(self, typed, words, code):
        result = typed(*words)

        assert result.exit_code != 0
        assert result.stderr.startswith(code)

    def test_shows_an_empty_folder(self, typed):
        assert "No candles yet" in typed("list").stdout
