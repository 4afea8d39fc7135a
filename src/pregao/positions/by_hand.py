"""
Enter a position in the books by hand, or close one there: no order is sent, and its destination hears nothing of it.

Only where nobody can be asked what is held: at a webhook. At an exchange the books follow the fills, and what differs
is settled as drift. Takes BookedByHand. Gives FillBooked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts import BookedByHand, Fact, FillBooked
from pregao.domain.money import ONE, ZERO
from pregao.domain.order import PositionSide, Side
from pregao.domain.position import (
    FORWARDED_LEVERAGE,
    LIVE_STATUSES,
    UNKNOWN_PRICE,
    Direction,
    Position,
    PositionStatus,
)
from pregao.domain.venue import BOOKED_ID, VenueTrade
from pregao.positions.ports import Held, PositionBook
from pregao.positions.refusals import ConflictError, UnknownError

QUANTITY = ONE  # of what is held at a webhook
BOOKS_FOLLOW = (
    "What is held there is known by its fills. Close it by an order; what differs from the venue is adopted or written "
    "off as drift."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who books what by hand, and why; the signal stands for it among the others."""

    signal_id: UUID
    booked_by: str
    reason: str


async def enter(
    asked: Note,
    *,
    subscription_id: UUID,
    symbol: str,
    price: Decimal | None,
    book: PositionBook,
    now: datetime,
) -> BookedByHand | Position:
    """
    Enter a position of a subscription; give the one that is live there already instead, where there is one.

    :raises UnknownError: when there is no such subscription.
    :raises ConflictError: when its account is at an exchange.
    """
    follower = await book.lock_follower(subscription_id)
    if follower is None:
        raise UnknownError(
            "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    if follower.venue is not Venue.WEBHOOK:
        raise _follows_fills(f"account={follower.account_id} venue={follower.venue}")
    standing = await book.find_live(follower.account_id, symbol=symbol)
    if standing is not None:
        return standing
    position = Position(
        position_id=await book.new_position_id(),
        account_id=follower.account_id,
        bot_id=follower.bot_id,
        subscription_id=subscription_id,
        signal_id=asked.signal_id,
        symbol=symbol,
        position_side=PositionSide.BOTH,
        direction=Direction.LONG,
        status=PositionStatus.PENDING,
        leverage=FORWARDED_LEVERAGE,
    )
    return BookedByHand(
        happened_at=now,
        position=position,
        trade=_trade(position, Side.BUY, asked=asked, quantity=QUANTITY, price=price, now=now),
        signal_id=asked.signal_id,
        close_reason=None,
        booked_by=asked.booked_by,
        reason=asked.reason,
    )


def close_in_books(
    asked: Note, held: Held, *, close_reason: str, price: Decimal | None, now: datetime
) -> BookedByHand:
    """
    Close a locked position in the books, all of it.

    :raises ConflictError: when it is at an exchange, is closed, or an order of it is on its way.
    """
    position = held.position
    values = f"position={position.position_id} symbol={position.symbol} status={position.status}"
    if position.status not in LIVE_STATUSES:
        raise ConflictError("POSITION_CLOSED", f"{values}. There is nothing to close.")
    if held.venue is not Venue.WEBHOOK:
        raise _follows_fills(f"{values} venue={held.venue}")
    if held.is_busy or position.quantity == ZERO:
        raise ConflictError(
            "POSITION_BUSY", f"{values}. An order of it is on its way: ask again when it has ended."
        )
    return BookedByHand(
        happened_at=now,
        position=position,
        trade=_trade(
            position,
            position.direction.entry_side.opposite,
            asked=asked,
            quantity=position.quantity,
            price=price,
            now=now,
        ),
        signal_id=asked.signal_id,
        close_reason=close_reason,
        booked_by=asked.booked_by,
        reason=asked.reason,
    )


async def book_by_hand(booked: Sequence[BookedByHand], *, now: datetime) -> list[Fact]:
    """Give the fill that each is booked as."""
    return [
        FillBooked(
            happened_at=now,
            account_id=one.position.account_id,
            trade=one.trade,
            fee=ZERO,
            fee_rate=ONE,
            order_id=None,
            order_is_filled=False,
            signal_id=one.signal_id,
            position_id=one.position.position_id,
            close_reason=one.close_reason,
        )
        for one in booked
    ]


def _trade(
    position: Position, side: Side, *, asked: Note, quantity: Decimal, price: Decimal | None, now: datetime
) -> VenueTrade:
    return VenueTrade(
        trade_id=f"{BOOKED_ID}-{asked.signal_id}",
        exchange_order_id="",
        client_order_id=BOOKED_ID,
        symbol=position.symbol,
        side=side,
        position_side=position.position_side,
        price=UNKNOWN_PRICE if price is None else price,
        quantity=quantity,
        commission=ZERO,
        commission_asset="",
        is_maker=False,
        realized_pnl=ZERO,
        traded_at=now,
    )


def _follows_fills(values: str) -> ConflictError:
    return ConflictError("BOOKS_FOLLOW_FILLS", f"{values}. {BOOKS_FOLLOW}")
