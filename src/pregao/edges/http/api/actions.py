"""The audit log: what people asked the API to change, from where, and what came of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from pregao.edges.http.api.roles import ADMIN
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS, TOKEN, DeskGiven, Limit, Page, Shown, page_of

routes = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[TOKEN, ADMIN], responses=ERRORS)


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
    targets: dict[str, str]
    status: int
    error_code: str | None
    duration_ms: int


@routes.get("/actions")
async def list_actions(
    *,
    desk: DeskGiven,
    user_id: UUID | None = None,
    action: Annotated[
        str | None, Query(description="An operation id of this document, such as `post_bot`.")
    ] = None,
    success: Annotated[bool | None, Query(description="Whether the status was below 400.")] = None,
    cursor: UUID | None = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[ActionShown]:
    """Give the latest actions."""
    lines = await desk.actions.actions(
        user_id=user_id, action=action, is_success=success, before=cursor, limit=limit
    )
    return page_of(
        [ActionShown.model_validate(line) for line in lines], limit=limit, cursor=lambda last: last.action_id
    )
