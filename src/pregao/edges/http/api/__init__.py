"""
The API: people, bots, subscriptions, accounts, and what the desk did.

Everything but health and login takes a token, and each route says which role it needs. `/docs` is FastAPI's page and
loads its scripts from a CDN; `/openapi.json` needs nothing from outside.
"""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from pregao.edges.http.admission import Admission
from pregao.edges.http.api import (
    accounts,
    actions,
    activity,
    again,
    alert_channels,
    alert_mutes,
    alerts,
    alerts_at_source,
    approvals,
    auth,
    backups,
    booked,
    bots,
    breakers,
    by_hand,
    clearing,
    close_position,
    comparison,
    destinations,
    destinations_at_source,
    drift,
    flatten,
    foreign_orders,
    glance,
    guards,
    health,
    history,
    lab,
    lab_at_source,
    lists_at_source,
    live,
    metrics,
    ml_at_source,
    model_filters,
    models,
    operations,
    overview,
    performance,
    preflight,
    risk,
    screener,
    screener_at_source,
    second_factor,
    sell_list_at_source,
    setting_changes,
    stops,
    strategies,
    subscriptions,
    symbols,
    system_at_source,
    timeline,
    trading_state,
    upkeep,
    users,
)
from pregao.edges.http.api.roles import check_roles
from pregao.edges.http.audit import Audit
from pregao.edges.http.console import entrance, pages, showing
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import add_errors
from pregao.edges.http.login_limits import LoginFailures

DESCRIPTION = "One signal comes in; every subscribed account trades it once, and anybody can see why."

ROUTERS = (
    health.routes,
    health.worker_routes,
    metrics.routes,
    metrics.counter_routes,
    auth.open_routes,
    auth.routes,
    second_factor.routes,
    second_factor.admin_routes,
    second_factor.rule_routes,
    users.routes,
    actions.routes,
    setting_changes.routes,
    overview.routes,
    bots.health_routes,  # before the bots: health is no bot's id
    bots.routes,
    symbols.bot_routes,
    subscriptions.routes,
    symbols.subscription_routes,
    performance.routes,
    performance.bot_routes,
    performance.subscription_routes,
    model_filters.routes,
    models.routes,
    risk.routes,
    lab.routes,
    lab_at_source.routes,
    ml_at_source.routes,
    accounts.routes,
    preflight.routes,
    activity.routes,
    again.routes,
    timeline.routes,
    glance.routes,
    guards.routes,
    history.routes,
    lists_at_source.routes,
    booked.routes,
    close_position.routes,
    drift.routes,
    foreign_orders.routes,
    approvals.routes,
    trading_state.routes,
    trading_state.kill_switch_routes,
    breakers.routes,
    flatten.routes,
    clearing.routes,
    backups.routes,
    alerts.routes,
    alert_channels.routes,
    alert_mutes.routes,
    alerts_at_source.routes,
    screener.routes,
    screener_at_source.routes,
    destinations.routes,
    strategies.routes,
    comparison.routes,
    destinations_at_source.routes,
    system_at_source.routes,
    sell_list_at_source.routes,
    operations.operations.routes,
    operations.operations.source_routes,
    by_hand.trades.routes,
    by_hand.trades.source_routes,
    stops.routes,
    upkeep.routes,
    live.routes,
    live.sockets,
    entrance.routes,
    pages.routes,
)


def _operation_id(route: APIRoute) -> str:
    return route.name


# Included once for all apps: what an app includes itself it builds again, 130 routes in the first requests it answers.
ROUTES = APIRouter(generate_unique_id_function=_operation_id)
for _router in ROUTERS:
    ROUTES.include_router(_router)


def create_api(desk: Desk, *, other_paths: dict[str, Any] | None = None) -> FastAPI:
    """Make the app; ``other_paths`` are path items of routes served beside it, for the document."""
    app = FastAPI(
        title="Pregão",
        description=DESCRIPTION,
        version=desk.version,
        redirect_slashes=False,
        routes=ROUTES.routes,
        generate_unique_id_function=_operation_id,
    )
    app.state.desk = desk
    app.state.login_failures = LoginFailures()
    routes = [route for router in ROUTERS for route in router.routes]
    check_roles(routes)
    add_errors(app, routes=routes)
    for kind, answer in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, showing.or_page(answer))
    app.add_exception_handler(entrance.SignInNeeded, entrance.show_door)
    app.add_exception_handler(entrance.SecondFactorNeeded, entrance.show_second_factor)
    app.add_exception_handler(showing.Forbidden, showing.show_forbidden)
    app.add_middleware(
        Admission,
        admin_token=desk.admin_token,
        find_principal=desk.logins.find_principal,
        clock=desk.clock,
        trusted_proxies=desk.trusted_proxies,
        public_url=desk.public_url,
    )
    app.add_middleware(Audit, record=desk.record_action, clock=desk.clock, routes=routes)  # around admission
    _document(app, other_paths or {})
    return app


def _document(app: FastAPI, other_paths: dict[str, Any]) -> None:
    own_document = app.openapi

    def document() -> dict[str, Any]:
        schema = own_document()
        schema["paths"].update(other_paths)
        return schema

    app.openapi = document  # type: ignore[method-assign]
