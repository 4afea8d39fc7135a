"""Orders that may trade, or have traded unheard: when each is asked about next, and which trades are theirs."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta

from pregao.domain.venue import VenueTrade
from pregao.orders.ports import LiveOrder
from pregao.orders.resolve import ask_again_seconds
from pregao.simulation.desk.checks import is_unsure
from pregao.simulation.desk.state import ON_ITS_WAY, WITHOUT_ANSWER, OrderRow, State

LIVE_ORDER_NAMES = [one.name for one in fields(LiveOrder)]


def claim_due_orders(state: State, *, now: datetime, limit: int) -> list[LiveOrder]:
    due = [
        row
        for row in state.orders.values()
        if row.status in ON_ITS_WAY
        and row.check_at is not None
        and row.check_at <= now
        and not (row.is_dead and is_unsure(state, row.account_id))
    ]
    due.sort(key=lambda row: (row.check_at, row.order_id))
    for row in due[:limit]:
        pause = timedelta(seconds=ask_again_seconds(row.leg, row.status, row.checks))
        state.orders[row.order_id] = replace(row, checks=row.checks + 1, check_at=now + pause)
    return [_to_live_order(row) for row in due[:limit]]


def put_off_question(state: State, order: LiveOrder, *, now: datetime, seconds: float | None) -> None:
    row = state.orders[order.order_id]
    if row.attempt == order.attempt and row.status in ON_ITS_WAY:
        check_at = None if seconds is None else now + timedelta(seconds=seconds)
        state.orders[order.order_id] = replace(row, check_at=check_at)


def ask_soon(state: State, *, now: datetime, put_off_seconds: float) -> None:
    longest = now + timedelta(seconds=put_off_seconds)
    for row in list(state.orders.values()):
        is_put_off = row.check_at is None or row.check_at > longest
        if row.status in ON_ITS_WAY and is_put_off and not row.is_dead:
            state.orders[row.order_id] = replace(row, check_at=now)


def ask_now(state: State, order_ids: Sequence[str], *, now: datetime) -> None:
    for row in [state.orders[one] for one in order_ids if one in state.orders]:
        is_unheard = row.status in WITHOUT_ANSWER and not row.is_dead
        if is_unheard and row.check_at is not None and row.check_at > now:
            state.orders[row.order_id] = replace(row, check_at=now)


def live_orders_of_account(state: State, account_id: int) -> list[LiveOrder]:
    rows = [row for row in state.orders.values() if row.account_id == account_id and row.status in ON_ITS_WAY]
    return [_to_live_order(row) for row in sorted(rows, key=lambda row: row.planned_at)]


def find_live_order(state: State, order_id: str) -> LiveOrder | None:
    row = state.orders.get(order_id)
    return None if row is None or row.attempt == 0 else _to_live_order(row)


def explain_trades(
    state: State, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
) -> tuple[list[VenueTrade], bool]:
    here = [row for row in state.orders.values() if row.account_id == account_id and row.symbol == symbol]
    ours = {row.exchange_order_id: row.client_order_id for row in here if row.exchange_order_id}
    explained = [
        replace(trade, client_order_id=client_order_id)
        for trade in trades
        if (client_order_id := ours.get(trade.exchange_order_id)) is not None
    ]
    return explained, any(row.status in WITHOUT_ANSWER and row.exchange_order_id is None for row in here)


def _to_live_order(row: OrderRow) -> LiveOrder:
    return LiveOrder(**{name: getattr(row, name) for name in LIVE_ORDER_NAMES})
