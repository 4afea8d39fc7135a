"""Accounts at venues: how they are connected, and the lights of their pre-flight."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.user import Role
from pregao.edges.http.api.listing import ACCOUNTS
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import asked_of, page_of
from pregao.edges.http.console.showing import show_missing, show_page
from pregao.edges.own_address import own_address
from pregao.views.configured import AccountLine
from pregao.views.sorting import ACCOUNT_FIELDS, Shape

routes = APIRouter(include_in_schema=False)


@routes.get("/console/accounts")
async def show_accounts(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show accounts with the lights of their pre-flight."""
    asked = asked_of(request, sorts=ACCOUNT_FIELDS, usual_sort="name", usual={"trades": ""})
    is_active = {"yes": True, "no": False}.get(asked.chosen["trades"])

    async def find(after: int | None, *, shape: Shape, limit: int) -> Sequence[AccountLine]:
        return await desk.configured.accounts(
            owner=who.owner, is_active=is_active, after=after, shape=shape, limit=limit
        )

    values = {
        **await page_of(ACCOUNTS, find, asked),
        "file": asked.file(
            "/api/v1/exchange-accounts", is_active="" if is_active is None else str(is_active).lower()
        ),
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
    drifts = await desk.drifts.accounts(
        owner=who.owner, only_drifting=False, after=account_id - 1, limit=1
    )  # an account that is taken out is not among them, and the next one may be
    values = {
        "line": line,
        "preflight": await desk.preflights.of(account_id),
        "drift": next((one for one in drifts if one.account_id == account_id), None),
        "can_change": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "accounts/account.html", values, desk=desk, who=who)
