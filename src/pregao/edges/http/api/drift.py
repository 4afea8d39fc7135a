"""Whether each account holds at its venue what the books say."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import (
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    Amount,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)

routes = APIRouter(prefix="/api/v1/drift", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)


class DifferenceShown(Shown):
    """One place where the venue holds something else than the books; shorts are negative."""

    symbol: str
    position_side: str
    ours: Amount
    venue: Amount
    seen_at: datetime


class AccountDriftShown(Shown):
    """One account as it was compared last; while `unreconciled_since` is set it takes no entries."""

    account_id: int
    account: str
    venue: str
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
