"""
Where the trader's facts are committed with all that follows from them, and where what was planned leaves.

Every loop works through the floor; it knows none of them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from pregao import rehearsal
from pregao.destinations.ports import Limiter
from pregao.domain.account import EXCHANGES, Venue
from pregao.domain.breaker import Breakers
from pregao.domain.candle import Measure
from pregao.domain.clock import Clock
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    DecisionApproved,
    DecisionDeclined,
    DecisionPending,
    Fact,
    FillBooked,
    FillReported,
    ForwardAnswered,
    OrderDenied,
    OrderEnded,
    OrderPlanned,
    OrderRejected,
    PositionChanged,
    PositionLeft,
    ProtectionPlanned,
    SignalPlanned,
    StopArmed,
    StopChanged,
    StopDisarmed,
    StopRaised,
    StopTriggered,
)
from pregao.domain.forward import FORWARD_CODES
from pregao.domain.position import PositionStatus
from pregao.domain.protection import Protections
from pregao.domain.venue import VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.intake import AWAY as DATABASE_AWAY
from pregao.market.live import LiveMarket
from pregao.market.ports import CandleSource
from pregao.orders.plan import deny_next_part, sizes_of_parts
from pregao.orders.ports import Exchange, Forwards
from pregao.orders.send import attempt_of, not_sent, send_order
from pregao.runner import Runner
from pregao.stops.told import with_triggers
from pregao.trading.doubts import Doubts
from pregao.trading.gate import Gate
from pregao.trading.outbox import NEVER_QUIET, Outbox, Quiet
from pregao.trading.steps import bind_steps
from pregao.trading.store import Bell, Store
from pregao.trading.trouble import AWAY, log_away

UNWRITTEN_SECONDS = (
    0.25  # between two tries to have an order asked about whose outcome the database did not take
)
LOOK_SECONDS = 1.0  # a ring may be lost: this long at most until somebody looks anyway
BURST_ORDERS = 16  # so many at once are prepared while they are committed
STOPS_BELL = "stops"  # tells the positions whose stops have changed
ON_THE_WAY = (PositionStatus.PENDING, PositionStatus.CLOSING)
MARGIN_ASSET = "USDT"  # other margin assets are denied when an order is planned

log = structlog.get_logger()


class Floor:
    """The floor of one trader, under the lease named in ``desk``."""

    def __init__(
        self,
        store: Store[Any],
        *,
        exchanges: Mapping[Venue, Exchange],
        doorbell: Bell,
        clock: Clock,
        desk: Desk,
        orders_in_flight_max: int,
        first_part: int,
        protections: Mapping[Venue, Protections] | None = None,
        candles: Mapping[Venue, CandleSource] | None = None,
        breakers: Breakers | None = None,
        quiet: Quiet = NEVER_QUIET,
        forwards: Forwards | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        """
        Send ``orders_in_flight_max`` orders at once per venue and leg; plan ``first_part`` accounts first.

        A venue without ``protections`` keeps no lines: the software alone guards there. Where no ``candles`` are told,
        nothing is entered whose stop is measured by them. ``forwards`` knows of what is posted to webhooks, and
        ``limiter`` how often that may be done.
        """
        self.store = store
        self.exchanges = exchanges
        self.protections = {} if protections is None else protections
        self.doorbell = doorbell
        self.clock = clock
        self.market = LiveMarket(exchanges, clock=clock, breakers=breakers, candles=candles)
        self.doubts = Doubts(clock)
        self.gate = Gate()
        self.turn_came = (
            asyncio.Event()
        )  # a position that an entry may wait for has nothing on its way any more
        self.forwards = forwards
        self.in_hand: set[str] = set()
        """Client order ids of what is to be posted to a webhook, until it is written what became of it."""
        self._unwritten: set[str] = set()  # orders whose outcome is known here and nowhere else
        self._limiter = limiter
        self._is_closing = asyncio.Event()
        self._rates: dict[tuple[str, str], Decimal] = {}
        self._outbox = Outbox(self.send, in_flight_max=orders_in_flight_max, quiet=quiet)
        self._outcomes: GroupCommit[Sequence[Fact], None] = GroupCommit(self._record, fails_all=DATABASE_AWAY)
        self._tasks: set[asyncio.Task[None]] = set()
        self._commit_listeners: list[Callable[[Sequence[Fact]], None]] = []
        self._end_listeners: list[Callable[[str], None]] = []
        self._rejection_listeners: list[Callable[[str], None]] = []
        self._line_listeners: list[Callable[[ProtectionPlanned | StopDisarmed], None]] = []
        self.first_part = first_part
        self._part_sizes = sizes_of_parts(first_part, in_flight_max=orders_in_flight_max)
        steps, steps_in_turns = bind_steps(
            store,
            market=self.market,
            desk=desk,
            clock=clock,
            rates=self._rates,
            part_sizes=self._part_sizes,
            keeps_lines=self.protections.keys(),
        )
        self.plan = steps_in_turns[DecisionApproved]
        self.desk = desk
        self.runner: Runner[Any] = Runner(
            store.transaction, steps=steps, steps_in_turns=steps_in_turns, foresee=self._foresee
        )
        self.decider: Runner[Any] = Runner(store.transaction, steps=steps, steps_in_turns={})
        """The same, but what is approved is not planned."""

    # --- commit -------------------------------------------------------------------------------------------

    async def advance(self, facts: Sequence[Fact]) -> None:
        """Commit the facts and all that follows from them, now; then go on."""
        self.go_on(await self.runner.advance(facts))

    def record(self, facts: Sequence[Fact]) -> asyncio.Future[None]:
        """Commit what became known, together with what else becomes known meanwhile; then go on."""
        return self._outcomes.submit(facts)

    def go_on(self, done: Sequence[Fact]) -> None:
        """After a commit: send what was planned, and say which signals may be settled."""
        for fact in done:
            if isinstance(fact, OrderPlanned):
                if fact.venue not in EXCHANGES:
                    self.in_hand.add(fact.client_order_id)
                self._outbox.put(fact)
            elif isinstance(fact, PositionLeft):
                self.turn_came.set()
            elif isinstance(fact, PositionChanged):
                if fact.position.status not in ON_THE_WAY:
                    self.turn_came.set()
            elif isinstance(fact, FillBooked):
                if fact.foreign_quantity:  # what is there beside the desk's own has changed
                    self.doubts.hear_strange(fact.account_id)
                    self.doubts.compare_now(fact.account_id)
            elif isinstance(fact, ProtectionPlanned | StopDisarmed):
                for listener in self._line_listeners:
                    listener(fact)
        if put := [str(fact.signal_id) for fact in done if isinstance(fact, DecisionPending)]:
            # Whoever waits for the receipt need not: it takes a person now.
            self.doorbell.ring("receipts", *put)
        if guarded := _guarded_otherwise(done):
            self.doorbell.ring(STOPS_BELL, *(str(number) for number in guarded))
        for hear in self._commit_listeners:
            hear(done)
        if ended := _may_settle(done):
            self.spawn(self._tell_settled(ended))

    def listen_to_commits(self, listener: Callable[[Sequence[Fact]], None]) -> None:
        """Call ``listener`` with the facts of each commit."""
        self._commit_listeners.append(listener)

    def listen_to_ends(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the id of each order whose end was committed."""
        self._end_listeners.append(listener)

    def listen_to_rejections(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the id of each order whose rejection was committed."""
        self._rejection_listeners.append(listener)

    def listen_to_lines(self, listener: Callable[[ProtectionPlanned | StopDisarmed], None]) -> None:
        """Call ``listener`` with each protective order to be placed, and each position whose are to be taken back."""
        self._line_listeners.append(listener)

    async def _record(self, batch: Sequence[Sequence[Fact]]) -> Sequence[None]:
        await self._outbox.let_leave()
        told = with_triggers([fact for facts in batch for fact in facts], desk_id=self.desk.desk_id)
        # What a destination answered is kept, and nothing follows from it: the others stand together, one statement a kind.
        told.sort(key=lambda fact: isinstance(fact, ForwardAnswered))
        async with self.store.transaction() as transaction:
            await self.store.lock_positions_of(transaction, told)
            done = await self.runner.advance_in(transaction, told)
            rehearsal.reach("trader.outcome.written")
        self.go_on(done)
        for order_id in _ended(done):
            for listener in self._end_listeners:
                listener(order_id)
        for order_id in [fact.order_id for fact in done if isinstance(fact, OrderRejected)]:
            for listener in self._rejection_listeners:
                listener(order_id)
        for account_id in _left_holding(done):
            # The venue may hold less than we think: a hand closed it, and nobody told.
            self.doubts.ask_later(account_id)
        return [None] * len(batch)

    async def _tell_settled(self, ended: Collection[UUID]) -> None:
        try:
            settled = await self.store.settled_signals(ended)
        except AWAY as away:  # whoever waits for a receipt looks for himself too
            log_away("trader.database.away", away)
            return
        if settled:
            self.doorbell.ring("receipts", *(str(signal_id) for signal_id in settled))

    async def deny_next_part(self, approved: DecisionApproved, transaction: Any) -> list[Fact]:
        """Give the denials of a part that cannot be planned."""
        return await deny_next_part(
            approved,
            books=self.store.books(transaction),
            desk=self.desk,
            now=self.clock(),
            part_sizes=self._part_sizes,
        )

    # --- send ---------------------------------------------------------------------------------------------

    async def send(self, order: OrderPlanned) -> None:
        """Send one attempt; whatever happens in here, the attempt is in the journal and will be asked about."""
        if self._limiter is not None and order.venue not in EXCHANGES:
            try:
                if not await self._turn_has_come(order, self._limiter):
                    self.in_hand.discard(order.client_order_id)
                    return
            except Exception as trouble:
                log.warning("orders.turn.failed", order_id=order.order_id, error=type(trouble).__name__)
                self.in_hand.discard(order.client_order_id)
                return
        rehearsal.reach("trader.order.leaving")
        passing = self.gate.passing
        passing[order.client_order_id] = order
        try:
            told = await send_order(
                order, exchange=self.exchanges[order.venue], clock=self.clock, stopped=self.gate.stopped
            )
        except Exception:
            log.exception("orders.send.failed", order_id=order.order_id)
            self.in_hand.discard(order.client_order_id)
            return
        finally:
            del passing[order.client_order_id]
        rehearsal.reach("trader.order.answered")
        self.record(told).add_done_callback(partial(self._written, order=order))

    def _written(self, written: asyncio.Future[None], *, order: OrderPlanned) -> None:
        self.in_hand.discard(order.client_order_id)
        if written.cancelled() or (trouble := written.exception()) is None:
            return
        log.error("orders.outcome.unwritten", order_id=order.order_id, error=type(trouble).__name__)
        if order.venue in EXCHANGES:
            if not self._unwritten:
                self.spawn(self._ask_about_unwritten())
            self._unwritten.add(order.order_id)

    async def _ask_about_unwritten(self) -> None:
        """
        Let orders be asked about as soon as the database is back: what has filled stands open until somebody knows.

        They are due later, when a venue must have answered; these it has answered.
        """
        while self._unwritten and await self.pause(UNWRITTEN_SECONDS):
            orders = sorted(self._unwritten)
            with contextlib.suppress(*AWAY):
                await self.store.ask_now(orders)
                self._unwritten.difference_update(orders)
        self._unwritten.clear()

    async def _turn_has_come(self, order: OrderPlanned, limiter: Limiter) -> bool:
        """Wait for the order's turn where its destination has a limit; False when the floor closes first."""
        turn = asyncio.ensure_future(limiter.acquire(order.account_id))
        closing = asyncio.ensure_future(self._is_closing.wait())
        try:
            await asyncio.wait([turn, closing], return_when=asyncio.FIRST_COMPLETED)
            if turn.done():
                turn.result()
            return turn.done()
        finally:
            for waiting in (turn, closing):
                waiting.cancel()

    def take_back_stopped(self) -> asyncio.Future[None] | None:
        """Take back what waits and must not pass the gate any more; None where there is no such thing."""
        dead = [
            (order, not_sent(order, denial, now=self.clock()))
            for order in self._outbox.take_back(lambda order: self.gate.stopped(order) is not None)
            if (denial := self.gate.stopped(order)) is not None
        ]
        if not dead:
            return None
        written = self.record([outcome for _, outcome in dead])
        for order, _ in dead:
            written.add_done_callback(partial(self._written, order=order))
        return written

    def burst(self) -> AbstractContextManager[None]:
        """Expect more orders until the block ends: what is told of the first ones waits for the last."""
        return self._outbox.burst()

    async def orders_have_left(self) -> None:
        """Return when a burst of orders has left, or had its time: reading waits for sending."""
        await self._outbox.let_leave()

    def _foresee(self, facts: Sequence[Fact]) -> None:
        """While the database commits a burst of orders, their requests are written and signed."""
        orders = [fact for fact in facts if isinstance(fact, OrderPlanned)]
        if len(orders) >= BURST_ORDERS:
            self.spawn(self._prepare(orders))

    async def _prepare(self, orders: Sequence[OrderPlanned]) -> None:
        for number, order in enumerate(orders, start=1):
            with contextlib.suppress(VenueError, *AWAY):  # who sends it will say what is wrong
                await self.exchanges[order.venue].prepare(attempt_of(order))
            if number % BURST_ORDERS == 0:
                await asyncio.sleep(0)  # the database's answers are not kept waiting

    # --- prices -------------------------------------------------------------------------------------------

    async def read_prices(self, pairs: set[tuple[Venue, str]]) -> None:
        """Know fresh prices; what is missing is denied by those who need it."""
        for (venue, symbol), trouble in await self.market.read(pairs):
            log.warning("trader.price.missing", venue=venue, symbol=symbol, error=trouble)

    async def read_for_entries(
        self, pairs: set[tuple[Venue, str]], *, measures: Iterable[Measure] | None = None
    ) -> None:
        """Know fresh prices, and the ranges that stops are measured by; of these measures, or of all there are."""
        with asking_for(Importance.BOOKS):
            await asyncio.gather(self.read_prices(pairs), self.read_ranges(pairs, measures=measures))

    async def read_ranges(
        self, pairs: set[tuple[Venue, str]], *, measures: Iterable[Measure] | None = None
    ) -> None:
        """Know how far the prices range, where a stop is measured by that; no exit waits for it."""
        self.market.ranges.learn(await self.store.measures() if measures is None else measures)
        _tell_unmeasured(await self.market.ranges.read(pairs))

    async def refresh_ranges(self) -> None:
        """Measure the ranges anew when their next candle has closed, before an entry needs them."""
        await asyncio.sleep(LOOK_SECONDS)
        _tell_unmeasured(await self.market.ranges.refresh())

    async def know_rules(self, venue: Venue, symbol: str) -> None:
        """Know a symbol's rules before a fill of it is booked: whoever booked it could not be guarded without."""
        if unknown := self.market.unknown([(venue, symbol)]):
            await self.read_prices(unknown)

    async def read_rates(self, venue: Venue, facts: Sequence[Fact]) -> None:
        """Know the price of every foreign commission before it is booked."""
        for fact in facts:
            if isinstance(fact, FillReported) and needs_rate(fact):
                asset = fact.trade.commission_asset
                quote = await self.exchanges[venue].quote(f"{asset}{MARGIN_ASSET}")
                self._rates[asset, MARGIN_ASSET] = quote.last_price

    # --- life ---------------------------------------------------------------------------------------------

    def spawn(self, work_to_do: Awaitable[None]) -> None:
        """Do it beside the loops; it is finished before the floor closes."""
        task = asyncio.ensure_future(work_to_do)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def keep(self, work_once: Callable[[], Awaitable[None]]) -> None:
        """Go on through a database that is away: nothing is lost, it is found in the state again."""
        while True:
            try:
                await work_once()
            except AWAY as away:
                log_away("trader.database.away", away)
                await asyncio.sleep(LOOK_SECONDS)

    async def pause(self, seconds: float) -> bool:
        """Wait for so long; False as soon as the floor closes: what is waited for is found again by whoever comes next."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_closing.wait()
        return not self._is_closing.is_set()

    async def close(self) -> None:
        """Return when everything that is on the wire is answered, and written; who waits for a turn is left behind."""
        self._is_closing.set()
        await self._outbox.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._outcomes.close()


def _tell_unmeasured(troubles: Sequence[tuple[tuple[Venue, str, Measure], str]]) -> None:
    for (venue, symbol, measure), trouble in troubles:
        log.warning(
            "trader.range.missing",
            venue=venue,
            symbol=symbol,
            timeframe=measure.timeframe,
            period=measure.period,
            error=trouble,
        )


def needs_rate(fill: FillReported) -> bool:
    """Say whether a fill was paid for in an asset that is not the margin's."""
    return bool(fill.trade.commission) and fill.trade.commission_asset not in ("", MARGIN_ASSET)


def _ended(done: Sequence[Fact]) -> set[str]:
    """Give the orders of which nothing more is to come."""
    ended = {fact.order_id for fact in done if isinstance(fact, OrderEnded)}
    filled = {fact.order_id for fact in done if isinstance(fact, FillBooked) and fact.order_is_filled}
    return {order_id for order_id in ended | filled if order_id is not None}


def _guarded_otherwise(done: Sequence[Fact]) -> set[int]:
    """Give the positions whose stops have changed, or are over."""
    changed: set[int] = set()
    for fact in done:
        match fact:
            case StopArmed() | StopRaised() | StopChanged() | StopTriggered():
                changed.add(fact.stop.position_id)
            case StopDisarmed() | PositionLeft():
                changed.add(fact.position_id)
    return changed


def _left_holding(done: Sequence[Fact]) -> set[int]:
    """Give the accounts that hold what an exit should have closed: refused, or ended before all of it was."""
    ended = {
        fact.position_id
        for fact in done
        if isinstance(fact, OrderEnded)
        or (isinstance(fact, OrderRejected) and fact.code not in FORWARD_CODES)
    }
    return {
        fact.position.account_id
        for fact in done
        if isinstance(fact, PositionChanged)
        and fact.position.position_id in ended
        and fact.position.status is PositionStatus.OPEN
    }


def _may_settle(done: Sequence[Fact]) -> set[UUID]:
    """Give the signals whose last order may have ended with these facts."""
    ended: set[UUID] = set()
    for fact in done:
        match fact:
            case DecisionDeclined() | OrderRejected() | OrderEnded() | OrderDenied():
                ended.add(fact.signal_id)
            case SignalPlanned(is_whole=True) if fact.orders == 0 or fact.part > 1:
                ended.add(fact.signal_id)
            case FillBooked(order_is_filled=True, signal_id=UUID() as signal_id):
                ended.add(signal_id)
    return ended
