"""
One history: a desk of one or two traders and up to two monitors, a venue, a database and all that goes wrong, replayed to the byte by its seed.

The loops are the ones that trade; the journal, the venue, the bell and the clock are in memory.
"""

import asyncio
import contextvars
import hashlib
import random
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import structlog

from pregao.decisions.answer import to_answer
from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    DecisionPending,
    Fact,
    SignalAccepted,
    SignalReceived,
    SignalRepeated,
    StopTriggered,
    SubscriptionConfigured,
    TradingStateSet,
    UserConfigured,
)
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.protection import ProtectionReport
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.domain.venue import OrderAttempt, OrderReport, StreamGap, TradeReport
from pregao.edges.postgres.checks import FORGOTTEN_SECONDS
from pregao.histories.plan import (
    APPROVAL_SECONDS,
    STARTS_AT,
    SYMBOLS,
    TROUBLE_SECONDS,
    Delivery,
    Plan,
    Strike,
    make_plan,
)
from pregao.histories.processes import Bell, MonitorProcess, Process, TraderProcess
from pregao.histories.safety import FOR_EVER_MS, Watch, differs_from_journal, unsettled, unwatched
from pregao.simulation.desk.journal import MemoryJournal
from pregao.simulation.desk.state import State
from pregao.simulation.desk.store import MemoryStore
from pregao.simulation.desk.watches import MemoryWatches, Watching
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.loop import PROCESS, VirtualLoop, run_in_virtual_time
from pregao.simulation.prices import SimulatedPrices
from pregao.simulation.reports import held_of
from pregao.simulation.venue import Manners, SimulatedVenue
from pregao.trading.floor import Floor
from pregao.trading.monitor import Monitor
from pregao.trading.trader import Trader

SETTLE_SECONDS_MAX = 240.0  # after the last fault: the slowest question is asked every half minute
DESK_ID = UUID(int=77)
LEASE_SECONDS = 10.0
RENEW_SECONDS = 2.0
ORDERS_IN_FLIGHT_MAX = 4
PRICE_SECONDS = 0.5
HAND_QUANTITY = Decimal("0.01")
CRASH = Decimal("0.75")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one history came to."""

    seed: int
    sha256: str  # of all that was committed and sent, in order
    signals: int
    orders: int
    fills: int
    seconds: float  # virtual ones
    hits: dict[str, int]
    is_alone: bool  # nobody but the desk, as it remembers itself, has traded on its accounts
    found: tuple[str, ...]


class World:
    """All that there is in one history."""

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        """Set up the desk of the plan; ``run`` lets it live."""
        self._plan = plan
        self._loop = loop
        self._chance = random.Random(f"{plan.seed}/world")
        self._trace = hashlib.sha256()
        self.found: list[str] = []
        self._processes: list[Process | None] = [None] * (plan.traders + plan.monitors)
        self._lives = 0
        self._follower: TraderProcess | None = None
        self._trap: Strike | None = None  # for the monitor that claims next
        self._database_is_away = False
        self._backup: State | None = None
        self._gone: set[UUID] = set()  # signals that a restore took
        self._starts_at = 0.0  # no trader before
        self._troubled = True
        self._watch = Watch(plan, find=self._find)
        self.journal = MemoryJournal(moment=self._moment, tell=self._committed)
        self._watching = Watching()
        self._store = MemoryStore(
            self.journal,
            clock=self.clock,
            moment=self._moment,
            acknowledged=self._acknowledged,
            watching=self._watching,
        )
        self.venue = SimulatedVenue(
            clock=self.clock,
            chance=random.Random(f"{plan.seed}/venue"),
            tell=self._tell,
            submitted=self._sent,
            cut_streams=self._cut_streams,
            manners=plan.manners,
        )
        self._prices = dict(SYMBOLS)
        self._crash = Decimal(1)
        self._leaps = dict.fromkeys(SYMBOLS, Decimal(1))
        self._states_version = 0
        self.hits: dict[str, int] = {}

    def clock(self) -> datetime:
        """Give the world's time, which is everybody's."""
        return STARTS_AT + timedelta(seconds=self._loop.time())

    @property
    def is_alone(self) -> bool:
        """Whether nobody but the desk, as it remembers itself, has traded on its accounts."""
        return not ({*self.hits, *self.venue.hits} & {"restore", "crash", "hand"})

    # --- what is watched ----------------------------------------------------------------------------------

    def _find(self, what: str) -> None:
        if what not in self.found:
            self.found.append(what)
            self._note(f"found {what}")

    def _note(self, what: str) -> None:
        self._trace.update(f"{self._loop.time():.9f} {what}\n".encode())

    def _committed(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._note(f"{type(fact).__name__} {msgspec.json.encode(fact).decode()}")
        self._watch.committed(facts, self.journal.state)
        if self._trap is not None and any(isinstance(fact, StopTriggered) for fact in facts):
            self._spring(self._trap)

    def _spring(self, trap: Strike) -> None:
        """End the monitor that has claimed just now, before its exit leaves."""
        for place, process in enumerate(self._processes):
            if isinstance(process, MonitorProcess) and process.name == PROCESS.get():
                self._trap = None
                self._hit("claim")
                self._end(place, trap.seconds)

    def _sent(self, attempt: OrderAttempt) -> None:
        self._note(f"sent {attempt.client_order_id}")
        self._watch.sent(attempt, now=self.clock(), by=PROCESS.get())

    # --- the database -------------------------------------------------------------------------------------

    async def _moment(self, moment: str) -> None:
        await asyncio.sleep(0.0002 + 0.002 * self._chance.random())
        if self._database_is_away:
            raise ConnectionError("the database is away")
        may_break = moment in ("commit", "committed") and self._troubled and PROCESS.get() != ""
        if may_break and self._chance.random() < self._plan.database_loss:
            self._hit(f"database {moment}")
            raise ConnectionError(f"the connection broke at {moment}")

    def _hit(self, what: str) -> None:
        self.hits[what] = self.hits.get(what, 0) + 1

    # --- processes ----------------------------------------------------------------------------------------

    def ring(self, bell: str, words: str) -> None:
        """Let everybody hear it who is there; now and then nobody."""
        if self._troubled and self._chance.random() < 0.1:
            return
        for process in self._alive():
            for name, listener in process.listeners:
                if name == bell:
                    self._loop.call_soon(listener, words, context=process.context)

    def _alive(self) -> list[Process]:
        return [one for one in self._processes if one is not None and one.is_alive]

    def _start(self, place: int) -> None:
        before = self._processes[place]
        if self._loop.time() < self._starts_at or (before is not None and before.is_alive):
            return  # a restore starts it when it is over, or has started it
        self._lives += 1
        is_trader = place < self._plan.traders
        name = f"{'trader' if is_trader else 'monitor'}-{place}-{self._lives}"
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
        self._note(f"started {name}")

    def _make_monitor(self, name: str, context: contextvars.Context) -> MonitorProcess:
        bell = Bell(self.ring)
        floor = Floor(
            self._store,
            exchanges={Venue.PAPER: self.venue},
            doorbell=bell,
            clock=self.clock,
            desk=Desk(desk_id=DESK_ID, owner=name, lease_epoch=self._lives),
            orders_in_flight_max=ORDERS_IN_FLIGHT_MAX,
            first_part=self._plan.first_part,
        )
        prices = SimulatedPrices(self.venue)
        watches = MemoryWatches(
            self._watching, worker_id=name, read=self._store.read, clock=self.clock, moment=self._moment
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
        trader = Trader(
            self._store,
            exchanges={Venue.PAPER: self.venue},
            doorbell=bell,
            clock=self.clock,
            desk=Desk(desk_id=DESK_ID, owner=name, lease_epoch=self._lives),
            orders_in_flight_max=ORDERS_IN_FLIGHT_MAX,
            first_part=self._plan.first_part,
            protections={Venue.PAPER: self.venue},
        )
        return TraderProcess(
            name=name,
            context=context,
            lease_until=self._loop.time() + LEASE_SECONDS,
            listeners=bell.listeners,
            trader=trader,
        )

    def _spawn(self, work: Coroutine[Any, Any, None], process: Process) -> None:
        task = self._loop.create_task(work, context=process.context)
        task.add_done_callback(lambda done: self._see_end(done, process))

    def _see_end(self, task: asyncio.Task[None], process: Process) -> None:
        if not task.cancelled() and (mistake := task.exception()) is not None and process.is_alive:
            self._find(f"a loop of {process.name} ended: {_describe(mistake)}")

    async def _live(self, process: TraderProcess) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                while self._follower is None:  # noqa: ASYNC110  # whoever follows may be gone for good
                    await asyncio.sleep(0.05)
        await process.trader.run()

    async def _hear(self, process: TraderProcess) -> None:
        while True:
            while process.heard:
                await process.trader.take(process.heard.popleft())
            await asyncio.sleep(0.002)

    async def _renew(self, process: Process, place: int) -> None:
        """Renew the process's lease; one that has run out ends it, as a process away too long ends itself."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._database_is_away:
                continue
            if process.lease_until <= self._loop.time():
                self._note(f"lease lost by {process.name}")
                self._loop.call_later(0.0, self._end, place, 1.0, context=contextvars.Context())
                return
            process.lease_until = self._loop.time() + LEASE_SECONDS

    async def _follow(self, process: TraderProcess) -> None:
        """Follow the streams while the lease says that nobody else does."""
        while True:
            holder = self._follower
            is_free = holder is None or holder.lease_until <= self._loop.time()
            if is_free and not self._database_is_away:
                self._follower, process.is_following = process, False
            if self._follower is not process:
                process.trader.give_up(Venue.PAPER)
            elif not process.is_following:
                with suppress(ConnectionError):
                    await process.trader.take_over(Venue.PAPER)
                    process.is_following = True
                    self._connect(process)
            await asyncio.sleep(2.0)

    def _connect(self, process: TraderProcess) -> None:
        for account in self._plan.accounts:
            process.heard.append(StreamGap(account_id=account.account_id, connected_at=self.clock()))

    def _tell(self, report: OrderReport | TradeReport | ProtectionReport) -> None:
        if self._follower is not None and self._follower.is_alive and self._follower.is_following:
            self._follower.heard.append(report)

    def _cut_streams(self) -> None:
        follower = self._follower
        if follower is not None and follower.is_following:
            follower.heard.clear()
            self._loop.call_later(2.0 * self._chance.random(), self._connect, follower)

    def _end(self, place: int, seconds: float) -> None:
        """End a process for good, as kill -9 does, and start the next after so many seconds."""
        process = self._processes[place]
        if process is None or not process.is_alive:
            return
        process.is_alive = False
        if isinstance(process, MonitorProcess):
            process.prices.end()
        self._loop.stop_process(process.name)
        self.journal.break_off(process.name)
        self._note(f"ended {process.name}")
        self._loop.call_later(seconds, self._start, place)

    # --- what happens -------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Let the history happen; then wait until everything has settled."""
        await self._open()
        for place in range(len(self._processes)):
            self._start(place)
        work = [
            self._loop.create_task(self._deliver_all()),
            self._loop.create_task(self._strike_all()),
            self._loop.create_task(self._trade_by_hand()),
            self._loop.create_task(self._move_prices()),
            self._loop.create_task(self._answer_questions()),
        ]
        await asyncio.sleep(TROUBLE_SECONDS)
        await asyncio.gather(*work[:3])
        self._end_trouble()
        await self._settle()
        for task in work:
            task.cancel()
        return self._outcome()

    async def _open(self) -> None:
        now = self.clock()
        for symbol, price in self._prices.items():
            self.venue.move_price(symbol, price)
        for account in self._plan.accounts:
            self.venue.open_account(
                account.account_id,
                balance=self._plan.balances[account.account_id],
                position_mode=account.position_mode,
            )
        facts: list[Fact] = [
            *(UserConfigured(happened_at=now, user=one) for one in self._plan.users),
            *(AccountConfigured(happened_at=now, account=one) for one in self._plan.accounts),
            *(BotConfigured(happened_at=now, bot=one) for one in self._plan.bots),
            *(SubscriptionConfigured(happened_at=now, subscription=one) for one in self._plan.subscriptions),
        ]
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def _deliver_all(self) -> None:
        for delivery in self._plan.deliveries:
            await asyncio.sleep(max(0.0, delivery.at_seconds - self._loop.time()))
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        """
        Commit an arrival as intake does; a sender whose delivery fails sends it again.

        After a restore took it, intake would know it under another id: that is another signal, and none of this plan.
        """
        while delivery.signal_id not in self._gone:
            try:
                async with self.journal.transaction() as transaction:
                    is_known = delivery.signal_id in transaction.state.signals
                    await transaction.append(self._arrival(delivery, is_known=is_known))
                self.ring("signals", "")
                return
            except ConnectionError:
                await asyncio.sleep(1.0)

    def _arrival(self, delivery: Delivery, *, is_known: bool) -> list[Fact]:
        now = self.clock()
        if is_known:
            return [SignalRepeated(happened_at=now, signal_id=delivery.signal_id, source_address="")]
        return [
            SignalReceived(
                happened_at=now,
                signal_id=delivery.signal_id,
                bot_id=delivery.bot_id,
                body=b"{}",
                content_type="application/json",
                source="history",
                source_address="",
                dedupe_key=str(delivery.signal_id),
                is_explicit_id=True,
            ),
            SignalAccepted(
                happened_at=now,
                signal_id=delivery.signal_id,
                bot_id=delivery.bot_id,
                instruction=delivery.instruction,
            ),
        ]

    async def _answer_questions(self) -> None:
        """Answer what is put to a person: mostly yes, sometimes no, sometimes not at all."""
        chance = random.Random(f"{self._plan.seed}/people")
        seen: set[UUID] = set()
        while True:
            await asyncio.sleep(1.0)
            for fact in list(self.journal.state.journal):
                if isinstance(fact, DecisionPending) and fact.signal_id not in seen:
                    seen.add(fact.signal_id)
                    patience = 1.3 * APPROVAL_SECONDS * chance.random()
                    answer = self._answer(fact, is_approved=chance.random() < 0.8, seconds=patience)
                    self._loop.create_task(answer)

    async def _answer(self, asked: DecisionPending, *, is_approved: bool, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with suppress(ConnectionError):
            async with self.journal.transaction() as transaction:
                row = transaction.state.signals.get(asked.signal_id)
                if row is None or row.status != "pending" or self.clock() >= asked.expires_at:
                    return
                answer = to_answer(
                    asked, is_approved=is_approved, answered_by="ana", reason="", now=self.clock()
                )
                await transaction.append([answer])
                self._hit("answer")
            self.ring("signals", "")

    async def _trade_by_hand(self) -> None:
        for trade in self._plan.hand_trades:
            await asyncio.sleep(max(0.0, trade.at_seconds - self._loop.time()))
            account = self.venue.engine.books.accounts[str(trade.account_id)]
            held = {
                side: quantity
                for (symbol, side), quantity in held_of(account, until_ms=FOR_EVER_MS).items()
                if symbol == trade.symbol and quantity
            }
            is_hedged = account.position_mode is PositionMode.HEDGE
            side, place = trade.side, PositionSide.BOTH
            quantity = trade.share * HAND_QUANTITY
            if held:
                [(place, quantity), *_] = sorted(held.items())
                side = Side.SELL if quantity > 0 else Side.BUY
                share = min(trade.share, Decimal(1)) if is_hedged else trade.share
                step = LISTINGS[trade.symbol].instrument.market_quantity_step
                quantity = max(step, abs(quantity) * share // step * step)
            elif is_hedged:
                place = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
            is_taken = self.venue.trade_by_hand(
                trade.account_id, symbol=trade.symbol, side=side, position_side=place, quantity=quantity
            )
            self._note(f"hand {trade.account_id} {trade.symbol} {side} {quantity} {is_taken}")

    async def _strike_all(self) -> None:
        for strike in self._plan.strikes:
            if strike.what == "restore":
                backup_in = strike.at_seconds - strike.seconds - self._loop.time()
                self._loop.call_later(max(0.0, backup_in), self._back_up)
        for strike in self._plan.strikes:
            await asyncio.sleep(max(0.0, strike.at_seconds - self._loop.time()))
            self._note(f"strike {strike.what} {strike.seconds:.6f}")
            if strike.what != "claim":  # it is counted where it is hit
                self._hit(strike.what)
            self._strike(strike)

    def _strike(self, strike: Strike) -> None:
        match strike.what:
            case "kill":
                self._end(strike.place, strike.seconds)
            case "freeze":
                process = self._processes[strike.place]
                if process is not None and process.is_alive:
                    self._loop.stop_process(process.name)
                    self._loop.call_later(strike.seconds, self._thaw, process)
            case "halt":
                self._loop.create_task(self._halt(strike.seconds))
            case "claim":
                self._trap = strike
            case "feed_mute" | "feed_silent" | "feed_dead":
                self._silence(strike)
            case "outlier":
                self._tell_outlier(strike)
            case "rise" | "fall":
                self._leaps[strike.symbol] = strike.factor
                self._loop.call_later(strike.seconds, self._leap_back, strike.symbol)
            case "crash":
                self._crash = CRASH
                self._loop.call_later(strike.seconds, self._recover_prices)
            case "restore":
                self._loop.create_task(self._restore())
            case "database":
                self._database_is_away = True
                self._loop.call_later(strike.seconds, self._bring_database_back)
            case _:
                self.venue.is_down = True
                self._loop.call_later(strike.seconds, self._bring_venue_back)

    def _silence(self, strike: Strike) -> None:
        process = self._processes[strike.place]
        if isinstance(process, MonitorProcess):
            fault = strike.what.replace("feed", "is")
            setattr(process.prices, fault, True)
            if strike.seconds:
                self._loop.call_later(strike.seconds, setattr, process.prices, fault, False)

    def _tell_outlier(self, strike: Strike) -> None:
        """Tell a price that nobody has traded at, once: nothing may come of it."""
        tick, told = (
            LISTINGS[strike.symbol].instrument.price_tick,
            self.venue.engine.books.quotes[strike.symbol],
        )
        price = told.bid * strike.factor // tick * tick
        for process in self._alive():
            if isinstance(process, MonitorProcess):
                process.context.copy().run(process.prices.stream, replace(told, bid=price, ask=price + tick))

    def _leap_back(self, symbol: str) -> None:
        self._leaps[symbol] = Decimal(1)

    def _back_up(self) -> None:
        self._backup = self.journal.state.copy()

    async def _restore(self) -> None:
        """Put the backup back: every trader ends, and the next begin when nothing that was begun can happen any more."""
        assert self._backup is not None, "it is made before it is put back"
        self._database_is_away, self._starts_at = True, float("inf")
        for place in range(len(self._processes)):
            self._end(place, 0.0)
        while self.journal.is_open:  # noqa: ASYNC110  # whoever holds it fails at its next step
            await asyncio.sleep(0.001)
        forgotten = self.journal.state
        self.journal.put_back(self._backup)
        self._gone = forgotten.signals.keys() - self._backup.signals.keys()
        self._watch.forget(self._backup)
        self._watching.clear()
        self._database_is_away = False
        await self._store.mark_forgotten()
        self._starts_at = self._loop.time() + FORGOTTEN_SECONDS
        for place in range(len(self._processes)):
            self._loop.call_at(self._starts_at, self._start, place)

    def _thaw(self, process: Process) -> None:
        if process.is_alive:
            self._loop.continue_process(process.name)

    async def _halt(self, seconds: float) -> None:
        """Halt the desk for so long."""
        await self._set_state(TradingState.HALTED)
        self._watch.halted(self._states_version)
        await asyncio.sleep(seconds)
        self._watch.halted(None)
        await self._set_state(TradingState.ACTIVE)

    async def _set_state(self, state: TradingState) -> None:
        self._states_version += 1
        told = TradingStateSet(
            happened_at=self.clock(),
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
                async with self.journal.transaction() as transaction:
                    await transaction.append([told])
                break
            except ConnectionError:
                await asyncio.sleep(0.5)
        self.ring("states", "")

    def _acknowledged(self, worker_id: str, version: int) -> None:
        self._note(f"acknowledged {version} by {worker_id}")
        self._watch.acknowledged(worker_id, version)

    def _recover_prices(self) -> None:
        self._crash = Decimal(1)

    def _bring_database_back(self) -> None:
        self._database_is_away = False

    def _bring_venue_back(self) -> None:
        self.venue.is_down = False

    async def _move_prices(self) -> None:
        chance = random.Random(f"{self._plan.seed}/prices")
        while True:
            await asyncio.sleep(PRICE_SECONDS)
            for symbol in SYMBOLS:
                tick = LISTINGS[symbol].instrument.price_tick
                self._prices[symbol] += tick * chance.randint(-40, 40)
                price = self._prices[symbol] * self._leaps[symbol] * self._crash // tick * tick
                self._watch.moved(symbol, price - tick, price + tick, at=self.clock())
                self.venue.move_price(symbol, price)
            self.venue.pass_time()
            self._watch.check_executions(self.venue.engine)

    def _end_trouble(self) -> None:
        self._troubled = False
        self.venue.manners = Manners()
        self._bring_database_back()
        self._bring_venue_back()
        self._recover_prices()
        self._trap = None
        self._leaps = dict.fromkeys(SYMBOLS, Decimal(1))
        for process in self._alive():
            if isinstance(process, MonitorProcess):
                process.prices.is_mute = process.prices.is_silent = process.prices.is_dead = False
        self._cut_streams()  # what nobody told of a hand's trades is found when it is asked
        self._note("trouble is over")

    async def _settle(self) -> None:
        """Wait until everything has settled, and a little more: it must stay so."""
        left: list[str] = []
        calm_since: float | None = None
        until = self._loop.time() + SETTLE_SECONDS_MAX
        while self._loop.time() < until:
            await asyncio.sleep(1.0)
            left = unsettled(
                self.journal.state,
                self.venue.engine,
                forgotten=self._watch.forgotten,
                is_alone=self.is_alone,
            )
            if self._plan.monitors:
                left += unwatched(self.journal.state, self.venue.engine, self._watching, now=self.clock())
            calm_since = None if left else calm_since or self._loop.time()
            if calm_since is not None and self._loop.time() - calm_since > 15.0:
                break
        for one in [*left, *differs_from_journal(self.journal.state)]:
            self._find(f"after {SETTLE_SECONDS_MAX:.0f} s: {one}")
        self._watch.check_executions(self.venue.engine)

    def _liquidations(self) -> dict[str, int]:
        accounts = self.venue.engine.books.accounts.values()
        count = sum(order.is_liquidation for account in accounts for order in account.orders.values())
        return {"liquidation": count} if count else {}

    def _outcome(self) -> Outcome:
        state = self.journal.state
        return Outcome(
            seed=self._plan.seed,
            sha256=self._trace.hexdigest(),
            signals=len(state.signals),
            orders=sum(row.attempt > 0 for row in state.orders.values()),
            fills=len(state.fills),
            seconds=round(self._loop.time(), 3),
            hits={**self.hits, **self.venue.hits, **self._liquidations()},
            is_alone=self.is_alone,
            found=tuple(self.found),
        )


def run_history(seed: int) -> Outcome:
    """Run the history of a seed."""
    plan = make_plan(seed)

    async def live(loop: VirtualLoop) -> Outcome:
        return await World(plan, loop).run()

    with structlog.testing.capture_logs() as said:
        outcome: Outcome = run_in_virtual_time(seed, live)
    expected = EXPECTED | (frozenset() if outcome.is_alone else DRIFTS)
    mistakes = [
        f"log {entry['event']}: {entry.get('exc_info') or entry.get('error', '')!r}"
        for entry in said
        if entry["log_level"] == "error" and entry["event"] not in expected
    ]
    return replace(outcome, found=(*outcome.found, *dict.fromkeys(mistakes)))


EXPECTED = frozenset({"orders.outcome.unwritten", "stops.outcome.unwritten"})
"""What a broken connection leaves to be asked about."""
DRIFTS = frozenset({"positions.drift", "stops.line.unknown"})
"""What was forgotten, or is somebody else's, is told, and held beside ours."""


def _describe(mistake: BaseException) -> str:
    if isinstance(mistake, BaseExceptionGroup):
        return "; ".join(_describe(one) for one in mistake.exceptions)
    return f"{type(mistake).__name__}: {mistake}"
