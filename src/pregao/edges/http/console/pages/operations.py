"""What those who look after the desk watch: workers, budgets, breakers, alerts, the screener."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.user import Role
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import CHOICES_MAX, ROWS, needs, show_page

routes = APIRouter(include_in_schema=False)


@routes.get("/console/alerts")
async def show_alerts(request: Request, desk: DeskGiven, who: Seen, before: UUID | None = None) -> Response:
    """Show what a person should know, whom it was told, and who takes care of it."""
    lines = await desk.alerts.alerts(
        owner=who.owner, level=None, kind=None, is_acknowledged=None, before=before, limit=ROWS + 1
    )
    values = {
        "lines": lines[:ROWS],
        "older": {"before": lines[ROWS - 1].alert.alert_id} if len(lines) > ROWS else None,
        "channels": await desk.alerts.channels(owner=who.owner),
        "least": await desk.alerts.level(),
        "can_act": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "operations/alerts.html", values, desk=desk, who=who)


@routes.get("/console/screener")
async def show_screener(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the screener's list, how it is made, and whether it is fresh."""
    needs(Role.OPERATOR, who)
    values = {
        "screener": await desk.screener.status(),
        "strategies": await desk.screener.strategies(),
        "tickers": await desk.screener.tickers(),
    }
    return await show_page(request, "operations/screener.html", values, desk=desk, who=who)


@routes.get("/console/operations")
async def show_operations(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show workers, breakers, rate budgets, differences, and what may be traded."""
    needs(Role.OPERATOR, who)
    values = {
        "workers": await desk.health.workers(),
        "waiting_work": await desk.health.waiting(),
        "breakers": await desk.breakers.breakers(),
        "weights": await desk.weights.weights(),
        "drifts": await desk.drifts.accounts(
            owner=who.owner, only_drifting=True, after=None, limit=CHOICES_MAX
        ),
        "trading": await desk.trading_states.now(owner=who.owner),
    }
    return await show_page(request, "operations/operations.html", values, desk=desk, who=who)
