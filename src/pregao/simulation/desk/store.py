"""What the trader's loops ask, answered from memory: the port `trading.store.Store`."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import count, islice
from uuid import UUID

from pregao.decisions.ports import RECONCILE_SECONDS_MAX, Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.clock import Clock
from pregao.domain.facts import (
    ApprovalAnswered,
    DecisionApproved,
    DecisionPending,
    Fact,
    PositionGuarded,
    PositionUnguarded,
    SignalAccepted,
    StopDisarmed,
)
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import LIVE_STATUSES, Position, PositionStatus
from pregao.domain.protection import MAY_TRADE, LineStatus
from pregao.domain.signal import Action
from pregao.domain.stop import StopStatus
from pregao.domain.trading_state import ScopeLevel, Watched
from pregao.domain.venue import VenueTrade
from pregao.orders.ports import LiveOrder, WaitingEntry
from pregao.orders.resolve import ASK_AGAIN_SECONDS, ask_again_seconds
from pregao.positions.compare import HeldHere
from pregao.positions.ports import WaitingExit
from pregao.simulation.desk.books import (
    MemoryBooks,
    is_unsure,
    signed_quantity,
    to_waiting_entry,
    to_waiting_exit,
    waiting_exits,
)
from pregao.simulation.desk.folds import WITHOUT_ANSWER
from pregao.simulation.desk.journal import MemoryJournal, MemoryTransaction, Moment, at_once
from pregao.simulation.desk.state import (
    ON_ITS_WAY,
    CheckRow,
    OrderRow,
    PositionRow,
    SignalRow,
    State,
    StopRow,
)
from pregao.simulation.desk.trading_states import standing_states
from pregao.simulation.desk.watches import Watching
from pregao.stops.exit import is_due
from pregao.stops.follow import HELD
from pregao.stops.ports import DueExit, LeftOpen, Line

COMPARE_HOLDING_AFTER = timedelta(seconds=300)
COMPARE_FLAT_AFTER = timedelta(seconds=3_600)

LIVE_ORDER_NAMES = [one.name for one in fields(LiveOrder)]
WAITS_WITH: dict[str, type[Waiting]] = {
    "accepted": SignalAccepted,
    "answered": ApprovalAnswered,
    "approved": DecisionApproved,
}
ASKED_ABOUT = (LineStatus.PLANNED, LineStatus.UNRESOLVED, LineStatus.TRIGGERING, LineStatus.TRIGGERED)
OVER = (PositionStatus.CLOSED, PositionStatus.ABANDONED)


Acknowledged = Callable[[str, int], None]


def unheard(_worker_id: str, _version: int) -> None:
    """Tell nobody."""


class MemoryStore:
    """The journal of a desk in memory, and what is found in its state."""

    def __init__(
        self,
        journal: MemoryJournal,
        *,
        clock: Clock,
        moment: Moment = at_once,
        acknowledged: Acknowledged = unheard,
        watching: Watching | None = None,
    ) -> None:
        """
        Judge what is due by ``clock``; ``moment`` is where a reader waits for the database.

        ``acknowledged`` hears which worker lets nothing out any more that a version of the trading states forbids;
        ``watching`` knows which monitor watches what.
        """
        self._watching = Watching() if watching is None else watching
        self._acknowledged = acknowledged
        self._journal = journal
        self._clock = clock
        self._moment = moment
        self._ids = count(1)

    def transaction(self) -> AbstractAsyncContextManager[MemoryTransaction]:
        return self._journal.transaction()

    def savepoint(self, transaction: MemoryTransaction) -> AbstractAsyncContextManager[object]:
        return transaction.savepoint()

    def books(self, transaction: MemoryTransaction | None = None) -> MemoryBooks:
        def read() -> State:
            return self._journal.state if transaction is None else transaction.state

        return MemoryBooks(read, take_ids=lambda number: list(islice(self._ids, number)))

    async def read(self) -> State:
        """Give what is committed."""
        await self._moment("read")
        return self._journal.state

    # --- what waits ---

    async def peek_waiting_signals(self, *, limit: int) -> list[WaitingSignal]:
        state = await self.read()
        since = self._clock() - timedelta(seconds=RECONCILE_SECONDS_MAX)
        return [
            WaitingSignal(
                row.signal_id,
                row.symbol,
                _venues_of(state, row.bot_id),
                row.status == "approved",
                frozenset(_measures_of(state, bot_id=row.bot_id)),
            )
            for row in _waiting(state)
            if row.action is not Action.ENTER or not _is_being_learned(state, row.bot_id, since=since)
        ][:limit]

    async def claim_waiting_signals(
        self, transaction: MemoryTransaction, signal_ids: Sequence[UUID]
    ) -> list[Waiting]:
        claimed: list[Waiting] = []
        overtaken: set[UUID] = set()  # bots of which an earlier signal waits that was not peeked at
        for row in _waiting(transaction.state):
            if row.signal_id not in signal_ids:
                overtaken.add(row.bot_id)
            elif row.bot_id not in overtaken:
                claimed.append(_waits_with(transaction.state, row))
        return claimed

    async def claim_overdue(
        self, transaction: MemoryTransaction, *, now: datetime, limit: int
    ) -> list[DecisionPending]:
        overdue = sorted(
            (row.approval_expires_at, row.signal_id)
            for row in transaction.state.signals.values()
            if row.status == "pending"
            and row.approval_expires_at is not None
            and row.approval_expires_at <= now
        )[:limit]
        asked: dict[UUID, DecisionPending] = {}
        for fact in transaction.state.journal:
            if isinstance(fact, DecisionPending):
                asked.setdefault(fact.signal_id, fact)
        return [asked[signal_id] for _, signal_id in overdue]

    async def settled_signals(self, signal_ids: Collection[UUID]) -> list[UUID]:
        signals = (await self.read()).signals
        return [one for one in signal_ids if one in signals and signals[one].settled_at is not None]

    async def peek_waiting_entries(self, *, limit: int) -> list[tuple[Venue, WaitingEntry]]:
        state, now = await self.read(), self._clock()
        waiting = [
            row
            for row in state.orders.values()
            if row.status is OrderStatus.DEFERRED
            and row.leg is Leg.ENTRY
            and _turn_has_come(state, row, now=now)
        ]
        waiting.sort(key=lambda row: row.planned_at)
        return [(state.accounts[row.account_id].venue, to_waiting_entry(row)) for row in waiting[:limit]]

    async def measures(self) -> list[Measure]:
        state = await self.read()
        return sorted({one for bot_id in state.bots for one in _measures_of(state, bot_id=bot_id)}, key=str)

    async def peek_waiting_exits(self, *, limit: int) -> list[WaitingExit]:
        state = await self.read()
        busy = {row.position_id for row in state.orders.values() if row.status in ON_ITS_WAY}
        oldest: dict[int | None, OrderRow] = {}
        for row in sorted(waiting_exits(state), key=lambda row: (row.planned_at, row.signal_id)):
            if row.position_id not in busy and not is_unsure(state, row.account_id):
                oldest.setdefault(row.position_id, row)
        return [to_waiting_exit(row) for row in oldest.values()][:limit]

    # --- what is on its way ---

    async def lock_positions_of(self, transaction: MemoryTransaction, facts: Sequence[Fact]) -> None:
        """Nothing: one transaction at a time."""

    async def claim_due_orders(self, transaction: MemoryTransaction, *, limit: int) -> list[LiveOrder]:
        now, orders = self._clock(), transaction.state.orders
        due = [
            row
            for row in orders.values()
            if row.status in ON_ITS_WAY
            and row.check_at is not None
            and row.check_at <= now
            and not (row.is_dead and is_unsure(transaction.state, row.account_id))
        ]
        due.sort(key=lambda row: (row.check_at, row.order_id))
        for row in due[:limit]:
            pause = timedelta(seconds=ask_again_seconds(row.leg, row.status, row.checks))
            orders[row.order_id] = replace(row, checks=row.checks + 1, check_at=now + pause)
        return [_to_live_order(row) for row in due[:limit]]

    async def put_off_question(self, order: LiveOrder, *, seconds: float | None) -> None:
        async with self._journal.transaction() as transaction:
            row = transaction.state.orders[order.order_id]
            if row.attempt == order.attempt and row.status in ON_ITS_WAY:
                check_at = None if seconds is None else self._clock() + timedelta(seconds=seconds)
                transaction.state.orders[order.order_id] = replace(row, check_at=check_at)

    async def peek_due_exits(self, *, now: datetime, limit: int) -> list[DueExit]:
        due = [row for row in (await self.read()).stop_claims.values() if is_due(row.claimed, now=now)]
        due.sort(key=lambda row: row.claimed.again_at or now)
        return [
            DueExit(position_id=row.claimed.position_id, venue=row.venue, symbol=row.symbol)
            for row in due[:limit]
        ]

    async def lock_due_exits(
        self, transaction: MemoryTransaction, position_ids: Collection[int]
    ) -> list[int]:
        return [number for number in sorted(set(position_ids)) if number in transaction.state.positions]

    async def put_off_due_exits(
        self, transaction: MemoryTransaction, position_ids: Collection[int], *, now: datetime, seconds: float
    ) -> None:
        claims = transaction.state.stop_claims
        for key, row in list(claims.items()):
            if row.claimed.position_id in position_ids and is_due(row.claimed, now=now):
                again_at = now + timedelta(seconds=seconds)
                claims[key] = replace(row, claimed=replace(row.claimed, again_at=again_at))

    async def ask_soon(self, *, put_off_seconds: float) -> None:
        async with self._journal.transaction() as transaction:
            now, orders = self._clock(), transaction.state.orders
            longest = now + timedelta(seconds=put_off_seconds)
            for row in list(orders.values()):
                is_put_off = row.check_at is None or row.check_at > longest
                if row.status in ON_ITS_WAY and is_put_off and not row.is_dead:
                    orders[row.order_id] = replace(row, check_at=now)

    async def ask_now(self, order_ids: Sequence[str]) -> None:
        async with self._journal.transaction() as transaction:
            now, orders = self._clock(), transaction.state.orders
            for row in [orders[one] for one in order_ids if one in orders]:
                is_unheard = row.status in (OrderStatus.PLANNED, OrderStatus.UNRESOLVED) and not row.is_dead
                if is_unheard and row.check_at is not None and row.check_at > now:
                    orders[row.order_id] = replace(row, check_at=now)

    async def live_orders_of_account(self, account_id: int) -> list[LiveOrder]:
        state = await self.read()
        rows = [
            row for row in state.orders.values() if row.account_id == account_id and row.status in ON_ITS_WAY
        ]
        return [_to_live_order(row) for row in sorted(rows, key=lambda row: row.planned_at)]

    async def find_live_order(self, order_id: str) -> LiveOrder | None:
        row = (await self.read()).orders.get(order_id)
        return None if row is None or row.attempt == 0 else _to_live_order(row)

    async def explain_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> tuple[list[VenueTrade], bool]:
        state = await self.read()
        here = [row for row in state.orders.values() if row.account_id == account_id and row.symbol == symbol]
        ours = {row.exchange_order_id: row.client_order_id for row in here if row.exchange_order_id}
        explained = [
            replace(trade, client_order_id=client_order_id)
            for trade in trades
            if (client_order_id := ours.get(trade.exchange_order_id)) is not None
        ]
        return explained, any(row.status in WITHOUT_ANSWER and row.exchange_order_id is None for row in here)

    # --- what is held ---

    async def held_positions(self, account_id: int) -> tuple[bool, list[HeldHere]]:
        state = await self.read()
        places = {
            (one.symbol, one.position_side): [ZERO, ZERO]
            for one in state.live()
            if one.account_id == account_id
        }
        for one in state.live():
            if one.account_id == account_id:
                places[one.symbol, one.position_side][0] += signed_quantity(one)
        for (number, symbol, side), row in state.foreign_positions.items():
            if number == account_id:
                places.setdefault((symbol, side), [ZERO, ZERO])[1] += row.quantity
        is_busy = any(
            row.account_id == account_id and row.status in ON_ITS_WAY for row in state.orders.values()
        )
        return not is_busy, [
            HeldHere(symbol=symbol, position_side=side, ours=ours, seen=seen)
            for (symbol, side), (ours, seen) in sorted(places.items())
        ]

    async def held_symbols(self, account_id: int) -> list[tuple[Venue, str, datetime]]:
        state = await self.read()
        asked = [(row.position.symbol, row.created_at) for row in _live_rows(state, account_id)]
        asked += [
            (row.symbol, row.planned_at)
            for row in state.orders.values()
            if row.account_id == account_id and row.status in ON_ITS_WAY
        ]
        since: dict[str, datetime] = {}
        for symbol, began in asked:
            since[symbol] = min(began, since.get(symbol, began))
        venue = state.accounts[account_id].venue
        return [(venue, symbol, created_at) for symbol, created_at in sorted(since.items())]

    async def mark_unreconciled(self, venue: Venue) -> list[int]:
        async with self._journal.transaction() as transaction:
            state, now = transaction.state, self._clock()
            marked = [
                number
                for number, account in sorted(state.accounts.items())
                if account.venue is venue and _has_something_live(state, number)
            ]
            for number in marked:
                row = state.account_checks.get(number) or CheckRow(due_at=now)
                state.account_checks[number] = replace(row, unreconciled_since=row.unreconciled_since or now)
        return marked

    async def forgetful_accounts(self, venue: Venue) -> list[int]:
        state = await self.read()
        return [
            number
            for number, row in sorted(state.account_checks.items())
            if (row.is_unsure or row.must_compare)
            and state.accounts[number].venue is venue
            and (state.accounts[number].is_active or any(_live_rows(state, number)))
        ]

    async def mark_doubted(self, account_id: int) -> None:
        async with self._journal.transaction() as transaction:
            checks, now = transaction.state.account_checks, self._clock()
            row = checks.get(account_id) or CheckRow(due_at=now)
            since = row.unreconciled_since or now
            checks[account_id] = replace(row, unreconciled_since=since, must_compare=True)

    async def mark_forgotten(self) -> None:
        """Note on every account that the books may lack what they knew; whoever puts them back says so."""
        async with self._journal.transaction() as transaction:
            state, now = transaction.state, self._clock()
            for number in sorted(state.accounts):
                row = state.account_checks.get(number) or CheckRow(due_at=now)
                state.account_checks[number] = replace(
                    row,
                    due_at=now,
                    unreconciled_since=now,
                    must_compare=True,
                    restored_at=now,
                    is_unsure=True,
                )

    async def mark_reconciled(self, account_id: int) -> bool:
        async with self._journal.transaction() as transaction:
            checks = transaction.state.account_checks
            row = checks.get(account_id)
            if row is None:
                return False
            is_marked = row.unreconciled_since is not None and not row.must_compare
            known = replace(row, is_unsure=False)
            checks[account_id] = replace(known, unreconciled_since=None) if is_marked else known
        return is_marked

    async def claim_due(self, venues: Collection[Venue], *, limit: int) -> list[int]:
        async with self._journal.transaction() as transaction:
            state, now = transaction.state, self._clock()
            active = [
                number for number, one in state.accounts.items() if one.venue in venues and one.is_active
            ]
            for number in active:
                state.account_checks.setdefault(number, CheckRow(due_at=now))
            due = sorted(active, key=lambda number: (state.account_checks[number].due_at, number))
            due = [number for number in due if state.account_checks[number].due_at <= now][:limit]
            for number in due:
                pause = COMPARE_HOLDING_AFTER if any(_live_rows(state, number)) else COMPARE_FLAT_AFTER
                state.account_checks[number] = replace(state.account_checks[number], due_at=now + pause)
        return due

    async def note_check(self, account_id: int, *, agrees: bool) -> None:
        async with self._journal.transaction() as transaction:
            checks, now = transaction.state.account_checks, self._clock()
            row = checks.get(account_id) or CheckRow(due_at=now + COMPARE_HOLDING_AFTER)
            checks[account_id] = replace(
                row,
                checked_at=now,
                agreed_at=now if agrees else row.agreed_at,
                unreconciled_since=None if row.must_compare else row.unreconciled_since,
                must_compare=False,
            )

    # --- what guards at the venues ---

    async def claim_due_lines(self, transaction: MemoryTransaction, *, limit: int) -> list[Line]:
        now, protections = self._clock(), transaction.state.protections
        due = [
            row
            for row in protections.values()
            if row.line.status in ASKED_ABOUT and row.check_at is not None and row.check_at <= now
        ]
        due.sort(key=lambda row: (row.check_at, row.line.protection_id))
        for row in due[:limit]:
            pause = ASK_AGAIN_SECONDS[min(row.line.checks, len(ASK_AGAIN_SECONDS) - 1)]
            protections[row.line.protection_id] = replace(
                row,
                line=replace(row.line, checks=row.line.checks + 1),
                check_at=now + timedelta(seconds=pause),
            )
        return [protections[row.line.protection_id].line for row in due[:limit]]

    async def standing_lines(
        self, *, account_id: int | None = None, position_id: int | None = None
    ) -> list[Line]:
        rows = [row.line for row in (await self.read()).protections.values()]
        here = [
            line
            for line in rows
            if line.status in MAY_TRADE
            and (line.account_id == account_id if position_id is None else line.position_id == position_id)
        ]
        return sorted(here, key=lambda line: (line.position_id, line.version))

    async def peek_unarmed(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        state = await self.read()
        return [
            (number, venue, row.position.symbol)
            for number, row in sorted(state.positions.items())
            if row.position.status in HELD
            and number not in state.stops
            and (venue := state.accounts[row.position.account_id].venue) in venues
        ][:limit]

    async def peek_misplaced(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        state = await self.read()
        return [
            (number, row.armed.venue, row.armed.symbol)
            for number, row in sorted(state.stops.items())
            if row.armed.venue in venues and self._is_misplaced(row, state.positions[number].position)
        ][:limit]

    def _is_misplaced(self, row: StopRow, position: Position) -> bool:
        armed, stop = row.armed, row.armed.stop
        if armed.left_at is not None or stop.status is not StopStatus.ARMED or stop.stop_price is None:
            return False
        if row.line_status not in (None, LineStatus.ACCEPTED) or position.status not in HELD:
            return False
        if armed.line_at is not None and armed.line_at > self._clock():
            return False
        return row.line_price != stop.stop_price or row.line_quantity is not None

    async def peek_unleft(self, venues: Collection[Venue], *, limit: int) -> list[StopDisarmed]:
        state = await self.read()
        return [
            StopDisarmed(
                happened_at=row.updated_at,
                position_id=number,
                account_id=row.armed.account_id,
                signal_id=row.armed.signal_id,
                venue=row.armed.venue,
                symbol=row.armed.symbol,
                position_side=row.armed.position_side,
            )
            for number, row in sorted(state.stops.items())
            if row.armed.left_at is None
            and row.armed.stop.status is StopStatus.DISARMED
            and row.armed.venue in venues
        ][:limit]

    async def peek_open(self, venues: Collection[Venue], *, limit: int) -> list[LeftOpen]:
        state = await self.read()
        found = []
        for number, row in sorted(state.stops.items()):
            armed, position, own = (
                row.armed,
                state.positions[number].position,
                [line for line in state.protections.values() if line.line.position_id == number],
            )
            if armed.left_at is not None or not armed.is_required or armed.venue not in venues:
                continue
            if position.status not in HELD or any(_guards(one.line, position) for one in own):
                continue
            pair, is_armed = (armed.venue, armed.symbol), armed.stop.status is StopStatus.ARMED
            if is_armed and self._watching.is_watched(pair, now=self._clock()):
                continue
            ends = [
                one.ended_at for one in own if one.acknowledged_at is not None and one.ended_at is not None
            ]
            if (told := self._watching.told.get(pair)) is not None:
                ends.append(told.told_at)
            found.append(
                LeftOpen(
                    position_id=number,
                    account_id=position.account_id,
                    signal_id=position.signal_id,
                    since=max([armed.held_since, *ends]),
                )
            )
        return found[:limit]

    async def peek_told_open(self, venues: Collection[Venue]) -> list[LeftOpen]:
        state = await self.read()
        told: dict[int, PositionUnguarded] = {}
        for fact in state.journal:
            if isinstance(fact, PositionUnguarded):
                told[fact.position_id] = fact
            elif isinstance(fact, PositionGuarded):
                told.pop(fact.position_id, None)
        return [
            LeftOpen(
                position_id=number, account_id=fact.account_id, signal_id=fact.signal_id, since=fact.since
            )
            for number, fact in sorted(told.items())
            if number in state.stops and state.stops[number].armed.venue in venues
        ]

    async def is_watched(self, venue: Venue, symbol: str) -> bool:
        await self._moment("read")
        return self._watching.is_watched((venue, symbol), now=self._clock())

    # --- what may be traded ---

    async def read_watched(self) -> Watched:
        state = await self.read()
        states = standing_states(state)
        users = {one.subject for one in states if one.level is ScopeLevel.USER}
        return Watched(
            states=states,
            owners={
                number: one.user_id
                for number, one in state.accounts.items()
                if one.user_id is not None and str(one.user_id) in users
            },
        )

    async def acknowledge(self, *, worker_id: str, lease_epoch: int, version: int) -> None:
        del lease_epoch  # here every life has a name of its own
        await self._moment("write")
        self._acknowledged(worker_id, version)


def _guards(line: Line, position: Position) -> bool:
    return line.status is LineStatus.ACCEPTED and (
        line.quantity is None or line.quantity >= position.quantity
    )


def _waiting(state: State) -> list[SignalRow]:
    rows = [row for row in state.signals.values() if row.status in WAITS_WITH]
    return sorted(rows, key=lambda row: (row.received_at, row.signal_id))


def _measures_of(state: State, *, bot_id: UUID) -> list[Measure]:
    guards = [state.bots[bot_id].guard]
    guards += [
        one.custom_guard
        for one in state.subscriptions.values()
        if one.bot_id == bot_id and one.custom_guard is not None
    ]
    return sorted({one.stop.measure for one in guards if one.stop is not None}, key=str)


def _venues_of(state: State, bot_id: UUID) -> list[Venue]:
    followers = (one.account_id for one in state.subscriptions.values() if one.bot_id == bot_id)
    return sorted({state.accounts[number].venue for number in followers})


def _is_being_learned(state: State, bot_id: UUID, *, since: datetime) -> bool:
    """Say whether an account of the bot was just taken over, and its past is not known yet."""
    followers = {one.account_id for one in state.subscriptions.values() if one.bot_id == bot_id}
    return any(
        row.unreconciled_since is not None and row.unreconciled_since > since and not row.must_compare
        for number, row in state.account_checks.items()
        if number in followers
    )


def _waits_with(state: State, row: SignalRow) -> Waiting:
    for fact in state.journal:
        if isinstance(fact, WAITS_WITH[row.status]) and fact.signal_id == row.signal_id:
            return fact
    raise AssertionError(f"signal {row.signal_id} waits without its fact")


def _is_late(waiting: OrderRow, *, now: datetime) -> bool:
    return waiting.send_before is not None and waiting.send_before <= now


def _turn_has_come(state: State, waiting: OrderRow, *, now: datetime) -> bool:
    row = None if waiting.position_id is None else state.positions.get(waiting.position_id)
    if row is None:
        return False
    position = row.position
    if position.status in OVER:
        stop = state.stops.get(position.position_id)
        is_left = stop is None or stop.armed.left_at is not None
        return _is_late(waiting, now=now) or (
            is_left and not any(order.status in ON_ITS_WAY for order in state.orders_of(position.position_id))
        )
    return position.status is PositionStatus.OPEN and not any(
        order.leg is Leg.EXIT and order.status in {OrderStatus.DEFERRED, *ON_ITS_WAY}
        for order in state.orders_of(position.position_id)
    )


def _live_rows(state: State, account_id: int) -> Iterator[PositionRow]:
    for row in state.positions.values():
        if row.position.account_id == account_id and row.position.status in LIVE_STATUSES:
            yield row


def _has_something_live(state: State, account_id: int) -> bool:
    orders = state.orders.values()
    return any(_live_rows(state, account_id)) or any(
        row.account_id == account_id and row.status in ON_ITS_WAY for row in orders
    )


def _to_live_order(row: OrderRow) -> LiveOrder:
    return LiveOrder(**{name: getattr(row, name) for name in LIVE_ORDER_NAMES})
