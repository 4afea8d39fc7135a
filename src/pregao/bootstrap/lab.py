"""
The lab's process: backtests one after the other, questions beside them. It loads what computes, nothing of the desk does.

It has no state: what it was asked stands in the database, and what it has not finished is begun again by the next.
"""

import asyncio
import contextlib
import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from pregao.bootstrap.process import close_pool, now_utc, until_lost, worker_name
from pregao.domain.clock import Clock
from pregao.domain.facts import LabRunEnded
from pregao.domain.lab import LabRun, LabStatus
from pregao.edges.postgres.figures import PostgresTally
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.lab import Asked, PostgresLabWork
from pregao.edges.postgres.work import Lease, Workers
from pregao.settings import Settings
from pregao.tally import count, observe
from pregao.trading.trouble import AWAY

CONNECTIONS_MAX = 4
LEASE = "lab"
LOOK_SECONDS = 0.2
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
    journal = await open_journal(settings.database_url, connections_max=CONNECTIONS_MAX)
    workers = Workers(journal.pool)
    lease = await workers.enter(worker_id=worker_name("lab"), role="lab")
    work = PostgresLabWork(journal, worker_id=lease.worker_id)
    tally = PostgresTally(journal.pool, worker_id=lease.worker_id)
    lab = Lab(work, state_dir=settings.state_dir, clock=clock)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(until_lost(workers, lease))
            tasks.create_task(tally.run())
            await lab.work(workers, lease)
    finally:
        with contextlib.suppress(*AWAY):
            await tally.tell()
            await workers.leave(lease)
        await close_pool(journal.pool)


class Lab:
    """Takes runs and questions, and gives what came of them."""

    def __init__(self, work: PostgresLabWork, *, state_dir: Path, clock: Clock) -> None:
        """Read candles from the state folder, and write reports there."""
        self._work = work
        self._candles = state_dir / "candles"
        self._reports = state_dir / "lab"
        self._clock = clock
        # Loaded here and nowhere else: whoever trades never waits for numpy, and never holds its memory.
        self._compute = importlib.import_module("pregao.edges.lab.carry_out")
        self._answers = importlib.import_module("pregao.edges.lab.answer")
        self._cache = importlib.import_module("pregao.research.indicators.cached").LAB_CACHE
        self._told = self._cache.statistics

    async def work(self, workers: Workers, lease: Lease) -> None:
        """Carry out runs one after the other, and answer questions beside them; until canceled."""
        running: asyncio.Task[None] | None = None
        try:
            while True:
                try:
                    if await workers.hold(LEASE, lease):
                        await self._answer_all()
                        if running is not None and running.done():
                            await running
                            running = None
                        if running is None and (run := await self._work.next_run()) is not None:
                            running = asyncio.create_task(self._carry_out(run))
                except AWAY as away:
                    log.warning("lab.work.away", error=type(away).__name__)
                    running = None if running is None or running.done() else running
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def _answer_all(self) -> None:
        for asked in await self._work.questions():
            await self._answer(asked)
        self._tell_cache()

    async def _answer(self, asked: Asked) -> None:
        try:
            told = await asyncio.to_thread(
                self._answers.answer, asked.topic, asked.question, candle_folder=self._candles
            )
        except (LookupError, ValueError) as problem:
            code, _, reason = str(problem).partition(": ")
            await self._work.answer(asked.question_id, None, code=code, reason=reason[:REASON_CHARACTERS_MAX])
        except Exception:
            log.exception("lab.question.failed", topic=asked.topic)
            await self._work.answer(
                asked.question_id, None, code="LAB_FAILED", reason="The lab's log says why."
            )
        else:
            await self._work.answer(asked.question_id, told)

    def _tell_cache(self) -> None:
        now, before = self._cache.statistics, self._told
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

    def _computed(self, run: LabRun, progress: Progress) -> tuple[LabRunEnded | None, dict[str, Any] | None]:
        """Compute in a thread; nothing where it was called off meanwhile."""

        def on_step(done: int, total: int) -> None:
            progress.done, progress.total = done, total
            if progress.is_off:
                raise self._compute.CalledOffError

        try:
            told = self._compute.carry_out(
                run, candle_folder=self._candles, run_folder=self._reports / str(run.run_id), on_step=on_step
            )
        except self._compute.CalledOffError:
            return None, None
        except self._compute.CannotError as problem:
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
