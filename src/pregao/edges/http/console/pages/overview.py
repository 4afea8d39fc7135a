"""The desk at a glance, and the line below the bar of every page."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.user import Role
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.pages.drawing import curve_of, share_of
from pregao.edges.http.console.rendering import render
from pregao.edges.http.console.showing import health_of, names_for, show_page
from pregao.edges.http.desk import Desk
from pregao.views.glance import ExposureLine, SignalOutcomes
from pregao.views.performance import Chosen

CURVE_DAYS = 30
EXPOSED = 8  # symbols and accounts shown; the API gives all
ALERTS = 5
SIGNALS, POSITIONS = 10, 15  # the latest; their own pages have all
OUTCOMES = (
    ("executed", "good"),
    ("partly_executed", "warn"),
    ("failed", "bad"),
    ("skipped", "wait"),
    ("on_the_way", "warn"),
    ("waiting", "warn"),
    ("declined", "bad"),
    ("refused", "bad"),
)  # as `SignalOutcomes` counts them, and the sign before each

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Share:
    """A figure beside its bar."""

    name: str
    kind: str
    count: int
    share: Decimal


@routes.get("/admin")
async def show_overview(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the desk at a glance: all of it to those who look after it, what is his own to anybody else."""
    parts = await asyncio.gather(
        _lately(desk, who),
        _earned(desk, who),
        _at_stake(desk, who),
        _to_know(desk, who),
        names_for(desk, who),
    )
    values = {name: value for part in parts for name, value in part.items()}
    return await show_page(request, "overview/overview.html", values, desk=desk, who=who)


@routes.get("/console/health")
async def show_health(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show how the desk is: the line below the bar of every page."""
    return render(request, "overview/health.html", {"health": await health_of(desk, who)}, who=who)


async def _lately(desk: Desk, who: Principal) -> dict[str, Any]:
    signals, positions = await asyncio.gather(
        desk.activity.signals(owner=who.owner, bot_id=None, status=None, before=None, limit=SIGNALS),
        desk.activity.positions(
            owner=who.owner,
            account_id=None,
            bot_id=None,
            status=None,
            live_only=True,
            before=None,
            limit=POSITIONS,
        ),
    )
    guards = await desk.guarded.guarded([one.position_id for one in positions])
    return {"signals": signals, "positions": positions, "guards": guards}


async def _earned(desk: Desk, who: Principal) -> dict[str, Any]:
    last_day = desk.clock().astimezone(UTC).date()
    first_day = last_day - timedelta(days=CURVE_DAYS - 1)
    period = await desk.performances.days(Chosen(owner=who.owner), first_day=first_day, last_day=last_day)
    cumulative = [line.cumulative.pnl_usd for line in period.daily]
    is_flat = not period.all_time.closed
    return {"period": period, "curve": None if is_flat else curve_of(cumulative)}


async def _at_stake(desk: Desk, who: Principal) -> dict[str, Any]:
    exposure, outcomes = await asyncio.gather(
        desk.glance.exposure(owner=who.owner, limit=EXPOSED),
        desk.glance.outcomes(owner=who.owner, now=desk.clock()),
    )
    return {
        "exposure": exposure,
        "symbol_shares": _shares(exposure.symbols, exposure.total),
        "account_shares": _shares(exposure.accounts, exposure.total),
        "outcomes": outcomes,
        "outcome_shares": _outcome_shares(outcomes),
    }


async def _to_know(desk: Desk, who: Principal) -> dict[str, Any]:
    return {
        "stats": await desk.overview.stats(now=desk.clock()) if who.role.is_staff else None,
        "weights": await desk.weights.weights() if who.role.is_staff else (),
        "alerts": await desk.alerts.alerts(
            owner=who.owner, level=None, kind=None, is_acknowledged=False, before=None, limit=ALERTS
        ),
        "can_act": who.role.includes(Role.TRADER),
    }


def _shares(lines: Sequence[ExposureLine], total: ExposureLine) -> list[tuple[ExposureLine, Decimal]]:
    return [(line, share_of(line.gross_usd, total.gross_usd)) for line in lines]


def _outcome_shares(outcomes: SignalOutcomes) -> list[Share]:
    counts = [(name, kind, getattr(outcomes, name)) for name, kind in OUTCOMES]
    return [
        Share(name, kind, count, share_of(count, outcomes.received)) for name, kind, count in counts if count
    ]
