"""
One fold per fact, written a second time: one fact after the other, where the database takes many at once.

That both give the same rows is a contract of the tests.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pregao.domain import facts
from pregao.domain.facts import Fact
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, Side
from pregao.domain.position import LIVE_STATUSES, Direction, Position, PositionStatus
from pregao.simulation.desk import stop_folds
from pregao.simulation.desk.registry import FOLDS, folds
from pregao.simulation.desk.state import (
    ON_ITS_WAY,
    BrokenRuleError,
    DayRow,
    ForeignRow,
    OrderRow,
    PositionRow,
    SignalRow,
    State,
    place_of,
)

ANSWER_AFTER = timedelta(seconds=7)  # an attempt that is not answered by then is asked about
FILL_AFTER = timedelta(seconds=1.5)  # a fill that is not told by then was missed

WITHOUT_ANSWER = (OrderStatus.PLANNED, OrderStatus.UNRESOLVED)
NOT_SENT_FOR_GOOD = (OrderStatus.DEFERRED, *WITHOUT_ANSWER)
ENDED_SHORT = (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.DENIED)
UNDECIDED = ("accepted", "answered")


def fold(state: State, fact: Fact) -> None:
    """
    Change the state as the fact says.

    :raises BrokenRuleError: when a row would be there twice.
    """
    if type(fact) in FOLDS:
        FOLDS[type(fact)](state, fact)


# --- who trades -------------------------------------------------------------------------------------------


@folds(facts.UserConfigured)
def _(state: State, fact: facts.UserConfigured) -> None:
    state.users[fact.user.user_id] = fact.user


@folds(facts.AccountConfigured)
def _(state: State, fact: facts.AccountConfigured) -> None:
    state.accounts[fact.account.account_id] = fact.account


@folds(facts.BotConfigured)
def _(state: State, fact: facts.BotConfigured) -> None:
    state.bots[fact.bot.bot_id] = fact.bot


@folds(facts.SubscriptionConfigured)
def _(state: State, fact: facts.SubscriptionConfigured) -> None:
    state.subscriptions[fact.subscription.subscription_id] = fact.subscription


@folds(facts.BotForgotten)
def _(state: State, fact: facts.BotForgotten) -> None:
    state.bots.pop(fact.bot_id, None)
    state.subscriptions = {key: one for key, one in state.subscriptions.items() if one.bot_id != fact.bot_id}


@folds(facts.TradingStateSet)
def _(state: State, fact: facts.TradingStateSet) -> None:
    state.trading_states[fact.level, fact.subject] = fact


# --- signals ----------------------------------------------------------------------------------------------


@folds(facts.TickersListed)
def _(state: State, fact: facts.TickersListed) -> None:
    state.listed[:] = [fact]


def _change_signal(state: State, signal_id: Any, statuses: tuple[str, ...], **changes: Any) -> None:
    row = state.signals.get(signal_id)
    if row is not None and row.status in statuses:
        state.signals[signal_id] = replace(row, **changes)


NOTHING_TO_SEND = {"accounts": 0, "orders": 0, "orders_live": 0}


@folds(facts.SignalReceived)
def _(state: State, fact: facts.SignalReceived) -> None:
    if fact.signal_id in state.signals:
        raise BrokenRuleError(f"signal {fact.signal_id} is there already")
    state.signals[fact.signal_id] = SignalRow(
        signal_id=fact.signal_id,
        bot_id=fact.bot_id,
        received_at=fact.happened_at,
        body=fact.body,
        content_type=fact.content_type,
        source=fact.source,
        source_address=fact.source_address,
    )


@folds(facts.SignalRepeated)
def _(state: State, fact: facts.SignalRepeated) -> None:
    if (row := state.signals.get(fact.signal_id)) is not None:
        state.signals[fact.signal_id] = replace(row, deliveries=row.deliveries + 1)


@folds(facts.SignalAccepted)
def _(state: State, fact: facts.SignalAccepted) -> None:
    asked = fact.instruction
    _change_signal(
        state,
        fact.signal_id,
        ("received",),
        status="accepted",
        read_at=fact.happened_at,
        action=asked.action,
        symbol=asked.symbol,
        side=asked.side,
        price=asked.price,
        not_used=asked.not_used,
        stop_percent=asked.stop_percent,
        target_percent=asked.target_percent,
        again_of=None if asked.again is None else asked.again.before[-1],
    )


@folds(facts.SignalRefused)
def _(state: State, fact: facts.SignalRefused) -> None:
    _change_signal(
        state,
        fact.signal_id,
        ("received",),
        status="refused",
        code=fact.code,
        reason=fact.reason,
        read_at=fact.happened_at,
        settled_at=fact.happened_at,
        **NOTHING_TO_SEND,
    )


@folds(facts.DecisionPending)
def _(state: State, fact: facts.DecisionPending) -> None:
    _change_signal(
        state,
        fact.signal_id,
        ("accepted",),
        status="pending",
        verdicts=fact.verdicts,
        approval_asked_at=fact.happened_at,
        approval_venue=fact.venue,
        approval_price=fact.price,
        approval_expires_at=fact.expires_at,
    )


@folds(facts.ApprovalAnswered)
def _(state: State, fact: facts.ApprovalAnswered) -> None:
    _change_signal(
        state,
        fact.signal_id,
        ("pending",),
        status="answered",
        answered_at=fact.happened_at,
        answered_by=fact.answered_by,
        is_approved=fact.is_approved,
        answer_reason=fact.reason,
    )


@folds(facts.DecisionApproved)
def _(state: State, fact: facts.DecisionApproved) -> None:
    _change_signal(
        state,
        fact.signal_id,
        UNDECIDED,
        status="approved",
        decided_at=fact.happened_at,
        verdicts=fact.verdicts,
        action=fact.instruction.action,
    )


@folds(facts.DecisionDeclined)
def _(state: State, fact: facts.DecisionDeclined) -> None:
    _change_signal(
        state,
        fact.signal_id,
        UNDECIDED,
        status="declined",
        decided_at=fact.happened_at,
        settled_at=fact.happened_at,
        verdicts=fact.verdicts,
        code=fact.code,
        reason=fact.reason,
        **NOTHING_TO_SEND,
    )


@folds(facts.SignalPlanned)
def _(state: State, fact: facts.SignalPlanned) -> None:
    row = state.signals.get(fact.signal_id)
    if row is None or row.parts >= fact.part:
        return
    live = (row.orders_live or 0) + fact.orders
    is_settled = fact.is_whole and live == 0
    _change_signal(
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


def _count_ended(state: State, signal_id: Any, at: datetime) -> None:
    """One order of the signal has ended; with its last one it is settled."""
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


# --- orders -----------------------------------------------------------------------------------------------


@folds(facts.OrderPlanned)
def _(state: State, fact: facts.OrderPlanned) -> None:
    if fact.leg is Leg.EXIT:
        _mark_closing(state, fact)
        stop_folds.submit_claim(state, fact)
    elif fact.attempt == 1 and fact.position_id not in state.positions:
        _reserve(state, fact)
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


def _reserve(state: State, fact: facts.OrderPlanned) -> None:
    reserved = Position(
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
    _keep_place(state, reserved)
    state.positions[fact.position_id] = PositionRow(
        position=reserved, created_at=fact.happened_at, updated_at=fact.happened_at
    )


def _keep_place(state: State, position: Position) -> None:
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
        _count_ended(state, known.signal_id, fact.happened_at)


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
    _count_ended(state, row.signal_id, fact.happened_at)


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
    _count_ended(state, row.signal_id, fact.happened_at)


# --- fills and positions ----------------------------------------------------------------------------------


@folds(facts.FillBooked)
def _(state: State, fact: facts.FillBooked) -> None:
    trade = fact.trade
    key = (fact.account_id, trade.symbol, trade.trade_id, trade.exchange_order_id)
    if key in state.fills:
        raise BrokenRuleError(f"fill {key} is booked already")
    state.fills[key] = fact
    row = state.orders.get(fact.order_id or "")
    if row is not None and row.quantity is not None:  # else it was never planned here
        _fill(state, row, fact)


def _fill(state: State, row: OrderRow, fact: facts.FillBooked) -> None:
    filled = row.filled_quantity + fact.trade.quantity
    is_complete = row.quantity is not None and filled >= row.quantity
    is_asked_about = row.status is OrderStatus.UNRESOLVED
    status = OrderStatus.FILLED if is_complete else OrderStatus.PARTIALLY_FILLED
    after = replace(
        row,
        status=row.status if row.status in ENDED_SHORT else status,
        filled_quantity=filled,
        filled_notional=row.filled_notional + fact.trade.quantity * fact.trade.price,
        fees=row.fees + fact.fee,
        filled_at=max(row.filled_at or fact.trade.traded_at, fact.trade.traded_at),
        booked_at=fact.happened_at,
        exchange_order_id=row.exchange_order_id or fact.trade.exchange_order_id,
        updated_at=fact.happened_at,
        code=None if is_asked_about else row.code,
        reason=None if is_asked_about else row.reason,
        check_at=None if is_complete or row.quantity is None else fact.happened_at + FILL_AFTER,
    )
    state.orders[row.order_id] = after
    was_short = row.quantity is not None and row.filled_quantity < row.quantity
    if after.status is OrderStatus.FILLED and was_short:
        _count_ended(state, row.signal_id, fact.happened_at)


@folds(facts.DriftSettled)
def _(state: State, fact: facts.DriftSettled) -> None:
    """Reserve the position where it is new; its fill and what is left are facts of their own."""
    told = fact.position
    if told.position_id not in state.positions:
        reserved = Position(
            position_id=told.position_id,
            account_id=told.account_id,
            bot_id=told.bot_id,
            subscription_id=told.subscription_id,
            signal_id=told.signal_id,
            symbol=told.symbol,
            position_side=told.position_side,
            direction=told.direction,
            status=PositionStatus.PENDING,
            leverage=told.leverage,
        )
        _keep_place(state, reserved)
        state.positions[told.position_id] = PositionRow(
            position=reserved, created_at=fact.happened_at, updated_at=fact.happened_at
        )


@folds(facts.ForeignPositionSeen)
def _(state: State, fact: facts.ForeignPositionSeen) -> None:
    place = (fact.account_id, fact.symbol, fact.position_side)
    state.foreign_positions[place] = ForeignRow(quantity=fact.quantity, seen_at=fact.happened_at)


@folds(facts.PositionChanged)
def _(state: State, fact: facts.PositionChanged) -> None:
    """A position counts on the UTC day it closed: off its former day, and onto its new one."""
    row = state.positions.get(fact.position.position_id)
    if row is None:
        return
    told = fact.position
    after = replace(
        row.position,
        status=told.status,
        entered_quantity=told.entered_quantity,
        exited_quantity=told.exited_quantity,
        entry_notional=told.entry_notional,
        exit_notional=told.exit_notional,
        fees=told.fees,
        opened_at=told.opened_at,
        closed_at=told.closed_at,
        exit_signal_id=told.exit_signal_id,
        close_reason=told.close_reason,
    )
    _keep_place(state, after)
    state.positions[told.position_id] = replace(row, position=after, updated_at=fact.happened_at)
    for times, one in ((-1, row.position), (1, after)):
        if one.status is PositionStatus.CLOSED and one.closed_at is not None:
            _count_day(state, one, times=times)


def _count_day(state: State, position: Position, *, times: int) -> None:
    assert position.closed_at is not None, "a closed position has an end"
    key = (position.subscription_id, day_of(position.closed_at), position.symbol)
    row = state.daily_results.get(key) or DayRow(
        subscription_id=position.subscription_id,
        day=key[1],
        symbol=position.symbol,
        bot_id=position.bot_id,
        account_id=position.account_id,
    )
    pnl = position.realized_pnl
    is_ours = not position.is_forwarded
    gross = is_ours * (position.exit_notional - position.entry_notional)
    counted = replace(
        row,
        closed=row.closed + times,
        wins=row.wins + times * (pnl > ZERO),
        losses=row.losses + times * (pnl < ZERO),
        pnl_usd=row.pnl_usd + times * pnl,
        gross_pnl_usd=row.gross_pnl_usd + times * (gross if position.direction is Direction.LONG else -gross),
        fees_usd=row.fees_usd + times * position.fees,
        loss_usd=row.loss_usd + times * max(-pnl, ZERO),
        notional_usd=row.notional_usd + times * is_ours * position.entry_notional,
    )
    if counted.closed == 0 and counted.forgiven_usd == ZERO:
        state.daily_results.pop(key, None)
    else:
        state.daily_results[key] = counted


@folds(facts.DailyLossForgiven)
def _(state: State, fact: facts.DailyLossForgiven) -> None:
    key = (fact.subscription_id, fact.day, fact.symbol)
    if (row := state.daily_results.get(key)) is not None:
        state.daily_results[key] = replace(
            row,
            forgiven_usd=row.forgiven_usd + fact.amount_usd,
            forgiven_by=fact.forgiven_by,
            forgiven_reason=fact.reason,
        )


def day_of(instant: datetime) -> date:
    """Give the UTC day of an instant."""
    return instant.astimezone(UTC).date()


def exit_side(direction: Direction) -> Side:
    """Give the side of the fills that make a position smaller."""
    return direction.entry_side.opposite
