"""Orders that rest at venues and are not ours: what the last look saw, a look now, and having one taken back."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from pregao.domain.account import EXCHANGES, Venue
from pregao.domain.foreign import CancelStatus
from pregao.edges.http.api.accounts import get_account_line
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.drift import REASON_PATTERN
from pregao.edges.http.api.listing import FOREIGN_CANCELS, FOREIGN_ORDERS
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.rules import SYMBOL_PATTERN
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    AccountId,
    Amount,
    Asked,
    DeskGiven,
    Limit,
    Page,
    Shown,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.positions.refusals import ConflictError
from pregao.positions.take_back import CancelWish, ask_cancel
from pregao.views.foreign import CancelLine, ForeignOrderLine
from pregao.views.sorting import OLDEST_FIRST, Shape

routes = APIRouter(prefix="/api/v1/drift", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)

WAIT_SECONDS_MAX = 5.0
TRY_SECONDS = 0.05


class ForeignOrderShown(Shown):
    """An order at a venue that the desk did not send; `cancel_id` names what takes it back just now."""

    account_id: int
    account: str
    venue: str
    symbol: str
    exchange_order_id: str
    client_order_id: str
    side: str
    position_side: str
    kind: str
    price: Amount | None
    quantity: Amount
    filled_quantity: Amount
    reduce_only: bool
    created_at: datetime
    seen_at: datetime
    cancel_id: UUID | None


class LookShown(Shown):
    """What the last look at an account saw; `code` says why a later one did not succeed."""

    account_id: int
    looked_at: Annotated[datetime | None, Field(description="Null: nobody has looked yet.")]
    is_pending: Annotated[bool, Field(description="What was asked for is not there yet.")]
    code: str | None
    reason: str | None
    orders: list[ForeignOrderShown]


class CancelAsked(Asked):
    """Which order, by the number that the venue gave it, and why."""

    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    exchange_order_id: Annotated[str, Field(pattern=r"^[0-9]{1,30}$")]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=REASON_PATTERN)]


class CancelShown(Shown):
    """An order that was to be taken back, who wanted it and why, and what came of it: `told_at` is when that was told last."""

    cancel_id: UUID
    account_id: int
    account: str
    symbol: str
    exchange_order_id: str
    client_order_id: str
    side: str
    price: Amount | None
    quantity: Amount
    reason: str
    asked_by: str
    asked_at: datetime
    status: CancelStatus
    code: str | None
    told_reason: str | None
    filled_quantity: Annotated[Amount | None, Field(description="What of it had traded when it ended.")]
    told_at: datetime | None


ForeignOrderSort = Literal[
    "account", "-account", "symbol", "-symbol", "price", "-price", "quantity", "-quantity", "created_at", "-created_at",
    "seen_at", "-seen_at",
]  # fmt: skip
CancelSort = Literal[
    "time", "-time", "account", "-account", "symbol", "-symbol", "status", "-status", "asked_by", "-asked_by", "told_at", "-told_at",
]  # fmt: skip


@routes.get("/orders", response_model=Page[ForeignOrderShown], responses=AsCsv)
async def list_foreign_orders(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    search: Search = None,
    sort: ForeignOrderSort = "account",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[ForeignOrderShown] | Response:
    """Give orders that rest at venues and are not ours, as the last look at each account saw them; by account unless `sort` says otherwise."""

    async def find(after: str | None, *, shape: Shape, limit: int) -> Sequence[ForeignOrderLine]:
        return await desk.foreign.orders(
            owner=who.owner, account_id=account_id, after=after, shape=shape, limit=limit
        )

    return await FOREIGN_ORDERS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=ForeignOrderShown.model_validate,
        shown=ForeignOrderShown,
        name="foreign-orders",
    )


@routes.get("/cancels", response_model=Page[CancelShown], responses=AsCsv)
async def list_foreign_cancels(
    *,
    desk: DeskGiven,
    who: Viewer,
    search: Search = None,
    sort: CancelSort = "-time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[CancelShown] | Response:
    """Give orders that were to be taken back, the latest first unless `sort` says otherwise: who wanted it, why, and what came of it."""

    async def find(before: UUID | None, *, shape: Shape, limit: int) -> Sequence[CancelLine]:
        return await desk.foreign.cancels(owner=who.owner, before=before, shape=shape, limit=limit)

    return await FOREIGN_CANCELS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=CancelShown.model_validate,
        shown=CancelShown,
        name="taken-back",
    )


@routes.get("/cancels/{cancel_id:uuid}", responses=UNKNOWN)
async def get_foreign_cancel(cancel_id: UUID, desk: DeskGiven, who: Viewer) -> CancelShown:
    """Say what came of one."""
    return await _cancel(cancel_id, desk=desk, owner=who.owner)


@routes.post("/{account_id:int}/orders/look", responses={**UNKNOWN, **CONFLICT})
async def look_at_foreign_orders(account_id: AccountId, desk: DeskGiven, who: Operator) -> LookShown:
    """Ask the account's venue what rests there, and give what is told within five seconds; else it comes by itself."""
    line = await get_account_line(account_id, who=who, desk=desk)
    if line.account.venue not in EXCHANGES:
        raise ConflictError(
            "VENUE_UNASKABLE", f"account={account_id} venue={Venue.WEBHOOK}. Nobody can be asked there."
        )
    is_there = await _look(account_id, desk=desk)
    look = await desk.foreign.look_of(account_id)
    lines = await desk.foreign.orders(
        owner=who.owner, account_id=account_id, after=None, shape=OLDEST_FIRST, limit=PAGE_ITEMS
    )
    return LookShown(
        account_id=account_id,
        looked_at=look.looked_at,
        is_pending=not is_there,
        code=look.code,
        reason=look.reason,
        orders=[ForeignOrderShown.model_validate(one) for one in lines],
    )


@routes.post(
    "/{account_id:int}/orders/cancel", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE}
)
async def cancel_foreign_order(
    account_id: AccountId, body: CancelAsked, request: Request, desk: DeskGiven, who: Operator
) -> CancelShown:
    """Have an order taken back at its venue that is not ours; it goes on by itself until the venue's word is known."""
    now = desk.clock()
    wish = CancelWish(
        cancel_id=uuid7(now),
        account_id=account_id,
        symbol=body.symbol,
        exchange_order_id=body.exchange_order_id,
        asked_by=await name_of(who, desk=desk),
        user_id=who.user_id,
        source_address=request.scope["source_address"],
        reason=body.reason.strip(),
    )
    request.scope["action_targets"] = {
        "cancel_id": str(wish.cancel_id),
        "exchange_order_id": wish.exchange_order_id,
    }
    async with desk.foreign_books.open() as book:
        await book.append([await ask_cancel(wish, book=book, now=now)])
    return await _cancel(wish.cancel_id, desk=desk, owner=who.owner)


async def _cancel(cancel_id: UUID, *, desk: Desk, owner: UUID | None) -> CancelShown:
    line = await desk.foreign.find_cancel(cancel_id, owner=owner)
    if line is None:
        raise ApiError(404, "CANCEL_UNKNOWN", f"cancel={cancel_id}. There is no such thing.")
    return CancelShown.model_validate(line)


async def _look(account_id: int, *, desk: Desk) -> bool:
    """Say whether the account was looked at in time; without a trader nobody waits."""
    asked_at = await desk.foreign.ask(account_id)
    if not await desk.preflights.has_traders():
        return False
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await desk.foreign.is_looked(account_id, since=asked_at):  # noqa: ASYNC110  # another process looks: no event of ours tells
                await asyncio.sleep(TRY_SECONDS)
    except TimeoutError:
        return False
    return True
