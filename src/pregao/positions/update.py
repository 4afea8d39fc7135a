"""
Fold fills into their positions; release what an ended order had reserved.

Takes FillBooked, OrderRejected, OrderEnded, OrderDenied. Gives PositionChanged, ExitRequested.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from pregao.domain.facts import (
    ExitRequested,
    Fact,
    FillBooked,
    OrderDenied,
    OrderEnded,
    OrderRejected,
    PositionChanged,
)
from pregao.domain.money import ZERO
from pregao.domain.position import Position, PositionStatus, after_fill
from pregao.domain.venue import outside_close
from pregao.positions.ports import Positions, WaitingExit


async def update_position(fills: Sequence[FillBooked], *, positions: Positions, now: datetime) -> list[Fact]:
    """Give each touched position once, after all its fills; ask for the exits that have waited for them."""
    touched = dict(
        await positions.lock_positions(sorted({one.position_id for one in fills if one.position_id}))
    )
    settled = set()
    for fill in fills:
        if fill.position_id is None:
            continue
        before = touched[fill.position_id]
        after = touched[fill.position_id] = _after(before, fill)
        is_entry = fill.trade.side is before.direction.entry_side
        if after.status is PositionStatus.CLOSED or (
            fill.order_is_filled and (not is_entry or _waits(after))
        ):
            settled.add(fill.position_id)
    closed = [number for number, one in touched.items() if one.status is PositionStatus.CLOSED]
    if closed:
        # Told in another order than they traded: it closed with the last trade, and counts on that day.
        for number, traded_at in (await positions.last_trades(closed)).items():
            touched[number] = replace(touched[number], closed_at=traded_at)
    facts: list[Fact] = [PositionChanged(happened_at=now, position=position) for position in touched.values()]
    facts.extend(await _waited_exits(settled, positions=positions, now=now))
    return facts


def _after(position: Position, fill: FillBooked) -> Position:
    reason = fill.close_reason or (
        outside_close(fill.trade.client_order_id) if fill.order_id is None else "signal"
    )
    after = after_fill(
        position,
        side=fill.trade.side,
        price=fill.trade.price,
        quantity=fill.trade.quantity - fill.foreign_quantity,
        fee=fill.fee,
        traded_at=fill.trade.traded_at,
        reason=reason,
    )
    is_exit = fill.trade.side is not position.direction.entry_side
    if is_exit and fill.order_is_filled and after.status is PositionStatus.CLOSING:
        return replace(
            after, status=PositionStatus.OPEN, exit_signal_id=None
        )  # a share was closed, the rest stays
    if position.status is PositionStatus.CLOSED and position.close_reason == "signal":
        return replace(after, exit_signal_id=None)  # that exit is done: the next close must not wait for it
    return after


def _waits(position: Position) -> bool:
    """Say whether a close came while the entry was on its way."""
    return position.status is PositionStatus.OPEN and position.exit_signal_id is not None


async def _waited_exits(
    position_ids: Collection[int], *, positions: Positions, now: datetime
) -> list[ExitRequested]:
    """Ask for the oldest exit that waits at each position; the next one waits for that."""
    waiting = await positions.waiting_exits(sorted(position_ids)) if position_ids else {}
    return request_exits([one for _, one in sorted(waiting.items())], now=now)


def request_exits(waiting: Sequence[WaitingExit], *, now: datetime) -> list[ExitRequested]:
    """Ask for exits that have waited."""
    return [
        ExitRequested(
            happened_at=now,
            signal_id=one.signal_id,
            position_id=one.position_id,
            attempt=1,
            reason="nothing else of the position is on its way any more",
            share=one.share,
        )
        for one in waiting
    ]


async def release(rejections: Sequence[OrderRejected], *, positions: Positions, now: datetime) -> list[Fact]:
    """Give back what a rejected order had reserved: nothing was entered, or nothing was exited."""
    return await _release({one.position_id: one.code for one in rejections}, positions=positions, now=now)


async def release_rest(ends: Sequence[OrderEnded], *, positions: Positions, now: datetime) -> list[Fact]:
    """Give back what an ended order left unfilled."""
    return await _release({one.position_id: one.status.value for one in ends}, positions=positions, now=now)


async def release_denied(
    denials: Sequence[OrderDenied], *, positions: Positions, now: datetime
) -> list[Fact]:
    """Give back what an order had reserved whose next attempt was denied; most denials reserved nothing."""
    reasons = {one.position_id: one.code for one in denials if one.position_id is not None}
    return await _release(reasons, positions=positions, now=now)


async def _release(reasons: dict[int, str], *, positions: Positions, now: datetime) -> list[Fact]:
    if not reasons:
        return []
    facts: list[Fact] = []
    locked = await positions.lock_positions(sorted(reasons))
    # An answer that comes late is about an attempt that another has followed: that one still needs its position.
    traded = await positions.traded_positions(sorted(reasons))
    settled = [position for position in locked.values() if position.position_id not in traded]
    for position in settled:
        released = _released(position, reason=reasons[position.position_id], now=now)
        if released is not position:
            facts.append(PositionChanged(happened_at=now, position=released))
    waiting = [position.position_id for position in settled]
    facts.extend(await _waited_exits(waiting, positions=positions, now=now))
    return facts


def _released(position: Position, *, reason: str, now: datetime) -> Position:
    if position.status is PositionStatus.PENDING and position.entered_quantity == ZERO:
        return replace(position, status=PositionStatus.ABANDONED, closed_at=now, close_reason=reason.lower())
    if position.status is PositionStatus.CLOSING:
        return replace(position, status=PositionStatus.OPEN, exit_signal_id=None)
    return position
