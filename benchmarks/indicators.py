"""
Indicators at once, tick by tick, and kept: `python -m benchmarks.indicators [--json]`.

TA-Lib itself is the peer. The cache's table says for each function what a look costs and what computing costs: what does not pay is
not cached. Times are of the processor, the best of several, so that what else runs does not count.
"""

import argparse
import sys
import time

import numpy as np
import talib
from talib import stream

from benchmarks.backtest import simulated
from benchmarks.report import machine, show, show_json
from pregao.research.analysis import voters
from pregao.research.indicators import batch, incremental
from pregao.research.indicators.cached import IndicatorCache, cached_indicator
from pregao.research.models import features
from pregao.research.ticks import CandleMaker
from pregao.research.timeframe import read_timeframe

WINDOW = 200  # candles that TA-Lib's stream functions look at
BATCH = {
    "RSI 14": (lambda c: batch.rsi(c.close), lambda c: talib.RSI(c.close, 14)),
    "EMA 20": (lambda c: batch.ema(c.close, period=20), lambda c: talib.EMA(c.close, 20)),
    "MACD 12/26/9": (lambda c: batch.macd(c.close).signal, lambda c: talib.MACD(c.close, 12, 26, 9)[1]),
    "Bollinger 20": (lambda c: batch.bollinger(c.close).upper, lambda c: talib.BBANDS(c.close, 20, 2, 2)[0]),
    "ATR 14": (batch.atr, lambda c: talib.ATR(c.high, c.low, c.close, 14)),
}


def best(work, *, repeats):
    """Give the least processor time of several, in microseconds."""
    work()
    least = float("inf")
    for _ in range(repeats):
        begun = time.process_time_ns()
        work()
        least = min(least, time.process_time_ns() - begun)
    return least / 1e3


def at_once(candles):
    """Ours and TA-Lib's own function over all candles."""
    lines = []
    for name, (ours, theirs) in BATCH.items():
        apart = float(np.nanmax(np.abs(ours(candles) - theirs(candles))))
        mine, peers = (
            best(lambda o=ours: o(candles), repeats=15),
            best(lambda t=theirs: t(candles), repeats=15),
        )
        lines.append(
            {"indicator": name, "ours_us": mine, "talib_us": peers, "ratio": mine / peers, "apart": apart}
        )
    return lines


def five_updates(candles):
    """Five indicators at each candle: ours bar by bar, TA-Lib's stream functions over a window."""
    highs, lows, closes = candles.high.tolist(), candles.low.tolist(), candles.close.tolist()
    bars = list(zip(highs, lows, closes, strict=True))

    def ours():
        strength, average, lines = incremental.Rsi(), incremental.Ema(period=20), incremental.Macd()
        bands, reach = incremental.Bollinger(), incremental.Atr()
        for high, low, close in bars:
            strength.add(close)
            average.add(close)
            lines.add(close)
            bands.add(close)
            reach.add(high=high, low=low, close=close)

    def theirs():
        for at in range(WINDOW, len(closes)):
            window = slice(at - WINDOW, at)
            close = candles.close[window]
            stream.RSI(close, 14)
            stream.EMA(close, 20)
            stream.MACD(close, 12, 26, 9)
            stream.BBANDS(close, 20, 2, 2)
            stream.ATR(candles.high[window], candles.low[window], close, 14)

    mine = best(ours, repeats=5) / len(closes)
    peers = best(theirs, repeats=3) / (len(closes) - WINDOW)
    return {"ours_us": mine, "talib_stream_us": peers, "times": peers / mine}


def ticks_per_second(count=200_000):
    """Trades through aggregation to candles of a minute, and five indicators looked at with each trade."""
    chance = np.random.default_rng(1)
    prices = (100 * np.exp(np.cumsum(chance.normal(0, 1e-4, count)))).tolist()
    times = np.cumsum(chance.integers(1, 200, count)).tolist()

    def work():
        maker = CandleMaker(read_timeframe("1m"))
        strength, average, lines = incremental.Rsi(), incremental.Ema(period=20), incremental.Macd()
        bands, reach = incremental.Bollinger(), incremental.Atr()
        for at, price in zip(times, prices, strict=True):
            done = maker.add(traded_at_ms=at, price=price, quantity=1.0)
            if done is not None:
                strength.add(done.close)
                average.add(done.close)
                lines.add(done.close)
                bands.add(done.close)
                reach.add(high=done.high, low=done.low, close=done.close)
            strength.peek(price)
            average.peek(price)
            lines.peek(price)
            bands.peek(price)
            reach.peek(high=price, low=price, close=price)

    return count / best(work, repeats=3) * 1e6


def cache_table():
    """For each function what a look into the cache costs, and what computing costs."""
    functions = {
        "rsi": lambda candles: batch.rsi(candles.close),
        "macd": lambda candles: batch.macd(candles.close),
        "bollinger": lambda candles: batch.bollinger(candles.close),
        "atr": batch.atr,
        # The two that are cached:
        "eight voters": voters.decide.__wrapped__,
        "a model's figures": features.figures.__wrapped__,
    }
    lines = []
    for bars in (500, 10_000, 100_000):
        candles = simulated(bars)
        digest = best(lambda c=candles: [c.__dict__.pop("digest", None), c.digest], repeats=5)
        for name, function in functions.items():
            kept = cached_indicator(IndicatorCache(monotonic=time.monotonic))(function)
            look = best(lambda k=kept, c=candles: k(c), repeats=50)
            compute = best(
                lambda f=function, c=candles: f(c),
                repeats=20 if name in ("rsi", "macd", "bollinger", "atr") else 3,
            )
            lines.append(
                {
                    "function": name,
                    "candles": bars,
                    "look_us": look,
                    "compute_us": compute,
                    "digest_us": digest,
                }
            )
    return lines


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    told = options.parse_args()
    page = {
        "machine": machine(),
        "at_once": at_once(simulated(1_000_000)),
        "five_updates": five_updates(simulated(20_000)),
        "ticks_per_second": ticks_per_second(),
        "cache": cache_table(),
    }
    if told.json:
        show_json(page)
        return 0
    rows = [[one["indicator"], one["ours_us"], one["talib_us"], one["ratio"]] for one in page["at_once"]]
    show("1,000,000 candles at once, microseconds", ("indicator", "ours", "TA-Lib", "ratio"), rows)
    five = page["five_updates"]
    print(
        f"\nFive indicators, one candle: ours {five['ours_us']:.2f} us, TA-Lib's stream functions "
        f"{five['talib_stream_us']:.2f} us, {five['times']:.1f} times."
    )
    print(
        f"Trades through candles and five indicators: {page['ticks_per_second']:,.0f} a second on one core."
    )
    rows = [
        [
            one["function"],
            one["candles"],
            one["look_us"],
            one["compute_us"],
            one["compute_us"] / one["look_us"],
        ]
        for one in page["cache"]
    ]
    show(
        "The cache: microseconds (candles are hashed once)",
        ("function", "candles", "look", "compute", "times"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
