"""
Ticks through the analyzer's own watch: candles of a second, five strategies with their incremental indicators, their signals.

Nothing is left out but the network and the database: each candle is kept in its file, every tick is counted as it is live.
"""

import asyncio
import itertools
import logging
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np
import structlog
import uvloop

from pregao.bootstrap.computing import computing
from pregao.bootstrap.process import calm_collector
from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.deployment import Deployment, ParameterValue
from pregao.domain.strategy import DESCRIPTIONS
from pregao.edges.candle_files.seen import SeenCandles
from pregao.research.analyzer.judge import Judging
from pregao.research.analyzer.watch import Watch
from pregao.research.strategies.live import LiveStrategy
from pregao.research.ticks import Candle, CandleMaker
from pregao.research.timeframe import read_timeframe

SYMBOLS = 10
TICKS_OF_A_CANDLE = 100
CHUNK = 500  # ticks between two looks of the loop, as a burst of one socket read
FIVE = ("ema_cross", "rsi_reversal", "macd", "bollinger", "breakout")
QUICK = {"ema_cross": {"fast": 2, "slow": 5}, "breakout": {"period": 5, "exit_period": 3}}
CANDLE_MS = 1_000
BASE_MS = 1_000_000 * CANDLE_MS
PAST = 1_000  # candles
BEGIN_SECONDS = 10.0  # ten looks at a thousand candles, in processes that have to start
SETTLE_SECONDS_MAX = 60.0


@dataclass
class Tape:
    """Trades of ten symbols in turn, SIMULATED."""

    symbols: list[str]
    times: list[int]
    prices: list[float]
    quantities: list[float]
    to_a_candle: int  # ticks of a symbol

    def __len__(self):
        return len(self.times)


def simulated_tape(ticks, *, seed=1, to_a_candle=TICKS_OF_A_CANDLE):
    """Walk at random; so many ticks of a symbol to a candle."""
    chance = np.random.default_rng(seed)
    names = [f"S{number}USDT" for number in range(SYMBOLS)]
    steps = np.exp(chance.normal(0, 2e-4, (ticks // SYMBOLS, SYMBOLS)))
    prices = 100 * np.cumprod(steps, axis=0)
    step_ms = CANDLE_MS / to_a_candle
    times = (BASE_MS + np.arange(ticks // SYMBOLS) * step_ms).astype(np.int64)
    return Tape(
        symbols=names * (ticks // SYMBOLS),
        times=np.repeat(times, SYMBOLS).tolist(),
        prices=prices.ravel().tolist(),
        quantities=chance.uniform(0.1, 5, ticks // SYMBOLS * SYMBOLS).tolist(),
        to_a_candle=to_a_candle,
    )


class MemoryPast:
    """Whoever wants to know what was before is told a walk; what was seen is kept as it is live."""

    def __init__(self, folder):
        self._seen = SeenCandles(folder)
        chance = np.random.default_rng(5)
        closes = (100 * np.exp(np.cumsum(chance.normal(0, 1e-3, PAST)))).tolist()
        self._walk = [
            Candle(
                opened_at_ms=BASE_MS - (PAST - number) * CANDLE_MS,
                open=before,
                high=max(before, close) * 1.0005,
                low=min(before, close) * 0.9995,
                close=close,
                volume=1.0,
            )
            for number, (before, close) in enumerate(itertools.pairwise([closes[0], *closes]))
        ]
        self.closes = defaultdict(float)
        self.candles = 0

    def has(self, _series):
        return False

    async def closed(self, _series, *, since_ms, limit):
        assert limit >= PAST
        return self._walk if since_ms is None else ()

    async def keep(self, series, candle):
        self._seen.keep(f"{series.symbol}_{series.timeframe}", candle)
        self.candles += 1
        self.closes[series.symbol] += candle.close


@dataclass
class Heard:
    """Where signals go: it notes how long after its tick each came."""

    symbols: dict[UUID, str] = field(default_factory=dict)
    ticked_at: dict[str, float] = field(default_factory=dict)
    took_ms: list[float] = field(default_factory=list)
    judged_ms: list[float] = field(default_factory=list)
    noted: int = 0

    async def send(self, deployment, _wish):
        self.took_ms.append(self._since(deployment.deployment_id))

    async def find_progress(self, _deployment_id):
        return None

    async def note_progress(self, deployment_id, _progress):
        self.noted += 1
        self.judged_ms.append(self._since(deployment_id))

    async def note_trouble(self, deployment_id, *, code, reason):
        raise AssertionError(f"{deployment_id} {code}: {reason}")

    def _since(self, deployment_id):
        return (time.perf_counter() - self.ticked_at[self.symbols[deployment_id]]) * 1_000


def deployments(strategies, *, values):
    """Each strategy on each symbol."""
    found = []
    for strategy in strategies:
        filled = DESCRIPTIONS[strategy].filled(values.get(strategy, {}))
        for number in range(SYMBOLS):
            found.append(
                Deployment(
                    deployment_id=UUID(int=len(found) + 1),
                    bot_id=UUID(int=1_000 + len(found)),
                    strategy=strategy,
                    parameters=tuple(ParameterValue(name=name, value=one) for name, one in filled.items()),
                    venue=Venue.PAPER,
                    symbol=f"S{number}USDT",
                    timeframe="1s",
                    with_history=strategy == "technical_analysis",
                )
            )
    return found


class Watching:
    """A watch with its ports, on a loop that runs."""

    def __init__(self, folder, *, strategies=FIVE, values=None, judges=None):
        self.past, self.desk = MemoryPast(folder), Heard()
        self.watch = Watch(
            past=self.past,
            desk=self.desk,
            judges=judges,
            venue_now_ms=lambda _venue: 0,  # no candle ends by the clock: ticks are never late here
            heard_since_ms=lambda _venue, _symbol: 0,
            monotonic=time.monotonic,
        )
        self._followers = len(strategies)
        deployed = deployments(strategies, values=values or {})
        self.desk.symbols = {one.deployment_id: one.symbol for one in deployed}
        self.desk.ticked_at = dict.fromkeys(self.desk.symbols.values(), 0.0)
        self.watch.set(deployed)

    async def settled(self, tape):
        candles = len(tape) // tape.to_a_candle - SYMBOLS  # each symbol's last is still in the making
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while self.desk.noted < candles * self._followers:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0)

    def end(self):
        self.watch.set(())


async def _through(tape):
    """Take all ticks as fast as they go."""
    with tempfile.TemporaryDirectory() as folder:
        watching = Watching(Path(folder))
        take = watching.watch.take
        await asyncio.sleep(0.01)
        calm_collector()
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(0, len(tape), CHUNK):
            part = slice(at, at + CHUNK)
            for symbol, traded, price, quantity in zip(
                tape.symbols[part], tape.times[part], tape.prices[part], tape.quantities[part], strict=True
            ):
                watching.desk.ticked_at[symbol] = began
                take(Venue.PAPER, symbol, traded, price, quantity)
            await asyncio.sleep(0)
        await watching.settled(tape)
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        watching.end()
    return {
        **took,
        "candles": watching.past.candles,
        "closes": [watching.past.closes[f"S{number}USDT"] for number in range(SYMBOLS)],
        "signals": len(watching.desk.took_ms),
    }


async def _paced(tape, *, rate, strategies, values=None, judges=None):
    """Take ticks at a rate, and give how long after its tick each signal came."""
    with tempfile.TemporaryDirectory() as folder:
        watching = Watching(Path(folder), strategies=strategies, values=values, judges=judges)
        await asyncio.sleep(0.01 if judges is None else BEGIN_SECONDS)
        calm_collector()
        began = time.perf_counter()
        for at, tick in enumerate(zip(tape.symbols, tape.times, tape.prices, tape.quantities, strict=True)):
            due = began + at / rate
            while (wait := due - time.perf_counter()) > 0:  # noqa: ASYNC110  # a timer may come early
                await asyncio.sleep(wait)
            watching.desk.ticked_at[tick[0]] = time.perf_counter()
            watching.watch.take(Venue.PAPER, *tick)
            if at % 10 == 0:
                await asyncio.sleep(
                    0
                )  # at a high rate no tick has to be waited for: sockets still take turns
        await watching.settled(tape)
        watching.end()
    return watching.desk


async def _judged(tape, *, rate):
    """The eight voters, in processes of their own."""
    async with computing() as compute:
        await asyncio.gather(compute(time.time), compute(time.time))
        judges = Judging(
            compute,
            breaker=Breakers(monotonic=time.monotonic, clock=lambda: None).get("ml_predictor"),
            find_predictors=None,
        )
        return await _paced(tape, rate=rate, strategies=["technical_analysis"], judges=judges)


def bare(tape):
    """Give what the candles and the five strategies need alone: in the loop in which the others are measured."""
    rows = {
        symbol: (
            CandleMaker(read_timeframe("1s")),
            [LiveStrategy(name, DESCRIPTIONS[name].filled({})) for name in FIVE],
        )
        for symbol in set(tape.symbols)
    }
    closes, candles = defaultdict(float), 0
    began, cpu = time.perf_counter(), time.process_time()
    for symbol, at, price, quantity in zip(
        tape.symbols, tape.times, tape.prices, tape.quantities, strict=True
    ):
        maker, strategies = rows[symbol]
        done = maker.add(traded_at_ms=at, price=price, quantity=quantity)
        if done is not None:
            for one in strategies:
                one.add(done)
            closes[symbol] += done.close
            candles += 1
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "candles": candles,
        "closes": [closes[symbol] for symbol in sorted(closes)],
        "per_second": len(tape) / cpu_seconds,
    }


def percentiles(took_ms):
    """Give how many there were, and how long half, and 95 and 99 of a hundred took at most."""
    ranked = sorted(took_ms) or [0.0]
    at = {
        f"p{share}_ms": ranked[min(len(ranked) - 1, int(len(ranked) * share / 100))] for share in (50, 95, 99)
    }
    return {"signals": len(took_ms), **at}


def run(work):
    """Run on the loop that the desk runs on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def ticks_per_second(tape, *, repeats):
    """Give the best of several: what else the machine does only makes it slower."""
    rounds = [run(_through(tape)) for _ in range(repeats)]
    best = min(rounds, key=lambda one: one["cpu_seconds"])
    return {**best, "ticks": len(tape), "per_second": len(tape) / best["cpu_seconds"]}


def latencies(*, rates, seconds):
    """Give the time from tick to signal at each rate, of strategies that change their mind often."""
    lines = []
    for rate in rates:
        took = run(
            _paced(
                simulated_tape(int(rate * seconds), seed=2, to_a_candle=10),
                rate=rate,
                strategies=FIVE,
                values=QUICK,
            )
        )
        lines.append({"strategies": "five rules", "ticks_per_second": rate, **percentiles(took.took_ms)})
    return lines


def judged_latency(*, rate, seconds):
    """Give the time until the eight voters have spoken, whether or not it is a signal."""
    took = run(_judged(simulated_tape(int(rate * seconds), seed=3, to_a_candle=40), rate=rate))
    return {"strategies": "eight voters", "ticks_per_second": rate, **percentiles(took.judged_ms)}
