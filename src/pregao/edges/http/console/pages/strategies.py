"""Strategies that feed bots: how far each is, what is deployed next, and what one traded beside its backtest."""

import re
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus
from pregao.domain.clock import from_ms
from pregao.domain.strategy import DESCRIPTIONS
from pregao.domain.user import Role
from pregao.edges.http.api.comparison import (
    BPS_MAX,
    CANDLES_PATTERN,
    FEE_BPS,
    SLIPPAGE_BPS,
    ComparisonShown,
    comparison_of,
)
from pregao.edges.http.api.lab import candle_names
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS
from pregao.edges.http.console.pages.lab import rounded
from pregao.edges.http.console.showing import CHOICES_MAX, show_missing, show_page
from pregao.edges.http.errors import ApiError
from pregao.lab.refusals import LabError

routes = APIRouter(include_in_schema=False)


@routes.get("/console/strategies")
async def show_strategies(
    request: Request, desk: DeskGiven, who: Seen, before: UUID | None = None
) -> Response:
    """Show the strategies that feed bots, and what another can be made of."""
    lines = await desk.deployments.deployments(bot_id=None, with_removed=False, after=before, limit=ROWS + 1)
    bots = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    values = {
        "lines": lines[:ROWS],
        "following": lines[ROWS - 1].deployment.deployment_id if len(lines) > ROWS else None,
        "strategies": list(DESCRIPTIONS.values()),
        "bots": [
            one for one in bots if one.bot.takes_strategies and one.bot.status is not BotStatus.ARCHIVED
        ],
        "venues": [one.value for one in Venue if one is not Venue.WEBHOOK],
        "can_act": who.role.includes(Role.OPERATOR),
    }
    return await show_page(request, "strategies/list.html", values, desk=desk, who=who)


@routes.get("/console/strategies/{deployment_id:uuid}")
async def show_comparison(deployment_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a strategy traded, trade by trade beside its backtest; the lab reckons it, where it can."""
    line = await desk.deployments.find_deployment(deployment_id)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    told = request.query_params
    candles = told.get("candles") or None
    if candles is not None and re.fullmatch(CANDLES_PATTERN, candles) is None:
        candles = None
    since = _instant(told.get("since"))
    fee_bps = _bps(told.get("fee_bps"), usual=FEE_BPS)
    slippage_bps = _bps(told.get("slippage_bps"), usual=SLIPPAGE_BPS)
    found: ComparisonShown | None = None
    mistake: ApiError | LabError | None = None
    try:
        found = await comparison_of(
            deployment_id,
            desk=desk,
            who=who,
            candles=candles,
            since=since,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
        )
    except (ApiError, LabError) as refused:
        mistake = refused
    values = {
        "line": line,
        "found": found,
        "mistake": mistake,
        "asked": {
            "candles": candles or "",
            "since": "" if since is None else f"{since:%Y-%m-%dT%H:%M}",
            "fee_bps": fee_bps,
            "slippage_bps": slippage_bps,
        },
        "known": await candle_names(desk),
        "bps_max": BPS_MAX,
        "number": rounded,
        "instant": from_ms,
    }
    return await show_page(request, "strategies/comparison.html", values, desk=desk, who=who)


def _instant(told: str | None) -> datetime | None:
    """Read an instant as a form sends it, UTC; None where it is none."""
    try:
        read = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def _bps(told: str | None, *, usual: float) -> float:
    try:
        value = float(told) if told else usual
    except ValueError:
        return usual
    return value if 0 <= value <= BPS_MAX else usual
