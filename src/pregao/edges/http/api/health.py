"""How the desk is: alive for those who restart it, in detail for those who look after it."""

import asyncio
import time
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from pregao.domain.trading_state import TradingState
from pregao.edges.http.api.shapes import DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS, Told
from pregao.views.health import TradingHealth, Worker
from pregao.views.screener import ScreenerLine

ANSWER_SECONDS_MAX = 2.0  # whoever watches us waits no longer either
ROLES_NEEDED = frozenset({"trader", "monitor"})  # without one signals wait, or prices are not watched

routes = APIRouter(tags=["health"])

Part = Literal["up", "down"]


class HealthShown(Shown):
    """Whether this process serves; it says nothing about the database."""

    status: Literal["healthy", "stopping"]
    version: str
    timestamp: datetime


class DatabaseShown(Shown):
    """Whether the database answers, and how long that took."""

    status: Part
    answered_ms: float | None


class WorkerShown(Shown):
    """A worker with a valid lease."""

    role: str
    started_at: datetime
    lease_until: datetime


class PaperShown(Shown):
    """Whether the paper exchange answers."""

    status: Part


class TradingShown(Shown):
    """What the desk as a whole may trade; ``states_set`` counts all scopes that are not active."""

    state: TradingState
    version: int
    states_set: int


class ScreenerShown(Shown):
    """Whether the screener's list is kept fresh, how long it is, and when a look last gave it."""

    status: Literal["running", "paused", "stopped"]
    size: int
    good_at: datetime | None


class DetailedHealth(Shown):
    """All parts; degraded when something that is needed is missing, unhealthy without the database."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    timestamp: datetime
    database: DatabaseShown
    workers: list[WorkerShown]
    paper: PaperShown
    trading: TradingShown | None
    screener: ScreenerShown | None


class UnhealthyDetailed(DetailedHealth):
    """The same, with the reason."""

    error: Told


@routes.get("/health", responses={503: {"model": HealthShown, "description": "The process is stopping."}})
async def get_health(desk: DeskGiven) -> HealthShown:
    """Say that this process serves."""
    stopping = desk.is_stopping()
    health = HealthShown(
        status="stopping" if stopping else "healthy", version=desk.version, timestamp=desk.clock()
    )
    if stopping:
        return JSONResponse(health.model_dump(mode="json"), 503)  # type: ignore[return-value]
    return health


@routes.get("/health/detailed", responses={503: {"model": UnhealthyDetailed, "description": "DATABASE_AWAY"}})
async def get_detailed_health(desk: DeskGiven) -> DetailedHealth:
    """Say how every part is: the database, the workers with valid leases, the paper exchange."""
    (workers, trading, screener, answered_ms), paper_is_up = await asyncio.gather(
        _asked(desk), _paper_is_up(desk)
    )
    is_whole = paper_is_up and {worker.role for worker in workers or ()} >= ROLES_NEEDED
    health = DetailedHealth(
        status="unhealthy" if workers is None else "healthy" if is_whole else "degraded",
        version=desk.version,
        timestamp=desk.clock(),
        database=DatabaseShown(status="down" if workers is None else "up", answered_ms=answered_ms),
        workers=[WorkerShown.model_validate(worker) for worker in workers or ()],
        paper=PaperShown(status="up" if paper_is_up else "down"),
        trading=None if trading is None else TradingShown.model_validate(trading),
        screener=None if screener is None else _screener_shown(screener),
    )
    if workers is None:
        told = Told(code="DATABASE_AWAY", message="The database cannot be reached.", details={})
        away = UnhealthyDetailed(**health.model_dump(), error=told)
        return JSONResponse(away.model_dump(mode="json"), 503)  # type: ignore[return-value]
    return health


def _screener_shown(line: ScreenerLine) -> ScreenerShown:
    running: Literal["running", "stopped"] = "running" if line.is_running else "stopped"
    return ScreenerShown(status="paused" if line.is_paused else running, size=line.size, good_at=line.good_at)


async def _asked(
    desk: Desk,
) -> tuple[list[Worker] | None, TradingHealth | None, ScreenerLine | None, float | None]:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            workers = list(await desk.health.workers())
            answered_ms = round((time.perf_counter() - began) * 1000, 1)
            trading = await desk.health.trading_health()
            screener = await desk.screener.status()
    except DATABASE_AWAY_ERRORS:
        return None, None, None, None
    return workers, trading, screener, answered_ms


async def _paper_is_up(desk: Desk) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await desk.paper_is_up()
    except Exception:
        return False
