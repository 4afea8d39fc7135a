"""The proof of the stops from beginning to end: positions are opened, prices led to their levels, and what acts is broken."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx

from pregao import rehearsal
from pregao.proof.books import compare_journal
from pregao.proof.compare import OUTLIVED, Difference
from pregao.proof.desk import Configured, ProofDesk, ask, configure, running_desk, speaking_to
from pregao.proof.exits import OwnGuards, VenueGuards, compare_exits, count_exits
from pregao.proof.guards import ARMED, UNDER_WAY, Witness, read_guards, read_venue_guards
from pregao.proof.plan import Act, Chapter
from pregao.proof.prove import UNREACHABLE, WEIGHT_MAX, Tell, kept, settle, title_of
from pregao.proof.report import Guarded, Report
from pregao.proof.signals import Sender
from pregao.proof.stops_plan import LEGS, ONCE_OPEN, STOP_FAULTS, Scenario, StopsPlan
from pregao.proof.trouble import Clocks, Faults, Traps, now_ms
from pregao.proof.unguarded import Naked, find_naked, too_long
from pregao.simulation.instruments import LISTINGS

LOOK_SECONDS = 0.2
OPEN_SECONDS_MAX = 6.0  # then prices move, whoever is not in yet
FLAT_SECONDS_MAX = 30.0  # of one round; then the next one begins, and the end waits for the rest
FLAT_QUICK_SECONDS_MAX = 20.0
TRAP_SECONDS_MAX = 25.0
END_SECONDS_MAX = 120.0
END_QUICK_SECONDS_MAX = 60.0
STEP_BPS = 40  # a price moves on in steps that are believed at once
STEP_SECONDS = 0.1
BEAT_SECONDS = 0.5  # a price that stands still is told so often
SWEEP_BPS = 450  # beyond each level of whatever was opened late
SWEEP_AFTER_SECONDS = 6.0
SWEEP_SECONDS = 4.0


async def prove_stops(plan: StopsPlan, *, is_quick: bool, keep: bool, tell: Tell) -> Report:
    """
    Carry out the plan on a desk of our own.

    :raises ProofFailedError: when that desk does not start.
    """
    began = time.monotonic()
    tell("starting the desk", 0, len(plan.signals))
    async with running_desk(seed=plan.seed, weight_max=WEIGHT_MAX, keep=keep, has_monitors=True) as desk:
        made = await configure(desk, plan)
        faults, traps = Faults(desk, is_quick=is_quick, kinds=STOP_FAULTS), Traps(desk)
        sender = Sender(desk.url, bots=made.bots, plans=plan.bots)
        prices = Prices(desk, {bot.symbol for bot in plan.bots})
        witness = Witness(desk, true_ms=faults.clocks.true_now_ms)
        proof = _Proof(plan, desk, prices=prices, faults=faults, traps=traps, is_quick=is_quick)
        try:
            async with _beside(prices.keep()), _beside(witness.keep()):
                async with kept(traps):
                    await proof.carry_out(sender, tell=tell)
                await faults.let(None)
                tell("settling", len(plan.signals), len(plan.signals))
                calm = time.monotonic()
                seconds_max = END_QUICK_SECONDS_MAX if is_quick else END_SECONDS_MAX
                is_flat = await proof.until_flat(seconds_max=seconds_max)
                found, settled = await settle(desk, made, sender, seconds_max=seconds_max if is_flat else 5.0)
                own, venue, differences = await _compare_until_calm(desk, made, clocks=faults.clocks)
        finally:
            await sender.close()
        naked = find_naked(
            own,
            venue,
            watched=list(witness.watched.values()),
            outages=[*traps.outages, *faults.outages],
            now_ms=now_ms(),
        )
        return Report(
            seed=plan.seed,
            signals=len(plan.signals),
            accounts=len(plan.accounts),
            accepted=sum(sent.is_accepted for sent in sender.sent),
            counts=found.counts,
            differences=[
                *found.differences,
                *differences,
                *too_long(naked),
                *await compare_journal(desk),
                *(Difference(OUTLIVED, text) for text in traps.outlived),
            ],
            faults={kind: faults.hits[kind] for kind in plan.faults},
            trials={str(trial): traps.hits[trial] for trial in sorted(plan.trials, key=str)},
            points=rehearsal.times_reached(desk.shared),
            forgotten=None,
            settled_seconds=round(settled - calm, 1) if settled else None,
            seconds=time.monotonic() - began,
            guarded=_guarded(plan, own, venue, naked),
        )


def _guarded(plan: StopsPlan, own: OwnGuards, venue: VenueGuards, naked: Sequence[Naked]) -> Guarded:
    ours, theirs = count_exits(own, venue)
    reached = Counter(claim.kind for claim in own.claims)
    hits = {
        Scenario.STOP: reached["stop"],
        Scenario.TARGET: reached["target"],
        Scenario.TRAIL: own.moves,
    }
    longest = max(naked, key=lambda one: one.seconds, default=None)
    return Guarded(
        positions=sum(one.status == "closed" for one in own.positions),
        claims=len(own.claims),
        levels={wanted.value: hits[wanted] for wanted in sorted(set(plan.scenarios.values()))},
        exits=ours,
        venue_exits=theirs,
        longest_seconds=0.0 if longest is None else longest.seconds,
        limit_seconds=None if longest is None else longest.limit_seconds,
        unexcused_seconds=max((one.seconds for one in naked if not one.excused_ms), default=0.0),
    )


class Prices:
    """The prices of a proof: each is told again and again, and moves when it is led somewhere."""

    def __init__(self, desk: ProofDesk, symbols: Collection[str]) -> None:
        """Begin where the contracts are listed."""
        self._desk = desk
        self._now = {symbol: LISTINGS[symbol].start_price for symbol in symbols}
        self._moving: set[str] = set()

    async def keep(self) -> None:
        """Tell the prices that stand still, until canceled."""
        async with self._client() as client:
            while True:
                for symbol, price in list(self._now.items()):
                    if symbol not in self._moving:
                        with contextlib.suppress(*UNREACHABLE):
                            await self._tell(client, symbol, price)
                await asyncio.sleep(BEAT_SECONDS)

    async def lead(self, symbol: str, legs: Sequence[int]) -> None:
        """Lead a price through these points, in basis points of where it stands, and let it stand at the last one."""
        start = self._now[symbol]
        at_bps = 0
        self._moving.add(symbol)
        try:
            async with self._client() as client:
                for end_bps in legs:
                    while at_bps != end_bps:
                        step = max(-STEP_BPS, min(STEP_BPS, end_bps - at_bps))
                        at_bps += step
                        price = start * (1 + Decimal(at_bps) / 10_000)
                        self._now[symbol] = price.quantize(LISTINGS[symbol].instrument.price_tick)
                        with contextlib.suppress(*UNREACHABLE):
                            await self._tell(client, symbol, self._now[symbol])
                        await asyncio.sleep(STEP_SECONDS)
        finally:
            self._moving.discard(symbol)

    def _client(self) -> httpx.AsyncClient:
        return speaking_to(self._desk.paper_url, seconds_max=10)

    async def _tell(self, client: httpx.AsyncClient, symbol: str, price: Decimal) -> None:
        await ask(client, "POST", "/paper/prices", {"symbol": symbol, "price": str(price)})


class _Proof:
    """The rounds of one proof."""

    def __init__(
        self,
        plan: StopsPlan,
        desk: ProofDesk,
        *,
        prices: Prices,
        faults: Faults,
        traps: Traps,
        is_quick: bool,
    ) -> None:
        self._plan = plan
        self._desk = desk
        self._prices = prices
        self._faults = faults
        self._traps = traps
        self._flat_seconds_max = FLAT_QUICK_SECONDS_MAX if is_quick else FLAT_SECONDS_MAX

    async def carry_out(self, sender: Sender, *, tell: Tell) -> None:
        for chapter in self._plan.chapters:
            tell(title_of(chapter), chapter.signals[0].number - 1, len(self._plan.signals))
            await self._desk.followed()
            await self._faults.let(replace(chapter, faults=tuple(set(chapter.faults) - ONCE_OPEN)))
            if chapter.trial is not None:
                self._traps.set(chapter.trial)
            await self._open(chapter, sender)
            if ONCE_OPEN.intersection(chapter.faults):
                await self._faults.let(chapter)
            await asyncio.gather(*(self._close(signal.number, bot=signal.bot) for signal in chapter.signals))
            await self.until_flat(seconds_max=self._flat_seconds_max)
            await self._until_sprung(chapter)

    async def _open(self, chapter: Chapter, sender: Sender) -> None:
        sending = []
        for signal in chapter.signals:
            sending.append(asyncio.create_task(sender.send(signal)))
            await asyncio.sleep(signal.pause_ms / 1_000)
        bots = [self._plan.bots[signal.bot] for signal in chapter.signals]
        wanted = sum(len(bot.followers) for bot in bots)
        symbols = [bot.symbol for bot in bots]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS_MAX):
                while await self._count_armed(symbols) < wanted:
                    await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*sending)

    async def _close(self, number: int, *, bot: int) -> None:
        scenario = self._plan.scenarios[number]
        is_long = next(one for one in self._plan.signals if one.number == number).action == "buy"
        legs = [leg if is_long else -leg for leg in LEGS[scenario]]
        await self._prices.lead(self._plan.bots[bot].symbol, legs)

    async def until_flat(self, *, seconds_max: float) -> bool:
        """Return when nothing is held or waits; what came in late has its price led to a level, too."""
        began = time.monotonic()
        swept_at, direction = began + SWEEP_AFTER_SECONDS - SWEEP_SECONDS, 1
        while time.monotonic() < began + seconds_max:
            symbols = await self._under_way()
            if symbols is not None and not symbols:
                return True
            if symbols and time.monotonic() >= swept_at + SWEEP_SECONDS:
                await asyncio.gather(
                    *(self._prices.lead(one, [direction * SWEEP_BPS]) for one in sorted(symbols))
                )
                swept_at, direction = time.monotonic(), -direction
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _until_sprung(self, chapter: Chapter) -> None:
        trial = chapter.trial
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRAP_SECONDS_MAX):
                while trial is not None and not self._traps.is_done(trial):
                    await asyncio.sleep(LOOK_SECONDS)
                if trial is not None and trial.act is not Act.FREEZE:
                    await asyncio.sleep(LOOK_SECONDS)
                await self._traps.desk_is_whole()

    async def _under_way(self) -> set[str] | None:
        try:
            connection = await self._desk.connect()
            try:
                async with asyncio.timeout(5.0):
                    return {row["symbol"] for row in await connection.fetch(UNDER_WAY)}
            finally:
                connection.terminate()
        except UNREACHABLE:
            return None

    async def _count_armed(self, symbols: Sequence[str]) -> int:
        try:
            connection = await self._desk.connect()
            try:
                async with asyncio.timeout(5.0):
                    count: int = await connection.fetchval(ARMED, symbols)
                    return count
            finally:
                connection.terminate()
        except UNREACHABLE:
            return 0


async def _compare_until_calm(
    desk: ProofDesk, made: Configured, *, clocks: Clocks
) -> tuple[OwnGuards, VenueGuards, list[Difference]]:
    """Compare until nothing differs, or the same does for long."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while True:
        try:
            connection = await desk.connect()
            try:
                own = await read_guards(connection, true_ms=clocks.true_ms)
            finally:
                await connection.close()
            venue = await read_venue_guards(desk, keys=made.keys)
        except UNREACHABLE:
            if time.monotonic() >= deadline + END_SECONDS_MAX:
                raise
            await asyncio.sleep(LOOK_SECONDS)
            continue
        differences = compare_exits(own, venue)
        if not differences or time.monotonic() >= deadline:
            return own, venue, differences
        await asyncio.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
