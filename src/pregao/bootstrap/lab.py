"""
The lab's process: backtests one after the other, questions beside them. It loads what computes, nothing that trades does.

It has no state: what it was asked stands in the database, and what it has not finished is begun again by the next.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from pregao.bootstrap.computing import computing, find_predictors, share_computed
from pregao.bootstrap.keyless import KeylessVenues
from pregao.bootstrap.process import close_pool, now_utc, until_lost, worker_name
from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.clock import Clock
from pregao.domain.facts import LabRunEnded
from pregao.domain.lab import LabKind, LabRun, LabStatus
from pregao.domain.venue import VenueError
from pregao.edges.exchanges.binance.candles import BinanceCandles
from pregao.edges.lab.answer import Answering, code_and_message
from pregao.edges.lab.carry_out import CalledOffError, CannotError, carry_out
from pregao.edges.lab.topics import VenueTold
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.figures import PostgresTally
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.lab import ANSWERS_BELL, BELL, Asked, PostgresLabWork
from pregao.edges.postgres.weights import BELL as WEIGHTS_BELL
from pregao.edges.postgres.workers import Lease, Workers
from pregao.edges.processes.ending import Together
from pregao.research.analyzer.ports import PastUnavailableError
from pregao.research.indicators.cached import LAB_CACHE
from pregao.settings import MODELS_FOLDER, Settings
from pregao.tally import count, observe
from pregao.trading.trouble import AWAY, log_away

CONNECTIONS_MAX = 4
LEASE = "lab"
LOOK_SECONDS = 0.2
FORGET_SECONDS = 10.0
VENUE_CANDLES = 1_000  # nothing is left of what was before
BEAT_SECONDS = 0.5
STARTS_MAX = 5  # of one run: what ends the lab each time is not begun for ever
REASON_CHARACTERS_MAX = 500

log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """How far a computation is, told by its thread; and whether it is to end."""

    done: int = 0
    total: int = 0
    is_off: bool = False


async def serve_lab(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Carry out what is asked, until the lease is lost or canceled."""
    share_computed(settings.lab_cache_url.reveal())
    journal = await open_journal(settings.database_url, connections_max=CONNECTIONS_MAX)
    workers = Workers(journal.pool)
    lease = await workers.enter(worker_id=worker_name("lab"), role="lab")
    doorbell = Doorbell(settings.database_url)
    work = PostgresLabWork(journal, worker_id=lease.worker_id, ring=partial(doorbell.ring, ANSWERS_BELL))
    tally = PostgresTally(journal.pool, worker_id=lease.worker_id)
    venues = KeylessVenues(
        settings, pool=journal.pool, ring_weights=partial(doorbell.ring, WEIGHTS_BELL), clock=clock
    )
    try:
        async with computing(cache_url=settings.lab_cache_url) as compute, Together() as tasks:
            lab = Lab(
                work,
                answering=Answering(
                    compute,
                    candle_folder=settings.state_dir / "candles",
                    model_folder=settings.state_dir / MODELS_FOLDER,
                    find_predictors=partial(find_predictors, settings.state_dir / MODELS_FOLDER),
                    breaker=Breakers(monotonic=time.monotonic, clock=clock).get("ml_predictor"),
                    ask_venue=partial(last_candles, venues),
                    monotonic=time.monotonic,
                ),
                state_dir=settings.state_dir,
                clock=clock,
            )
            doorbell.listen(BELL, lab.heard)
            await doorbell.start()
            tasks.create_task(until_lost(workers, lease))
            tasks.create_task(tally.run())
            await lab.work(workers, lease)
    finally:
        await venues.close()
        await doorbell.close()
        with contextlib.suppress(*AWAY):
            await tally.tell()
            await workers.leave(lease)
        await close_pool(journal.pool)


async def last_candles(venues: KeylessVenues, venue: str, symbol: str, timeframe: str) -> VenueTold:
    """
    Give the last candles of a venue's symbol as it tells them.

    :raises PastUnavailableError: when the venue does not give them.
    """
    try:
        exchange = venues.of(Venue(venue))
        now_ms = exchange.venue_now_ms()
        body = await BinanceCandles(exchange).unread(symbol, interval=timeframe, limit=VENUE_CANDLES)
        return VenueTold(body=body, now_ms=now_ms)
    except VenueError as problem:
        raise PastUnavailableError(
            f"CANDLES_UNAVAILABLE: venue={venue} symbol={symbol} timeframe={timeframe} problem={problem}"
        ) from problem


class Lab:
    """Takes runs and questions, and gives what came of them."""

    def __init__(self, work: PostgresLabWork, *, answering: Answering, state_dir: Path, clock: Clock) -> None:
        """Read candles from the state folder, and write reports there."""
        self._work = work
        self._answering = answering
        self._candles = state_dir / "candles"
        self._models = state_dir / MODELS_FOLDER
        self._reports = state_dir / "lab"
        self._clock = clock
        self._told = LAB_CACHE.statistics
        self._rung = asyncio.Event()
        self._questions: dict[UUID, asyncio.Task[None]] = {}
        self._forgotten_at = -inf

    def heard(self, _words: str = "") -> None:
        """Look for questions: the bell `lab` rang."""
        self._rung.set()

    async def work(self, workers: Workers, lease: Lease) -> None:
        """Carry out runs one after the other, and answer questions beside them; until canceled."""
        running: asyncio.Task[None] | None = None
        try:
            while True:
                self._rung.clear()
                try:
                    if await workers.hold(LEASE, lease):
                        await self._take_questions()
                        if running is not None and running.done():
                            await running
                            running = None
                        if running is None and (run := await self._work.next_run()) is not None:
                            running = asyncio.create_task(self._carry_out(run))
                except AWAY as away:
                    log_away("lab.work.away", away)
                    running = None if running is None or running.done() else running
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), LOOK_SECONDS)
        finally:
            tasks = [*self._questions.values(), *(() if running is None else (running,))]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_questions(self) -> None:
        """Begin with the questions nobody has begun with: each is answered by itself."""
        if time.monotonic() - self._forgotten_at >= FORGET_SECONDS:
            await self._work.forget_questions()
            self._forgotten_at = time.monotonic()
        for asked in await self._work.questions():
            if asked.question_id not in self._questions:
                self._questions[asked.question_id] = asyncio.create_task(self._answer(asked))

    async def _answer(self, asked: Asked) -> None:
        answer = partial(self._work.answer, asked.question_id)
        try:
            try:
                told = await self._answering.answer(asked.topic, asked.question)
            except Exception as problem:
                known = code_and_message(problem)
                if known is None:
                    log.exception("lab.question.failed", topic=asked.topic)
                    known = "LAB_FAILED", "The lab's log says why."
                await answer(None, code=known[0], reason=known[1][:REASON_CHARACTERS_MAX])
            else:
                await answer(told)
        except AWAY as away:  # it is taken again when the database is back, if somebody still waits
            log_away("lab.work.away", away)
        finally:
            del self._questions[asked.question_id]

    def _tell_cache(self) -> None:
        now, before = LAB_CACHE.statistics, self._told
        self._told = now
        name = "deriv_bot_cache_operations_total"
        for result, more in (
            ("hit", now.cache_hits - before.cache_hits),
            ("miss", now.cache_misses - before.cache_misses),
        ):
            if more:
                count(name, "get", result, by=more)

    async def _carry_out(self, run: LabRun) -> None:
        began = time.monotonic()
        if await self._work.begin(run.run_id) > STARTS_MAX:
            gave_up = self._failed(
                run, "LAB_GAVE_UP", f"starts={STARTS_MAX}. The lab ended over it each time."
            )
            await self._work.end(gave_up, result=None, seconds=0.0)
            return
        log.info("lab.run.begun", run=str(run.run_id), kind=run.kind)
        progress = Progress()
        beat = asyncio.create_task(self._beat(run, progress))
        try:
            ended, result = await asyncio.to_thread(self._computed, run, progress)
        finally:
            progress.is_off = True
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        if ended is None:
            log.info("lab.run.off", run=str(run.run_id))
            return
        with contextlib.suppress(*AWAY):
            await self._work.progress(run.run_id, done=progress.done, total=progress.total)
        seconds = time.monotonic() - began
        if await self._work.end(ended, result=result, seconds=seconds):
            if run.kind is not LabKind.TRAIN:
                observe("deriv_bot_backtest_duration_seconds", run.kind, value=seconds)
            self._tell_cache()
        log.info("lab.run.ended", run=str(run.run_id), status=ended.status, code=ended.code, seconds=seconds)

    async def _beat(self, run: LabRun, progress: Progress) -> None:
        """Say how far it is, and hear whether it was called off."""
        while True:
            with contextlib.suppress(*AWAY):
                if not await self._work.progress(run.run_id, done=progress.done, total=progress.total):
                    progress.is_off = True
            await asyncio.sleep(BEAT_SECONDS)

    def _computed(
        self, run: LabRun, progress: Progress
    ) -> tuple[LabRunEnded | None, Mapping[str, Any] | None]:
        """Compute in a thread; nothing where it was called off meanwhile."""

        def on_step(done: int, total: int) -> None:
            progress.done, progress.total = done, total
            if progress.is_off:
                raise CalledOffError

        try:
            told = carry_out(
                run,
                candle_folder=self._candles,
                model_folder=self._models,
                run_folder=self._reports / str(run.run_id),
                on_step=on_step,
                clock=self._clock,
            )
        except CalledOffError:
            return None, None
        except CannotError as problem:
            return self._failed(run, problem.code, problem.message), None
        except Exception:
            log.exception("lab.run.failed", run=str(run.run_id))
            return self._failed(run, "LAB_FAILED", "The lab's log says why."), None
        ended = LabRunEnded(
            happened_at=self._clock(),
            run_id=run.run_id,
            status=LabStatus.DONE,
            figures=dict(told.figures),
            ended_by="lab",
        )
        return ended, told.result

    def _failed(self, run: LabRun, code: str, reason: str) -> LabRunEnded:
        return LabRunEnded(
            happened_at=self._clock(),
            run_id=run.run_id,
            status=LabStatus.FAILED,
            code=code,
            reason=reason[:REASON_CHARACTERS_MAX],
            figures={},
            ended_by="lab",
        )
