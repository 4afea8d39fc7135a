"""Positions that are entered in the books or closed there by hand: no order is sent, and nobody outside hears of it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from pregao.edges.http.api.asked_by_hand import (
    CLOSED_BY_HAND,
    close_some_in_books,
    enter_in_books,
    unknown_position,
)
from pregao.edges.http.api.roles import Operator, name_of
from pregao.edges.http.api.rules import SYMBOL_PATTERN
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    NUMBER,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.api.trading_state import Reason

routes = APIRouter(prefix="/api/v1/positions", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)

Price = Annotated[
    Annotated[Decimal, NUMBER, Field(gt=0)] | None,
    Field(description="Where it is known; else none is shown."),
]


class BookedAsked(Asked):
    """At which price it is booked, and why."""

    price: Price = None
    reason: Reason


class EntryAsked(BookedAsked):
    """The same, and whose it is and in what."""

    subscription_id: UUID
    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]


class EnteredShown(Shown):
    """The position, new or there already."""

    position_id: int
    symbol: str
    subscription_id: UUID
    already_open: bool


class ClosedShown(Shown):
    """What was closed in the books, and the signal that stands for it."""

    position_id: int
    symbol: str
    status: str
    closed_at: datetime
    signal_id: UUID


@routes.post(
    "/enter",
    status_code=201,
    responses={
        **UNKNOWN,
        **CONFLICT,
        **UNREADABLE,
        200: {"model": EnteredShown, "description": "It is open already."},
    },
)
async def enter_position(
    body: EntryAsked, request: Request, response: Response, desk: DeskGiven, who: Operator
) -> EnteredShown:
    """Enter what is held at a webhook and the desk did not buy, so that a signal can sell it."""
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        position, is_new = await enter_in_books(
            body.subscription_id,
            symbol=body.symbol,
            price=body.price,
            reason=body.reason.strip(),
            by=by,
            address=request.scope["source_address"],
            book=book,
            desk=desk,
        )
    response.status_code = 201 if is_new else 200
    return EnteredShown(
        position_id=position.position_id,
        symbol=position.symbol,
        subscription_id=position.subscription_id,
        already_open=not is_new,
    )


@routes.post("/{position_id:int}/close-in-books", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def close_position_in_books(
    position_id: Annotated[int, Path(ge=1, le=ID_MAX)],
    body: BookedAsked,
    request: Request,
    desk: DeskGiven,
    who: Operator,
) -> ClosedShown:
    """Close a position at a webhook that is not held any more, in the books only."""
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        held = await book.lock_held([position_id])
        if not held:
            raise unknown_position(position_id)
        [booked] = await close_some_in_books(
            held,
            close_reason=CLOSED_BY_HAND,
            price=body.price,
            reason=body.reason.strip(),
            by=by,
            address=request.scope["source_address"],
            book=book,
            desk=desk,
        )
    return ClosedShown(
        position_id=position_id,
        symbol=booked.position.symbol,
        status="closed",
        closed_at=booked.happened_at,
        signal_id=booked.signal_id,
    )
