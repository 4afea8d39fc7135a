"""Trades become candles; the tape of XRP/ETH and another project's candles of it are the judge."""

import numpy as np
import pytest

from pregao.research.candles import CandlesUnusableError
from pregao.research.ticks import CandleMaker, candles_of_trades
from pregao.research.timeframe import read_timeframe
from tests.rooms.research.made import real, tape

COLUMNS = ("opened_at_ms", "open", "high", "low", "close", "volume")


def trades_of(name):
    frame = tape(name)
    return frame["ts_ms"].to_numpy(), frame["price"].to_numpy(), frame["qty"].cast(float).to_numpy()


def made(times, prices, quantities, *, timeframe="1m"):
    return candles_of_trades(
        symbol="XRPETH",
        source="tape",
        timeframe=read_timeframe(timeframe),
        traded_at_ms=np.asarray(times, dtype=np.int64),
        prices=np.asarray(prices, dtype=float),
        quantities=np.asarray(quantities, dtype=float),
    )


def one_by_one(times, prices, quantities, *, timeframe):
    maker = CandleMaker(read_timeframe(timeframe))
    for at, price, quantity in zip(times.tolist(), prices.tolist(), quantities.tolist(), strict=True):
        if (candle := maker.add(traded_at_ms=at, price=price, quantity=quantity)) is not None:
            yield candle
    yield maker.current


class TestCandlesOfTrades:
    @pytest.mark.parametrize("timeframe", ["1m", "5m"])
    def test_are_those_of_the_judge_number_for_number(self, timeframe):
        candles = made(*trades_of("binance_XRPETH_aggtrades_201910"), timeframe=timeframe)

        judge = real(f"binance_XRPETH_{timeframe}")
        for name in COLUMNS:
            assert np.array_equal(getattr(candles, name), getattr(judge, name)), name

    @pytest.mark.parametrize("timeframe", ["1m", "5m"])
    @pytest.mark.parametrize("name", ["binance_XRPETH_aggtrades_201910", "coinbase_BTC-USD_trades_20230905"])
    def test_are_the_same_made_trade_by_trade(self, name, timeframe):
        tape_of_it = trades_of(name)
        candles = made(*tape_of_it, timeframe=timeframe)

        singles = list(one_by_one(*tape_of_it, timeframe=timeframe))

        for column in COLUMNS:
            assert [getattr(one, column) for one in singles] == getattr(candles, column).tolist()

    def test_leave_out_what_is_no_trade(self):
        """Binance's stream of trades sends rows with price 0 and quantity 0; the tape of TRXUSDT holds one."""
        times, prices, quantities = trades_of("binance_TRXUSDT_usdm_trades_20250304")
        assert (prices == 0).sum() == 1

        candles = made(times, prices, quantities)

        assert candles.low.min() > 0.23
        assert candles.volume.sum() == pytest.approx(quantities.sum(), rel=1e-12)

    def test_are_none_of_an_empty_tape(self):
        assert len(made([], [], [])) == 0
        assert CandleMaker(read_timeframe("1m")).current is None

    def test_are_refused_when_times_go_back(self):
        with pytest.raises(CandlesUnusableError, match="TRADES_NOT_IN_ORDER"):
            made([60_000, 59_999], [1, 1], [1, 1])

    def test_refuse_a_trade_that_is_older_than_its_candle(self):
        maker = CandleMaker(read_timeframe("1m"))
        maker.add(traded_at_ms=60_000, price=1.0, quantity=1.0)

        with pytest.raises(CandlesUnusableError, match="TRADES_NOT_IN_ORDER"):
            maker.add(traded_at_ms=59_999, price=1.0, quantity=1.0)

    def test_add_volumes_without_rounding_on_the_way(self):
        assert made([0] * 10, [1] * 10, [0.1] * 10).volume.tolist() == [1.0]
