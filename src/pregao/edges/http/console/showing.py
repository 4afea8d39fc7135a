"""What every page needs: its frame, how the desk is, who may see it, and what bots and accounts are called."""

import asyncio
import json
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.account import Venue
from pregao.domain.user import Role
from pregao.edges.http.console.rendering import STATIC_PATH, language_of, render
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS
from pregao.views.health import ROLES_NEEDED

CHOICES_MAX = 500  # bots and accounts to choose from in a filter
JOBS = 20
AGAIN_SECONDS = 5  # after which a page that could not be shown is asked for again
JSON = "application/json"


class Forbidden(Exception):  # no error: he is told so on a page
    """Somebody asked for a page that needs a larger role."""

    def __init__(self, who: Principal) -> None:
        super().__init__(who.role)
        self.who = who


async def show_forbidden(request: Request, forbidden: Any) -> Response:
    """Say so on a page."""
    desk: Desk = request.app.state.desk
    return await show_page(request, "forbidden.html", {}, desk=desk, who=forbidden.who, status=403)


async def show_page(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    desk: Desk,
    who: Principal,
    status: int = 200,
) -> Response:
    """Make a page with the desk's health above it; to htmx only what stands within the frame."""
    is_part = "hx-request" in request.headers
    health = {} if is_part else {"health": await health_of(desk, who)}
    return render(request, template, {**values, **health}, who=who, status=status)


def or_page(answer: Callable[[Request, Any], Any]) -> Callable[[Request, Any], Any]:
    """Give an error of the API as a page to who asked for one, with the same status, code and words."""

    async def answer_or_page(request: Request, error: Any) -> Response:
        answered = answer(request, error)
        told: Response = await answered if isawaitable(answered) else answered
        if not _is_page(request) or told.media_type != JSON:
            return told
        body = json.loads(bytes(told.body))
        mistake = body.get("error") or {
            "code": "REQUEST_UNREADABLE",
            "message": "The address cannot be read.",
        }
        may_retry = told.status_code == 503 and request.method == "GET"
        values = {
            "code": mistake["code"],
            "mistake": language_of(request).plainly(
                mistake["code"], language_of(request).say(mistake["message"])
            ),
            "again_seconds": AGAIN_SECONDS if may_retry else None,
        }
        return render(request, "mistake.html", values, who=None, status=told.status_code)

    return answer_or_page


def _is_page(request: Request) -> bool:
    path = request.url.path
    return path == "/admin" or (path.startswith("/console/") and not path.startswith(f"{STATIC_PATH}/"))


async def show_missing(request: Request, *, desk: Desk, who: Principal) -> Response:
    """Say on a page that there is no such thing, or that it is somebody else's."""
    return await show_page(request, "missing.html", {}, desk=desk, who=who, status=404)


async def health_of(desk: Desk, who: Principal) -> dict[str, Any] | None:
    """Tell how the desk is; None while the database is away."""
    try:
        workers, trading, watchfulness, market = await asyncio.gather(
            desk.health.workers(),
            desk.health.trading_health(),
            desk.guarded.watchfulness(owner=who.owner),
            desk.paper_market(),
        )
        waiting = (
            len(await desk.approvals.pending(bot_id=None, after=None, limit=100)) if who.role.is_staff else 0
        )
    except DATABASE_AWAY_ERRORS:
        return None
    alive = {worker.role for worker in workers if worker.is_alive}
    known = sorted({*ROLES_NEEDED, *(worker.role for worker in workers)})
    return {
        "roles": [{"name": role, "lives": role in alive} for role in known],
        "state": trading.state.value,
        "states_set": trading.states_set,
        "unguarded": watchfulness.unguarded,
        "silent": watchfulness.silent,
        "streams_away": watchfulness.streams_away,
        "market": market,
        "waiting": waiting,
    }


async def names_for(desk: Desk, who: Principal) -> dict[str, Any]:
    """Give bots and accounts to choose from, and what they are called."""
    bots = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    accounts = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    return {
        "bots": bots,
        "accounts": accounts,
        "bot_names": {one.bot.bot_id: one.bot.name for one in bots},
        "account_names": {one.account.account_id: one.account.name for one in accounts},
        "paper_accounts": {one.account.account_id for one in accounts if one.account.venue is Venue.PAPER},
    }


def needs(role: Role, who: Principal) -> None:
    """
    Let through who has that role.

    :raises Forbidden: when he has a smaller one.
    """
    if not who.role.includes(role):
        raise Forbidden(who)
