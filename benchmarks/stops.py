"""
Stops in memory: how many price ticks a second pass through the stop book, beside a loop over every stop.

Both look at the same ticks and must say the same, or the figures mean nothing. The trailing run lets every stop follow
its price by hand-span; moving a stop is what an operator or a trail does to the book. The way from the socket to the book
is `benchmarks.feed`, which runs last.
"""

import argparse
import csv
import gc
import gzip
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import machine, show, show_json
from pregao.domain.level import Level, Method
from pregao.domain.position import Direction
from pregao.domain.stop import Stop
from pregao.domain.stop_rule import NO_COSTS, StopRule, Trailing, TrailingMode
from pregao.stops.book import Fired, StopBook

TICK = Decimal("0.01")
PLACES = {"tape": 60, "market": 500}  # how far a stop may lie, in ticks: about a third of them are reached
AIM_TICKS = 4_000_000
AIM_RATIO, AIM_RATIO_TRAILING = 100, 40
AIM_MOVE_US = 2.5
JUMP_BPS, JUMP_TICKS = 100, 5

Ticks = list[tuple[str, int]]


class WrongError(AssertionError):
    """The two did not say the same, so the figures mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """One stop in ticks, as both sides are given it."""

    position_id: int
    symbol: str
    sign: int  # 1 long, -1 short
    entry: int
    stop: int


class NaiveLoop:
    """What a loop over the stops of a symbol does, in integers; with the same rule for outliers."""

    def __init__(self, stops: Sequence[Guarded], *, trails: bool) -> None:
        """Keep them by symbol and side, as [stop, position, entry, span]; a short's prices are negative."""
        self._trails = trails
        self._sides: dict[str, tuple[list[list[int]], list[list[int]]]] = {}
        self._last: dict[str, int] = {}
        self._before: dict[str, int] = {}
        for one in stops:
            self._last[one.symbol] = self._before[one.symbol] = one.entry
            sides = self._sides.setdefault(one.symbol, ([], []))
            sides[one.sign < 0].append(
                [one.sign * one.stop, one.position_id, one.sign * one.entry, abs(one.entry - one.stop)]
            )

    def run(self, ticks: Ticks) -> list[tuple[int, int, int]]:
        """Give what fired: the tick, the position, the stop."""
        fired: list[tuple[int, int, int]] = []
        last, before, look = self._last, self._before, self._follow if self._trails else self._look
        for place, (symbol, price) in enumerate(ticks):
            one, other = last[symbol], before[symbol]
            if price <= 0:
                continue
            last[symbol], before[symbol] = price, one
            if _near(price, one) or _near(price, other):
                highest = lowest = price
            else:
                highest, lowest = max(price, one), min(price, one)
            for sign, worst, best, stops in zip(
                (1, -1), (highest, -lowest), (lowest, -highest), self._sides[symbol], strict=True
            ):
                due = look(stops, worst, best)
                fired.extend((place, stop[1], sign * stop[0]) for stop in due)
                for stop in due:
                    stops.remove(stop)
        return fired

    def _look(self, stops: list[list[int]], worst: int, _best: int) -> list[list[int]]:
        return [stop for stop in stops if worst <= stop[0]]

    def _follow(self, stops: list[list[int]], worst: int, best: int) -> list[list[int]]:
        due = []
        for stop in stops:
            level, _, entry, span = stop
            if worst <= level:
                due.append(stop)
            elif best > entry:
                new = entry + ((best - entry) // span - 1) * span
                if level < new and entry <= new:
                    stop[0] = new
        return due


def _near(price: int, other: int) -> bool:
    jump = abs(price - other)
    return jump <= JUMP_TICKS or jump * 10_000 <= other * JUMP_BPS


def open_books(stops: Sequence[Guarded], *, trails: bool) -> dict[str, StopBook]:
    """Give our books, one for each symbol, with all stops watched and the market seen once."""
    books: dict[str, StopBook] = {}
    # Without costs, as the loop beside it.
    rule = StopRule(
        stop=Level(method=Method.PERCENT, value=Decimal(1)),
        trailing=Trailing(mode=TrailingMode.HAND_SPAN) if trails else None,
        costs=NO_COSTS,
    )
    for one in stops:
        book = books.get(one.symbol)
        if book is None:
            book = books[one.symbol] = StopBook(price_tick=TICK)
            book.tick(one.entry, one.entry)
            book.tick(one.entry, one.entry)
        book.watch(
            Stop(
                position_id=one.position_id,
                direction=Direction.LONG if one.sign > 0 else Direction.SHORT,
                entry_price=one.entry * TICK,
                price_tick=TICK,
                rule=rule,
                initial_stop=one.stop * TICK,
                stop_price=one.stop * TICK,
            )
        )
    return books


def run_books(books: dict[str, StopBook], ticks: Ticks) -> tuple[list[tuple[int, int, int]], int]:
    """Give what fired, and how often a stop was raised."""
    fired: list[tuple[int, int, int]] = []
    raised = 0
    for place, (symbol, price) in enumerate(ticks):
        happened = books[symbol].tick(price, price)
        if not happened:
            continue
        for one in happened:
            if isinstance(one, Fired):
                fired.append((place, one.position_id, one.level))
            else:
                raised += 1
    return fired, raised


# --- stops and prices -------------------------------------------------------------------------------------


def simulated(chance: random.Random, *, symbols: int, count: int) -> tuple[dict[str, int], Ticks]:
    """Give where each symbol begins, and ticks of a seeded market in turns of the symbols."""
    prices = {f"S{number}": chance.randint(5_000, 80_000) for number in range(symbols)}
    starts, names, ticks = dict(prices), list(prices), []
    for _ in range(count):
        name = chance.choice(names)
        prices[name] = max(1, prices[name] + chance.choice((-3, -2, -1, 0, 1, 2, 3)))
        ticks.append((name, prices[name]))
    return starts, ticks


def recorded(
    folder: Path, chance: random.Random, *, symbols: int, count: int
) -> tuple[dict[str, int], Ticks]:
    """Give the same from recorded tapes: each symbol plays a piece of one of them."""
    tapes = [
        _tape(folder / name, tick=Decimal(tick)) for name, tick in TAPES.items() if (folder / name).exists()
    ]
    each = count // symbols
    pieces = {}
    for number in range(symbols):
        tape = chance.choices(tapes, weights=[len(tape) for tape in tapes])[0]
        start = chance.randrange(max(1, len(tape) - each))
        pieces[f"S{number}"] = (tape[start : start + each] * (each // len(tape) + 1))[:each]
    turns = [name for name in pieces for _ in range(each)]
    chance.shuffle(turns)
    playing = {name: iter(piece) for name, piece in pieces.items()}
    return {name: next(price for price in piece if price) for name, piece in pieces.items()}, [
        (name, next(playing[name])) for name in turns
    ]


TAPES = {
    "binance_LTCUSDT_trades_20250621_part1.csv.gz": "0.01",
    "binance_TRXUSDT_usdm_trades_20250304.csv.gz": "0.00001",
    "binance_TRXUSDT_spot_trades_20250304.csv.gz": "0.0001",
    "us_SPY_trades_20131007.csv.gz": "0.01",
    "coinbase_BTC-USD_trades_20230905.csv.gz": "0.01",
}


def _tape(path: Path, *, tick: Decimal) -> list[int]:
    with gzip.open(path, "rt", encoding="utf-8") as tape:
        return [int(Decimal(row["price"]) / tick) for row in csv.DictReader(tape)]


def some_stops(chance: random.Random, starts: dict[str, int], *, count: int, reach: int) -> list[Guarded]:
    """Give stops around where each symbol begins, half of them long."""
    names = list(starts)
    stops = []
    for number in range(count):
        symbol, sign = names[number % len(names)], 1 if number % 2 else -1
        entry = starts[symbol]
        stops.append(
            Guarded(
                position_id=number,
                symbol=symbol,
                sign=sign,
                entry=entry,
                stop=max(1, entry - sign * chance.randint(2, reach)),
            )
        )
    return stops


# --- measuring --------------------------------------------------------------------------------------------


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Run it and give its seconds of processor time; what stands before it is not collected meanwhile."""
    gc.collect()
    gc.freeze()
    began = time.process_time()  # one thread that never waits: others on the machine do not count
    result = function()
    seconds = time.process_time() - began
    gc.unfreeze()
    return seconds, result


def compare(
    stops: Sequence[Guarded], ticks: Ticks, *, trails: bool, rounds: int, prefix: int, sample: int
) -> dict[str, float]:
    """
    Run both in turns and give the medians: ours on all ticks, the loop on the first of them, where most stops live.

    :raises WrongError: where the two do not say the same of the first ticks, or of some symbols for all of theirs.
    """
    symbols = {f"S{number}" for number in range(sample)}
    places = [place for place, (symbol, _) in enumerate(ticks) if symbol in symbols]
    some = [one for one in stops if one.symbol in symbols]
    whole = [
        (places[place], *said)
        for place, *said in NaiveLoop(some, trails=trails).run([ticks[place] for place in places])
    ]
    known = {one.position_id for one in some}
    figures = []
    for _ in range(rounds):
        naive, books = NaiveLoop(stops, trails=trails), open_books(stops, trails=trails)
        naive_seconds, first = timed(lambda naive=naive: naive.run(ticks[:prefix]))
        seconds, (fired, raised) = timed(lambda books=books: run_books(books, ticks))
        check([one for one in fired if one[0] < prefix], first)
        check([one for one in fired if one[1] in known], whole)
        figures.append(
            {
                "ticks_per_second": len(ticks) / seconds,
                "naive_ticks_per_second": prefix / naive_seconds,
                "ratio": len(ticks) / seconds / (prefix / naive_seconds),
                "fired": len(fired),
                "compared": len({*first, *whole}),
                "raised": raised,
            }
        )
    return {name: median(one[name] for one in figures) for name in figures[0]}


def check(ours: list[tuple[int, int, int]], expected: list[tuple[int, int, int]]) -> None:
    """See that both fired the same stops at the same ticks."""
    if sorted(ours) != sorted(expected):
        raise WrongError(f"ours fired {len(ours)}, the loop {len(expected)}, or others, or at other ticks")


def percentiles(stops: Sequence[Guarded], ticks: Ticks) -> tuple[float, float]:
    """Give p50 and p99 of one tick, in microseconds, with the time it takes to look at the clock."""
    books = open_books(stops, trails=False)
    clock, taken = time.perf_counter_ns, []
    gc.collect()
    gc.freeze()
    for symbol, price in ticks:
        book = books[symbol]
        began = clock()
        book.tick(price, price)
        taken.append(clock() - began)
    gc.unfreeze()
    taken.sort()
    return taken[len(taken) // 2] / 1_000, taken[len(taken) * 99 // 100] / 1_000


def moving(stops: Sequence[Guarded], chance: random.Random, *, trails: bool) -> float:
    """Give what moving one stop costs, in microseconds."""
    books = open_books(stops, trails=trails)
    moves = []
    for one in chance.choices(stops, k=100_000):
        level = max(1, one.entry - one.sign * chance.randint(2, 200))
        moves.append((books[one.symbol].move, one.position_id, level))

    def run() -> None:
        for version, (move, position_id, level) in enumerate(moves):
            move(position_id, stop=level, version=version)

    return timed(run)[0] / len(moves) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.stops", description=__doc__)
    parser.add_argument("--stops", type=int, default=100_000)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--ticks", type=int, default=1_000_000)
    parser.add_argument("--prefix", type=int, default=20_000, help="ticks that the loop over all stops sees")
    parser.add_argument("--sample", type=int, default=4, help="symbols that are compared to their last tick")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tapes", type=Path, help="a folder of recorded tapes; else a seeded market")
    parser.add_argument(
        "--many", type=int, default=1_000_000, help="stops of the second p50; 0 leaves it out"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--feed", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    if given.tapes:
        starts, ticks = recorded(given.tapes, chance, symbols=given.symbols, count=given.ticks)
    else:
        starts, ticks = simulated(chance, symbols=given.symbols, count=given.ticks)
    reach = PLACES["tape" if given.tapes else "market"]
    stops = some_stops(chance, starts, count=given.stops, reach=reach)
    run = {"rounds": given.rounds, "prefix": given.prefix, "sample": given.sample}
    fixed, trailing = (compare(stops, ticks, trails=trails, **run) for trails in (False, True))
    result = {
        "machine": machine(),
        "fixed": fixed,
        "trailing": trailing,
        "move_us": moving(stops, chance, trails=False),
        "move_trailing_us": moving(stops, chance, trails=True),
    }
    result["p50_us"], result["p99_us"] = percentiles(stops, list(islice(ticks, 200_000)))
    if given.many:
        many = some_stops(chance, starts, count=given.many, reach=reach)
        result["many_p50_us"], result["many_p99_us"] = percentiles(many, list(islice(ticks, 200_000)))
    if given.json:
        if given.feed:
            result["feed"] = json.loads(feed(given, "--json", capture_output=True).stdout)
        show_json(result)
        return
    show(
        f"{given.stops:,} stops, {given.symbols} symbols, {given.ticks:,} ticks",
        ("stops", "ours, ticks/s", "loop, ticks/s", "ratio", "aim", "fired", "compared", "raised"),
        [
            _row("fixed", fixed, aim=f"{AIM_TICKS / 1e6:.0f} M, {AIM_RATIO}x"),
            _row("all trailing", trailing, aim=f"{AIM_RATIO_TRAILING}x"),
        ],
    )
    print(
        f"moving a stop: {result['move_us']:.2f} us, one that trails {result['move_trailing_us']:.2f} us; ",
        end="",
    )
    print(f"aim {AIM_MOVE_US} us")
    print(f"one tick: p50 {result['p50_us']:.2f} us, p99 {result['p99_us']:.2f} us", end="")
    if given.many:
        print(f"; with {given.many:,} stops p50 {result['many_p50_us']:.2f} us, ", end="")
        print(f"p99 {result['many_p99_us']:.2f} us")
    if given.feed:
        sys.stdout.flush()
        feed(given)


def feed(
    given: argparse.Namespace, *more: str, capture_output: bool = False
) -> subprocess.CompletedProcess[str]:
    """Measure the way from the socket to the book, in a process of its own."""
    tapes = ["--tapes", str(given.tapes)] if given.tapes else []
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.feed", *tapes, *more],
        check=True,
        text=True,
        capture_output=capture_output,
    )


def _row(name: str, figures: dict[str, float], *, aim: str) -> tuple[Any, ...]:
    return (
        name,
        f"{figures['ticks_per_second']:,.0f}",
        f"{figures['naive_ticks_per_second']:,.0f}",
        f"{figures['ratio']:.0f}",
        aim,
        f"{figures['fired']:,.0f}",
        f"{figures['compared']:,.0f}",
        f"{figures['raised']:,.0f}",
    )


if __name__ == "__main__":
    main()
