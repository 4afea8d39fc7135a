"""The circuit breakers: which venues and symbols take no entries, and why."""

from datetime import datetime

from fastapi import APIRouter

from pregao.domain.breaker import BreakerScope, BreakerState
from pregao.edges.http.api.roles import OPERATOR
from pregao.edges.http.api.shapes import ERRORS, TOKEN, DeskGiven, Page, Shown

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


@routes.get("")
async def list_breakers(desk: DeskGiven) -> Page[BreakerShown]:
    """Give every breaker, services first; there is one page only."""
    lines = await desk.breakers.breakers()
    return Page(items=[BreakerShown.model_validate(line) for line in lines], next_cursor=None)
