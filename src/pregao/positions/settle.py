"""
Settle by hand what the venue and the books do not agree on: adopt what is not ours, write off what is not there.

Takes DriftSettled. Gives FillBooked and ForeignPositionSeen. Either is booked as one fill without a fee, at a price that
the operator reads at the venue: quantity and price of a position stay the sums of its fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.facts import DriftSettled, Fact, FillBooked, ForeignPositionSeen
from pregao.domain.money import ONE, ZERO, to_text
from pregao.domain.order import PositionSide, Side
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.venue import ADOPTED_ID, WRITTEN_OFF_ID, VenueTrade
from pregao.positions.ports import DriftBook, Place
from pregao.positions.refusals import ConflictError, UnknownError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an operator asks: where, at which price, why; ``settlement_id`` names it, and the fill it becomes."""

    settlement_id: UUID
    account_id: int
    symbol: str
    position_side: PositionSide
    price: Decimal
    settled_by: str
    reason: str


async def adopt(asked: Settlement, *, subscription_id: UUID, book: DriftBook, now: datetime) -> DriftSettled:
    """
    Give all that the venue holds beside ours at one place to a subscription, which trades and closes it from then on.

    :raises UnknownError: when there is no such account, or no such subscription on it.
    :raises ConflictError: when nothing differs, the venue holds less than we do, an order is on its way, or the position
        there is another subscription's.
    """
    place = await _lock(asked, book=book)
    adopter = await book.find_adopter(subscription_id, symbol=asked.symbol)
    if adopter is None or adopter.account_id != asked.account_id:
        raise UnknownError(
            "SUBSCRIPTION_UNKNOWN",
            f"subscription={subscription_id} account={asked.account_id}. The account has no such subscription.",
        )
    direction = Direction.LONG if place.foreign > ZERO else Direction.SHORT
    position = place.position
    if (position and position.direction is not direction) or not _fits(direction, place.position_side):
        raise ConflictError(
            "DRIFT_IS_MISSING",
            f"{_values(place)}. The venue holds less than the books: write it off.",
        )
    if position is None:
        position = Position(
            position_id=await book.new_position_id(),
            account_id=asked.account_id,
            bot_id=adopter.bot_id,
            subscription_id=subscription_id,
            signal_id=asked.settlement_id,
            symbol=asked.symbol,
            position_side=asked.position_side,
            direction=direction,
            status=PositionStatus.PENDING,
            leverage=adopter.leverage,
        )
    elif position.subscription_id != subscription_id:
        raise ConflictError(
            "SYMBOL_OWNED",
            f"position={position.position_id} subscription={position.subscription_id}. Another subscription holds a "
            "position there: give the quantity to that one.",
        )
    return DriftSettled(
        happened_at=now,
        position=position,
        trade=_trade(asked, side=direction.entry_side, quantity=abs(place.foreign), name=ADOPTED_ID, now=now),
        foreign_left=ZERO,
        settled_by=asked.settled_by,
        reason=asked.reason,
    )


async def write_off(asked: Settlement, *, book: DriftBook, now: datetime) -> DriftSettled:
    """
    Take off the position there what the venue does not hold.

    :raises UnknownError: when there is no such account.
    :raises ConflictError: when nothing differs, the venue holds no less than we do, or an order is on its way.
    """
    place = await _lock(asked, book=book)
    position = place.position
    missing = (
        place.foreign < ZERO if position and position.direction is Direction.LONG else place.foreign > ZERO
    )
    if position is None or not missing:
        raise ConflictError(
            "DRIFT_IS_FOREIGN",
            f"{_values(place)}. The venue holds more than the books: adopt it, or close it at the venue.",
        )
    quantity = min(abs(place.foreign), position.quantity)
    return DriftSettled(
        happened_at=now,
        position=position,
        trade=_trade(
            asked,
            side=position.direction.entry_side.opposite,
            quantity=quantity,
            name=WRITTEN_OFF_ID,
            now=now,
        ),
        foreign_left=place.foreign + (quantity if place.foreign < ZERO else -quantity),
        settled_by=asked.settled_by,
        reason=asked.reason,
    )


async def settle_drift(settled: Sequence[DriftSettled], *, now: datetime) -> list[Fact]:
    """Give the fill that each is booked as, and what still differs there."""
    facts: list[Fact] = []
    for one in settled:
        facts.append(
            FillBooked(
                happened_at=now,
                account_id=one.position.account_id,
                trade=one.trade,
                fee=ZERO,
                fee_rate=ONE,
                order_id=None,
                order_is_filled=False,
                signal_id=None,
                position_id=one.position.position_id,
            )
        )
        facts.append(
            ForeignPositionSeen(
                happened_at=now,
                account_id=one.position.account_id,
                symbol=one.position.symbol,
                position_side=one.position.position_side,
                quantity=one.foreign_left,
            )
        )
    return facts


async def _lock(asked: Settlement, *, book: DriftBook) -> Place:
    place = await book.lock_place(
        account_id=asked.account_id, symbol=asked.symbol, position_side=asked.position_side
    )
    if place is None:
        raise UnknownError("ACCOUNT_UNKNOWN", f"account={asked.account_id}. There is no such account.")
    if place.foreign == ZERO:
        raise ConflictError("DRIFT_NONE", f"{_values(place)}. Venue and books agree there.")
    if place.is_busy:
        raise ConflictError(
            "DRIFT_ON_THE_WAY",
            f"{_values(place)}. An order of the position is on its way: ask again when it has ended.",
        )
    return place


def _fits(direction: Direction, position_side: PositionSide) -> bool:
    return position_side is PositionSide.BOTH or position_side.value == direction.value


def _trade(asked: Settlement, *, side: Side, quantity: Decimal, name: str, now: datetime) -> VenueTrade:
    return VenueTrade(
        trade_id=f"{name}-{asked.settlement_id}",
        exchange_order_id="",
        client_order_id=name,
        symbol=asked.symbol,
        side=side,
        position_side=asked.position_side,
        price=asked.price,
        quantity=quantity,
        commission=ZERO,
        commission_asset="",
        is_maker=False,
        realized_pnl=ZERO,
        traded_at=now,
    )


def _values(place: Place) -> str:
    held = place.position.quantity if place.position else ZERO
    return (
        f"account={place.account_id} symbol={place.symbol} position_side={place.position_side} "
        f"ours={to_text(held)} venue_minus_ours={to_text(place.foreign)}"
    )
