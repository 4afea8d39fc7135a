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
    """
    Give every place where what is not ours has changed since it was last seen.

    ``held`` must have been read while nothing of the account was on its way, before and after ``told``.
    """
    here = {(one.symbol, one.position_side): one for one in held}
    there = {(one.symbol, one.position_side): one.quantity for one in told}
    facts = []
    for symbol, position_side in sorted(here.keys() | there.keys()):
        place = here.get((symbol, position_side))
        ours, seen = (place.ours, place.seen) if place else (ZERO, ZERO)
        foreign = there.get((symbol, position_side), ZERO) - ours
        if foreign != seen:
            facts.append(
                ForeignPositionSeen(
                    happened_at=now,
                    account_id=account_id,
                    symbol=symbol,
                    position_side=position_side,
                    quantity=foreign,
                )
            )
    return facts
