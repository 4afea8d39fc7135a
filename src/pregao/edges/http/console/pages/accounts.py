"""Accounts at venues: how they are connected, and the lights of their pre-flight."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.user import Role
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import arrange, asked_of
from pregao.edges.http.console.showing import CHOICES_MAX, show_missing, show_page
from pregao.edges.own_address import own_address
from pregao.views.configured import AccountLine

ACCOUNTS_BY: dict[str, Callable[[AccountLine], Any]] = {
    "name": lambda one: one.account.name.casefold(),
    "venue": lambda one: one.account.venue,
    "light": lambda one: one.light,
    "checked_at": lambda one: one.light_checked_at,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/accounts")
async def show_accounts(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show accounts with the lights of their pre-flight."""
    lines = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    asked = asked_of(request, sorts=ACCOUNTS_BY, usual_sort="name")
    values = {
        "asked": asked,
        "has_any": bool(lines),
        "lines": arrange(lines, asked, by=ACCOUNTS_BY),
        "can_change": who.role.includes(Role.TRADER),
        "own_address": own_address(),
    }
    return await show_page(request, "accounts/accounts.html", values, desk=desk, who=who)


@routes.get("/console/accounts/{account_id:int}")
async def show_account(account_id: int, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one account's pre-flight, check by check."""
    line = None if account_id > ID_MAX else await desk.configured.find_account(account_id, owner=who.owner)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    values = {
        "line": line,
        "preflight": await desk.preflights.of(account_id),
        "can_change": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "accounts/account.html", values, desk=desk, who=who)
