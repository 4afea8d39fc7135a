"""
The other side of `benchmarks.analyzer`: candles and the same five kinds of indicators with other libraries' incremental forms.

Run by the peers' own Python, with a tape (.npz); it prints what it found as JSON. Candles are made by the plainest loop there is: no
library of these makes them of ticks without a whole platform around. Nothing is kept, counted or told, which ours does.
"""

import json
import sys
import time

import numpy as np

CANDLE_MS = 1_000


def through(tape, make):
    making, closes, candles, crossings = {}, {}, 0, 0
    begun, cpu = time.perf_counter(), time.process_time()
    for symbol, at, price in tape:
        opened = at - at % CANDLE_MS
        candle = making.get(symbol)
        if candle is None:
            making[symbol] = [opened, price, price, price, make()]
        elif opened != candle[0]:
            crossings += candle[4](candle[1], candle[2], candle[3])
            closes[symbol] = closes.get(symbol, 0.0) + candle[3]
            candles += 1
            candle[0], candle[1], candle[2], candle[3] = opened, price, price, price
        else:
            candle[1] = max(candle[1], price)
            candle[2] = min(candle[2], price)
            candle[3] = price
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - cpu,
        "candles": candles,
        "closes": [closes[symbol] for symbol in sorted(closes)],
        "signals": crossings,
    }


def nautilus():
    """Its compiled indicators, updated with plain numbers."""
    from nautilus_trader.indicators import (
        BollingerBands,
        DonchianChannel,
        ExponentialMovingAverage,
        MovingAverageConvergenceDivergence,
        RelativeStrengthIndex,
    )

    def make():
        fast, slow = ExponentialMovingAverage(9), ExponentialMovingAverage(21)
        strength, bands, channel = RelativeStrengthIndex(14), BollingerBands(20, 2.0), DonchianChannel(20)
        macd, signal = MovingAverageConvergenceDivergence(12, 26), ExponentialMovingAverage(9)
        side = 0

        def bar(high, low, close):
            nonlocal side
            fast.update_raw(close)
            slow.update_raw(close)
            strength.update_raw(close)
            macd.update_raw(close)
            signal.update_raw(macd.value)
            bands.update_raw(high, low, close)
            channel.update_raw(high, low)
            before, side = side, 1 if fast.value > slow.value else -1
            return before not in (0, side)

        return bar

    return make


def talipp():
    """Pure Python."""
    from talipp.indicators import BB, EMA, MACD, RSI, DonchianChannels
    from talipp.ohlcv import OHLCV

    def make():
        fast, slow = EMA(9), EMA(21)
        strength, bands, channel, macd = RSI(14), BB(20, 2), DonchianChannels(20), MACD(12, 26, 9)
        side = 0

        def bar(high, low, close):
            nonlocal side
            for one in (fast, slow, strength, bands, macd):
                one.add(close)
            channel.add(OHLCV(close, high, low, close))
            if slow[-1] is None:
                return 0
            before, side = side, 1 if fast[-1] > slow[-1] else -1
            return before not in (0, side)

        return bar

    return make


LIBRARIES = {"nautilus_trader 1.231.0": nautilus, "talipp 2.7.0": talipp}


def main():
    held = np.load(sys.argv[1])
    tape = list(zip(held["symbols"].tolist(), held["times"].tolist(), held["prices"].tolist(), strict=True))
    found = {}
    for name, load in LIBRARIES.items():
        rounds = [through(tape, load()) for _ in range(int(sys.argv[2]))]
        found[name] = min(rounds, key=lambda one: one["cpu_seconds"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
