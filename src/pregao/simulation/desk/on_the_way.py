"""What is on its way of positions, and what a restored desk forgot of them."""

from collections.abc import Sequence
from dataclasses import replace

from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus
from pregao.orders.ports import NOTHING_ON_THE_WAY, OnTheWay
from pregao.simulation.desk.checks import is_unsure
from pregao.simulation.desk.state import ON_ITS_WAY, OrderRow, State


def read_on_the_way(state: State, position_ids: Sequence[int]) -> dict[int, OnTheWay]:
    found: dict[int, OnTheWay] = {}
    for number in position_ids:
        rows = [row for row in state.orders_of(number) if row.status in {OrderStatus.DEFERRED, *ON_ITS_WAY}]
        ahead = _ahead(rows) if rows else NOTHING_ON_THE_WAY
        if _was_restored(state, number):
            found[number] = _with_past(state, ahead, number)
        elif rows:
            found[number] = ahead
    return found


def _ahead(rows: Sequence[OrderRow]) -> OnTheWay:
    exits = [row for row in rows if row.leg is Leg.EXIT]
    closes_all = any(row.status is OrderStatus.DEFERRED and row.share is None for row in exits)
    sent = [row for row in exits if row.status is not OrderStatus.DEFERRED]
    return OnTheWay(
        is_entering=any(row.leg is Leg.ENTRY and row.status is not OrderStatus.DEFERRED for row in rows),
        is_leaving=bool(exits),
        leaving=None
        if closes_all
        else sum((row.quantity - row.filled_quantity for row in sent if row.quantity is not None), ZERO),
    )


def _was_restored(state: State, position_id: int) -> bool:
    held = state.positions.get(position_id)
    check = None if held is None else state.account_checks.get(held.position.account_id)
    return check is not None and check.restored_at is not None


def _with_past(state: State, ahead: OnTheWay, position_id: int) -> OnTheWay:
    orders = state.orders
    traded = {fact.order_id for fact in state.fills.values() if fact.position_id == position_id}
    return replace(
        ahead,
        is_unsure=is_unsure(state, state.positions[position_id].position.account_id),
        forgotten_exits=frozenset(
            one for one in traded if one is not None and (one not in orders or not orders[one].attempt)
        ),
    )
