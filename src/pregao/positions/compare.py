"""
Compare what a venue says an account holds with our books: what is not ours keeps entries out until it is gone.

Gives ForeignPositionSeen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.venue import VenuePosition

Place = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldHere:
    """What our books hold at one place of an account: ours, and what was seen there beside it; shorts negative."""

    symbol: str
    position_side: PositionSide
    ours: Decimal
    seen: Decimal


def find_foreign(
    account_id: int, *, held: Sequence[HeldHere], told: Sequence[VenuePosition], now: datetime
) -> list[ForeignPositionSeen]:
    """Give every place where what is not ours has changed since it was last seen."""
    seen = {(one.symbol, one.position_side): one.seen for one in held}
    return [
        ForeignPositionSeen(
            happened_at=now,
            account_id=account_id,
            symbol=symbol,
            position_side=position_side,
            quantity=foreign,
        )
        for (symbol, position_side), foreign in foreign_quantities(held=held, told=told).items()
        if foreign != seen.get((symbol, position_side), ZERO)
    ]


def foreign_quantities(*, held: Sequence[HeldHere], told: Sequence[VenuePosition]) -> dict[Place, Decimal]:
    """
    Give at every place the venue's quantity minus ours, 0 where they agree.

    ``held`` must have been read while nothing of the account was on its way, before and after ``told``.
    """
    ours = {(one.symbol, one.position_side): one.ours for one in held}
    there = {(one.symbol, one.position_side): one.quantity for one in told}
    return {
        place: there.get(place, ZERO) - ours.get(place, ZERO) for place in sorted(ours.keys() | there.keys())
    }
