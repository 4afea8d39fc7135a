"""The venues' lines that somebody has to look after, and what stands open without one."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from pregao.domain.account import Venue
from pregao.domain.facts import PositionGuarded, PositionUnguarded, StopDisarmed
from pregao.domain.position import Position
from pregao.domain.protection import MAY_TRADE, LineStatus
from pregao.domain.stop import StopStatus
from pregao.orders.resolve import ASK_AGAIN_SECONDS
from pregao.simulation.desk.state import State, StopRow
from pregao.simulation.desk.watches import Watching
from pregao.stops.follow import HELD
from pregao.stops.ports import LeftOpen, Line

ASKED_ABOUT = (LineStatus.PLANNED, LineStatus.UNRESOLVED, LineStatus.TRIGGERING, LineStatus.TRIGGERED)


def claim_due(state: State, *, now: datetime, limit: int) -> list[Line]:
    protections = state.protections
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


def standing(state: State, *, account_id: int | None, position_ids: Collection[int]) -> list[Line]:
    here = [
        row.line
        for row in state.protections.values()
        if row.line.status in MAY_TRADE
        and (row.line.account_id == account_id or row.line.position_id in position_ids)
    ]
    return sorted(here, key=lambda line: (line.position_id, line.version))


def peek_unarmed(state: State, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
    return [
        (number, venue, row.position.symbol)
        for number, row in sorted(state.positions.items())
        if row.position.status in HELD
        and number not in state.stops
        and (venue := state.accounts[row.position.account_id].venue) in venues
    ][:limit]


def peek_misplaced(
    state: State, venues: Collection[Venue], *, now: datetime, limit: int
) -> list[tuple[int, Venue, str]]:
    return [
        (number, row.armed.venue, row.armed.symbol)
        for number, row in sorted(state.stops.items())
        if row.armed.venue in venues and _is_misplaced(row, state.positions[number].position, now=now)
    ][:limit]


def _is_misplaced(row: StopRow, position: Position, *, now: datetime) -> bool:
    armed, stop = row.armed, row.armed.stop
    if armed.left_at is not None or stop.status is not StopStatus.ARMED or stop.stop_price is None:
        return False
    if row.line_status not in (None, LineStatus.ACCEPTED) or position.status not in HELD:
        return False
    if armed.line_at is not None and armed.line_at > now:
        return False
    return row.line_price != stop.stop_price or row.line_quantity is not None


def peek_unleft(state: State, venues: Collection[Venue], *, limit: int) -> list[StopDisarmed]:
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


def peek_open(
    state: State, venues: Collection[Venue], *, watching: Watching, now: datetime, limit: int
) -> list[LeftOpen]:
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
        if is_armed and watching.is_watched(pair, now=now):
            continue
        ends = [one.ended_at for one in own if one.acknowledged_at is not None and one.ended_at is not None]
        if (told := watching.told.get(pair)) is not None:
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


def _guards(line: Line, position: Position) -> bool:
    return line.status is LineStatus.ACCEPTED and (
        line.quantity is None or line.quantity >= position.quantity
    )


def peek_told_open(state: State, venues: Collection[Venue]) -> list[LeftOpen]:
    told: dict[int, PositionUnguarded] = {}
    for fact in state.journal:
        if isinstance(fact, PositionUnguarded):
            told[fact.position_id] = fact
        elif isinstance(fact, PositionGuarded):
            told.pop(fact.position_id, None)
    return [
        LeftOpen(position_id=number, account_id=fact.account_id, signal_id=fact.signal_id, since=fact.since)
        for number, fact in sorted(told.items())
        if number in state.stops and state.stops[number].armed.venue in venues
    ]
