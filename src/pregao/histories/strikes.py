"""What goes wrong: processes die and freeze, prices leap or fall silent, database and venue are away, a backup is put back."""

import asyncio
from dataclasses import replace

from pregao.domain.facts import TradingStateSet
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.edges.postgres.checks import FORGOTTEN_SECONDS
from pregao.histories.lives import Lives
from pregao.histories.market import Market
from pregao.histories.plan import Strike
from pregao.histories.processes import MonitorProcess
from pregao.histories.world import World
from pregao.simulation.desk.state import State
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.loop import PROCESS
from pregao.simulation.venue import Manners


class Strikes:
    """Carries out the plan's strikes, each at its time."""

    def __init__(self, world: World, *, lives: Lives, market: Market) -> None:
        """Strike nobody yet."""
        self._world = world
        self._loop = world.loop
        self._lives = lives
        self._market = market
        self._trap: Strike | None = None  # for the monitor that claims next
        self._backup: State | None = None
        self._states_version = 0

    async def strike_all(self) -> None:
        """Carry them all out."""
        strikes = self._world.plan.strikes
        for strike in strikes:
            if strike.what == "restore":
                backup_in = strike.at_seconds - strike.seconds - self._loop.time()
                self._loop.call_later(max(0.0, backup_in), self._back_up)
        for strike in strikes:
            await asyncio.sleep(max(0.0, strike.at_seconds - self._loop.time()))
            self._world.note(f"strike {strike.what} {strike.seconds:.6f}")
            if strike.what != "claim":  # it is counted where it is hit
                self._world.hit(strike.what)
            self._strike(strike)

    def _strike(self, strike: Strike) -> None:
        match strike.what:
            case "kill":
                self._lives.end(strike.place, strike.seconds)
            case "freeze":
                self._lives.freeze(strike.place, strike.seconds)
            case "halt":
                self._loop.create_task(self._halt(strike.seconds))
            case "claim":
                self._trap = strike
            case "feed_mute" | "feed_silent" | "feed_dead":
                self._silence(strike)
            case "outlier":
                self._tell_outlier(strike)
            case "rise" | "fall":
                self._market.leap(strike.symbol, strike.factor, seconds=strike.seconds)
            case "crash":
                self._market.crash(seconds=strike.seconds)
            case "restore":
                self._loop.create_task(self._restore())
            case "database":
                self._world.database_is_away = True
                self._loop.call_later(strike.seconds, self._bring_database_back)
            case _:
                self._world.venue.is_down = True
                self._loop.call_later(strike.seconds, self._bring_venue_back)

    def end_all(self) -> None:
        """End all trouble: from here on everything must settle."""
        self._world.is_troubled = False
        self._world.venue.manners = Manners()
        self._bring_database_back()
        self._bring_venue_back()
        self._market.calm()
        self._trap = None
        for process in self._lives.alive():
            if isinstance(process, MonitorProcess):
                process.prices.is_mute = process.prices.is_silent = process.prices.is_dead = False
        self._world.streams.cut()  # what nobody told of a hand's trades is found when it is asked
        self._world.note("trouble is over")

    # --- at monitors ---

    def spring(self) -> None:
        """End the monitor that has claimed just now, before its exit leaves, where a strike waits for that."""
        place = None if self._trap is None else self._lives.place_of(PROCESS.get())
        if self._trap is not None and place is not None:
            seconds, self._trap = self._trap.seconds, None
            self._world.hit("claim")
            self._lives.end(place, seconds)

    def _silence(self, strike: Strike) -> None:
        process = self._lives.at(strike.place)
        if isinstance(process, MonitorProcess):
            fault = strike.what.replace("feed", "is")
            setattr(process.prices, fault, True)
            if strike.seconds:
                self._loop.call_later(strike.seconds, setattr, process.prices, fault, False)

    def _tell_outlier(self, strike: Strike) -> None:
        """Tell a price that nobody has traded at, once: nothing may come of it."""
        tick, told = (
            LISTINGS[strike.symbol].instrument.price_tick,
            self._world.venue.engine.books.quotes[strike.symbol],
        )
        price = told.bid * strike.factor // tick * tick
        for process in self._lives.alive():
            if isinstance(process, MonitorProcess):
                process.context.copy().run(process.prices.stream, replace(told, bid=price, ask=price + tick))

    # --- at the database and the venue ---

    def _bring_database_back(self) -> None:
        self._world.database_is_away = False

    def _bring_venue_back(self) -> None:
        self._world.venue.is_down = False

    def _back_up(self) -> None:
        self._backup = self._world.journal.state.copy()

    async def _restore(self) -> None:
        """Put the backup back: everybody ends, and the next begin when nothing that was begun can happen any more."""
        assert self._backup is not None, "it is made before it is put back"
        world = self._world
        world.database_is_away = True
        self._lives.end_all()
        while world.journal.is_open:  # noqa: ASYNC110  # whoever holds it fails at its next step
            await asyncio.sleep(0.001)
        forgotten = world.journal.state
        world.journal.put_back(self._backup)
        world.gone = forgotten.signals.keys() - self._backup.signals.keys()
        world.watch.forget(self._backup)
        world.watching.clear()
        world.database_is_away = False
        await world.store.mark_forgotten()
        self._lives.start_all_in(FORGOTTEN_SECONDS)

    # --- at the desk ---

    async def _halt(self, seconds: float) -> None:
        """Halt the desk for so long."""
        await self._set_state(TradingState.HALTED)
        self._world.watch.halted(self._states_version)
        await asyncio.sleep(seconds)
        self._world.watch.halted(None)
        await self._set_state(TradingState.ACTIVE)

    async def _set_state(self, state: TradingState) -> None:
        self._states_version += 1
        told = TradingStateSet(
            happened_at=self._world.clock(),
            version=self._states_version,
            level=ScopeLevel.DESK,
            subject="",
            name="desk",
            state=state,
            block_exits=False,
            reason="history",
            set_by="history",
            user_id=None,
            is_by_staff=True,
            source_address="",
        )
        while True:
            try:
                async with self._world.journal.transaction() as transaction:
                    await transaction.append([told])
                break
            except ConnectionError:
                await asyncio.sleep(0.5)
        self._lives.ring("states", "")
