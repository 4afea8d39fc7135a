"""The circuit breakers: which venues and symbols take no entries, and why."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from pregao.domain.breaker import BreakerScope, BreakerState
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import BREAKERS
from pregao.edges.http.api.roles import OPERATOR
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS, TOKEN, DeskGiven, Limit, Page, Shown
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search

routes = APIRouter(
    prefix="/api/v1/breakers", tags=["health"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)


class BreakerShown(Shown):
    """One breaker as the process `told_by` sees it; `next_try_at` is null while calls pass."""

    name: str
    scope: BreakerScope
    state: BreakerState
    failure_count: int
    success_count: int
    half_open_calls: int
    last_failure_time: datetime | None
    next_try_at: datetime | None
    changed_at: datetime
    told_by: str


BreakerSort = Literal[
    "name", "-name", "state", "-state", "failure_count", "-failure_count", "changed_at", "-changed_at",
]  # fmt: skip


@routes.get("", response_model=Page[BreakerShown], responses=AsCsv)
async def list_breakers(
    *,
    desk: DeskGiven,
    search: Search = None,
    sort: BreakerSort = "name",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[BreakerShown] | Response:
    """Give the breakers, by name unless `sort` says otherwise."""
    return await BREAKERS.answer(
        BREAKERS.within(await desk.breakers.breakers()),
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=BreakerShown.model_validate,
        shown=BreakerShown,
        name="breakers",
    )
