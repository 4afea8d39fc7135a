"""Whether each account holds at its venue what the books say; and what differs, settled by an operator."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.facts import DriftSettled
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import DIFFERENCES
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.rules import SYMBOL_PATTERN
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    NUMBER,
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
    page_of,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.ids import uuid7
from pregao.positions.settle import Settlement, adopt, write_off
from pregao.views.drift import DifferenceLine
from pregao.views.sorting import Shape

routes = APIRouter(prefix="/api/v1/drift", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)

REASON_PATTERN = r"^[^\x00-\x1f\x7f]+$"  # one line of text


class SettlementAsked(Asked):
    """Where venue and books differ, at which price it is booked, and why; the whole difference there is settled."""

    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    position_side: PositionSide = PositionSide.BOTH
    price: Annotated[Decimal, NUMBER, Field(gt=0, description="The average price, as the venue shows it.")]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=REASON_PATTERN)]


class AdoptionAsked(SettlementAsked):
    """The same, and whose it is from now on."""

    subscription_id: UUID


class SettledShown(Shown):
    """The position as it stands after what was booked."""

    position_id: int
    subscription_id: UUID
    symbol: str
    position_side: str
    direction: str
    status: str
    quantity: Amount
    booked_quantity: Amount
    price: Amount
    settled_by: str


class DifferenceShown(Shown):
    """One place where the venue holds something else than the books; shorts are negative."""

    symbol: str
    position_side: str
    ours: Amount
    venue: Amount
    seen_at: datetime


class DifferenceListed(DifferenceShown):
    """One of these, and on which account it is."""

    account_id: int
    account: str


class AccountDriftShown(Shown):
    """One account as it was compared last; while `unreconciled_since` is set it takes no entries."""

    account_id: int
    account: str
    venue: str
    is_compared: Annotated[
        bool, Field(description="False: a webhook cannot be asked what it holds; the rest is null.")
    ]
    checked_at: datetime | None
    agreed_at: datetime | None
    unreconciled_since: datetime | None
    differences: list[DifferenceShown]


@routes.get("")
async def list_drift(
    desk: DeskGiven,
    who: Viewer,
    *,
    only_drifting: Annotated[
        bool, Query(description="Only accounts that differ, or whose past is not known yet.")
    ] = False,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[AccountDriftShown]:
    """Give your accounts, all of them for staff: when each was compared with its venue, and what differs."""
    lines = await desk.drifts.accounts(
        owner=who.owner, only_drifting=only_drifting, after=cursor, limit=limit
    )
    return page_of(
        [AccountDriftShown.model_validate(line) for line in lines],
        limit=limit,
        cursor=lambda last: last.account_id,
    )


DifferenceSort = Literal[
    "account", "-account", "symbol", "-symbol", "ours", "-ours", "venue", "-venue", "seen_at", "-seen_at",
]  # fmt: skip


@routes.get("/differences", response_model=Page[DifferenceListed], responses=AsCsv)
async def list_differences(
    *,
    desk: DeskGiven,
    who: Viewer,
    search: Search = None,
    sort: DifferenceSort = "account",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[DifferenceListed] | Response:
    """Give what differs on your accounts, on all of them for staff, by account unless `sort` says otherwise."""

    async def find(after: str | None, *, shape: Shape, limit: int) -> Sequence[DifferenceLine]:
        return await desk.drifts.differences(owner=who.owner, after=after, shape=shape, limit=limit)

    return await DIFFERENCES.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=DifferenceListed.model_validate,
        shown=DifferenceListed,
        name="differences",
    )


@routes.post("/{account_id:int}/adopt", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def adopt_holding(
    account_id: AccountId, body: AdoptionAsked, desk: DeskGiven, who: Operator
) -> SettledShown:
    """Give what the venue holds beside the books to a subscription; it is traded and closed like its own."""
    asked = await _settlement(account_id, body, who=who, desk=desk)
    async with desk.drift_books.open() as book:
        settled = await adopt(asked, subscription_id=body.subscription_id, book=book, now=desk.clock())
        return _settled_shown(settled, await book.settle(settled))


@routes.post("/{account_id:int}/write-off", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def write_off_holding(
    account_id: AccountId, body: SettlementAsked, desk: DeskGiven, who: Operator
) -> SettledShown:
    """Take off a position what the venue does not hold any more, and no trade explains."""
    asked = await _settlement(account_id, body, who=who, desk=desk)
    async with desk.drift_books.open() as book:
        settled = await write_off(asked, book=book, now=desk.clock())
        return _settled_shown(settled, await book.settle(settled))


async def _settlement(account_id: int, body: SettlementAsked, *, who: Principal, desk: Desk) -> Settlement:
    return Settlement(
        settlement_id=uuid7(desk.clock()),
        account_id=account_id,
        symbol=body.symbol,
        position_side=body.position_side,
        price=body.price,
        settled_by=await name_of(who, desk=desk),
        reason=body.reason.strip(),
    )


def _settled_shown(settled: DriftSettled, position: Position) -> SettledShown:
    return SettledShown(
        position_id=position.position_id,
        subscription_id=position.subscription_id,
        symbol=position.symbol,
        position_side=position.position_side,
        direction=position.direction,
        status=position.status,
        quantity=position.quantity,
        booked_quantity=settled.trade.quantity,
        price=settled.trade.price,
        settled_by=settled.settled_by,
    )
