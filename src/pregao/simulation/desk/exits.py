"""What is due of claimed exits."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from pregao.simulation.desk.state import State
from pregao.stops.exit import is_due
from pregao.stops.ports import DueExit


def peek_due_exits(state: State, *, now: datetime, limit: int) -> list[DueExit]:
    due = [row for row in state.stop_claims.values() if is_due(row.claimed, now=now)]
    due.sort(key=lambda row: row.claimed.again_at or now)
    return [
        DueExit(position_id=row.claimed.position_id, venue=row.venue, symbol=row.symbol)
        for row in due[:limit]
    ]


def lock_due_exits(state: State, position_ids: Collection[int]) -> list[int]:
    return [number for number in sorted(set(position_ids)) if number in state.positions]


def put_off_due_exits(state: State, position_ids: Collection[int], *, now: datetime, seconds: float) -> None:
    for key, row in list(state.stop_claims.items()):
        if row.claimed.position_id in position_ids and is_due(row.claimed, now=now):
            again_at = now + timedelta(seconds=seconds)
            state.stop_claims[key] = replace(row, claimed=replace(row.claimed, again_at=again_at))
