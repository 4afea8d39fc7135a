"""
The trader's loops: decide what arrived, send what was planned, ask about what is unknown, book what is told.

Everything is found in the state again after a crash: starting and recovering are one path.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from pregao.decisions.answer import CLOCK, to_answer
from pregao.decisions.approve import settle_approval
from pregao.decisions.decide import decide
from pregao.domain.account import Venue
from pregao.domain.clock import Clock, to_ms
from pregao.domain.facts import (
    ApprovalAnswered,
    DecisionApproved,
    DecisionDeclined,
    DecisionPending,
    EntryRequested,
    ExitRequested,
    Fact,
    FillBooked,
    FillReported,
    ForeignPositionSeen,
    OrderDenied,
    OrderEnded,
    OrderPlanned,
    OrderRejected,
    PositionChanged,
    SignalAccepted,
    SignalPlanned,
)
from pregao.domain.order import OrderStatus, PositionSide, order_of
from pregao.domain.position import PositionStatus
from pregao.domain.signal import Action
from pregao.domain.venue import OrderReport, StreamGap, TradeReport, VenueError, VenueTrade
from pregao.edges.postgres import work
from pregao.edges.postgres.books import KnownMembers, PostgresBooks
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.intake import AWAY as DATABASE_AWAY
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.fills.book import book_fill
from pregao.market.live import LiveMarket
from pregao.orders import close, enter, plan
from pregao.orders.ports import Desk, Exchange, LiveOrder, WaitingEntry
from pregao.orders.resolve import resolve_order
from pregao.orders.rows import deny_waiting
from pregao.orders.send import attempt_of, send_order
from pregao.outbox import Outbox
from pregao.positions import update
from pregao.positions.compare import find_foreign
from pregao.runner import Bound, Runner

LOOK_SECONDS = 1.0  # a ring may be lost: this long at most until somebody looks anyway
RESOLVE_SECONDS = 0.25
SIGNALS_PER_BATCH = 16  # one fan-out of 1,000 accounts is a transaction already
QUESTIONS_PER_BATCH = 100
APPROVALS_PER_BATCH = 100
CATCH_UP_MARGIN = timedelta(minutes=1)  # trades are asked from before the position was planned: clocks differ
CHECKS_OF_DOUBT = 5  # about half a minute of asking
GAP_SECONDS = 5.0  # between two tries to learn what a gap hides
COMPARE_SECONDS = 0.5  # one account at a time: reading its positions costs weight that exits may need
COMPARE_AGAIN_SECONDS = 5.0  # a venue's reads lag by seconds: what it says counts when it says it twice
WAITING_PER_BATCH = 500
BURST_ORDERS = 16  # so many at once are prepared while they are committed

Place = tuple[str, PositionSide, Decimal]
ON_THE_WAY = (PositionStatus.PENDING, PositionStatus.CLOSING)

log = structlog.get_logger()

MARGIN_ASSET = "USDT"  # other margin assets are denied when an order is planned

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a database that is away raises; the internal one where a connection ends while it is being used."""
OUR_MISTAKES = (
    AssertionError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
)
"""What fails again however often it is tried."""
BROKEN = (asyncpg.SyntaxOrAccessError, asyncpg.InternalServerError, asyncpg.PLPGSQLError)
"""What a database says that answers, but lacks a column, a right, a sound index: until somebody mends it."""


class Trading:
    """The trader of one desk."""

    def __init__(
        self,
        journal: Journal,
        *,
        exchanges: Mapping[Venue, Exchange],
        doorbell: Doorbell,
        clock: Clock,
        desk: Desk,
        orders_in_flight_max: int,
    ) -> None:
        """Trade under the lease named in ``desk``; ``run`` does the work."""
        self._journal = journal
        self._exchanges = exchanges
        self._doorbell = doorbell
        self._clock = clock
        self._desk = desk
        self.market = LiveMarket(exchanges, clock=clock)
        self._known_members = KnownMembers()
        self._rates: dict[tuple[str, str], Decimal] = {}
        self._outbox = Outbox(self._send, in_flight_max=orders_in_flight_max)
        self._outcomes: GroupCommit[Sequence[Fact], None] = GroupCommit(self._record, fails_all=DATABASE_AWAY)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[str] = set()
        self._gaps: dict[int, datetime] = {}  # account → when to ask again what happened there
        self._to_compare: dict[int, datetime] = {}  # account → when to look what it holds beside ours
        self._suspected: dict[int, list[Place]] = {}  # account → what was seen there once
        self._arrived = asyncio.Event()
        self._settled = (
            asyncio.Event()
        )  # a position that an entry may wait for has nothing on its way any more
        self._runner = Runner(
            self._begin,
            steps=self._bound_steps(),
            steps_in_turns={DecisionApproved: self._plan},
            foresee=self._foresee,
        )
        doorbell.listen("signals", lambda _words: self._arrived.set())

    async def run(self) -> None:
        """Trade until canceled; what is on the wire then is finished before it returns."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._keep(self._decide_arrivals))
                loops.create_task(self._keep(self._end_approvals))
                loops.create_task(self._keep(self._ask_about_unknowns))
                loops.create_task(self._keep(self._ask_about_gaps))
                loops.create_task(self._keep(self._enter_waiting))
                loops.create_task(self._keep(self._compare_accounts))
        finally:
            await self._outbox.close()
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self._outcomes.close()

    async def take(self, report: OrderReport | TradeReport | StreamGap) -> None:
        """Take what a user stream tells; while a burst of orders leaves, what comes next waits in the socket."""
        await self._outbox.let_leave()
        match report:
            case TradeReport():
                fill = FillReported(
                    happened_at=self._clock(), account_id=report.account_id, trade=report.trade
                )
                if order_of(fill.trade.client_order_id) is None:
                    self._spawn(self._book_told(fill, self._book_foreign(fill)))
                elif _needs_rate(fill):
                    self._spawn(self._book_told(fill, self._book_with_rate(fill)))
                else:
                    # The stream goes on: its next fills join the next commit, in the order they were told.
                    self._spawn(self._book_told(fill, self._outcomes.submit([fill])))
            case OrderReport(status=OrderStatus.CANCELED | OrderStatus.EXPIRED | OrderStatus.REJECTED):
                await self._take_end(report)
            case OrderReport():
                pass  # the answer to the order says the same, and when it was sent
            case StreamGap():
                self._spawn(self._catch_up(report.account_id))

    async def _book_told(self, fill: FillReported, booked: Awaitable[None]) -> None:
        """Wait until what a stream told is booked; what cannot be booked now is asked for again."""
        try:
            await booked
        except (*AWAY, VenueError) as trouble:
            log.warning(
                "fills.book.put_off",
                account_id=fill.account_id,
                trade_id=fill.trade.trade_id,
                error=type(trouble).__name__,
            )
            self._ask_later(fill.account_id)
        except Exception:
            log.exception("fills.book.failed", account_id=fill.account_id, trade_id=fill.trade.trade_id)
            self._ask_later(fill.account_id)

    async def _book_with_rate(self, fill: FillReported) -> None:
        [account] = (await PostgresBooks(self._journal.pool).accounts([fill.account_id])).values()
        await self._with_rates(account.venue, [fill])
        await self._outcomes.submit([fill])

    async def _book_foreign(self, fill: FillReported) -> None:
        """Book a fill that is not ours, but not before those of our orders on its way: it may reduce what they enter."""
        orders = await work.live_orders_of_account(self._journal.pool, fill.account_id)
        if any(order.symbol == fill.trade.symbol for order in orders):
            self._ask_later(fill.account_id)
        else:
            await self._book_with_rate(fill)
            self._to_compare[fill.account_id] = self._clock()

    # --- the steps, bound to their ports ------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        async with self._journal.transaction() as transaction:
            yield transaction

    def _bound_steps(self) -> dict[type[Fact], Bound[Transaction]]:
        """Bind the dry lines of the journey; each call gets its ports from the transaction it runs in."""

        def planned(step: Callable[..., Awaitable[list[Fact]]]) -> Bound[Transaction]:
            async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
                books = PostgresBooks(tx.connection, known_members=self._known_members)
                return await step(
                    facts, books=books, market=self.market.seen(), desk=self._desk, now=self._clock()
                )

            return run

        def positioned(step: Callable[..., Awaitable[list[Fact]]]) -> Bound[Transaction]:
            async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
                return await step(facts, positions=PostgresBooks(tx.connection), now=self._clock())

            return run

        def decided(step: Callable[..., Awaitable[list[Fact]]]) -> Bound[Transaction]:
            async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
                bots = PostgresBooks(tx.connection)
                return await step(facts, bots=bots, market=self.market.seen(), now=self._clock())

            return run

        async def booked(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
            reports = [fact for fact in facts if isinstance(fact, FillReported)]
            ledger = PostgresBooks(tx.connection)
            return await book_fill(reports, ledger=ledger, rates=self._rates, now=self._clock())

        return {
            SignalAccepted: decided(decide),
            ApprovalAnswered: decided(settle_approval),
            EntryRequested: planned(enter.plan_entry_again),
            ExitRequested: planned(close.plan_exit),
            OrderDenied: positioned(update.release_denied),
            OrderRejected: positioned(update.release),
            OrderEnded: positioned(update.release_rest),
            FillReported: booked,
            FillBooked: positioned(update.update_position),
        }

    def _plan(self, approved: Fact, transaction: Transaction) -> AsyncIterator[Sequence[Fact]]:
        assert isinstance(approved, DecisionApproved)
        books = PostgresBooks(transaction.connection, known_members=self._known_members)
        return plan.plan_orders(
            approved, books=books, market=self.market.seen(), desk=self._desk, now=self._clock()
        )

    # --- decide -------------------------------------------------------------------------------------------

    async def _keep(self, work_once: Callable[[], Awaitable[None]]) -> None:
        """Go on through a database that is away: nothing is lost, it is found in the state again."""
        while True:
            try:
                await work_once()
            except AWAY as away:
                log.warning("trader.database.away", error=type(away).__name__)
                await asyncio.sleep(LOOK_SECONDS)

    async def _decide_arrivals(self) -> None:
        if await self.decide_batch() < SIGNALS_PER_BATCH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._arrived.wait()
            self._arrived.clear()

    async def decide_batch(self) -> int:
        """Decide and plan a batch of waiting signals in one transaction, then send; give how many there were."""
        waiting = await work.peek_waiting_signals(self._journal.pool, limit=SIGNALS_PER_BATCH)
        return await self._decide_waiting(waiting) if waiting else 0

    async def _decide_waiting(self, waiting: Sequence[work.WaitingSignal]) -> int:
        await self._read_prices(
            {(venue, one.symbol) for one in waiting if one.symbol for venue in one.venues}
        )
        done: list[Fact] = []
        async with self._journal.transaction() as transaction:
            claimed = await work.claim_waiting_signals(
                transaction.connection, [one.signal_id for one in waiting]
            )
            if len(claimed) > 1:
                await PostgresBooks(transaction.connection).lock_bots({one.bot_id for one in claimed})
            for signal in claimed:
                # One after the other: each must see the positions that the one before it has reserved.
                done.extend(await self._decide_one(signal, transaction))
        self._go_on(done)
        return len(claimed)

    async def _read_prices(self, pairs: set[tuple[Venue, str]]) -> None:
        for (venue, symbol), trouble in await self.market.read(pairs):
            log.warning("trader.price.missing", venue=venue, symbol=symbol, error=trouble)

    async def _decide_one(
        self, signal: SignalAccepted | ApprovalAnswered, transaction: Transaction
    ) -> list[Fact]:
        try:
            async with transaction.connection.transaction():
                return await self._runner.advance_in(transaction, [], standing=[signal])
        except (*OUR_MISTAKES, *BROKEN) as mistake:
            if isinstance(mistake, BROKEN) and signal.instruction.action is not Action.ENTER:
                raise  # what cannot be checked is not entered; a close is tried until it can be planned
            # It would fail again, and hold up every signal behind it: it ends here, and its receipt says so.
            log.exception(
                "trader.decide.failed", signal_id=str(signal.signal_id), error=type(mistake).__name__
            )
            declined = DecisionDeclined(
                happened_at=self._clock(),
                signal_id=signal.signal_id,
                bot_id=signal.bot_id,
                code="DESK_FAILED",
                reason="The desk could not plan this signal; nothing was sent. The log has the cause.",
                verdicts=(),
            )
            await transaction.append([declined])
            return [declined]

    def _foresee(self, facts: Sequence[Fact]) -> None:
        """While the database commits a burst of orders, their requests are written and signed."""
        orders = [fact for fact in facts if isinstance(fact, OrderPlanned)]
        if len(orders) >= BURST_ORDERS:
            self._spawn(self._prepare(orders))

    async def _prepare(self, orders: Sequence[OrderPlanned]) -> None:
        for number, order in enumerate(orders, start=1):
            with contextlib.suppress(VenueError, *AWAY):  # who sends it will say what is wrong
                await self._exchanges[order.venue].prepare(attempt_of(order))
            if number % BURST_ORDERS == 0:
                await asyncio.sleep(0)  # the database's answers are not kept waiting

    async def _end_approvals(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        while await self.expire_batch() == APPROVALS_PER_BATCH:
            pass

    async def expire_batch(self) -> int:
        """Answer with the clock what nobody answered in time, and settle it; give how many there were."""
        now = self._clock()
        async with self._journal.transaction() as transaction:
            overdue = await work.claim_overdue(transaction.connection, now=now, limit=APPROVALS_PER_BATCH)
            answers = [
                to_answer(asked, is_approved=False, answered_by=CLOCK, reason="", now=now)
                for asked in overdue
            ]
            done = await self._runner.advance_in(transaction, answers)
        self._go_on(done)
        return len(overdue)

    def _go_on(self, done: Sequence[Fact]) -> None:
        """After a commit: send what was planned, and say which signals may be settled."""
        for fact in done:
            if isinstance(fact, OrderPlanned):
                self._outbox.put(fact)
            elif isinstance(fact, PositionChanged) and fact.position.status not in ON_THE_WAY:
                self._settled.set()
        if put := [str(fact.signal_id) for fact in done if isinstance(fact, DecisionPending)]:
            self._doorbell.ring(
                "receipts", *put
            )  # whoever waits for the receipt need not: it takes a person now
        if ended := _may_settle(done):
            self._spawn(self._tell_settled(ended))

    async def _tell_settled(self, ended: Collection[UUID]) -> None:
        try:
            settled = await work.settled_signals(self._journal.pool, ended)
        except AWAY as away:  # whoever waits for a receipt looks for himself too
            log.warning("trader.database.away", error=type(away).__name__)
            return
        if settled:
            self._doorbell.ring("receipts", *(str(signal_id) for signal_id in settled))

    async def _enter_waiting(self) -> None:
        if await self.enter_waiting() < WAITING_PER_BATCH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._settled.wait()
            self._settled.clear()

    async def enter_waiting(self) -> int:
        """Plan the entries whose position has nothing on its way any more, then send; give how many there were."""
        await self._exit_waiting()
        found = await work.peek_waiting_entries(self._journal.pool, limit=WAITING_PER_BATCH)
        if not found:
            return 0
        await self._read_prices({(venue, entry.symbol) for venue, entry in found})
        entries = [entry for _, entry in found]
        try:
            await self._enter(entries)
        except (*OUR_MISTAKES, *BROKEN):
            for entry in entries:
                await self._enter_or_deny(entry)
        return len(found)

    async def _exit_waiting(self) -> None:
        """Ask for exits whose turn came with nobody there to see it: the exit before them was denied, a trader died."""
        for waiting in await work.peek_waiting_exits(self._journal.pool, limit=WAITING_PER_BATCH):
            try:
                self._go_on(await self._runner.advance(update.request_exits([waiting], now=self._clock())))
            except OUR_MISTAKES:
                log.exception("trader.exit.failed", position_id=waiting.position_id)

    async def _enter(self, entries: Sequence[WaitingEntry]) -> None:
        by_signal: defaultdict[UUID, list[WaitingEntry]] = defaultdict(list)
        for entry in entries:
            by_signal[entry.signal_id].append(entry)
        done: list[Fact] = []
        async with self._journal.transaction() as transaction:
            if len(by_signal) > 1:
                await PostgresBooks(transaction.connection).lock_bots({one.bot_id for one in entries})
            for together in by_signal.values():
                # One signal after the other: each must see the places that the one before it has taken.
                requests = await enter.request_waiting(together, now=self._clock())
                done.extend(await self._runner.advance_in(transaction, requests))
        self._go_on(done)

    async def _enter_or_deny(self, entry: WaitingEntry) -> None:
        try:
            await self._enter([entry])
        except (*OUR_MISTAKES, *BROKEN) as mistake:
            # It would fail again, and hold up every entry behind it.
            log.exception("trader.enter.failed", order_id=entry.order_id, error=type(mistake).__name__)
            reason = "The desk could not plan this entry; nothing was sent. The log has the cause."
            denied = deny_waiting(entry, code="DESK_FAILED", reason=reason, now=self._clock())
            self._go_on(await self._runner.advance([denied]))

    # --- send ---------------------------------------------------------------------------------------------

    def _spawn(self, work_to_do: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work_to_do)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, order: OrderPlanned) -> None:
        """Send one attempt; whatever happens in here, the attempt is in the journal and will be asked about."""
        try:
            outcome = await send_order(order, exchange=self._exchanges[order.venue], clock=self._clock)
        except Exception:
            log.exception("orders.send.failed", order_id=order.order_id)
            return
        written = self._outcomes.submit([outcome])
        written.add_done_callback(partial(_note_unwritten, order_id=order.order_id))

    async def _record(self, batch: Sequence[Sequence[Fact]]) -> Sequence[None]:
        """Commit what became known, with all that follows from it; orders that still wait for the wire go first."""
        await self._outbox.let_leave()
        told = [fact for facts in batch for fact in facts]
        async with self._journal.transaction() as transaction:
            await work.lock_positions_of(transaction.connection, told)
            done = await self._runner.advance_in(transaction, told)
        self._go_on(done)
        for account_id in _left_holding(done):
            self._ask_later(
                account_id
            )  # the venue may hold less than we think: a hand closed it, and nobody told
        return [None] * len(batch)

    # --- ask ----------------------------------------------------------------------------------------------

    async def _ask_about_unknowns(self) -> None:
        await asyncio.sleep(RESOLVE_SECONDS)
        async with self._journal.transaction() as transaction:
            due = await work.claim_due_orders(transaction.connection, limit=QUESTIONS_PER_BATCH)
        for order in due:
            self._spawn(self._resolve(order))

    async def _resolve(self, order: LiveOrder) -> None:
        """Ask about an order, once at a time: two answers would plan its next attempt twice."""
        if order.order_id in self._asking:
            return
        self._asking.add(order.order_id)
        try:
            await self._ask(order)
        finally:
            self._asking.discard(order.order_id)

    async def _ask(self, order: LiveOrder) -> None:
        exchange = self._exchanges[order.venue]
        try:
            # No transaction while a venue is asked: it may take ten seconds.
            books = PostgresBooks(self._journal.pool)
            facts = await resolve_order(order, exchange=exchange, books=books, clock=self._clock)
            if any(isinstance(fact, EntryRequested) for fact in facts):
                await self._read_prices({(order.venue, order.symbol)})
            if not facts and order.checks >= CHECKS_OF_DOUBT:
                self._ask_later(order.account_id)  # a trade that nobody told may be what keeps it in doubt
            await self._with_rates(order.venue, facts)
            # An end gives back what did not fill: it is told once the fills before it are in the position.
            end = [fact for fact in facts if isinstance(fact, OrderEnded)]
            for told in ([fact for fact in facts if fact not in end], end):
                if told:
                    await self._outcomes.submit(told)
        except VenueError as silent:
            log.warning(
                "orders.resolve.silent", order_id=order.order_id, checks=order.checks, code=silent.code
            )
        except AWAY as away:
            log.warning("trader.database.away", error=type(away).__name__)

    async def _take_end(self, report: OrderReport) -> None:
        """An order ended at the venue: its fills, if it had any, are told before, or asked for now."""
        own = order_of(report.client_order_id)
        if own is None:
            return
        order = await work.find_live_order(self._journal.pool, own[0])
        if order is not None:
            self._spawn(self._resolve(order))

    def _ask_later(self, account_id: int) -> None:
        """Remember that something happened on the account which the books do not know yet."""
        self._gaps[account_id] = self._clock() + timedelta(seconds=GAP_SECONDS)

    async def _ask_about_gaps(self) -> None:
        await asyncio.sleep(RESOLVE_SECONDS)
        for account_id in [account for account, due in self._gaps.items() if due <= self._clock()]:
            del self._gaps[account_id]
            self._spawn(self._catch_up(account_id))

    async def _catch_up(self, account_id: int) -> None:
        """Learn what happened during a gap; a gap that cannot be closed now stays one."""
        try:
            is_known = await self._know_all(account_id)
        except (*AWAY, VenueError) as trouble:
            log.warning("trader.catch_up.put_off", account_id=account_id, error=type(trouble).__name__)
            is_known = False
        except Exception:
            log.exception("trader.catch_up.failed", account_id=account_id)
            is_known = False
        if is_known:
            self._to_compare.setdefault(account_id, self._clock())
        else:
            self._ask_later(account_id)

    async def _compare_accounts(self) -> None:
        await asyncio.sleep(COMPARE_SECONDS)
        due = [account for account, due_at in self._to_compare.items() if due_at <= self._clock()]
        if due:
            account_id = due[0]
            del self._to_compare[account_id]
            self._spawn(self._compare(account_id))

    async def _compare(self, account_id: int) -> None:
        """Look what an account holds beside ours; it counts once it was seen twice."""
        try:
            seen = await self._look_at(account_id)
            places = [(fact.symbol, fact.position_side, fact.quantity) for fact in seen or ()]
            if seen and self._suspected.get(account_id) == places:
                await self._outcomes.submit(seen)
                seen = []
        except (*AWAY, VenueError) as trouble:
            log.warning("trader.compare.put_off", account_id=account_id, error=type(trouble).__name__)
            seen, places = None, []
        except Exception:
            log.exception("trader.compare.failed", account_id=account_id)
            seen, places = None, []
        self._suspected.pop(account_id, None)
        if seen is None or seen:
            self._suspected[account_id] = places
            self._to_compare[account_id] = self._clock() + timedelta(seconds=COMPARE_AGAIN_SECONDS)

    async def _look_at(self, account_id: int) -> list[ForeignPositionSeen] | None:
        """Compare one account's positions with the books; None while something of it is on its way."""
        pool = self._journal.pool
        is_quiet, held = await work.held_positions(pool, account_id)
        if not is_quiet:
            return None
        [account] = (await PostgresBooks(pool).accounts([account_id])).values()
        told = await self._exchanges[account.venue].positions(account_id=account_id)
        if (True, held) != await work.held_positions(pool, account_id):
            return None
        return find_foreign(account_id, held=held, told=told, now=self._clock())

    async def _know_all(self, account_id: int) -> bool:
        """Ask about each order that may have traded unseen, then for trades of what is held."""
        orders = await work.live_orders_of_account(self._journal.pool, account_id)
        held = await work.held_symbols(self._journal.pool, account_id)
        for order in orders:
            # What is planned is being sent right now, or asked about soon; what is dead cannot have traded.
            if order.status is not OrderStatus.PLANNED and not order.is_dead:
                await self._resolve(order)
        told = [
            await self._catch_up_trades(
                account_id, venue=venue, symbol=symbol, since_ms=to_ms(since - CATCH_UP_MARGIN)
            )
            for venue, symbol, since in held
        ]
        return all(told)

    async def _catch_up_trades(self, account_id: int, *, venue: Venue, symbol: str, since_ms: int) -> bool:
        """Book the trades not booked yet; say whether it is known of each whose it is."""
        trades = await self._exchanges[venue].trades_since(
            account_id=account_id, symbol=symbol, since_ms=since_ms
        )
        books = PostgresBooks(self._journal.pool)
        untold = await books.untold_trades(account_id=account_id, symbol=symbol, trades=trades)
        # Such a query does not say whose order it was: unexplained, our own fill would count as foreign.
        explained = await work.explain_trades(
            self._journal.pool, account_id=account_id, symbol=symbol, trades=untold
        )
        explained += await self._asked_whose(
            [trade for trade in untold if trade.trade_id not in {one.trade_id for one in explained}],
            account_id=account_id,
            venue=venue,
        )
        facts = [
            FillReported(happened_at=self._clock(), account_id=account_id, trade=trade) for trade in explained
        ]
        await self._with_rates(venue, facts)
        # Ours first: a foreign fill reduces what they have entered.
        ours = [fact for fact in facts if order_of(fact.trade.client_order_id) is not None]
        for told in (ours, [fact for fact in facts if fact not in ours]):
            if told:
                await self._outcomes.submit(told)
        return len(explained) == len(untold)

    async def _asked_whose(
        self, trades: Sequence[VenueTrade], *, account_id: int, venue: Venue
    ) -> list[VenueTrade]:
        """
        Give the trades with the client ids of their orders, as the venue knows them.

        An order of ours in doubt waits until each trade is known, so none may wait for that order.
        """
        ids = {
            (symbol, number): await self._exchanges[venue].client_order_id_of(
                account_id=account_id, symbol=symbol, exchange_order_id=number
            )
            for symbol, number in sorted({(trade.symbol, trade.exchange_order_id) for trade in trades})
        }
        return [
            replace(trade, client_order_id=client_order_id)
            for trade in trades
            if (client_order_id := ids[trade.symbol, trade.exchange_order_id]) is not None
        ]

    async def _with_rates(self, venue: Venue, facts: Sequence[Fact]) -> None:
        """Know the price of every foreign commission before it is booked."""
        for fact in facts:
            if isinstance(fact, FillReported) and _needs_rate(fact):
                asset = fact.trade.commission_asset
                quote = await self._exchanges[venue].quote(f"{asset}{MARGIN_ASSET}")
                self._rates[asset, MARGIN_ASSET] = quote.last_price


def _left_holding(done: Sequence[Fact]) -> set[int]:
    """Give the accounts that hold what an exit should have closed: refused, or ended before all of it was."""
    ended = {fact.position_id for fact in done if isinstance(fact, OrderRejected | OrderEnded)}
    return {
        fact.position.account_id
        for fact in done
        if isinstance(fact, PositionChanged)
        and fact.position.position_id in ended
        and fact.position.status is PositionStatus.OPEN
    }


def _needs_rate(fill: FillReported) -> bool:
    """Say whether a fill was paid for in an asset that is not the margin's."""
    return bool(fill.trade.commission) and fill.trade.commission_asset not in ("", MARGIN_ASSET)


def _note_unwritten(written: asyncio.Future[None], *, order_id: str) -> None:
    """Say that an outcome could not be committed; the order is asked about."""
    if not written.cancelled() and (trouble := written.exception()) is not None:
        log.error("orders.outcome.unwritten", order_id=order_id, error=type(trouble).__name__)


def _may_settle(done: Sequence[Fact]) -> set[UUID]:
    """Give the signals whose last order may have ended with these facts."""
    ended: set[UUID] = set()
    for fact in done:
        match fact:
            case (
                DecisionDeclined() | SignalPlanned(orders=0) | OrderRejected() | OrderEnded() | OrderDenied()
            ):
                ended.add(fact.signal_id)
            case FillBooked(order_is_filled=True, signal_id=UUID() as signal_id):
                ended.add(signal_id)
    return ended
