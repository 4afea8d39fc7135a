"""What people ask for by hand: closes as signals of the desk's own, and what is booked without any order."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from pregao.domain.facts import BookedByHand
from pregao.domain.order import Side
from pregao.domain.position import Position
from pregao.domain.sell_list import ByHand
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.positions.by_hand import Note, close_in_books, enter
from pregao.positions.ports import Held, PositionBook
from pregao.signals.own import close_now

LIST_CLEARED, CLOSED_BY_HAND = "list_cleared", "closed_by_hand"


async def ask_close(
    kind: ByHand,
    symbol: str,
    *,
    bot_id: UUID,
    subscription_id: UUID | None = None,
    side: Side | None = None,
    reason: str,
    by: str,
    book: PositionBook,
    desk: Desk,
) -> UUID:
    """Have what is held of a symbol closed by a signal of the desk's own; give its id."""
    now = desk.clock()
    signal_id = uuid7(now)
    await book.append(
        close_now(
            signal_id=signal_id,
            bot_id=bot_id,
            subscription_id=subscription_id,
            symbol=symbol,
            side=side,
            operation={"type": kind.value, "asked_by": by, "reason": reason},
            now=now,
        )
    )
    return signal_id


async def ask_close_of(position: Position, *, reason: str, by: str, book: PositionBook, desk: Desk) -> UUID:
    """Have one position closed, and no other of its bot; give the signal's id."""
    return await ask_close(
        ByHand.CLOSE,
        position.symbol,
        bot_id=position.bot_id,
        subscription_id=position.subscription_id,
        side=position.direction.entry_side.opposite,
        reason=reason,
        by=by,
        book=book,
        desk=desk,
    )


async def enter_in_books(
    subscription_id: UUID,
    *,
    symbol: str,
    price: Decimal | None,
    reason: str,
    by: str,
    address: str,
    book: PositionBook,
    desk: Desk,
) -> tuple[Position, bool]:
    """Enter a position; give it, or the one that is live there already, and whether it is new."""
    now = desk.clock()
    asked = Note(signal_id=uuid7(now), booked_by=by, reason=reason)
    booked = await enter(
        asked, subscription_id=subscription_id, symbol=symbol, price=price, book=book, now=now
    )
    if isinstance(booked, Position):
        return booked, False
    await book.book([booked], source_address=address)
    return booked.position, True


async def close_some_in_books(
    positions: Sequence[Held],
    *,
    close_reason: str,
    price: Decimal | None = None,
    reason: str,
    by: str,
    address: str,
    book: PositionBook,
    desk: Desk,
) -> list[BookedByHand]:
    """Close locked positions in the books; nothing is done when one cannot be."""
    now = desk.clock()
    booked = [
        close_in_books(
            Note(signal_id=uuid7(now), booked_by=by, reason=reason),
            one,
            close_reason=close_reason,
            price=price,
            now=now,
        )
        for one in positions
    ]
    await book.book(booked, source_address=address)
    return booked


def unknown_position(position_id: int) -> ApiError:
    """Give the refusal of what is not there, or not for whoever asks."""
    return ApiError(404, "POSITION_UNKNOWN", f"position={position_id}. There is no such position.")
