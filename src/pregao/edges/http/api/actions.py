"""The audit log: what people asked the API to change, from where, and what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from pregao.edges.http.api.roles import ADMIN
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS, TOKEN, DeskGiven, Limit, Page, Shown, page_of
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of_shown
from pregao.edges.http.desk import Desk
from pregao.views.actions import ActionFilter, ActionLine

routes = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[TOKEN, ADMIN], responses=ERRORS)


ActionType = Literal[
    "config_update", "engine_control", "url_management", "metrics_reset", "database_operation", "rate_limiter_control",
    "order_management", "file_import", "manual_override", "system_maintenance",
]  # fmt: skip
Hours = Annotated[int | None, Query(ge=1, le=24 * 366 * 10, description="Not longer ago than so many hours.")]


class ActionShown(Shown):
    """One action; `principal` is how they came in, empty where nobody was let in."""

    action_id: UUID
    happened_at: datetime
    user_id: UUID | None
    email: str | None
    principal: str
    source_address: str
    user_agent: str
    method: str
    path: str
    action: str
    action_type: ActionType
    targets: dict[str, str]
    status: int
    error_code: str | None
    duration_ms: int


class ActionCountShown(Shown):
    """How often one type of action was taken, and how long it took on average."""

    action_type: ActionType
    succeeded: int
    failed: int
    duration_ms: int
    last_at: datetime


@routes.get("/actions", response_model=Page[ActionShown], responses=AsCsv)
async def list_actions(
    *,
    desk: DeskGiven,
    user_id: UUID | None = None,
    action: Annotated[
        str | None, Query(description="An operation id of this document, such as `post_bot`.")
    ] = None,
    action_type: ActionType | None = None,
    success: Annotated[bool | None, Query(description="Whether the status was below 400.")] = None,
    hours: Hours = None,
    cursor: UUID | None = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[ActionShown] | Response:
    """Give the latest actions."""
    asked = ActionFilter(
        user_id=user_id,
        action=None if action is None else action.replace("\x00", ""),
        action_type=action_type,
        is_success=success,
        since=_since(desk, hours),
    )

    async def fetch(last: ActionLine | None) -> Sequence[ActionLine]:
        before = cursor if last is None else last.action_id
        return await desk.actions.actions(asked, before=before, limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=ActionShown, name="actions")
    lines = await desk.actions.actions(asked, before=cursor, limit=limit)
    return page_of(
        [ActionShown.model_validate(line) for line in lines], limit=limit, cursor=lambda last: last.action_id
    )


@routes.get("/actions/summary")
async def summarize_actions(desk: DeskGiven, hours: Hours = None) -> list[ActionCountShown]:
    """Count the actions of each type."""
    found = await desk.actions.summary(since=_since(desk, hours))
    return [ActionCountShown.model_validate(one) for one in found]


def _since(desk: Desk, hours: int | None) -> datetime | None:
    return None if hours is None else desk.clock() - timedelta(hours=hours)
