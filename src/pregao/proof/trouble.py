"""What goes wrong on purpose: faults at the paper exchange, stepped clocks, and processes that come to a trap."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import httpx

from pregao import rehearsal
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.workers import RENEW_SECONDS
from pregao.proof.desk import ProofDesk, ask, speaking_to
from pregao.proof.plan import FAULTS, NEEDS, Act, Chapter, Trial, Trouble
from pregao.simulation.instruments import LISTINGS
from pregao.views.health import LEASE_SECONDS

FREEZE_SECONDS = LEASE_SECONDS + 2.5  # beyond the lease, whenever it was renewed last
DATABASE_DOWN_SECONDS = 1.0  # signals come meanwhile
OUTLIVED_SECONDS_MAX = (
    RENEW_SECONDS + 6.0
)  # a trader that lost its lease looks at it within this time, and ends
CLOCK_STEPS = (2.5, -2.5)  # seconds; within what a venue takes, and a second beyond
LOOK_SECONDS = 0.02
GONE_OR_STOPPED = ("", "Z", "X", "T")


class Clocks:
    """How far the clocks of our processes were ahead, and since when by the exchange's, which is never stepped."""

    def __init__(self) -> None:
        """They agree."""
        self._steps: list[tuple[int, int]] = [(0, 0)]  # since when, and how far ahead, in milliseconds

    def stepped(self, *, seconds: float, at_ms: int) -> None:
        """Know that they are so far ahead from now on; negative: behind."""
        self._steps.append((at_ms, round(1_000 * seconds)))

    def true_ms(self, own_ms: int) -> int:
        """
        Give the exchange's time of what a process of ours has timed.

        Of a time that came twice it is the later one, of one that was left out when that happened.
        """
        until_ms = 2**62
        for since_ms, ahead_ms in reversed(self._steps):
            if own_ms - ahead_ms >= since_ms:
                return min(own_ms - ahead_ms, until_ms)
            until_ms = since_ms
        return until_ms

    def true_now_ms(self, own_ms: int) -> int:
        """Give the exchange's time of what a process of ours has timed just now."""
        return own_ms - self._steps[-1][1]


class Faults:
    """The faults of the paper exchange and the clocks of our processes; what struck is counted."""

    def __init__(self, desk: ProofDesk, *, is_quick: bool, kinds: Mapping[str, Trouble] = FAULTS) -> None:
        """Nothing goes wrong yet."""
        self.hits: Counter[str] = Counter()
        self.outages: list[tuple[int, int]] = []  # of the exchange: began and ended, in milliseconds
        self.clocks = Clocks()
        self._kinds = kinds
        self._desk = desk
        self._is_quick = is_quick
        self._steps = 0
        self._prices: dict[str, Decimal] = {}

    async def let(self, chapter: Chapter | None) -> None:
        """Let go wrong what the chapter wants, and nothing else; without a chapter all is well."""
        told: list[str] = []
        if chapter is not None:
            told = [self._kinds[kind].spelled(is_quick=self._is_quick) for kind in chapter.faults]
            if chapter.trial is not None and chapter.trial.point in NEEDS:
                told.append(NEEDS[chapter.trial.point])
        self._step_clock(is_wanted=chapter is not None and "clock" in chapter.faults)
        async with speaking_to(self._desk.paper_url, seconds_max=10) as client:
            await self._count(client)
            await ask(client, "POST", "/paper/faults", {"faults": ";".join(one for one in told if one)})

    async def find_missed(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Give those of the kinds that nobody has met yet."""
        async with speaking_to(self._desk.paper_url, seconds_max=10) as client:
            page = await ask(client, "GET", "/paper/faults")
        met = {kind for kind, hits in self.hits.items() if hits}
        met |= {fault["kind"] for fault in page["faults"] if fault["hits"]}
        return tuple(kind for kind in kinds if kind not in met)

    def lasts(self, chapter: Chapter) -> float:
        """Give how many seconds what goes wrong in the chapter lasts."""
        return max((self._kinds[kind].lasts(is_quick=self._is_quick) for kind in chapter.faults), default=0.0)

    async def move_price(self, symbol: str, *, up_bps: int) -> None:
        """Let a symbol trade that much higher."""
        async with speaking_to(self._desk.paper_url, seconds_max=10) as client:
            listing = LISTINGS[symbol]
            price = self._prices.get(symbol, listing.start_price) * (1 + Decimal(up_bps) / 10_000)
            self._prices[symbol] = price = price.quantize(listing.instrument.price_tick)
            await ask(client, "POST", "/paper/prices", {"symbol": symbol, "price": str(price)})

    async def _count(self, client: httpx.AsyncClient) -> None:
        page = await ask(client, "GET", "/paper/faults")
        for fault in page["faults"]:
            self.hits[fault["kind"]] += fault["hits"]
        self.outages = [(began_ms, ended_ms) for began_ms, ended_ms in page["outages_ms"]]

    def _step_clock(self, *, is_wanted: bool) -> None:
        seconds = 0.0
        if is_wanted:
            seconds = CLOCK_STEPS[self._steps % len(CLOCK_STEPS)]
            self._steps += 1
            self.hits["clock"] += 1
        self.clocks.stepped(seconds=seconds, at_ms=now_ms())
        rehearsal.step_clock(self._desk.shared, seconds=seconds)


class Traps:
    """The crash points that traps are set at; `keep` does to whoever comes there what was planned."""

    def __init__(self, desk: ProofDesk) -> None:
        """Set no trap yet."""
        self.hits: Counter[Trial] = Counter()
        self.outlived: list[str] = []  # workers that went on after their lease was lost
        self.outages: list[tuple[int, int]] = []  # of the database: began and ended, in milliseconds
        self._desk = desk
        self._noting: list[asyncio.Task[None]] = []
        self._set: dict[str, Trial] = {}
        self._waiting: list[Trial] = []

    def set(self, trial: Trial) -> None:
        """Let the next process that comes to the point be caught there; a point has one trap at a time."""
        if trial.point in self._set:
            self._waiting.append(trial)
            return
        self._set[trial.point] = trial
        rehearsal.set_trap(
            self._desk.shared, trial.point, act=rehearsal.KILL if trial.act is Act.KILL else rehearsal.STOP
        )

    def is_done(self, trial: Trial) -> bool:
        """Say whether somebody came there and all that follows is over."""
        return self.hits[trial] > 0

    def is_idle(self) -> bool:
        """Say whether every trap has been sprung."""
        return not self._set and not self._waiting

    async def desk_is_whole(self) -> None:
        """Return when every process of the desk is up again."""
        await self._desk.healthy()

    def take_all(self) -> None:
        """Take back what nobody came to."""
        self._waiting.clear()
        for point in self._set:
            rehearsal.take_trap(self._desk.shared, point)
            pid = rehearsal.find_sprung(self._desk.shared, point)  # between two looks
            if pid is not None:
                _go_on(pid)

    async def keep(self) -> None:
        """Do what was planned to each process that is caught; until canceled."""
        while True:
            for trial in list(self._set.values()):
                pid = rehearsal.find_sprung(self._desk.shared, trial.point)
                if pid is not None:
                    await self._spring(trial, pid)
            await asyncio.sleep(LOOK_SECONDS)

    async def _spring(self, trial: Trial, pid: int) -> None:
        try:
            await self._do(trial.act, role=self._desk.role_of(pid), pid=pid)
        except BaseException:
            _go_on(pid)
            self._desk.thaw_database()
            raise
        self.hits[trial] += 1
        del self._set[trial.point]
        for waiting in self._waiting:
            if waiting.point == trial.point:
                self._waiting.remove(waiting)
                self.set(waiting)
                break

    async def _do(self, act: Act, *, role: str, pid: int) -> None:
        match act:
            case Act.KILL if role == "supervisor":
                await asyncio.sleep(1.0)  # its processes learn of it from the kernel, and end
                await self._desk.start_supervisor()
            case Act.KILL:
                pass
            case Act.FREEZE:
                await asyncio.sleep(FREEZE_SECONDS)
                _go_on(pid)
                await self._note_outlived(role, pid)
            case Act.DATABASE:
                self._noting.append(asyncio.create_task(self._note_outage(began_ms=now_ms())))
                self._desk.kill_database()
                await asyncio.sleep(DATABASE_DOWN_SECONDS)
                _go_on(pid)
            case Act.DATABASE_FREEZE:
                began_ms = now_ms()
                self._desk.freeze_database()
                _go_on(pid)
                await asyncio.sleep(FREEZE_SECONDS)
                self._desk.thaw_database()
                self.outages.append((began_ms, now_ms()))

    async def _note_outage(self, *, began_ms: int) -> None:
        """Note for how long PostgreSQL was away, once it answers again."""
        await asyncio.sleep(DATABASE_DOWN_SECONDS / 2)
        while True:
            with contextlib.suppress(*AWAY):
                await (await self._desk.connect()).close()
                self.outages.append((began_ms, now_ms()))
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _note_outlived(self, role: str, pid: int) -> None:
        """Note who goes on without his lease; one that another trap caught at once could not look at it."""
        if role not in self._desk.workers:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTLIVED_SECONDS_MAX):
                # Not what the supervisor says of it: that may be dead itself.
                while _state_of(pid) not in GONE_OR_STOPPED:
                    await asyncio.sleep(LOOK_SECONDS)
                return
        self.outlived.append(f"{role} pid={pid} went on {OUTLIVED_SECONDS_MAX} s after it lost its lease")


def now_ms() -> int:
    """Give this machine's time, which the exchange of a proof and its desk share."""
    return time.time_ns() // 1_000_000


def _state_of(pid: int) -> str:
    """Give the letter of a process's state as the kernel tells it; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
