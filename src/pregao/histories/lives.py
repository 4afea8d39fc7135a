"""The processes of a history: each begins, lives under its lease, and ends as kill -9 ends it."""

import asyncio
import contextvars
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.histories.processes import Bell, MonitorProcess, Process, TraderProcess
from pregao.histories.world import World
from pregao.simulation.desk.watches import MemoryWatches
from pregao.simulation.loop import PROCESS
from pregao.simulation.prices import SimulatedPrices
from pregao.trading.floor import Floor
from pregao.trading.monitor import Monitor
from pregao.trading.trader import Trader

DESK_ID = UUID(int=77)
LEASE_SECONDS = 10.0
RENEW_SECONDS = 2.0
ORDERS_IN_FLIGHT_MAX = 4


class Lives:
    """A place for each trader, then one for each monitor, and who lives there now."""

    def __init__(self, world: World) -> None:
        """Nobody lives yet."""
        self._world = world
        self._loop = world.loop
        self._processes: list[Process | None] = [None] * (world.plan.traders + world.plan.monitors)
        self._begun = 0
        self._starts_at = 0.0  # nobody before

    def at(self, place: int) -> Process | None:
        """Give who lives at a place, or did last."""
        return self._processes[place]

    def alive(self) -> list[Process]:
        """Give everybody who lives, by place."""
        return [one for one in self._processes if one is not None and one.is_alive]

    def place_of(self, name: str) -> int | None:
        """Give the place of the monitor of this name."""
        for place, process in enumerate(self._processes):
            if isinstance(process, MonitorProcess) and process.name == name:
                return place
        return None

    def ring(self, bell: str, words: str) -> None:
        """Let everybody hear it who is there; now and then nobody."""
        if self._world.is_troubled and self._world.chance.random() < 0.1:
            return
        for process in self.alive():
            for name, listener in process.listeners:
                if name == bell:
                    self._loop.call_soon(listener, words, context=process.context)

    # --- beginning and end ---

    def start(self, place: int) -> None:
        """Let somebody begin at a place where nobody lives."""
        before = self._processes[place]
        if self._loop.time() < self._starts_at or (before is not None and before.is_alive):
            return  # a restore starts it when it is over, or has started it
        self._begun += 1
        is_trader = place < self._world.plan.traders
        name = f"{'trader' if is_trader else 'monitor'}-{place}-{self._begun}"
        context = contextvars.copy_context()
        context.run(PROCESS.set, name)
        process: Process
        if is_trader:
            process = trader = context.run(self._make_trader, name, context)
            work = [self._live(trader), self._hear(trader), self._follow(trader)]
        else:
            process = monitor = context.run(self._make_monitor, name, context)
            work = [monitor.monitor.run()]
        self._processes[place] = process
        for one in (*work, self._renew(process, place)):
            self._spawn(one, process)
        self._world.note(f"started {name}")

    def start_all(self) -> None:
        """Let everybody begin."""
        for place in range(len(self._processes)):
            self.start(place)

    def end(self, place: int, seconds: float) -> None:
        """End a process for good, as kill -9 does, and start the next after so many seconds."""
        process = self._processes[place]
        if process is None or not process.is_alive:
            return
        process.is_alive = False
        if isinstance(process, MonitorProcess):
            process.prices.end()
        self._loop.stop_process(process.name)
        self._world.journal.break_off(process.name)
        self._world.note(f"ended {process.name}")
        self._loop.call_later(seconds, self.start, place)

    def end_all(self) -> None:
        """End everybody, and let nobody begin until ``start_all_in`` says when."""
        self._starts_at = float("inf")
        for place in range(len(self._processes)):
            self.end(place, 0.0)

    def start_all_in(self, seconds: float) -> None:
        """Let everybody begin in so many seconds, and nobody before."""
        self._starts_at = self._loop.time() + seconds
        for place in range(len(self._processes)):
            self._loop.call_at(self._starts_at, self.start, place)

    def freeze(self, place: int, seconds: float) -> None:
        """Let who lives there do nothing for so long."""
        process = self._processes[place]
        if process is not None and process.is_alive:
            self._loop.stop_process(process.name)
            self._loop.call_later(seconds, self._thaw, process)

    def _thaw(self, process: Process) -> None:
        if process.is_alive:
            self._loop.continue_process(process.name)

    def _make_monitor(self, name: str, context: contextvars.Context) -> MonitorProcess:
        bell = Bell(self.ring)
        world = self._world
        floor = Floor(
            world.store,
            exchanges={Venue.PAPER: world.venue},
            doorbell=bell,
            clock=world.clock,
            desk=self._desk(name),
            orders_in_flight_max=ORDERS_IN_FLIGHT_MAX,
            first_part=world.plan.first_part,
        )
        prices = SimulatedPrices(world.venue)
        watches = MemoryWatches(
            world.watching, worker_id=name, read=world.store.read, clock=world.clock, moment=world.moment
        )
        monitor = Monitor(
            floor,
            watches=watches,
            prices={Venue.PAPER: prices},
            claimed_by=name,
            monotonic=self._loop.time,
        )
        return MonitorProcess(
            name=name,
            context=context,
            lease_until=self._loop.time() + LEASE_SECONDS,
            listeners=bell.listeners,
            monitor=monitor,
            prices=prices,
        )

    def _make_trader(self, name: str, context: contextvars.Context) -> TraderProcess:
        bell = Bell(self.ring)
        world = self._world
        trader = Trader(
            world.store,
            exchanges={Venue.PAPER: world.venue},
            doorbell=bell,
            clock=world.clock,
            desk=self._desk(name),
            orders_in_flight_max=ORDERS_IN_FLIGHT_MAX,
            first_part=world.plan.first_part,
            protections={Venue.PAPER: world.venue},
        )
        return TraderProcess(
            name=name,
            context=context,
            lease_until=self._loop.time() + LEASE_SECONDS,
            listeners=bell.listeners,
            trader=trader,
        )

    def _desk(self, name: str) -> Desk:
        return Desk(desk_id=DESK_ID, owner=name, lease_epoch=self._begun)

    # --- what a process does ---

    def _spawn(self, work: Coroutine[Any, Any, None], process: Process) -> None:
        task = self._loop.create_task(work, context=process.context)
        task.add_done_callback(lambda done: self._see_end(done, process))

    def _see_end(self, task: asyncio.Task[None], process: Process) -> None:
        if not task.cancelled() and (mistake := task.exception()) is not None and process.is_alive:
            self._world.find(f"a loop of {process.name} ended: {_describe(mistake)}")

    async def _live(self, process: TraderProcess) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                while self._world.streams.follower is None:  # noqa: ASYNC110  # whoever follows may be gone for good
                    await asyncio.sleep(0.05)
        await process.trader.run()

    async def _hear(self, process: TraderProcess) -> None:
        while True:
            while process.heard:
                await process.trader.take(process.heard.popleft())
            await asyncio.sleep(0.002)

    async def _follow(self, process: TraderProcess) -> None:
        """Follow the streams while the lease says that nobody else does."""
        streams = self._world.streams
        while True:
            holder = streams.follower
            is_free = holder is None or holder.lease_until <= self._loop.time()
            if is_free and not self._world.database_is_away:
                streams.follower, process.is_following = process, False
            if streams.follower is not process:
                process.trader.give_up(Venue.PAPER)
            elif not process.is_following:
                with suppress(ConnectionError):
                    await process.trader.take_over(Venue.PAPER)
                    process.is_following = True
                    streams.connect(process)
            await asyncio.sleep(2.0)

    async def _renew(self, process: Process, place: int) -> None:
        """Renew the process's lease; one that has run out ends it, as a process away too long ends itself."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._world.database_is_away:
                continue
            if process.lease_until <= self._loop.time():
                self._world.note(f"lease lost by {process.name}")
                self._loop.call_later(0.0, self.end, place, 1.0, context=contextvars.Context())
                return
            process.lease_until = self._loop.time() + LEASE_SECONDS


def _describe(mistake: BaseException) -> str:
    if isinstance(mistake, BaseExceptionGroup):
        return "; ".join(_describe(one) for one in mistake.exceptions)
    return f"{type(mistake).__name__}: {mistake}"
