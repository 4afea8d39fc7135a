"""
Backtests of ours and of others on the same candles, in one run: `python -m benchmarks.backtest [--quick] [--json]`.

The peers, vectorbt and backtesting.py, live in an environment of their own; `--peers PYTHON` names its interpreter, else
`.peers/backtest/bin/python` is taken, made once with `uv pip install vectorbt==1.2.0 backtesting==0.6.6`. Without them the plain
backtest of ours is the only peer.

Every comparison holds only if both sides find the same trades: final equities are compared, and the largest relative difference is shown.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.report import machine, show, show_json
from pregao.research.backtests import compiled, plain
from pregao.research.backtests.sweep import sweep, sweep_wanted
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import figures_of_outcome, try_out
from pregao.research.candles import make_candles
from pregao.research.strategies.shipped import STRATEGIES
from pregao.research.timeframe import read_timeframe

PEERS = Path(__file__).parents[1] / ".peers" / "backtest" / "bin" / "python"
SMA = STRATEGIES["sma_cross"]
VALUES = SMA.filled({"fast": 10, "slow": 30, "shorts": 0, "stop_pct": 2.5, "target_pct": 5})
F112_CANDLES = 10_000  # ten times the event-driven engine's speed is promised there
LONG_SERIES = 50_000  # candles from which no fee is taken: it would leave nothing of the account to compare


def terms_of(peer, bars):
    """Give the terms on which the peer trades."""
    terms = Terms(
        size=1.0,
        fee_bps=0.0 if bars > LONG_SERIES else 10.0,
        start=1e9,
        stops_wait_a_bar=True,
        closes_at_end=False,
    )
    return replace(terms, stops_first=True) if peer == "vectorbt" else replace(terms, quantity_step=1.0)


PAIRS = [(fast, slow) for fast in range(5, 45) for slow in range(50, 75)]


def simulated(bars, *, seed=1):
    """Walk at random, half a percent a candle; a candle opens where the last one closed."""
    chance = np.random.default_rng(seed)
    closes = np.exp(np.cumsum(chance.normal(0, 0.005, bars)))
    opens = np.append([1.0], closes[:-1])
    wick = np.abs(chance.normal(0, 0.002, (2, bars)))
    return make_candles(
        symbol="WALK",
        timeframe=read_timeframe("1h"),
        source="benchmark",
        is_simulated=True,
        columns={
            "opened_at_ms": np.arange(bars) * 3_600_000,
            "open": opens,
            "high": np.maximum(opens, closes) * (1 + wick[0]),
            "low": np.minimum(opens, closes) * (1 - wick[1]),
            "close": closes,
        },
    )


def timed(work, *, repeats):
    """Give the answer, and the median seconds of wall and of processor time, warm."""
    answer = work()
    times = []
    for _ in range(repeats):
        begun, cpu = time.perf_counter(), time.process_time()
        answer = work()
        times.append((time.perf_counter() - begun, time.process_time() - cpu))
    return answer, median(wall for wall, _ in times), median(cpu for _, cpu in times)


class Peer:
    """The other side, asked for one case after the other; None where it is not installed."""

    def __init__(self, python, folder):
        self._python = python if python.exists() else None
        self._folder = Path(folder)

    def ask(self, case, candles, *, repeats, **task):
        if self._python is None:
            return None
        path = self._folder / "candles.npz"
        names = ("opened_at_ms", "open", "high", "low", "close")
        np.savez(path, **{name: getattr(candles, name) for name in names})
        told = {
            "cases": [case],
            "repeats": repeats,
            "fast": 10,
            "slow": 30,
            "fee": 0.0 if len(candles) > LONG_SERIES else 0.001,
            "start": 1e9,
            "freq": "1h",
            "pairs": PAIRS,
            "warm": True,
            **task,
        }
        run = subprocess.run(
            [self._python, Path(__file__).with_name("peer_backtest.py"), path, json.dumps(told)],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(run.stdout.splitlines()[-1])[case]


def row(what, bars, ours, theirs, *, peer):
    """One line: our times, theirs, how many times faster, and how far the results are apart."""
    (finals, trades), wall, cpu = ours
    line = {"what": what, "candles": bars, "peer": peer, "ours_ms": wall * 1e3, "ours_cpu_ms": cpu * 1e3}
    if theirs is not None:
        apart = np.abs(np.array(finals) / np.array(theirs["final_equity"]) - 1).max()
        same = int((np.array(trades) == np.array(theirs["trades"])).sum())
        line |= {
            "peer_ms": theirs["seconds"] * 1e3,
            "times": theirs["seconds"] / wall,
            "times_cpu": theirs["cpu_seconds"] / cpu,
            "equity_apart": float(apart),
            "equal_trade_counts": f"{same} of {len(trades)}",
        }
    return line


def one_run(candles, terms, *, repeats):
    def work():
        trial, _ = try_out(candles, SMA, VALUES, terms)
        return [trial.figures.final_equity], [trial.figures.trades]

    return timed(work, repeats=repeats)


def plain_run(candles, terms):
    begun, cpu = time.perf_counter(), time.process_time()
    figures = figures_of_outcome(plain.replay(candles, SMA.plan(candles, VALUES), terms))
    return {
        "final_equity": [figures.final_equity],
        "trades": [figures.trades],
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - cpu,
    }


def swept(candles, pairs, *, repeats):
    combinations = [{**VALUES, "fast": fast, "slow": slow} for fast, slow in pairs]

    def work():
        table = sweep(candles, SMA, combinations, terms_of("vectorbt", len(candles))).table
        return table["final_equity"], table["trades"]

    return timed(work, repeats=repeats)


def swept_signals(candles, levels, *, repeats):
    def work():
        table = sweep_wanted(
            candles, levels, terms_of("vectorbt", len(candles)), stop=0.025, target=0.05
        ).table
        return table["final_equity"], table["trades"]

    return timed(work, repeats=repeats)


def measure(options, folder):
    """Give all lines."""
    peer = Peer(options.peers, folder)
    lines = []
    sizes = (5_000,) if options.quick else (5_000, 1_000_000)
    for bars in sizes:
        candles = simulated(bars)
        few = 3 if bars > 100_000 else 9
        theirs = peer.ask("vectorbt_one", candles, repeats=few)
        lines.append(
            row(
                "one run",
                bars,
                one_run(candles, terms_of("vectorbt", bars), repeats=25),
                theirs,
                peer="vectorbt",
            )
        )
        theirs = peer.ask("backtesting_one", candles, repeats=1 if bars > 100_000 else 5)
        lines.append(
            row(
                "one run",
                bars,
                one_run(candles, terms_of("backtesting.py", bars), repeats=25),
                theirs,
                peer="backtesting.py",
            )
        )
        theirs = plain_run(candles, terms_of("vectorbt", bars))
        lines.append(
            row(
                "one run",
                bars,
                one_run(candles, terms_of("vectorbt", bars), repeats=25),
                theirs,
                peer="plain",
            )
        )
    candles = simulated(F112_CANDLES)
    ours = one_run(candles, terms_of("vectorbt", F112_CANDLES), repeats=25)
    theirs = plain_run(candles, terms_of("vectorbt", F112_CANDLES))
    lines.append(row("one run (F112: 10 times)", F112_CANDLES, ours, theirs, peer="plain"))
    for bars in (
        (5_000,) if options.quick else (5_000, 100_000)
    ):  # vectorbt takes a minute and a half for the long one
        candles = simulated(bars)
        theirs = peer.ask("vectorbt_sweep", candles, repeats=1 if bars > LONG_SERIES else 3)
        ours = swept(candles, PAIRS, repeats=9)
        lines.append(row(f"sweep of {len(PAIRS):,} pairs", bars, ours, theirs, peer="vectorbt"))
    candles = simulated(5_000)
    levels = np.array(
        [SMA.plan(candles, {**VALUES, "fast": fast, "slow": slow}).wanted for fast, slow in PAIRS]
    )
    np.save(Path(folder) / "levels.npy", levels)
    theirs = peer.ask("vectorbt_signals", candles, repeats=3, signals=str(Path(folder) / "levels.npy"))
    ours = swept_signals(candles, levels, repeats=9)
    lines.append(row("1,000 rows of signals", 5_000, ours, theirs, peer="vectorbt"))
    return lines


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="5,000 candles only")
    options.add_argument(
        "--peers", type=Path, default=PEERS, help="interpreter with vectorbt and backtesting.py"
    )
    options.add_argument("--json", action="store_true")
    told = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = {"machine": machine(), "compiler": compiled.__name__, "lines": measure(told, folder)}
    if told.json:
        show_json(page)
        return 0
    columns = (
        "what",
        "candles",
        "peer",
        "ours ms",
        "ours cpu ms",
        "peer ms",
        "times",
        "times cpu",
        "apart",
        "equal trades",
    )
    names = (
        "what", "candles", "peer", "ours_ms", "ours_cpu_ms", "peer_ms", "times", "times_cpu", "equity_apart", "equal_trade_counts",
    )  # fmt: skip
    rows = [
        [
            f"{line[name]:.1e}" if name == "equity_apart" and name in line else line.get(name, "-")
            for name in names
        ]
        for line in page["lines"]
    ]
    show(
        "Backtests: SMA 10/30, stop 2.5 %, target 5 %, fee 0.1 % (none on long series), SIMULATED candles",
        columns,
        rows,
    )
    if not told.peers.exists():
        print("\nvectorbt and backtesting.py are not installed; the plain backtest of ours is the only peer.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
