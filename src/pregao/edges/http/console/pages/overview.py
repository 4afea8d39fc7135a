"""The desk at a glance, and the line below the bar of every page."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.rendering import render
from pregao.edges.http.console.showing import ROWS, health_of, names_for, show_page

routes = APIRouter(include_in_schema=False)


@routes.get("/admin")
async def show_overview(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the desk at a glance: all of it to those who look after it, what is his own to anybody else."""
    signals, positions = await asyncio.gather(
        desk.activity.signals(owner=who.owner, bot_id=None, status=None, before=None, limit=10),
        desk.activity.positions(
            owner=who.owner,
            account_id=None,
            bot_id=None,
            status=None,
            live_only=True,
            before=None,
            limit=ROWS,
        ),
    )
    values = {
        "stats": await desk.overview.stats(now=desk.clock()) if who.role.is_staff else None,
        "signals": signals,
        "positions": positions,
        "guards": await desk.guarded.guarded([one.position_id for one in positions]),
        **await names_for(desk, who),
    }
    return await show_page(request, "overview/overview.html", values, desk=desk, who=who)


@routes.get("/console/health")
async def show_health(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show how the desk is: the line below the bar of every page."""
    return render(request, "overview/health.html", {"health": await health_of(desk, who)}, who=who)
