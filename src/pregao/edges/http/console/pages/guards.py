"""One position with its chart, and the stops of all of them with what they fired."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.domain.execution import ExecutionStatus
from pregao.domain.position import Direction
from pregao.domain.stop import StopStatus
from pregao.domain.user import Role
from pregao.edges.http.api.cursors import read_cursor, to_cursor
from pregao.edges.http.api.guards import StopShown, place_of, shown_stop
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, arrange, asked_of
from pregao.edges.http.console.showing import names_for, show_missing, show_page
from pregao.views.guard_story import ExecutionPlace, PositionStory, StopFilter

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
        "rule": story.rule,
        "can_close": who.role.includes(Role.TRADER),
        "effect": effect_of_closing(story),
    }
    return await show_page(request, "guards/position.html", values, desk=desk, who=who)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What closing would sell or buy back now, and what that is worth; only the quantity is known where nobody looks at the price."""

    quantity: Decimal
    price: Decimal | None
    value: Decimal | None
    result: Decimal | None


def effect_of_closing(story: PositionStory) -> Effect:
    """Say what closing a position would do at the price its guard has just seen."""
    position, guard = story.position, story.guard
    is_long = position.direction == Direction.LONG
    price = None
    if guard is not None and guard.is_watched:
        price = guard.bid if is_long else guard.ask
    if price is None or position.entry_price is None:
        return Effect(quantity=position.quantity, price=None, value=None, result=None)
    moved = price - position.entry_price
    return Effect(
        quantity=position.quantity,
        price=price,
        value=position.quantity * price,
        result=position.quantity * (moved if is_long else -moved),
    )


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
        "rules": {one.position_id: one.rule for one in stops},
        "stops": arrange([shown_stop(one) for one in stops], asked, by=STOPS_BY),
        "exits": exits[:ROWS],
        "following": None if older is None else to_cursor(*astuple(older)),
        "file": asked.file("/api/v1/stops", **narrowed, status="" if is_exits else status),
        "exits_file": asked.file("/api/v1/stops/executions", **narrowed, status=status if is_exits else ""),
        "statuses": [*(one.value for one in StopStatus), *(one.value for one in ExecutionStatus)],
        **await names_for(desk, who),
    }
    return await show_page(request, "guards/stops.html", values, desk=desk, who=who)
