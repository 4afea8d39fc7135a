"""Binance's candles: closed ones only, at the weight that the venue counts."""

from decimal import Decimal

import pytest

from pregao.domain.candle import Candle, Timeframe
from pregao.domain.clock import from_ms
from pregao.domain.venue import RetryLater, VenueError
from pregao.edges.exchanges.binance.candles import BinanceBars, BinanceCandles
from pregao.views.bars import BARS_MAX, Bar, Window

WINDOW = Window(timeframe=Timeframe.MINUTE, since=from_ms(0), until=from_ms(120_000))
KLINES = ("GET", "/fapi/v1/klines")
MINUTE_MS = 60_000


def row(opened_ms: int, *, high: str = "101.5", low: str = "99", close: str = "100"):
    """Give a row as Binance lists it: times are numbers, prices are text."""
    return [opened_ms, "100", high, low, close, "7", opened_ms + MINUTE_MS - 1, "700", 3, "2", "200", "0"]


class TestBinanceCandles:
    async def test_leaves_out_the_one_that_still_grows(self, exchange, venue):
        now_ms = exchange.venue_now_ms()
        start_ms = now_ms - now_ms % MINUTE_MS - 2 * MINUTE_MS
        rows = [row(start_ms, high="102"), row(start_ms + MINUTE_MS), row(start_ms + 2 * MINUTE_MS)]
        venue.answers[KLINES] = rows

        found = await BinanceCandles(exchange).candles("BTCUSDT", timeframe=Timeframe.MINUTE, limit=99)

        assert found == [
            Candle(opened_at=from_ms(start_ms), high=Decimal(102), low=Decimal(99), close=Decimal(100)),
            Candle(
                opened_at=from_ms(start_ms + MINUTE_MS),
                high=Decimal("101.5"),
                low=Decimal(99),
                close=Decimal(100),
            ),
        ]
        [asked] = venue.asked("/fapi/v1/klines")
        assert asked.query == {"symbol": "BTCUSDT", "interval": "1m", "limit": "99"}

    @pytest.mark.parametrize(("limit", "weight"), [(99, 1), (100, 2), (499, 2), (500, 5), (1_000, 5)])
    async def test_counts_what_the_venue_counts(self, exchange, venue, limit, weight):
        venue.answers[KLINES] = []

        await BinanceCandles(exchange).candles("BTCUSDT", timeframe=Timeframe.HOUR, limit=limit)

        assert exchange.usage.weight_used == weight

    async def test_that_cannot_be_read_are_the_venues_fault(self, exchange, venue):
        venue.answers[KLINES] = {"code": 0}

        with pytest.raises(VenueError):
            await BinanceCandles(exchange).candles("BTCUSDT", timeframe=Timeframe.HOUR, limit=99)


class TestBinanceBars:
    async def test_are_the_windows_with_the_one_that_still_grows(self, exchange, venue):
        venue.answers[KLINES] = [row(0, high="102"), row(MINUTE_MS)]

        found = await BinanceBars(exchange).bars("BTCUSDT", WINDOW)

        assert found[0] == Bar(
            opened_at=from_ms(0), open=Decimal(100), high=Decimal(102), low=Decimal(99), close=Decimal(100)
        )
        assert len(found) == 2
        [asked] = venue.asked("/fapi/v1/klines")
        assert asked.query == {
            "symbol": "BTCUSDT", "interval": "1m", "startTime": "0", "endTime": "120000", "limit": str(BARS_MAX),
        }  # fmt: skip

    async def test_are_not_asked_for_where_the_weight_is_kept_for_what_matters_more(self, exchange, venue):
        """Stops are still measured when charts are not drawn any more."""
        venue.answers[KLINES] = []
        candles = BinanceCandles(exchange)
        while exchange.usage.weight_used < exchange.usage.weight_max * 0.65:
            await candles.candles("BTCUSDT", timeframe=Timeframe.HOUR, limit=1_500)

        with pytest.raises(RetryLater, match="WEIGHT_NEARLY_USED"):
            await BinanceBars(exchange).bars("BTCUSDT", WINDOW)
        assert await candles.candles("BTCUSDT", timeframe=Timeframe.HOUR, limit=99) == []
