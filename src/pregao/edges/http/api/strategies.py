"""Strategies: what can be set, and those that feed bots."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from pregao.bots.deploy import deploy_strategy, set_deployment_status
from pregao.domain.account import Venue
from pregao.domain.deployment import Deployment, DeploymentStatus, ParameterValue
from pregao.domain.strategy import DESCRIPTIONS
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.rules import Symbol
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.views.deployments import DeploymentLine

PARAMETERS_MAX = 20

routes = APIRouter(prefix="/api/v1/strategies", tags=["strategies"], dependencies=[TOKEN], responses=ERRORS)

Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=50)]


class NewDeployment(Asked):
    """A strategy to deploy; parameters that are not named have their default."""

    strategy: Annotated[str, Field(max_length=50, json_schema_extra={"enum": list(DESCRIPTIONS)})]
    parameters: Annotated[dict[Name, Number], Field(default_factory=dict, max_length=PARAMETERS_MAX)]
    venue: Annotated[Venue, Field(description="Whose candles it watches.")] = Venue.PAPER
    symbol: Symbol
    timeframe: Annotated[str, Field(max_length=20, json_schema_extra={"pattern": "^[1-9][0-9]{0,3}[smhd]$"})]
    bot_id: UUID
    with_history: Annotated[
        bool, Field(description="Begin with the venue's past candles, else with the first it sees itself.")
    ] = True
    with_model: Annotated[
        bool, Field(description="A model that is sure has the word before technical analysis.")
    ] = False


class ParameterShown(Shown):
    """A number that a strategy can be given; ``step`` 1 means whole numbers."""

    name: str
    default: float
    low: float
    high: float
    step: float
    meaning: str


class StrategyShown(Shown):
    """A strategy that comes with the desk."""

    name: str
    meaning: str
    parameters: tuple[ParameterShown, ...]


class DeploymentShown(Shown):
    """A strategy that feeds a bot. ``wanted`` is null before the first candle, ``code`` where it can go on."""

    deployment_id: UUID
    bot_id: UUID
    bot_name: str
    strategy: str
    parameters: dict[str, float]
    venue: Venue
    symbol: str
    timeframe: str
    status: DeploymentStatus
    with_history: bool
    with_model: bool
    changed_by: str
    bar_at: Annotated[datetime | None, Field(description="When the last judged candle closed.")]
    bars: Annotated[int, Field(description="Candles judged.")]
    wanted: Annotated[str | None, Field(description="long, short or flat.")]
    code: str | None
    reason: str | None
    signals: Annotated[int, Field(description="Signals it has sent.")]
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_strategies_known(_who: Viewer) -> Page[StrategyShown]:
    """Give the strategies that come with the desk, with what can be set; there is one page only."""
    return Page(items=[StrategyShown.model_validate(one) for one in DESCRIPTIONS.values()], next_cursor=None)


@routes.get("/deployments")
async def list_deployments(
    *,
    desk: DeskGiven,
    _who: Viewer,
    bot_id: UUID | None = None,
    with_removed: Annotated[bool, Query(description="Those that are no more, too.")] = False,
    cursor: UUID | None = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[DeploymentShown]:
    """Give the strategies that feed bots, oldest first."""
    lines = await desk.deployments.deployments(
        bot_id=bot_id, with_removed=with_removed, after=cursor, limit=limit
    )
    return page_of([_shown(line) for line in lines], limit=limit, cursor=lambda last: last.deployment_id)


@routes.post("/deployments", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_deployment(body: NewDeployment, desk: DeskGiven, who: Operator) -> DeploymentShown:
    """Have a strategy feed a bot that takes strategies; it watches from the next candle on."""
    now = desk.clock()
    deployment = Deployment(
        deployment_id=uuid7(now),
        bot_id=body.bot_id,
        strategy=body.strategy,
        parameters=tuple(ParameterValue(name=name, value=value) for name, value in body.parameters.items()),
        venue=body.venue,
        symbol=body.symbol,
        timeframe=body.timeframe,
        with_history=body.with_history,
        with_model=body.with_model,
        changed_by=await name_of(who, desk=desk),
    )
    async with desk.bots.open(owner=None) as book:
        await book.append(await deploy_strategy(deployment, book=book, now=now))
    return await _get(deployment.deployment_id, desk=desk)


@routes.get("/deployments/{deployment_id:uuid}", responses=UNKNOWN)
async def get_deployment(deployment_id: UUID, desk: DeskGiven, _who: Viewer) -> DeploymentShown:
    """Give one of them, a removed one too."""
    return await _get(deployment_id, desk=desk)


@routes.post("/deployments/{deployment_id:uuid}/pause", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def pause_deployment(deployment_id: UUID, desk: DeskGiven, who: Operator) -> DeploymentShown:
    """Have it send nothing but closes."""
    return await _set(deployment_id, DeploymentStatus.PAUSED, desk=desk, by=await name_of(who, desk=desk))


@routes.post("/deployments/{deployment_id:uuid}/resume", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def resume_deployment(deployment_id: UUID, desk: DeskGiven, who: Operator) -> DeploymentShown:
    """Have it send entries again: the next one it wants."""
    return await _set(deployment_id, DeploymentStatus.ACTIVE, desk=desk, by=await name_of(who, desk=desk))


@routes.delete("/deployments/{deployment_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_deployment(deployment_id: UUID, desk: DeskGiven, who: Operator) -> DeploymentShown:
    """Remove it for good; what is open stays guarded, and is closed by its stop or by whoever closes it."""
    return await _set(deployment_id, DeploymentStatus.REMOVED, desk=desk, by=await name_of(who, desk=desk))


async def _set(deployment_id: UUID, status: DeploymentStatus, *, desk: Desk, by: str) -> DeploymentShown:
    async with desk.bots.open(owner=None) as book:
        await book.append(
            await set_deployment_status(deployment_id, status, changed_by=by, book=book, now=desk.clock())
        )
    return await _get(deployment_id, desk=desk)


async def _get(deployment_id: UUID, *, desk: Desk) -> DeploymentShown:
    line = await desk.deployments.find_deployment(deployment_id)
    if line is None:
        raise ApiError(404, "DEPLOYMENT_UNKNOWN", f"deployment={deployment_id}. There is no such deployment.")
    return _shown(line)


def _shown(line: DeploymentLine) -> DeploymentShown:
    one = line.deployment
    own = ("bot_name", "bar_at", "bars", "signals", "created_at", "updated_at")
    of_deployment = (
        "deployment_id", "bot_id", "strategy", "venue", "symbol", "timeframe", "status", "with_history", "with_model",
        "changed_by",
    )  # fmt: skip
    return DeploymentShown(
        **{name: getattr(one, name) for name in of_deployment},
        **{name: getattr(line, name) for name in own},
        parameters=one.values,
        wanted=line.wanted or None,
        code=line.code or None,
        reason=line.reason or None,
    )
