"""People: what proves oneself and where one is signed in; for admins users, who did what, and how the desk is set."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.edges.http.api.auth import user_id_of
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.browsers import browser_of
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import show_missing, show_page

routes = APIRouter(include_in_schema=False)


@routes.get("/console/me")
async def show_me(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what proves oneself, where one is signed in, and the own programs' tokens."""
    user_id, now = user_id_of(who), desk.clock()
    line = await desk.people.find_user(user_id)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    values = {
        "line": line,
        "sessions": await desk.logins.sessions(user_id, now=now),
        "tokens": await desk.logins.tokens(user_id),
        "codes_left": await desk.second_factors.recovery_codes_left(user_id),
        "browser_of": browser_of,
        "now": now,
    }
    return await show_page(request, "people/me.html", values, desk=desk, who=who)
