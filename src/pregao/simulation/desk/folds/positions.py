"""Folds of fills, and of the positions that are their sums."""

from dataclasses import replace

from pregao.domain import facts
from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.simulation.desk.folds.orders import FILL_AFTER, count_ended, keep_place, reserve
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.state import (
    BrokenRuleError,
    DayRow,
    ForeignRow,
    OrderRow,
    State,
    day_of,
)

ENDED_SHORT = (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.DENIED)


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
        count_ended(state, row.signal_id, fact.happened_at)


@folds(facts.ForeignPositionSeen)
def _(state: State, fact: facts.ForeignPositionSeen) -> None:
    place = (fact.account_id, fact.symbol, fact.position_side)
    state.foreign_positions[place] = ForeignRow(quantity=fact.quantity, seen_at=fact.happened_at)


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
        reserve(state, reserved, at=fact.happened_at)


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
    keep_place(state, after)
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
