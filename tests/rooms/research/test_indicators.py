"""Indicators: against TradingView's own ratings, and the incremental forms against the batch ones at every bar."""

import json
from math import isnan

import numpy as np
import pytest

from pregao.research.candles import CandlesUnusableError, make_candles
from pregao.research.indicators import batch, incremental
from pregao.research.indicators.rating import Rating, Recommendation, rate
from pregao.research.timeframe import read_timeframe
from tests.rooms.research.made import SHARED, candles_of, real, walk

RATED = {"tradingview_rating_BTCUSDT_1m": "1m", "tradingview_rating_ETHBTC_5m": "5m"}
SERIES = ("walk", "binance_XRPETH_1m", "spot_ADABTC_5m", "binance_BTCUSDT_1h_202605", "deriv_R_100_1m_202512")


def series(name):
    return walk(2_000, seed=5) if name == "walk" else real(name).part(0, 2_400)


def bars_of(candles):
    return zip(candles.high.tolist(), candles.low.tolist(), candles.close.tolist(), strict=True)


FORMS = {
    "sma": (lambda c: (batch.sma(c.close, period=10),), lambda: incremental.Sma(period=10), False),
    "ema": (lambda c: (batch.ema(c.close, period=20),), lambda: incremental.Ema(period=20), False),
    "rsi": (lambda c: (batch.rsi(c.close),), incremental.Rsi, False),
    "macd": (lambda c: _lines(batch.macd(c.close)), incremental.Macd, False),
    "bollinger": (lambda c: _lines(batch.bollinger(c.close)), incremental.Bollinger, False),
    "atr": (lambda c: (batch.atr(c),), incremental.Atr, True),
    "stochastic": (lambda c: _lines(batch.stochastic(c)), incremental.Stochastic, True),
}


def _lines(found):
    return tuple(getattr(found, name) for name in found.__slots__)


class TestIncremental:
    @pytest.mark.parametrize("name", SERIES)
    @pytest.mark.parametrize("form", FORMS)
    def test_equals_the_batch_form_at_every_bar(self, form, name):
        candles = series(name)
        at_once, make, takes_bars = FORMS[form]
        expected = np.column_stack(at_once(candles))

        one = make()
        found, looked = [], []
        for high, low, close in bars_of(candles):
            told = {"high": high, "low": low, "close": close}
            peeked = one.peek(**told) if takes_bars else one.peek(close)
            added = one.add(**told) if takes_bars else one.add(close)
            looked.append(peeked if isinstance(peeked, tuple) else (peeked,))
            found.append(added if isinstance(added, tuple) else (added,))

        assert np.array_equal(np.isnan(expected), np.isnan(found))
        scale = 100.0 if form in ("rsi", "stochastic") else candles.close.max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=scale * 1e-9)
        np.testing.assert_allclose(looked, expected, rtol=0, atol=scale * 1e-9)

    def test_does_not_drift_over_a_hundred_thousand_bars(self):
        closes = walk(100_000, seed=6, volatility=0.002).close
        bands, mean = incremental.Bollinger(), incremental.Sma(period=20)

        for close in closes.tolist():
            last_bands, last_mean = bands.add(close), mean.add(close)

        assert last_mean == pytest.approx(closes[-20:].mean(), rel=1e-13)
        assert last_bands[0] == pytest.approx(closes[-20:].mean() + 2 * closes[-20:].std(), rel=1e-13)

    def test_sees_small_deviations_of_large_prices(self):
        closes = [1e6 + 1e-4 * (number % 2) for number in range(40)]
        bands = incremental.Bollinger()

        for close in closes:
            last = bands.add(close)

        assert last[0] - last[2] == pytest.approx(4 * 0.5e-4, rel=1e-4)

    def test_changes_nothing_by_looking(self):
        one, other = incremental.Macd(), incremental.Macd()
        for close in walk(100, seed=7).close.tolist():
            for tick in (close * 0.9, close * 1.1):
                one.peek(tick)
            found, expected = one.add(close), other.add(close)
            assert found == expected or isnan(expected[0])


class TestRating:
    @pytest.mark.parametrize("name", RATED)
    def test_is_tradingviews(self, name):
        told = json.loads((SHARED / "indicator_reference" / f"{name}.json").read_text())
        rows = np.array([[float(value) for value in row[:6]] for row in told["klines"]]).T
        names = ("opened_at_ms", "open", "high", "low", "close", "volume")
        candles = make_candles(
            symbol=told["symbol"],
            timeframe=read_timeframe(RATED[name]),
            source="TradingView",
            columns=dict(zip(names, rows, strict=True)),
        )

        rating = rate(candles)

        expected = told["expected"]
        assert rating.of_averages == pytest.approx(expected["recommendMa"], abs=1e-12)
        assert rating.of_oscillators == pytest.approx(expected["recommendOther"], abs=1e-12)
        assert rating.of_all == pytest.approx(expected["recommendAll"], abs=1e-12)
        assert rating.recommendation == expected["recommendation"].lower()
        votes = {**rating.oscillators, **rating.averages}
        ours = ("stochastic_rsi", "williams", "bull_bear", "ultimate", "ichimoku", "vwma20", "hull9")
        theirs = ("stochRsi", "wr", "bbPower", "uo", "ichimokuBLine", "vwma20", "hullMa9")
        assert [votes[one] for one in ours] == [expected["directVotes"][one] for one in theirs]

    def test_has_fifteen_averages_and_eleven_oscillators(self):
        rating = rate(walk(300, seed=8))

        assert (len(rating.averages), len(rating.oscillators)) == (15, 11)

    def test_says_strong_above_a_half_and_nothing_up_to_a_tenth(self):
        def said(averages, oscillators):
            return Rating(averages={"a": averages}, oscillators={"o": oscillators}).recommendation

        assert [said(1, 1), said(1, 0), said(0, 0), said(-1, 0), said(-1, -1)] == [
            Recommendation.STRONG_BUY,
            Recommendation.BUY,
            Recommendation.NEUTRAL,
            Recommendation.SELL,
            Recommendation.STRONG_SELL,
        ]

    def test_counts_a_voter_as_neutral_until_it_has_seen_enough(self):
        rating = rate(walk(60, seed=9))

        assert rating.averages["sma200"] == rating.averages["ema100"] == 0
        assert rating.averages["sma50"] != 0

    def test_needs_no_volume(self):
        assert rate(real("deriv_R_100_1m_202512")).averages["vwma20"] == 0

    def test_refuses_two_candles(self):
        with pytest.raises(CandlesUnusableError, match="CANDLES_TOO_FEW"):
            rate(candles_of([1.0, 2.0]))
