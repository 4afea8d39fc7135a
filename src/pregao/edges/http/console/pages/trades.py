"""Orders, positions with what guards them, and selling out."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.domain.order import OrderStatus
from pregao.domain.position import PositionStatus
from pregao.domain.trading_state import DESK, Scope, scope_of_user
from pregao.domain.user import Role
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.api.sorting import (
    cursor_after,
    order_ids,
    position_ids,
    read_order_place,
    read_position_place,
    to_place,
    to_shape,
)
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, arrange, asked_of
from pregao.edges.http.console.showing import JOBS, names_for, needs, show_missing, show_page
from pregao.views.activity import ORDER_PHASES
from pregao.views.flatten import StandingPosition
from pregao.views.sell_list import SellListLine
from pregao.views.sorting import ORDER_FIELDS, POSITION_FIELDS

STANDING_BY: dict[str, Callable[[StandingPosition], Any]] = {
    "account_name": lambda one: one.account_name.casefold(),
    "venue": lambda one: one.venue,
    "symbol": lambda one: one.symbol,
    "status": lambda one: one.status,
    "quantity": lambda one: one.quantity,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/orders")
async def show_orders(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    status: str = "",
    phase: str = "",
) -> Response:
    """Show orders, and how many are on their way."""
    asked = asked_of(request, sorts=ORDER_FIELDS, usual={"account": "", "status": "", "phase": ""})
    shape = to_shape(asked.sort, search=asked.search)
    before, shape = to_place(asked.place, shape, fields=ORDER_FIELDS, read_ids=read_order_place)
    lines, counts = await asyncio.gather(
        desk.activity.orders(
            owner=who.owner,
            account_id=int(account) if account else None,
            subscription_id=None,
            signal_id=None,
            status=status or None,
            phase=phase if phase in ORDER_PHASES else None,
            before=before,
            shape=shape,
            limit=ROWS + 1,
        ),
        desk.activity.order_counts(owner=who.owner, now=desk.clock()),
    )
    last = lines[ROWS - 1] if len(lines) > ROWS else None
    values = {
        "asked": asked,
        "lines": lines[:ROWS],
        "counts": counts,
        "phases": ORDER_PHASES,
        "following": None if last is None else cursor_after(last, shape, ids=order_ids(last)),
        "file": asked.file("/api/v1/orders", account_id=account, status=status, phase=phase),
        "statuses": [one.value for one in OrderStatus],
        "can_close": who.role.includes(Role.TRADER),
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
) -> Response:
    """Show positions and what guards them."""
    asked = asked_of(request, sorts=POSITION_FIELDS, usual={"account": "", "status": "live"})
    shape = to_shape(asked.sort, search=asked.search)
    before, shape = to_place(asked.place, shape, fields=POSITION_FIELDS, read_ids=read_position_place)
    status = status.strip()
    lines, stats = await asyncio.gather(
        desk.activity.positions(
            owner=who.owner,
            account_id=int(account) if account else None,
            bot_id=None,
            status=status if status not in ("", "live") else None,
            live_only=status == "live",
            before=before,
            shape=shape,
            limit=ROWS + 1,
        ),
        desk.trips.stats(owner=who.owner, now=desk.clock()),
    )
    last = lines[ROWS - 1] if len(lines) > ROWS else None
    values = {
        "asked": asked,
        "lines": lines[:ROWS],
        "stats": stats,
        "following": None if last is None else cursor_after(last, shape, ids=position_ids(last)),
        "file": asked.file(
            "/api/v1/positions",
            account_id=account,
            **({"live_only": "true"} if status == "live" else {"status": status}),
        ),
        "statuses": ["live", *(one.value for one in PositionStatus)],
        "guards": await desk.guarded.guarded([one.position_id for one in lines]),
        "can_close": who.role.includes(Role.TRADER),
        **await names_for(desk, who),
    }
    return await show_page(request, "trades/positions.html", values, desk=desk, who=who)


@routes.get("/console/sell-all")
async def show_sell_all(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a job would close, and how the latest jobs went."""
    needs(Role.TRADER, who)
    scope = DESK if who.owner is None else scope_of_user(who.owner)
    asked = asked_of(request, sorts=STANDING_BY, usual_sort="account_name")
    # Nothing is searched for here: the button closes all of it.
    standing = await desk.flattens.standing(scope, owner=who.owner)
    # The list is system A's: what the bot behind `/webhook/in` holds, whoever's account that is on.
    listed: Sequence[SellListLine] | None = await desk.sell_list.lines() if who.role.is_staff else None
    values = {
        "asked": asked,
        "scope": scope,
        "standing": arrange(standing, replace(asked, search=""), by=STANDING_BY),
        "jobs": await desk.flattens.list_flattens(owner=who.owner, limit=JOBS),
        "listed": listed,
        "rule": await desk.sell_list.rule() or desk.sell_list_rule,
        **await names_for(desk, who),
    }
    return await show_page(request, "trades/sell_all.html", values, desk=desk, who=who)


@routes.get("/console/sell-all/{flatten_id:uuid}")
async def show_flatten(flatten_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one job's receipt: on each account what was closed and when it was proven flat, or what stands."""
    job = await desk.flattens.find_flatten(flatten_id, owner=who.owner)
    if job is None:
        return await show_missing(request, desk=desk, who=who)
    standing: defaultdict[int, list[StandingPosition]] = defaultdict(list)
    if job.status == "running":
        scope = Scope(level=job.level, subject=job.subject)
        for one in await desk.flattens.standing(scope, owner=who.owner):
            standing[one.account_id].append(one)
    values = {
        "job": job,
        "legs": await desk.flattens.accounts_of(flatten_id),
        "standing": standing,
        "can_stop": job.status == "running" and who.role.includes(Role.TRADER),
    }
    return await show_page(request, "trades/flatten.html", values, desk=desk, who=who)
