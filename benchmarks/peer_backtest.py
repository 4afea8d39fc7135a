"""
The other side of `benchmarks.backtest`: vectorbt and backtesting.py do the same work, in an environment of their own.

Run by that environment's Python, with a file of candles (.npz) and the task as JSON; it prints what it found as JSON.
"""

import gc
import json
import sys
import time
from statistics import median

import numpy as np
import pandas as pd

TERMS = {"sl_stop": 0.025, "tp_stop": 0.05}
CHUNK = 50  # combinations at once: more take gigabytes


def main():
    candles = dict(np.load(sys.argv[1]))
    task = json.loads(sys.argv[2])
    found = {}
    for name in task["cases"]:
        case = CASES[name]
        if task["warm"]:
            case(candles, task)  # compiled and warm after this
        times, answer = [], None
        for _ in range(task["repeats"]):
            begun, cpu = time.perf_counter(), time.process_time()
            answer = case(candles, task)
            times.append((time.perf_counter() - begun, time.process_time() - cpu))
        found[name] = {
            "seconds": median(wall for wall, _ in times),
            "cpu_seconds": median(cpu for _, cpu in times),
            **answer,
        }
    print(json.dumps(found))


def frame_of(candles):
    index = pd.to_datetime(candles["opened_at_ms"], unit="ms")
    return {name: pd.Series(candles[name], index=index) for name in ("open", "high", "low", "close")}


def vectorbt_one(candles, task):
    import vectorbt as vbt

    prices = frame_of(candles)
    fast, slow = vbt.MA.run(prices["close"], task["fast"]), vbt.MA.run(prices["close"], task["slow"])
    portfolio = signals_to_portfolio(
        vbt, prices, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow), task
    )
    return {
        "final_equity": [float(portfolio.final_value())],
        "trades": [int(portfolio.trades.closed.count())],
        "drawdown": float(portfolio.max_drawdown()),
        "sharpe": float(portfolio.sharpe_ratio()),
    }


def vectorbt_sweep(candles, task):
    import vectorbt as vbt

    prices = frame_of(candles)
    finals, trades = [], []
    for at in range(0, len(task["pairs"]), CHUNK):
        fasts, slows = zip(*task["pairs"][at : at + CHUNK], strict=True)
        fast = vbt.MA.run(prices["close"], list(fasts), run_unique=True).ma.to_numpy()
        slow = vbt.MA.run(prices["close"], list(slows), run_unique=True).ma.to_numpy()
        fast, slow = (
            pd.DataFrame(fast, index=prices["close"].index),
            pd.DataFrame(slow, index=prices["close"].index),
        )
        entries, exits = fast.vbt.crossed_above(slow), fast.vbt.crossed_below(slow)
        portfolio = signals_to_portfolio(vbt, prices, entries, exits, task)
        finals += portfolio.final_value().tolist()
        trades += portfolio.trades.closed.count().tolist()
        portfolio.max_drawdown()
        portfolio.sharpe_ratio()
        del portfolio, entries, exits
        gc.collect()  # or chunk after chunk stays: twenty gigabytes in the end
    return {"final_equity": finals, "trades": trades}


def vectorbt_signals(candles, task):
    """From arrays of signals that somebody else made."""
    import vectorbt as vbt

    prices = frame_of(candles)
    finals, trades = [], []
    levels = np.load(task["signals"], mmap_mode="r")
    for at in range(0, len(levels), CHUNK):
        wanted = levels[at : at + CHUNK].T
        before = np.vstack([np.zeros((1, wanted.shape[1]), dtype=wanted.dtype), wanted[:-1]])
        entries = pd.DataFrame((wanted == 1) & (before != 1), index=prices["close"].index)
        exits = pd.DataFrame((wanted != 1) & (before == 1), index=prices["close"].index)
        portfolio = signals_to_portfolio(vbt, prices, entries, exits, task)
        finals += portfolio.final_value().tolist()
        trades += portfolio.trades.closed.count().tolist()
        portfolio.max_drawdown()
        portfolio.sharpe_ratio()
        del portfolio, entries, exits
        gc.collect()  # or chunk after chunk stays: twenty gigabytes in the end
    return {"final_equity": finals, "trades": trades}


def signals_to_portfolio(vbt, prices, entries, exits, task):
    return vbt.Portfolio.from_signals(
        prices["close"],
        entries.vbt.signals.fshift(1),
        exits.vbt.signals.fshift(1),
        price=prices["open"],
        open=prices["open"],
        high=prices["high"],
        low=prices["low"],
        stop_entry_price="fillprice",
        fees=task["fee"],
        init_cash=task["start"],
        freq=task["freq"],
        **TERMS,
    )


def backtesting_one(candles, task):
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    def mean(values, period):
        return pd.Series(values).rolling(period).mean()

    class Crossing(Strategy):
        def init(self):
            self.fast = self.I(mean, self.data.Close, task["fast"])
            self.slow = self.I(mean, self.data.Close, task["slow"])

        def next(self):
            for (
                trade
            ) in self.trades:  # set once the price of the fill is known: they count from the next candle on
                if trade.sl is None:
                    trade.sl, trade.tp = trade.entry_price * 0.975, trade.entry_price * 1.05
            if crossover(self.fast, self.slow) and not self.position:
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()

    prices = frame_of(candles)
    frame = pd.DataFrame({name.capitalize(): column for name, column in prices.items()})
    run = Backtest(frame, Crossing, cash=task["start"], commission=task["fee"], finalize_trades=False)
    stats = run.run()
    return {
        "final_equity": [float(stats["Equity Final [$]"])],
        "trades": [len(stats["_trades"])],
        "drawdown": float(stats["Max. Drawdown [%]"]) / 100,
    }


CASES = {
    "vectorbt_one": vectorbt_one,
    "vectorbt_sweep": vectorbt_sweep,
    "vectorbt_signals": vectorbt_signals,
    "backtesting_one": backtesting_one,
}

if __name__ == "__main__":
    main()
