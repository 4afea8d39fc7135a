"""Where venues and books differ, settled by an operator; orders at venues that are not ours, seen and taken back."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.account import EXCHANGES
from pregao.domain.user import Role
from pregao.edges.http.api.listing import DIFFERENCES, FOREIGN_CANCELS, FOREIGN_ORDERS
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import asked_of, page_of
from pregao.edges.http.console.showing import CHOICES_MAX, needs, show_page
from pregao.views.drift import DifferenceLine
from pregao.views.foreign import CancelLine, ForeignOrderLine
from pregao.views.sorting import DIFFERENCE_FIELDS, FOREIGN_CANCEL_FIELDS, FOREIGN_ORDER_FIELDS, Shape

routes = APIRouter(include_in_schema=False)


@routes.get("/console/operations/differences")
async def show_differences(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show where a venue holds something else than the books, and which accounts nobody has compared yet."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=DIFFERENCE_FIELDS, usual_sort="account")

    async def find(after: str | None, *, shape: Shape, limit: int) -> Sequence[DifferenceLine]:
        return await desk.drifts.differences(owner=who.owner, after=after, shape=shape, limit=limit)

    drifting = await desk.drifts.accounts(owner=who.owner, only_drifting=True, after=None, limit=CHOICES_MAX)
    values = {
        **await page_of(DIFFERENCES, find, asked),
        "file": asked.file("/api/v1/drift/differences"),
        "unknown": [one for one in drifting if one.unreconciled_since is not None],
        "subscriptions": await desk.configured.subscriptions(
            owner=who.owner, bot_id=None, account_id=None, status=None, after=None, limit=CHOICES_MAX
        ),
    }
    return await show_page(request, "drift/differences.html", values, desk=desk, who=who)


@routes.get("/console/operations/orders")
async def show_foreign_orders(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show orders that rest at venues and are not ours."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=FOREIGN_ORDER_FIELDS, usual_sort="account")

    async def find(after: str | None, *, shape: Shape, limit: int) -> Sequence[ForeignOrderLine]:
        return await desk.foreign.orders(
            owner=who.owner, account_id=None, after=after, shape=shape, limit=limit
        )

    accounts = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    values = {
        **await page_of(FOREIGN_ORDERS, find, asked),
        "file": asked.file("/api/v1/drift/orders"),
        "accounts": [one for one in accounts if one.account.venue in EXCHANGES],
    }
    return await show_page(request, "drift/orders.html", values, desk=desk, who=who)


@routes.get("/console/operations/taken-back")
async def show_taken_back(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what was to be taken back at venues: who wanted it, why, and what came of it."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=FOREIGN_CANCEL_FIELDS)

    async def find(before: UUID | None, *, shape: Shape, limit: int) -> Sequence[CancelLine]:
        return await desk.foreign.cancels(owner=who.owner, before=before, shape=shape, limit=limit)

    values = {
        **await page_of(FOREIGN_CANCELS, find, asked),
        "file": asked.file("/api/v1/drift/cancels"),
    }
    return await show_page(request, "drift/taken_back.html", values, desk=desk, who=who)
