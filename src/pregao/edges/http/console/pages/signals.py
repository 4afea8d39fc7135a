"""Signals, and what waits for an answer."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.user import Role
from pregao.edges.http.api.approvals import effect_of
from pregao.edges.http.api.listing import APPROVALS
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.api.sorting import (
    BY_TIME,
    cursor_after,
    read_signal_place,
    signal_ids,
    to_place,
    to_shape,
)
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import NEWEST_FIRST, ROWS, asked_of, page_of
from pregao.edges.http.console.showing import names_for, needs, show_page
from pregao.edges.http.errors import ApiError
from pregao.views.approvals import ApprovalLine
from pregao.views.sorting import APPROVAL_FIELDS, SIGNAL_FIELDS, Shape

EFFECTS_MAX = 12  # entries whose effect is reckoned for the page; the API tells any
SIGNAL_STATUSES = ("accepted", "pending", "planned", "settled", "refused", "declined")

routes = APIRouter(include_in_schema=False)


@routes.get("/console/signals")
async def show_signals(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    bot: str = "",
    status: str = "",
) -> Response:
    """Show signals, the latest first."""
    asked = asked_of(request, sorts=SIGNAL_FIELDS, usual={"bot": "", "status": ""})
    shape = to_shape(asked.sort, search=asked.search)
    before, shape = to_place(asked.place, shape, fields=SIGNAL_FIELDS, read_ids=read_signal_place)
    lines = await desk.activity.signals(
        owner=who.owner, bot_id=_uuid(bot), status=status or None, before=before, shape=shape, limit=ROWS + 1
    )
    last = lines[ROWS - 1] if len(lines) > ROWS else None
    values = {
        "asked": asked,
        "lines": lines[:ROWS],
        "following": None if last is None else cursor_after(last, shape, ids=signal_ids(last)),
        "file": asked.file("/api/v1/signals", bot_id=bot, status=status),
        "statuses": SIGNAL_STATUSES,
        **await names_for(desk, who),
    }
    return await show_page(request, "signals/signals.html", values, desk=desk, who=who)


@routes.get("/console/approvals")
async def show_approvals(request: Request, desk: DeskGiven, who: Seen, bot: str = "") -> Response:
    """Show what waits for a person, the oldest first; or what was answered, the latest first."""
    needs(Role.OPERATOR, who)
    waits = request.query_params.get("status") != "answered"
    asked = asked_of(
        request,
        sorts=APPROVAL_FIELDS,
        usual_sort=BY_TIME if waits else NEWEST_FIRST,
        usual={"status": "pending", "bot": ""},
    )
    bot_id = _uuid(bot)
    lines_of = desk.approvals.pending if waits else desk.approvals.answered

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[ApprovalLine]:
        return await lines_of(bot_id=bot_id, after=after, shape=shape, limit=limit)

    page = await page_of(APPROVALS, find, asked)
    effects = await asyncio.gather(
        *(effect_of(one, desk=desk) for one in (page["lines"][:EFFECTS_MAX] if waits else ()))
    )
    values = {
        **page,
        "file": asked.file("/api/v1/approvals", status=asked.chosen["status"], bot_id=bot),
        "waits": waits,
        "effects": {one.signal_id: one for one in effects},
        **await names_for(desk, who),
    }
    return await show_page(request, "signals/approvals.html", values, desk=desk, who=who)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as mistake:
        raise ApiError(422, "FILTER_UNREADABLE", "bot is no id of a bot.", field="bot") from mistake
