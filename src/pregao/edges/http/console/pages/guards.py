"""One position with its chart, and the stops of all of them with what they fired."""

from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.domain.stop import ExecutionStatus, StopStatus
from pregao.edges.http.api.cursors import read_cursor, to_cursor
from pregao.edges.http.api.guards import StopShown, place_of, rule_in_words, shown_stop
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, arrange, asked_of
from pregao.edges.http.console.showing import names_for, show_missing, show_page
from pregao.views.guard_story import ExecutionPlace, StopFilter

STOPS_MAX = 500
STOPS_BY: dict[str, Callable[[StopShown], Any]] = {
    "symbol": lambda one: one.symbol,
    "account_name": lambda one: one.account_name.casefold(),
    "status": lambda one: one.status,
    "stop_price": lambda one: one.stop_price,
    "distance_pct": lambda one: one.distance_pct,
    "updated_at": lambda one: one.updated_at,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/positions/{position_id:int}")
async def show_position(position_id: int, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one position: its chart, what guards it, its fills, and all that happened to its stop."""
    story = None
    if position_id <= ID_MAX:
        story = await desk.guard_stories.find_story(position_id, owner=who.owner)
    if story is None:
        return await show_missing(request, desk=desk, who=who)
    values = {
        "story": story,
        "position": story.position,
        "guard": story.guard,
        "rule": None if story.rule is None else rule_in_words(story.rule),
        "can_close": who.role.is_staff,
    }
    return await show_page(request, "guards/position.html", values, desk=desk, who=who)


@routes.get("/console/stops")
async def show_stops(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    symbol: Annotated[str, Query(max_length=40)] = "",
    status: str = "",
) -> Response:
    """Show the stops that stand, and the exits they and their targets claimed: what fired each, and what came of it."""
    asked = asked_of(request, sorts=STOPS_BY, usual={"account": "", "symbol": "", "status": ""})
    chosen = StopFilter(
        owner=who.owner, account_id=int(account) if account else None, symbol=printable(symbol)
    )
    is_exits = status in {one.value for one in ExecutionStatus}
    place = (
        None if asked.place is None else ExecutionPlace(*read_cursor(asked.place, datetime, str, str, int))
    )
    exits = await desk.guard_stories.executions(
        replace(chosen, status=status if is_exits else None), before=place, limit=ROWS + 1
    )
    older = None if len(exits) <= ROWS else place_of(exits[ROWS - 1])
    stops = await desk.guard_stories.stops(
        replace(chosen, status=None if is_exits else status or None), before=None, limit=STOPS_MAX
    )
    narrowed = {"account_id": account, "symbol": symbol}
    values = {
        "asked": asked,
        "stops": arrange([shown_stop(one) for one in stops], asked, by=STOPS_BY),
        "exits": exits[:ROWS],
        "following": None if older is None else to_cursor(*astuple(older)),
        "file": asked.file("/api/v1/stops", **narrowed, status="" if is_exits else status),
        "exits_file": asked.file("/api/v1/stops/executions", **narrowed, status=status if is_exits else ""),
        "statuses": [*(one.value for one in StopStatus), *(one.value for one in ExecutionStatus)],
        **await names_for(desk, who),
    }
    return await show_page(request, "guards/stops.html", values, desk=desk, who=who)
