"""Folds of orders: planned, denied, deferred, answered, ended; and of the signals that are settled with them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pregao.domain import facts
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import LIVE_STATUSES, Direction, Position, PositionStatus
from pregao.simulation.desk.folds import signals
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.folds.stops import submit_claim
from pregao.simulation.desk.state import (
    NOT_SENT_FOR_GOOD,
    ON_ITS_WAY,
    WITHOUT_ANSWER,
    BrokenRuleError,
    OrderRow,
    PositionRow,
    State,
    place_of,
)

ANSWER_AFTER = timedelta(seconds=7)  # an attempt that is not answered by then is asked about
FILL_AFTER = timedelta(seconds=1.5)  # a fill that is not told by then was missed


@folds(facts.SignalPlanned)
def _(state: State, fact: facts.SignalPlanned) -> None:
    row = state.signals.get(fact.signal_id)
    if row is None or row.parts >= fact.part:
        return
    live = (row.orders_live or 0) + fact.orders
    is_settled = fact.is_whole and live == 0
    signals.change(
        state,
        fact.signal_id,
        ("approved",),
        status=("settled" if is_settled else "planned") if fact.is_whole else "approved",
        parts=fact.part,
        first_account_id=fact.first_account_id,
        last_account_id=fact.last_account_id,
        planned_at=fact.happened_at if fact.is_whole else None,
        accounts=(row.accounts or 0) + fact.accounts,
        orders=(row.orders or 0) + fact.orders,
        orders_live=live,
        settled_at=fact.happened_at if is_settled else None,
    )


def count_ended(state: State, signal_id: UUID, at: datetime) -> None:
    """Count an order of the signal that has ended; with its last one it is settled."""
    row = state.signals.get(signal_id)
    if row is None or row.orders_live is None:
        return
    left = row.orders_live - 1
    is_last = left == 0 and row.status == "planned"
    state.signals[signal_id] = replace(
        row,
        orders_live=left,
        status="settled" if is_last else row.status,
        settled_at=at if is_last else row.settled_at,
    )


@folds(facts.OrderPlanned)
def _(state: State, fact: facts.OrderPlanned) -> None:
    if fact.leg is Leg.EXIT:
        _mark_closing(state, fact)
        submit_claim(state, fact)
    elif fact.attempt == 1 and fact.position_id not in state.positions:
        reserve(state, _planned_position(fact), at=fact.happened_at)
    known = state.orders.get(fact.order_id)
    planned: dict[str, Any] = {
        "attempt": fact.attempt,
        "client_order_id": fact.client_order_id,
        "venue": fact.venue,
        "position_id": fact.position_id,
        "side": fact.side,
        "position_side": fact.position_side,
        "quantity": fact.quantity,
        "reduce_only": fact.reduce_only,
        "leverage": fact.leverage,
        "margin_mode": fact.margin_mode,
        "margin_usd": fact.margin_usd,
        "decision_price": fact.decision_price,
        "send_before": fact.send_before,
        "signed_at_ms": fact.signed_at_ms,
        "recv_window_ms": fact.recv_window_ms,
        "owner": fact.owner,
        "lease_epoch": fact.lease_epoch,
        "status": OrderStatus.PLANNED,
        "updated_at": fact.happened_at,
        "check_at": fact.happened_at + ANSWER_AFTER,
        "checks": 0,
        "execution": fact.execution,
    }
    if known is None:
        state.orders[fact.order_id] = OrderRow(
            order_id=fact.order_id,
            signal_id=fact.signal_id,
            bot_id=fact.bot_id,
            subscription_id=fact.subscription_id,
            account_id=fact.account_id,
            leg=fact.leg,
            symbol=fact.symbol,
            planned_at=fact.happened_at,
            **planned,
        )
    elif known.status in NOT_SENT_FOR_GOOD and fact.attempt > known.attempt:
        state.orders[fact.order_id] = replace(
            known, **planned, is_dead=False, code=None, reason=None, exchange_order_id=None
        )


def _mark_closing(state: State, fact: facts.OrderPlanned) -> None:
    row = state.positions.get(fact.position_id)
    if row is not None and row.position.status in (PositionStatus.OPEN, PositionStatus.CLOSING):
        closing = replace(row.position, status=PositionStatus.CLOSING, exit_signal_id=fact.signal_id)
        state.positions[fact.position_id] = replace(row, position=closing, updated_at=fact.happened_at)


def _planned_position(fact: facts.OrderPlanned) -> Position:
    return Position(
        position_id=fact.position_id,
        account_id=fact.account_id,
        bot_id=fact.bot_id,
        subscription_id=fact.subscription_id,
        signal_id=fact.signal_id,
        symbol=fact.symbol,
        position_side=fact.position_side,
        direction=Direction.of_entry(fact.side),
        status=PositionStatus.PENDING,
        leverage=fact.leverage,
    )


def reserve(state: State, position: Position, *, at: datetime) -> None:
    """
    Give a position its place, before anything of it has traded.

    :raises BrokenRuleError: when another lives there.
    """
    keep_place(state, position)
    state.positions[position.position_id] = PositionRow(position=position, created_at=at, updated_at=at)


def keep_place(state: State, position: Position) -> None:
    """
    Look that nobody else lives where the position does.

    :raises BrokenRuleError: when another lives there.
    """
    rivals = (one for one in state.live() if one.position_id != position.position_id)
    if position.status in LIVE_STATUSES and place_of(position) in map(place_of, rivals):
        raise BrokenRuleError(f"a position lives at {place_of(position)} already")


@folds(facts.OrderDenied)
def _(state: State, fact: facts.OrderDenied) -> None:
    known = state.orders.get(fact.order_id)
    if known is None:
        state.orders[fact.order_id] = _without_attempt(fact, status=OrderStatus.DENIED)
    elif known.status in NOT_SENT_FOR_GOOD:
        state.orders[fact.order_id] = replace(
            known,
            status=OrderStatus.DENIED,
            code=fact.code,
            reason=fact.reason,
            updated_at=fact.happened_at,
            check_at=None,
        )
        count_ended(state, known.signal_id, fact.happened_at)


@folds(facts.OrderDeferred)
def _(state: State, fact: facts.OrderDeferred) -> None:
    if fact.order_id not in state.orders:
        row = _without_attempt(fact, status=OrderStatus.DEFERRED)
        state.orders[fact.order_id] = replace(row, send_before=fact.send_before, share=fact.share)
    held = state.positions.get(fact.position_id)
    if fact.leg is Leg.EXIT and held is not None:
        marked = replace(held.position, exit_signal_id=held.position.exit_signal_id or fact.signal_id)
        state.positions[fact.position_id] = replace(held, position=marked, updated_at=fact.happened_at)


def _without_attempt(fact: facts.OrderDenied | facts.OrderDeferred, *, status: OrderStatus) -> OrderRow:
    return OrderRow(
        order_id=fact.order_id,
        attempt=0,
        signal_id=fact.signal_id,
        bot_id=fact.bot_id,
        subscription_id=fact.subscription_id,
        account_id=fact.account_id,
        leg=fact.leg,
        position_id=fact.position_id,
        symbol=fact.symbol,
        side=fact.side,
        status=status,
        code=fact.code,
        reason=fact.reason,
        planned_at=fact.happened_at,
        updated_at=fact.happened_at,
    )


def _attempt(state: State, order_id: str, attempt: int) -> OrderRow | None:
    row = state.orders.get(order_id)
    return row if row is not None and row.attempt == attempt else None


@folds(facts.OrderAccepted)
def _(state: State, fact: facts.OrderAccepted) -> None:
    row = _attempt(state, fact.order_id, fact.attempt)
    if row is None:
        return
    waits = row.status in (*WITHOUT_ANSWER, OrderStatus.ACCEPTED)
    state.orders[fact.order_id] = replace(
        row,
        status=OrderStatus.ACCEPTED if waits else row.status,
        exchange_order_id=fact.exchange_order_id,
        sent_at=fact.sent_at or row.sent_at,
        acknowledged_at=fact.acknowledged_at,
        is_dead=False,
        code=None,
        reason=None,
        updated_at=fact.happened_at,
        check_at=fact.happened_at + FILL_AFTER if waits else row.check_at,
        checks=0 if row.status in WITHOUT_ANSWER else row.checks,
    )


@folds(facts.OrderRejected)
def _(state: State, fact: facts.OrderRejected) -> None:
    row = _attempt(state, fact.order_id, fact.attempt)
    if row is None or row.status not in WITHOUT_ANSWER:
        return
    state.orders[fact.order_id] = replace(
        row,
        status=OrderStatus.REJECTED,
        code=fact.code,
        reason=fact.reason,
        updated_at=fact.happened_at,
        check_at=None,
    )
    count_ended(state, row.signal_id, fact.happened_at)


@folds(facts.OrderUnresolved)
def _(state: State, fact: facts.OrderUnresolved) -> None:
    row = _attempt(state, fact.order_id, fact.attempt)
    if row is None or row.status not in WITHOUT_ANSWER:
        return
    state.orders[fact.order_id] = replace(
        row,
        status=OrderStatus.UNRESOLVED,
        code=fact.code,
        reason=fact.reason,
        is_dead=fact.is_dead,
        sent_at=fact.sent_at or row.sent_at,
        updated_at=fact.happened_at,
        check_at=fact.ask_at,
    )


@folds(facts.OrderEnded)
def _(state: State, fact: facts.OrderEnded) -> None:
    row = state.orders.get(fact.order_id)
    if row is None or row.status not in ON_ITS_WAY:
        return
    state.orders[fact.order_id] = replace(row, status=fact.status, updated_at=fact.happened_at, check_at=None)
    count_ended(state, row.signal_id, fact.happened_at)
