"""Closing one position by hand, as whoever it belongs to or who looks after the desk asks for it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request

from pregao.edges.http.api.asked_by_hand import ask_close_of, unknown_position
from pregao.edges.http.api.roles import Trader, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.api.trading_state import Reason
from pregao.positions.refusals import ConflictError

routes = APIRouter(prefix="/api/v1/positions", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)


class PositionCloseAsked(Asked):
    """Why it is closed."""

    reason: Reason


class PositionClosingShown(Shown):
    """What is being closed, and by which signal: its receipt says what came of it."""

    position_id: int
    symbol: str
    signal_id: UUID


@routes.post("/{position_id:int}/close", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def close_position(
    position_id: Annotated[int, Path(ge=1, le=ID_MAX)],
    body: PositionCloseAsked,
    request: Request,
    desk: DeskGiven,
    who: Trader,
) -> PositionClosingShown:
    """Close a position of yours, of anybody's for staff: all that is held goes at the market, by a signal of the desk's own."""
    request.scope["action_targets"] = {"position_id": str(position_id)}
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        held = await book.lock_held([position_id])
        if not held:
            raise unknown_position(position_id)
        position = held[0].position
        if position.closed_at is not None:
            raise ConflictError(
                "POSITION_CLOSED",
                f"position={position_id} status={position.status}. There is nothing to close.",
            )
        signal_id = await ask_close_of(position, reason=body.reason.strip(), by=by, book=book, desk=desk)
    return PositionClosingShown(position_id=position_id, symbol=position.symbol, signal_id=signal_id)
