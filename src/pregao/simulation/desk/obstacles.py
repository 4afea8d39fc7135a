"""What keeps an entry out of an account: holdings of strangers, an unknown past, what is about to leave, a person's act."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from pregao.domain.order import PositionSide
from pregao.domain.position import LIVE_STATUSES
from pregao.orders.ports import (
    Grounded,
    Obstacles,
)
from pregao.simulation.desk.state import ON_ITS_WAY, State


def read_obstacles(
    state: State, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
) -> dict[UUID, Obstacles]:
    wanted = frozenset(account_ids)
    return {one: _obstacles(state, one, symbol=symbol, wanted=wanted) for one, symbol in symbols.items()}


def _obstacles(state: State, signal_id: UUID, *, symbol: str, wanted: frozenset[int]) -> Obstacles:
    asked = state.signals.get(signal_id)
    return Obstacles(
        foreign={
            (account_id, side): row.quantity
            for (account_id, where, side), row in state.foreign_positions.items()
            if account_id in wanted and where == symbol and row.quantity
        },
        unreconciled=frozenset(
            account_id
            for account_id, row in state.account_checks.items()
            if account_id in wanted and row.unreconciled_since is not None
        ),
        forgotten=frozenset(
            account_id
            for account_id, row in state.account_checks.items()
            if account_id in wanted
            and asked is not None
            and row.restored_at is not None
            and row.restored_at >= asked.received_at
        ),
        grounded={
            (row.account_id, row.subscription_id): Grounded(code=row.code, reason=row.reason)
            for row in reversed(state.grounded)
            if row.account_id in wanted and row.symbol in ("", symbol)
        },
        leaving={
            (account_id, side): number
            for number, account_id, where, side in sorted(_leaving(state))
            if account_id in wanted and where == symbol
        },
    )


def _leaving(state: State) -> Iterator[tuple[int, int, str, PositionSide]]:
    """Give flat positions whose protective orders are not known to be taken back, or that have an order on its way."""
    flat = {
        number: row.position
        for number, row in state.positions.items()
        if row.position.status not in LIVE_STATUSES
    }
    for number, stop in state.stops.items():
        armed = stop.armed
        if number in flat and armed.left_at is None:
            yield number, armed.account_id, armed.symbol, armed.position_side
    for order in state.orders.values():
        number = order.position_id or 0
        if number in flat and order.status in ON_ITS_WAY:
            yield number, order.account_id, order.symbol, flat[number].position_side
