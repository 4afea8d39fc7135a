"""What waits for somebody: signals nobody has decided or planned, entries and exits whose turn has come."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pregao.decisions.ports import RECONCILE_SECONDS_MAX, Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import ApprovalAnswered, DecisionApproved, DecisionPending, SignalAccepted
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import PositionStatus
from pregao.domain.signal import Action
from pregao.orders.ports import WaitingEntry
from pregao.positions.ports import WaitingExit
from pregao.simulation.desk.checks import is_unsure
from pregao.simulation.desk.state import ON_ITS_WAY, OrderRow, SignalRow, State

WAITS_WITH: dict[str, type[Waiting]] = {
    "accepted": SignalAccepted,
    "answered": ApprovalAnswered,
    "approved": DecisionApproved,
}
OVER = (PositionStatus.CLOSED, PositionStatus.ABANDONED)


def peek_waiting_signals(state: State, *, now: datetime, limit: int) -> list[WaitingSignal]:
    since = now - timedelta(seconds=RECONCILE_SECONDS_MAX)
    return [
        WaitingSignal(
            row.signal_id,
            row.symbol,
            _venues_of(state, row.bot_id),
            row.status == "approved",
            frozenset(_measures_of(state, bot_id=row.bot_id)),
        )
        for row in _waiting_signals(state)
        if row.action is not Action.ENTER or not _is_being_learned(state, row.bot_id, since=since)
    ][:limit]


def measures(state: State) -> list[Measure]:
    return sorted({one for bot_id in state.bots for one in _measures_of(state, bot_id=bot_id)}, key=str)


def claim_waiting_signals(state: State, signal_ids: Sequence[UUID]) -> list[Waiting]:
    claimed: list[Waiting] = []
    overtaken: set[UUID] = set()  # bots of which an earlier signal waits that was not peeked at
    for row in _waiting_signals(state):
        if row.signal_id not in signal_ids:
            overtaken.add(row.bot_id)
        elif row.bot_id not in overtaken:
            claimed.append(_waits_with(state, row))
    return claimed


def _waiting_signals(state: State) -> list[SignalRow]:
    rows = [row for row in state.signals.values() if row.status in WAITS_WITH]
    return sorted(rows, key=lambda row: (row.received_at, row.signal_id))


def _venues_of(state: State, bot_id: UUID) -> list[Venue]:
    followers = (one.account_id for one in state.subscriptions.values() if one.bot_id == bot_id)
    return sorted({state.accounts[number].venue for number in followers})


def _measures_of(state: State, *, bot_id: UUID) -> list[Measure]:
    guards = [state.bots[bot_id].guard]
    guards += [
        one.custom_guard
        for one in state.subscriptions.values()
        if one.bot_id == bot_id and one.custom_guard is not None
    ]
    return sorted({one.stop.measure for one in guards if one.stop is not None}, key=str)


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


def claim_overdue(state: State, *, now: datetime, limit: int) -> list[DecisionPending]:
    overdue = sorted(
        (row.approval_expires_at, row.signal_id)
        for row in state.signals.values()
        if row.status == "pending" and row.approval_expires_at is not None and row.approval_expires_at <= now
    )[:limit]
    asked: dict[UUID, DecisionPending] = {}
    for fact in state.journal:
        if isinstance(fact, DecisionPending):
            asked.setdefault(fact.signal_id, fact)
    return [asked[signal_id] for _, signal_id in overdue]


def settled_signals(state: State, signal_ids: Collection[UUID]) -> list[UUID]:
    signals = state.signals
    return [one for one in signal_ids if one in signals and signals[one].settled_at is not None]


def peek_waiting_entries(state: State, *, now: datetime, limit: int) -> list[tuple[Venue, WaitingEntry]]:
    waiting = [
        row
        for row in state.orders.values()
        if row.status is OrderStatus.DEFERRED and row.leg is Leg.ENTRY and _turn_has_come(state, row, now=now)
    ]
    waiting.sort(key=lambda row: row.planned_at)
    return [(state.accounts[row.account_id].venue, to_waiting_entry(row)) for row in waiting[:limit]]


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


def _is_late(waiting: OrderRow, *, now: datetime) -> bool:
    return waiting.send_before is not None and waiting.send_before <= now


def peek_waiting_exits(state: State, *, limit: int) -> list[WaitingExit]:
    busy = {row.position_id for row in state.orders.values() if row.status in ON_ITS_WAY}
    oldest: dict[int | None, OrderRow] = {}
    for row in waiting_exits(state):
        if row.position_id not in busy and not is_unsure(state, row.account_id):
            oldest.setdefault(row.position_id, row)
    return [to_waiting_exit(row) for row in oldest.values()][:limit]


def waiting_exits(state: State) -> list[OrderRow]:
    """Give the exits that wait, oldest first."""
    waiting = [
        row for row in state.orders.values() if row.status is OrderStatus.DEFERRED and row.leg is Leg.EXIT
    ]
    return sorted(waiting, key=lambda row: (row.planned_at, row.signal_id))


def to_waiting_exit(row: OrderRow) -> WaitingExit:
    """Give an exit that waits as the port knows it."""
    assert row.position_id is not None, "it waits for a position"
    return WaitingExit(position_id=row.position_id, signal_id=row.signal_id, share=row.share)


def to_waiting_entry(row: OrderRow) -> WaitingEntry:
    """Give an entry that waits as the port knows it."""
    assert row.side is not None, "an entry has a side"
    assert row.position_id is not None, "it waits for a position"
    assert row.send_before is not None, "an entry expires"
    return WaitingEntry(
        order_id=row.order_id,
        signal_id=row.signal_id,
        bot_id=row.bot_id,
        subscription_id=row.subscription_id,
        account_id=row.account_id,
        symbol=row.symbol,
        side=row.side,
        position_id=row.position_id,
        send_before=row.send_before,
    )
