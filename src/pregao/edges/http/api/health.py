"""How the desk is: alive for those who restart it, in detail for those who look after it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.responses import Response

from pregao.domain.trading_state import TradingState
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import WORKERS
from pregao.edges.http.api.roles import Operator
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS, TOKEN, DeskGiven, Limit, Page, Shown
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS, ApiError, ErrorBody, Told
from pregao.views.health import LEASE_SECONDS, ROLES_NEEDED, TradingHealth, Waiting, Worker
from pregao.views.screener import ScreenerLine

ANSWER_SECONDS_MAX = 2.0  # whoever watches us waits no longer either

routes = APIRouter(tags=["health"])
worker_routes = APIRouter(tags=["health"], dependencies=[TOKEN], responses=ERRORS)

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
    """A worker; alive until its lease runs out, which it renews every few seconds."""

    role: str
    started_at: datetime
    lease_until: datetime


class WorkerNamed(WorkerShown):
    """A worker with its name, which tells its machine and process."""

    worker_id: str
    status: Literal["alive", "dead"]


class WorkersShown(Shown):
    """The workers that live, and those that ended within the last hour without a word."""

    workers: list[WorkerNamed]
    next_cursor: str | None
    lease_seconds: float  # after its last word a worker that says nothing is dead
    timestamp: datetime


class QueueShown(Shown):
    """What waits, and since when the first of it does."""

    name: str
    waiting: int
    since: datetime | None


class QueuesShown(Shown):
    """All that waits, and how the journal does; followers of it may be as far behind as `behind_ms` says."""

    queues: list[QueueShown]
    last_fact_at: datetime | None
    behind_ms: int
    timestamp: datetime


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


class AtWork(Shown):
    """How many workers live."""

    processing: int  # they decide and plan,
    forwarding: int  # and send: in this desk one process does both
    dead: int  # ended within the last hour without a word


class ComponentsShown(Shown):
    """The parts of system A, in its words."""

    finviz_engine: Literal["running", "paused", "stopped"]
    processing_queue: int  # signals that wait for a decision
    approved_queue: int  # orders that wait for their answer
    workers: AtWork
    top_n_tickers: int


class ReadyShown(Shown):
    """Whether this process can take signals: the database answers, and nobody stops it."""

    status: Literal["ready"]
    timestamp: datetime


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
    components: ComponentsShown | None


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


@routes.get(
    "/health/ready", responses={503: {"model": ErrorBody, "description": "DATABASE_AWAY, DESK_STOPPING"}}
)
async def get_readiness(desk: DeskGiven) -> ReadyShown:
    """Say that this process can take signals; whoever shares the load among several asks this."""
    if desk.is_stopping():
        raise ApiError(503, "DESK_STOPPING", "This process is stopping.")
    if await _asked(desk) is None:
        raise ApiError(503, "DATABASE_AWAY", "The database cannot be reached.")
    return ReadyShown(status="ready", timestamp=desk.clock())


@routes.get("/health/detailed", responses={503: {"model": UnhealthyDetailed, "description": "DATABASE_AWAY"}})
async def get_detailed_health(desk: DeskGiven) -> DetailedHealth:
    """Say how every part is: the database, the workers with valid leases, the paper exchange."""
    found, paper_is_up = await asyncio.gather(_asked(desk), _paper_is_up(desk))
    if found is None:
        return _unhealthy(desk, paper_is_up=paper_is_up)
    alive = [worker for worker in found.workers if worker.is_alive]
    is_whole = paper_is_up and {worker.role for worker in alive} >= ROLES_NEEDED
    screener = _screener_shown(found.screener)
    return DetailedHealth(
        status="healthy" if is_whole else "degraded",
        version=desk.version,
        timestamp=desk.clock(),
        database=DatabaseShown(status="up", answered_ms=found.answered_ms),
        workers=[WorkerShown.model_validate(worker) for worker in alive],
        paper=_paper_shown(is_up=paper_is_up),
        trading=TradingShown.model_validate(found.trading),
        screener=screener,
        components=_components(found, screener),
    )


@worker_routes.get("/api/v1/queues")
async def list_queues(desk: DeskGiven, _who: Operator) -> QueuesShown:
    """Give what waits: signals, approvals, orders, questions to venues, jobs that sell out, alerts that are to be told."""
    queues, journal = await asyncio.gather(desk.health.queues(), desk.health.journal())
    return QueuesShown(
        queues=[QueueShown.model_validate(one) for one in queues],
        last_fact_at=journal.last_fact_at,
        behind_ms=journal.behind_ms,
        timestamp=desk.clock(),
    )


WorkerSort = Literal[
    "role", "-role", "worker_id", "-worker_id", "started_at", "-started_at", "lease_until", "-lease_until",
]  # fmt: skip


@worker_routes.get("/api/v1/workers", response_model=WorkersShown, responses=AsCsv)
async def list_workers(
    *,
    desk: DeskGiven,
    _who: Operator,
    search: Search = None,
    sort: WorkerSort = "role",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> WorkersShown | Response:
    """Give the workers with their names, the dead ones too: one that says nothing is dead when its lease has run out."""
    told = await WORKERS.answer(
        WORKERS.within(await desk.health.workers()),
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=_worker_named,
        shown=WorkerNamed,
        name="workers",
    )
    if not isinstance(told, Page):
        return told
    return WorkersShown(
        workers=list(told.items),
        next_cursor=told.next_cursor,
        lease_seconds=LEASE_SECONDS,
        timestamp=desk.clock(),
    )


def _worker_named(one: Worker) -> WorkerNamed:
    return WorkerNamed(
        worker_id=one.worker_id,
        role=one.role,
        status="alive" if one.is_alive else "dead",
        started_at=one.started_at,
        lease_until=one.lease_until,
    )


def _unhealthy(desk: Desk, *, paper_is_up: bool) -> DetailedHealth:
    away = UnhealthyDetailed(
        status="unhealthy",
        version=desk.version,
        timestamp=desk.clock(),
        database=DatabaseShown(status="down", answered_ms=None),
        workers=[],
        paper=_paper_shown(is_up=paper_is_up),
        trading=None,
        screener=None,
        components=None,
        error=Told(code="DATABASE_AWAY", message="The database cannot be reached.", details={}),
    )
    return JSONResponse(away.model_dump(mode="json"), 503)  # type: ignore[return-value]


def _paper_shown(*, is_up: bool) -> PaperShown:
    return PaperShown(status="up" if is_up else "down")


def _screener_shown(line: ScreenerLine) -> ScreenerShown:
    running: Literal["running", "stopped"] = "running" if line.is_running else "stopped"
    return ScreenerShown(status="paused" if line.is_paused else running, size=line.size, good_at=line.good_at)


def _components(found: "_Found", screener: ScreenerShown) -> ComponentsShown:
    traders = sum(worker.is_alive and worker.role == "trader" for worker in found.workers)
    return ComponentsShown(
        finviz_engine=screener.status,
        processing_queue=found.waiting.signals,
        approved_queue=found.waiting.orders,
        workers=AtWork(
            processing=traders,
            forwarding=traders,
            dead=sum(not worker.is_alive for worker in found.workers),
        ),
        top_n_tickers=screener.size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    workers: Sequence[Worker]
    waiting: Waiting
    trading: TradingHealth
    screener: ScreenerLine
    answered_ms: float


async def _asked(desk: Desk) -> _Found | None:
    """Ask the database; None while it is away."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            workers = await desk.health.workers()
            answered_ms = round((time.perf_counter() - began) * 1000, 1)
            return _Found(
                workers=workers,
                waiting=await desk.health.waiting(),
                trading=await desk.health.trading_health(),
                screener=await desk.screener.status(),
                answered_ms=answered_ms,
            )
    except DATABASE_AWAY_ERRORS:
        return None


async def _paper_is_up(desk: Desk) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await desk.paper_is_up()
    except Exception:
        return False
