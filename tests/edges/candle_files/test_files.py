"""Files of candles in the shapes people have them, and the lab's folder."""

import numpy as np
import polars as pl
import pytest

from pregao.edges.candle_files.bring import Told, bring, bring_trades, open_candles
from pregao.edges.candle_files.shapes import ROWS_THAT_TELL, FileUnreadableError, read_rows
from pregao.edges.candle_files.store import (
    CandleFolder,
    CandlesContradictError,
    CandlesMissingError,
    write_csv,
    write_parquet,
)
from pregao.research.candles import COLUMNS, CandlesUnusableError, make_candles
from pregao.research.timeframe import read_timeframe
from tests.rooms.research.made import CANDLE_FILES, TICKS, candles_of, real, walk

ROWS_IN = {  # as the page beside the files says
    "binance_BTCUSDT_1h_202605": (250, "1h", 0),
    "binance_XRPETH_1m": (2_469, "1m", 1_091),
    "binance_XRPETH_5m": (706, "5m", 6),
    "coinbase_BTCUSD_1d": (1_318, "1d", 34),
    "deriv_R_100_1m_202512": (5_000, "1m", 0),
    "perp_BTCUSDT_5m_2023": (10_999, "5m", 0),
    "ftx_BTC-PERP_1m_202201": (45_031, "1m", 0),
    "bitfinex_BTCUSD_1m_2019": (512_727, "1m", 12_873),
}


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in COLUMNS)


def written(tmp_path, text, name="candles.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


class TestBring:
    @pytest.mark.parametrize("name", ROWS_IN)
    def test_reads_real_files_and_counts_what_is_missing(self, name):
        rows, timeframe, missing = ROWS_IN[name]

        (brought,) = bring(CANDLE_FILES / f"{name}.csv.gz", told=Told())

        assert (len(brought.candles), brought.candles.timeframe.name) == (rows, timeframe)
        assert brought.found.missing == missing
        assert brought.found.is_clean

    def test_reads_many_symbols_of_one_file(self):
        brought = bring(
            CANDLE_FILES / "binance_multi_symbol_multi_timeframe.csv.gz", told=Told(last_is_open=True)
        )

        assert len(brought) == 22
        assert {len(one.candles) for one in brought} == {499}
        assert ("ADA/BTC", "15m") in {(one.candles.symbol, one.candles.timeframe.name) for one in brought}

    @pytest.mark.parametrize(
        "text",
        [
            "time,open,high,low,close,Volume\n2024-01-01T00:00:00Z,1,3,1,2,10\n2024-01-01T01:00:00Z,2,4,2,3,11\n",
            "Date,Open,High,Low,Close,Volume\n2024-01-01 00:00,1,3,1,2,10\n2024-01-01 01:00,2,4,2,3,11\n",
            "time,open,high,low,close,volume\n1704067200,1,3,1,2,10\n1704070800,2,4,2,3,11\n",
            "1704067200000,1,3,1,2,10,0,0,0,0,0,0\n1704070800000,2,4,2,3,11,0,0,0,0,0,0\n",
            "open_time,open,high,low,close,volume\n1704067200000000,1,3,1,2,10\n1704070800000000,2,4,2,3,11\n",
            # a file whose unit changes on the way
            "open_time,open,high,low,close,volume\n1704067200000,1,3,1,2,10\n1704070800000000,2,4,2,3,11\n",
            "volume,close,low,high,open,time\n10,2,1,3,1,1704067200\n11,3,2,4,2,1704070800\n",
        ],
    )
    def test_reads_what_programs_write(self, tmp_path, text):
        (brought,) = bring(written(tmp_path, text), told=Told())

        expected = candles_of(
            [2, 3], opens=[1, 2], highs=[3, 4], lows=[1, 2], volumes=[10, 11], start_ms=1_704_067_200_000
        )
        assert same(brought.candles, expected)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("time,open,high,low\n1704067200,1,3,1\n", "COLUMNS_MISSING.*close"),
            ("time,open,high,low,close\n1704067200,1,3,one,2\n", "COLUMN_UNREADABLE"),
            ("time,open,high,low,close\n1704067200,1,,1,2\n", "COLUMN_UNREADABLE"),
            ("time,open,high,low,close\nyesterday,1,3,1,2\n", "COLUMN_UNREADABLE"),
            ("", "FILE_UNREADABLE"),
        ],
    )
    def test_refuses_what_it_cannot_read_for_certain(self, tmp_path, text, code):
        with pytest.raises(FileUnreadableError, match=code):
            bring(written(tmp_path, text), told=Told(timeframe="1h"))

    def test_reads_what_only_a_late_row_shows_to_be_no_whole_number(self, tmp_path):
        rows = 3 * ROWS_THAT_TELL
        volumes = [*["1"] * (rows - 1), "1.5"]
        lines = [f"{at * 60_000 + 1_546_300_800_000},1,1,1,1,{volume}" for at, volume in enumerate(volumes)]

        (read,) = read_rows(written(tmp_path, "\n".join(["ts_ms,open,high,low,close,volume", *lines])))

        assert read.columns["volume"].tolist() == [float(one) for one in volumes]

    def test_keeps_the_first_of_two_rows_that_contradict_each_other(self, tmp_path):
        text = "time,open,high,low,close\n3600,1,1,1,1\n0,2,2,2,2\n3600,1,1,1,1\n0,3,3,3,3\n7200,4,4,4,4\n"

        (brought,) = bring(written(tmp_path, text), told=Told(timeframe="1h"))

        assert brought.candles.close.tolist() == [2, 1, 4]
        assert (brought.found.repeated, brought.found.contradicting) == (1, 1)

    def test_makes_candles_of_a_tape(self):
        candles = bring_trades(
            TICKS / "binance_XRPETH_aggtrades_201910.csv.gz",
            told=Told(symbol="XRPETH"),
            timeframe=read_timeframe("5m"),
        )

        assert same(candles, real("binance_XRPETH_5m"))

    def test_asks_which_candles_of_a_file_are_meant(self, tmp_path):
        path = CANDLE_FILES / "binance_multi_symbol_multi_timeframe.csv.gz"
        folder = CandleFolder(tmp_path)

        with pytest.raises(CandlesUnusableError, match="CANDLES_AMBIGUOUS"):
            open_candles(str(path), folder=folder, told=Told(symbol="ETH/BTC"))
        assert (
            open_candles(str(path), folder=folder, told=Told(symbol="ETH/BTC", timeframe="4h")).symbol
            == "ETH/BTC"
        )


class TestFolder:
    def test_gives_back_what_it_was_given(self, tmp_path):
        folder = CandleFolder(tmp_path / "candles")
        candles = real("binance_XRPETH_5m", symbol="XRP/ETH")

        folder.keep(candles)

        back = folder.get("XRPETH_5m")
        assert same(back, candles)
        assert (back.symbol, back.timeframe, back.source) == ("XRP/ETH", candles.timeframe, candles.source)
        assert back.digest == candles.digest

    def test_adds_to_what_is_there(self, tmp_path):
        folder = CandleFolder(tmp_path)
        candles = walk(100, seed=3)

        folder.keep(candles.part(40, 100))
        folder.keep(candles.part(0, 60))

        assert same(folder.get("TEST_1h"), candles)

    def test_refuses_candles_that_say_otherwise_unless_they_are_to_replace(self, tmp_path):
        folder = CandleFolder(tmp_path)
        folder.keep(candles_of([1.0, 2.0]))

        with pytest.raises(CandlesContradictError, match="CANDLES_CONTRADICT"):
            folder.keep(candles_of([1.0, 3.0]))
        folder.keep(candles_of([1.0, 3.0]), replaces=True)

        assert folder.get("TEST_1h").close.tolist() == [1.0, 3.0]

    def test_never_mixes_simulated_candles_with_a_markets(self, tmp_path):
        """F131"""
        folder = CandleFolder(tmp_path)
        market = candles_of([1.0, 2.0])
        simulated = make_candles(
            symbol="TEST",
            timeframe=market.timeframe,
            source="dice",
            columns={name: getattr(market, name) for name in COLUMNS},
            is_simulated=True,
        )

        folder.keep(market)
        folder.keep(simulated)

        assert folder.names() == ["SIMULATED-TEST_1h", "TEST_1h"]
        assert [one.is_simulated for one in folder.list()] == [True, False]

    @pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
    @pytest.mark.parametrize("simulated", [False, True])
    def test_exports_what_comes_in_again_number_for_number(self, tmp_path, name, simulated):
        """F131: the word SIMULATED travels with the file."""
        candles = walk(500, seed=4)
        candles = make_candles(
            symbol="TEST",
            timeframe=candles.timeframe,
            source="a test",
            columns={one: getattr(candles, one) for one in COLUMNS},
            is_simulated=simulated,
        )
        path = tmp_path / name

        (write_parquet if name.endswith("parquet") else write_csv)(candles, path)

        (back,) = bring(path, told=Told(symbol="TEST"))
        assert back.candles.digest == candles.digest
        assert back.candles.label == candles.label

    def test_leaves_the_old_file_whole_when_writing_fails(self, tmp_path):
        folder = CandleFolder(tmp_path)
        folder.keep(candles_of([1.0, 2.0]))
        before = (tmp_path / "TEST_1h.parquet").read_bytes()

        with pytest.raises(CandlesContradictError):
            folder.keep(candles_of([5.0, 6.0]))

        assert (tmp_path / "TEST_1h.parquet").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["TEST_1h.parquet"]

    def test_says_which_candles_it_has(self, tmp_path):
        folder = CandleFolder(tmp_path)
        folder.keep(candles_of([1.0]))

        with pytest.raises(CandlesMissingError, match="known=TEST_1h"):
            folder.get("BTCUSDT_1m")

    def test_reads_another_programs_parquet(self, tmp_path):
        path = tmp_path / "other.parquet"
        pl.DataFrame(
            {"time": [0, 3600], "open": [1, 1], "high": [1, 1], "low": [1, 1], "close": [1, 1]}
        ).write_parquet(path)

        assert len(read_rows(path)) == 1
        assert len(bring(path, told=Told())[0].candles) == 2
