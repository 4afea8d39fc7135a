"""
Leave no protective order behind: those of a flat position are taken back, and the venue is asked that none is left.

Takes StopDisarmed. Gives ProtectionMoved for each, then PositionLeft; nothing while one of them may still trade.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pregao import rehearsal
from pregao.domain.clock import Clock
from pregao.domain.facts import Fact, PositionLeft, ProtectionMoved, StopDisarmed
from pregao.domain.protection import ENDS, Protections, ProtectionStatus, protection_of
from pregao.stops.place import find_line, may_be_dead
from pregao.stops.ports import Line


async def take_back(
    disarmed: StopDisarmed,
    lines: Sequence[Line],
    *,
    protections: Protections,
    desk_id: UUID,
    venue_now_ms: int,
    clock: Clock,
) -> Sequence[Fact]:
    """
    Cancel what waits for a flat position; the position is left once none of it can trade any more, by the venue's word.

    ``lines`` are those that may, as the books know them. What they do not know and bears the position's name is
    canceled, too, and looked for again.

    :raises VenueError: when the venue gives no usable answer; nothing is concluded from that.
    """
    ended: list[Fact] = []
    for line in lines:
        status = await _end(line, protections=protections, venue_now_ms=venue_now_ms)
        if status is not None:
            ended.append(_moved(line, status=status, now=clock()))
    rehearsal.reach("stops.leave.after_cancel")
    is_clear = await _is_clear(disarmed, protections=protections, desk_id=desk_id)
    if len(ended) < len(lines) or not is_clear:
        return ended
    return [*ended, left_flat(disarmed, now=clock())]


def left_flat(disarmed: StopDisarmed, *, now: datetime) -> PositionLeft:
    """Say that nothing of a flat position may trade any more."""
    return PositionLeft(
        happened_at=now,
        position_id=disarmed.position_id,
        account_id=disarmed.account_id,
        signal_id=disarmed.signal_id,
    )


async def _end(line: Line, *, protections: Protections, venue_now_ms: int) -> ProtectionStatus | None:
    """Give how a line ended; None while it may still trade: it triggers, or is on its way there."""
    if await protections.cancel_protection(account_id=line.account_id, protection_id=line.protection_id):
        return ProtectionStatus.CANCELED
    found = await find_line(line, protections=protections)
    if found is not None:
        return found.status if found.status in ENDS else None
    return ProtectionStatus.EXPIRED if may_be_dead(line, venue_now_ms=venue_now_ms) else None


async def _is_clear(disarmed: StopDisarmed, *, protections: Protections, desk_id: UUID) -> bool:
    """Say whether the venue lists none that bears the position's name; what it does is canceled."""
    waiting = await protections.open_protections(account_id=disarmed.account_id, symbol=disarmed.symbol)
    ours = [
        one.protection_id
        for one in waiting
        if (name := protection_of(one.protection_id, desk_id=desk_id)) is not None
        and name.position_id == disarmed.position_id
    ]
    for protection_id in ours:
        await protections.cancel_protection(account_id=disarmed.account_id, protection_id=protection_id)
    return not ours


def _moved(line: Line, *, status: ProtectionStatus, now: datetime) -> ProtectionMoved:
    return ProtectionMoved(
        happened_at=now,
        protection_id=line.protection_id,
        position_id=line.position_id,
        account_id=line.account_id,
        signal_id=line.signal_id,
        status=status,
        triggered_order_id=None,
        reason="the position is flat",
        reported_at=now,
    )
