"""The proof from beginning to end: start, configure, send and trouble, let settle, compare."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import httpx

from pregao import rehearsal
from pregao.edges.postgres.pool import AWAY
from pregao.proof.books import compare_journal, is_quiet, read_finished, read_own, read_venue
from pregao.proof.compare import (
    DUPLICATED,
    OUTLIVED,
    Counts,
    Difference,
    compare,
    count_orders,
    find_forgotten,
)
from pregao.proof.desk import Configured, ProofDesk, ProofFailedError, configure, running_desk
from pregao.proof.plan import RESTORE, Act, Chapter, ProofPlan
from pregao.proof.report import Report
from pregao.proof.signals import Sender
from pregao.proof.trouble import Faults, Traps
from pregao.simulation.faults import STREAM_KINDS

WEIGHT_MAX = 2_400  # Binance's own, per address and minute
CHAPTER_SECONDS_MAX = 25.0  # then the next one begins; its trap stays
LAST_SECONDS_MAX = 30.0  # for traps that nobody has come to yet
ENCORE_SECONDS_MAX = 8.0  # for the same, after more signals
SETTLE_SECONDS_MAX = 300.0
SETTLE_QUICK_SECONDS_MAX = 40.0
LOOK_SECONDS = 0.5
FOR_EVER_SECONDS = 20.0  # what differs for so long while nothing is on its way will differ for ever
CALM_LOOKS = 2  # a figure that was 0 once may have been so by chance

UNREACHABLE = (*AWAY, httpx.HTTPError, ProofFailedError)

Tell = Callable[[str, int, int], None]
"""Hears how far the proof has come: what it does, how much of it is done, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a comparison gave."""

    differences: list[Difference]
    counts: Counts
    forgotten_alerts: int  # answered, and gone with the restore
    forgotten_orders: int


async def prove(plan: ProofPlan, *, is_quick: bool, keep: bool, tell: Tell) -> Report:
    """
    Carry out the plan on a desk of our own.

    :raises ProofFailedError: when that desk does not start.
    """
    began = time.monotonic()
    tell("starting the desk", 0, len(plan.signals))
    async with running_desk(seed=plan.seed, weight_max=WEIGHT_MAX, keep=keep) as desk:
        made = await configure(desk, plan)
        faults, traps = Faults(desk, is_quick=is_quick), Traps(desk)
        sender = Sender(desk.url, bots=made.bots, plans=plan.bots)
        try:
            async with kept(traps):
                await _carry_out(plan, desk, sender=sender, faults=faults, traps=traps, tell=tell)
        finally:
            await sender.close()
        await faults.let(None)
        tell("settling", len(plan.signals), len(plan.signals))
        calm = time.monotonic()
        found, settled = await settle(
            desk, made, sender, seconds_max=SETTLE_QUICK_SECONDS_MAX if is_quick else SETTLE_SECONDS_MAX
        )
        return Report(
            seed=plan.seed,
            signals=len({sent.plan.number for sent in sender.sent}),
            accounts=len(plan.accounts),
            accepted=sum(sent.is_accepted for sent in sender.sent),
            counts=found.counts,
            differences=[
                *found.differences,
                *await compare_journal(desk),
                *(Difference(OUTLIVED, text) for text in traps.outlived),
            ],
            faults={kind: faults.hits[kind] for kind in plan.faults},
            trials={
                **{str(trial): traps.hits[trial] for trial in sorted(plan.trials, key=str)},
                **({RESTORE: int(desk.lost_time is not None)} if plan.restores else {}),
            },
            points=rehearsal.times_reached(desk.shared),
            forgotten=(found.forgotten_alerts, found.forgotten_orders) if plan.restores else None,
            settled_seconds=round(settled - calm, 1) if settled else None,
            seconds=time.monotonic() - began,
        )


@contextlib.asynccontextmanager
async def kept(traps: Traps) -> AsyncIterator[None]:
    """Keep the traps while the block runs, and take back what nobody came to."""
    keeping = asyncio.create_task(traps.keep())
    try:
        yield
    finally:
        traps.take_all()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _carry_out(
    plan: ProofPlan, desk: ProofDesk, *, sender: Sender, faults: Faults, traps: Traps, tell: Tell
) -> None:
    chance = random.Random(f"{plan.seed}/prices")
    for number, chapter in enumerate(plan.chapters):
        if number == plan.copied_after:
            await desk.copy_database()
        if number == plan.restored_after:
            await desk.restore_database()
            between = plan.chapters[plan.copied_after : number]
            sender.forget({signal.number for one in between for signal in one.signals})
        await _begin(chapter, desk, faults=faults, traps=traps)
        await faults.move_price(chance.choice(plan.bots).symbol, up_bps=chance.randint(-30, 30))
        over_at = time.monotonic() + faults.lasts(chapter)
        await _play(chapter, sender=sender, traps=traps, tell=tell, total=len(plan.signals))
        await asyncio.sleep(over_at - time.monotonic())
    await _all_sprung(traps, seconds_max=LAST_SECONDS_MAX)
    for encore in plan.encores:
        chapter = replace(encore, faults=await faults.find_missed(plan.faults))
        if not chapter.faults and traps.is_idle():
            break
        await _begin(chapter, desk, faults=faults, traps=traps)
        over_at = time.monotonic() + faults.lasts(chapter)
        await _play(chapter, sender=sender, traps=traps, tell=tell, total=len(plan.signals))
        await asyncio.sleep(over_at - time.monotonic())
        await _all_sprung(traps, seconds_max=ENCORE_SECONDS_MAX)


async def _begin(chapter: Chapter, desk: ProofDesk, *, faults: Faults, traps: Traps) -> None:
    """Let go wrong what a chapter wants, and set its trap."""
    if STREAM_KINDS & {*chapter.faults}:
        await desk.followed()  # nobody loses what nobody hears
    await faults.let(chapter)
    if chapter.trial is not None:
        traps.set(chapter.trial)


async def _all_sprung(traps: Traps, *, seconds_max: float) -> None:
    """Wait for traps that nobody has come to yet, for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds_max):
            while not traps.is_idle():
                await asyncio.sleep(LOOK_SECONDS)


async def _play(chapter: Chapter, *, sender: Sender, traps: Traps, tell: Tell, total: int) -> None:
    sending = []
    for signal in chapter.signals:
        tell(title_of(chapter), signal.number - 1, total)
        sending.append(asyncio.create_task(sender.send(signal)))
        await asyncio.sleep(signal.pause_ms / 1_000)
    await asyncio.gather(*sending)
    trial = chapter.trial
    if trial is None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CHAPTER_SECONDS_MAX):
            while not traps.is_done(trial):
                await asyncio.sleep(LOOK_SECONDS / 10)
            if trial.act is not Act.FREEZE:
                await asyncio.sleep(LOOK_SECONDS)
            await traps.desk_is_whole()


def title_of(chapter: Chapter) -> str:
    """Give what goes wrong in a chapter."""
    return " + ".join([*chapter.faults, *([str(chapter.trial)] if chapter.trial else [])]) or "sending"


async def settle(
    desk: ProofDesk, made: Configured, sender: Sender, *, seconds_max: float
) -> tuple[Findings, float | None]:
    """Wait until nothing is on its way and both books agree; give the last comparison, and when it was clean first."""
    deadline = time.monotonic() + seconds_max
    since = time.monotonic()  # of what the last comparison found
    found: Findings | None = None
    looks = 0
    while True:
        is_late = time.monotonic() >= deadline
        try:
            seen = await _look(desk, made, sender, is_last=is_late)
        except UNREACHABLE:
            if time.monotonic() >= deadline + seconds_max:
                raise
            seen = None
        if seen is None or found is None or set(seen.differences) != set(found.differences):
            since, looks = time.monotonic(), 0
        found, looks = seen, looks + 1
        if found is not None and not found.differences and looks >= CALM_LOOKS:
            return found, since
        if found is not None and (is_late or _is_for_ever(found, seconds=time.monotonic() - since)):
            return found, None
        await asyncio.sleep(LOOK_SECONDS)


def _is_for_ever(found: Findings, *, seconds: float) -> bool:
    """Say whether what differs cannot end any more: what was sent twice was."""
    is_doubled = any(difference.figure == DUPLICATED for difference in found.differences)
    return seconds >= (LOOK_SECONDS if is_doubled else FOR_EVER_SECONDS)


async def _look(desk: ProofDesk, made: Configured, sender: Sender, *, is_last: bool) -> Findings | None:
    """Compare; None while something is on its way, which is cheap to ask."""
    connection = await desk.connect()
    try:
        if not is_last and not await is_quiet(connection):
            return None
        own = await read_own(connection)
    finally:
        await connection.close()
    venue = await read_venue(desk, keys=made.keys)
    taken = [sent for sent in sender.sent if sent.is_accepted]
    # Whatever the database still knows of, it must have finished.
    gone = [sent for sent in taken if sent.came_in_lost_time and not sent.signal_ids & own.signal_ids]
    answered = {sent.plan.number: sent.signal_ids for sent in taken if sent not in gone}
    finished = await read_finished(
        desk, {signal_id for signal_ids in answered.values() for signal_id in signal_ids}
    )
    return Findings(
        differences=compare(own, venue, answered=answered, finished=finished, lost_time=desk.lost_time),
        counts=count_orders(own, venue),
        forgotten_alerts=len(gone),
        forgotten_orders=len(find_forgotten(own, venue, lost_time=desk.lost_time)),
    )
