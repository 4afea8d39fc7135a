"""Where the venue's line stands against where it should: what is canceled, and what is placed, so that nothing is naked."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pregao.domain.protection import LineStatus
from pregao.domain.stop import Stop, StopStatus
from pregao.stops.ports import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is to be done next: cancel these, then plan one anew; or plan another beside what stands."""

    cancel: tuple[Line, ...] = ()
    is_anew: bool = False  # one that closes the position, once nothing stands there any more
    is_beside: bool = False  # one with a quantity: a venue keeps only one that closes the position


NOTHING = Move()


def move_of(
    stop: Stop, lines: Sequence[Line], *, held: Decimal, is_watched: bool, is_occupied: bool = False
) -> Move:
    """
    Give the next step towards one line at the stop's price, for at least what is held.

    While the software line watches (``is_watched``), the old one goes first. While it does not, another is placed with
    the quantity beside the old one, which goes once the venue has the other; it gives way to one that closes the position
    as soon as the software watches. Where somebody else's closes the position already (``is_occupied``), ours has a
    quantity. What triggers is left alone.
    """
    if stop.status is not StopStatus.ARMED or stop.stop_price is None:
        return NOTHING
    if any(line.status is not LineStatus.ACCEPTED for line in lines):
        return NOTHING  # what is on its way is asked about, what triggers closes the position
    if not lines:
        return Move(is_beside=True) if is_occupied else Move(is_anew=True)
    right = [
        line
        for line in lines
        if line.trigger_price == stop.stop_price
        and (line.quantity is None or (line.quantity == held and (is_occupied or not is_watched)))
    ]
    if right:
        newest = max(right, key=lambda line: line.version)
        return Move(cancel=tuple(line for line in lines if line is not newest))
    if is_watched and not is_occupied:
        return Move(cancel=tuple(lines), is_anew=True)
    return Move(is_beside=True)
