"""
The analyzer: ticks through candles, five strategies and their signals, and its answers over HTTP.

    python -m benchmarks.analyzer [--json]
    python -m benchmarks.analyzer --quick     seconds instead of minutes, and no desk

Peers live in an environment of their own; `--peers PYTHON` names its interpreter, else `.peers/analyzer/bin/python` is taken, made
once with `uv pip install nautilus-trader==1.231.0 talipp==2.7.0` (Python 3.12). Both sides make the same candles of the same ticks; that
is looked at before anything is compared.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.analyzer_desk import measure
from benchmarks.analyzer_ticks import bare, judged_latency, latencies, simulated_tape, ticks_per_second
from benchmarks.report import machine, show, show_json

PEERS = Path(__file__).parents[1] / ".peers" / "analyzer" / "bin" / "python"
AIM_TICKS = 200_000  # a second and core
AIM_P99_MS = 1.0
AIM_REQUESTS = 100.0  # F128
RATES = (1_000, 10_000)  # ticks a second; the source asked for the first
TICKS, TICKS_QUICK = 1_000_000, 50_000


def peers_on(tape, *, python, repeats):
    """Give what the other libraries need for the same ticks; nothing where they are not installed."""
    if not python.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape.npz"
        np.savez(path, symbols=tape.symbols, times=tape.times, prices=tape.prices)
        told = subprocess.run(
            [python, Path(__file__).with_name("peer_analyzer.py"), path, str(repeats)],
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(told.stdout.splitlines()[-1])
    return {name: {**one, "per_second": len(tape) / one["cpu_seconds"]} for name, one in found.items()}


def ticks_compared(*, ticks, repeats, python):
    """Ours and the others on one tape."""
    tape = simulated_tape(ticks)
    ours = ticks_per_second(tape, repeats=repeats)
    alone = min((bare(tape) for _ in range(repeats)), key=lambda one: one["cpu_seconds"])
    assert alone["candles"] == ours["candles"], (alone["candles"], ours["candles"])
    lines = [_line("ours, all that is live", ours), _line("ours, in a bare loop", alone)]
    for name, theirs in peers_on(tape, python=python, repeats=repeats).items():
        assert theirs["candles"] == alone["candles"], (name, theirs["candles"], alone["candles"])
        assert np.allclose(theirs["closes"], alone["closes"], rtol=1e-12), name
        times = alone["per_second"] / theirs["per_second"]
        lines.append({**_line(f"{name}, in a bare loop", theirs), "times": times})
    return lines


def _line(who, one):
    return {"who": who} | {name: one[name] for name in ("per_second", "seconds", "cpu_seconds", "candles")}


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    options.add_argument("--quick", action="store_true", help="few ticks, and no desk")
    options.add_argument(
        "--peers", type=Path, default=PEERS, help="interpreter with nautilus_trader and talipp"
    )
    options.add_argument("--rate", type=float, default=AIM_REQUESTS, help="questions a second")
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--no-ceiling", action="store_true")
    options.add_argument("--json", action="store_true")
    told = options.parse_args()
    ticks, repeats, seconds = (TICKS_QUICK, 1, 1.0) if told.quick else (TICKS, 5, told.seconds)
    page = {
        "machine": machine(),
        "ticks": ticks_compared(ticks=ticks, repeats=repeats, python=told.peers),
        "latency": latencies(rates=RATES, seconds=seconds),
    }
    if not told.quick:
        page["latency"].append(judged_latency(rate=1_000, seconds=seconds))
        page |= asyncio.run(measure(rate=told.rate, seconds=seconds, with_ceiling=not told.no_ceiling))
    if told.json:
        show_json(page)
        return 0
    _show(page)
    return 0


def _show(page):
    show(
        f"Ticks through candles of a second, five incremental indicators, their strategies (aim {AIM_TICKS:,} a second)",
        ("who", "ticks/s of processor", "ours bare, times"),
        [[one["who"], one["per_second"], one.get("times")] for one in page["ticks"]],
    )
    show(
        f"From the tick that ends a candle to the signal (aim p99 {AIM_P99_MS:g} ms at 1,000 ticks/s)",
        ("strategies", "ticks/s", "signals", "p50 ms", "p95 ms", "p99 ms"),
        [
            [one[n] for n in ("strategies", "ticks_per_second", "signals", "p50_ms", "p95_ms", "p99_ms")]
            for one in page["latency"]
        ],
    )
    if "requests" in page:
        ten = page["ten_symbols"]
        print(
            f"\nTen symbols of a venue that takes 100 ms, over HTTP: {ten['ours_ms']:.0f} ms; one answer of it alone "
            f"{ten['one_answer_ms']:.0f} ms, {ten['ratio']:.2f} times."
        )
        show(
            f"GET /api/signals/SYMBOL, 2,000 candles each (aim {AIM_REQUESTS:g} a second)",
            ("asked/s", "sent", "answered", "req/s", "p50 ms", "p95 ms", "p99 ms"),
            [
                [
                    one[n]
                    for n in ("rate_asked", "sent", "accepted", "per_second", "p50_ms", "p95_ms", "p99_ms")
                ]
                for one in page["requests"]
            ],
        )
        print(
            f"Sustained {page['sustained_per_second']:,.0f}/s; one core computes {page['computed_per_second']:,.0f}/s "
            "with nothing around it and nothing kept."
        )
    print(json.dumps(page["machine"]))


if __name__ == "__main__":
    sys.exit(main())
