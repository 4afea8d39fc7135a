"""What each account holds."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from pregao.domain.account import Venue
from pregao.domain.money import ZERO
from pregao.domain.position import LIVE_STATUSES, Direction, Position
from pregao.positions.compare import HeldHere
from pregao.simulation.desk.state import ON_ITS_WAY, PositionRow, State


def held_positions(state: State, account_id: int) -> tuple[bool, list[HeldHere]]:
    places = {
        (one.symbol, one.position_side): [ZERO, ZERO] for one in state.live() if one.account_id == account_id
    }
    for one in state.live():
        if one.account_id == account_id:
            places[one.symbol, one.position_side][0] += signed_quantity(one)
    for (number, symbol, side), row in state.foreign_positions.items():
        if number == account_id:
            places.setdefault((symbol, side), [ZERO, ZERO])[1] += row.quantity
    is_busy = any(row.account_id == account_id and row.status in ON_ITS_WAY for row in state.orders.values())
    return not is_busy, [
        HeldHere(symbol=symbol, position_side=side, ours=ours, seen=seen)
        for (symbol, side), (ours, seen) in sorted(places.items())
    ]


def held_symbols(state: State, account_id: int) -> list[tuple[Venue, str, datetime]]:
    asked = [(row.position.symbol, row.created_at) for row in live_rows(state, account_id)]
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


def live_rows(state: State, account_id: int) -> Iterator[PositionRow]:
    """Give the account's positions that own their place."""
    for row in state.positions.values():
        if row.position.account_id == account_id and row.position.status in LIVE_STATUSES:
            yield row


def signed_quantity(position: Position) -> Decimal:
    """Give what a position holds, shorts negative."""
    return position.quantity if position.direction is Direction.LONG else -position.quantity
