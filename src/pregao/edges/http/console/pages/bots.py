"""Bots: channels of signals."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.edges.http.api.bots import shown_bot
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import CHOICES_MAX, show_page

routes = APIRouter(include_in_schema=False)


@routes.get("/console/bots")
async def show_bots(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the bots, with their addresses for those who set them up."""
    lines = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    values = {
        "lines": lines,
        "addresses": {
            one.bot.bot_id: shown_bot(one, desk=desk, request=request)["webhook_url"] for one in lines
        },
    }
    return await show_page(request, "bots/bots.html", values, desk=desk, who=who)
