"""Orders, positions with what guards them, and selling out."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.domain.order import OrderStatus
from pregao.domain.position import PositionStatus
from pregao.domain.trading_state import DESK, scope_of_user
from pregao.domain.user import Role
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import JOBS, ROWS, names_for, needs, show_missing, show_page
from pregao.views.activity import OrderPlace

PLACE = re.compile(r"([0-9a-f-]{36})[.]([a-z0-9]{1,64})")

routes = APIRouter(include_in_schema=False)


@routes.get("/console/orders")
async def show_orders(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    status: str = "",
    before: str = "",
) -> Response:
    """Show the latest orders."""
    place = PLACE.fullmatch(before)
    lines = await desk.activity.orders(
        owner=who.owner,
        account_id=int(account) if account else None,
        subscription_id=None,
        signal_id=None,
        status=status or None,
        before=None if place is None else OrderPlace(signal_id=UUID(place[1]), order_id=place[2]),
        limit=ROWS + 1,
    )
    last = lines[ROWS - 1] if len(lines) > ROWS else None
    values = {
        "lines": lines[:ROWS],
        "older": None if last is None else {"before": f"{last.signal_id}.{last.order_id}"},
        "chosen": {"account": account, "status": status},
        "statuses": [one.value for one in OrderStatus],
        **await names_for(desk, who),
    }
    return await show_page(request, "trades/orders.html", values, desk=desk, who=who)


@routes.get("/console/positions")
async def show_positions(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    status: str = "live",
    before: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
) -> Response:
    """Show positions and what guards them."""
    lines = await desk.activity.positions(
        owner=who.owner,
        account_id=int(account) if account else None,
        bot_id=None,
        status=status if status not in ("", "live") else None,
        live_only=status == "live",
        before=before,
        limit=ROWS + 1,
    )
    values = {
        "lines": lines[:ROWS],
        "older": {"before": lines[ROWS - 1].position_id} if len(lines) > ROWS else None,
        "chosen": {"account": account, "status": status},
        "statuses": ["live", *(one.value for one in PositionStatus)],
        "guards": await desk.guarded.guarded([one.position_id for one in lines]),
        "can_close": who.role.is_staff,
        **await names_for(desk, who),
    }
    return await show_page(request, "trades/positions.html", values, desk=desk, who=who)


@routes.get("/console/sell-all")
async def show_sell_all(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a job would close, and how the latest jobs went."""
    needs(Role.TRADER, who)
    scope = DESK if who.owner is None else scope_of_user(who.owner)
    values = {
        "scope": scope,
        "standing": await desk.flattens.standing(scope, owner=who.owner),
        "jobs": await desk.flattens.list_flattens(owner=who.owner, limit=JOBS),
    }
    return await show_page(request, "trades/sell_all.html", values, desk=desk, who=who)


@routes.get("/console/sell-all/{flatten_id:uuid}")
async def show_flatten(flatten_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one job's receipt: on each account what was closed and when it was proven flat, or what stands."""
    job = await desk.flattens.find_flatten(flatten_id, owner=who.owner)
    if job is None:
        return await show_missing(request, desk=desk, who=who)
    values = {"job": job, "legs": await desk.flattens.accounts_of(flatten_id)}
    return await show_page(request, "trades/flatten.html", values, desk=desk, who=who)
