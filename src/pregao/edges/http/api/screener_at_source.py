"""
The screener at system A's own paths and in its words, for programs that were written for it.

The token stands in the header, or in the body as `token`: who may come in was decided before (admission.py).
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from pregao.domain.facts import BuyReprocessed
from pregao.domain.screener import Reprocessed, Source, Strategy
from pregao.edges.http.api.destinations_at_source import bad_request
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    DeskGiven,
    Shown,
    ToldAtSource,
    unset,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.market.ports import ScreenerBook
from pregao.market.refusals import ConflictError, SettingUnusableError
from pregao.market.reprocess import reprocess_by_hand
from pregao.market.reprocess_health import Grade, grade, success_percent
from pregao.market.screen import (
    activate_strategy,
    ask_for_look,
    change_strategy,
    create_strategy,
    duplicate_strategy,
    forget_strategy,
    set_paused,
)
from pregao.views.screener import StrategyLine

routes = APIRouter(tags=["screener"], dependencies=[TOKEN], responses=ERRORS)

STRATEGIES = "/admin/finviz/strategies"
FIRST_NAME = "Default Strategy"
OUR_NAMES = {
    "refresh_interval_sec": "refresh_seconds",
    "respect_sell_chronology_enabled": "respect_sell_chronology",
}


class Tuning(ToldAtSource):
    """What both shapes of a strategy have."""

    top_n: int = unset()
    refresh_interval_sec: int = unset()
    reprocess_enabled: bool = unset()
    reprocess_window_seconds: int = unset()
    respect_sell_chronology_enabled: bool = unset()
    sell_chronology_window_seconds: int = unset()


class ConfigAsked(Tuning):
    """The active strategy's values."""

    finviz_url: str = unset()


class StrategyAsked(Tuning):
    """A strategy."""

    name: str = unset()
    url: str = unset()
    description: str = unset()


class DuplicateAsked(ToldAtSource):
    """What the copy is called."""

    new_name: str


class TriggerAsked(ToldAtSource):
    """Which tickers are tried again."""

    tickers: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000)]
    window_seconds: Annotated[int, Field(ge=0, le=604_800)] = 300


class ConfigAtSource(Shown):
    """The active strategy's values, in the source's words."""

    finviz_url: str
    top_n: int
    refresh_interval_sec: int
    reprocess_enabled: bool
    reprocess_window_seconds: int
    respect_sell_chronology_enabled: bool
    sell_chronology_window_seconds: int


class StrategyAtSource(Shown):
    """A strategy, in the source's words."""

    id: UUID
    name: str
    url: str
    description: str
    top_n: int
    refresh_interval_sec: int
    reprocess_enabled: bool
    reprocess_window_seconds: int
    respect_sell_chronology_enabled: bool
    sell_chronology_window_seconds: int
    is_active: bool
    created_at: datetime
    updated_at: datetime


class StrategiesAtSource(Shown):
    """All strategies."""

    strategies: list[StrategyAtSource]
    count: int


class ActiveAtSource(Shown):
    """The active strategy."""

    active_strategy: StrategyAtSource


class Said(Shown):
    """That something was done."""

    message: str


class StrategySaid(Said):
    """That something was done, and to which strategy."""

    strategy_id: UUID


class EngineAtSource(Shown):
    """What the screener does."""

    status: str  # running, paused or stopped
    strategy: str | None
    failures: int


class TopNAtSource(Shown):
    """The list, sorted by name."""

    tickers: list[str]
    count: int
    last_update: datetime | None
    timestamp: datetime
    engine_info: EngineAtSource


class TriggerAtSource(Shown):
    """What became of declined entries that were tried again; they are all written, or none is."""

    success: bool
    tickers_processed: int
    signals_found: int
    signals_reprocessed: int
    signals_failed: int
    success_rate: float
    errors: list[str]


class RunsAtSource(Shown):
    """How the last hour's runs went."""

    last_run_at: datetime | None
    last_duration_ms: int
    runs: int
    signals_found: int
    signals_reprocessed: int
    signals_skipped: int
    signals_failed: int
    success_rate: float  # percent


class ReprocessingAtSource(Shown):
    """How well declined entries are tried again."""

    status: Grade
    metrics: RunsAtSource
    timestamp: datetime


@routes.post("/finviz/config", status_code=204, responses={**UNREADABLE})
async def post_config_at_source(body: ConfigAsked, desk: DeskGiven, _who: Operator) -> None:
    """Change the active strategy; without one the first is made of this."""
    async with _opened(desk) as book:
        await change_active(body, book=book, desk=desk)


async def change_active(body: ConfigAsked, *, book: ScreenerBook, desk: Desk) -> None:
    """
    Change the active strategy in an open transaction; without one the first is made of this.

    :raises SettingUnusableError: when a value cannot be used.
    """
    changes = _ours(body, address="finviz_url")
    now = desk.clock()
    active = await book.find_active()
    if active is None:
        facts = await create_strategy(
            _new(FIRST_NAME, changes, now=now), limits=desk.screener_limits, book=book, now=now
        )
    else:
        facts = await change_strategy(
            active.strategy_id, changes, limits=desk.screener_limits, book=book, now=now
        )
    await book.append(facts)


@routes.get("/admin/finviz/config", responses=UNKNOWN)
async def get_config_at_source(desk: DeskGiven, _who: Operator) -> ConfigAtSource:
    """Give the active strategy's values."""
    shown = _shown(await _active(desk))
    return ConfigAtSource(
        finviz_url=shown["url"], **{n: shown[n] for n in ConfigAtSource.model_fields if n in shown}
    )


@routes.post("/admin/engine/pause", status_code=204, responses=UNREADABLE)
async def pause_at_source(desk: DeskGiven, who: Operator, _body: ToldAtSource | None = None) -> None:
    """Fetch nothing any more but what somebody asks for."""
    async with desk.screener_books.open() as book:
        set_by = await name_of(who, desk=desk)
        await book.append(await set_paused(True, set_by=set_by, book=book, now=desk.clock()))


@routes.post("/admin/engine/resume", status_code=204, responses=UNREADABLE)
async def resume_at_source(desk: DeskGiven, who: Operator, _body: ToldAtSource | None = None) -> None:
    """Fetch again."""
    async with desk.screener_books.open() as book:
        set_by = await name_of(who, desk=desk)
        await book.append(await set_paused(False, set_by=set_by, book=book, now=desk.clock()))


@routes.post("/admin/engine/manual-refresh", status_code=204, responses={**CONFLICT, **UNREADABLE})
async def refresh_at_source(desk: DeskGiven, _who: Operator, _body: ToldAtSource | None = None) -> None:
    """Have the list made once now, paused or not."""
    async with desk.screener_books.open() as book:
        await ask_for_look(book=book)


@routes.get("/admin/top-n-tickers")
async def get_top_n_at_source(desk: DeskGiven, _who: Viewer) -> TopNAtSource:
    """Give the list, sorted by name."""
    status = await desk.screener.status()
    tickers = sorted(one.ticker for one in await desk.screener.tickers())
    running = "running" if status.is_running else "stopped"
    return TopNAtSource(
        tickers=tickers,
        count=len(tickers),
        last_update=status.good_at,
        timestamp=desk.clock(),
        engine_info=EngineAtSource(
            status="paused" if status.is_paused else running,
            strategy=status.strategy or None,
            failures=status.failures,
        ),
    )


@routes.get(STRATEGIES)
async def list_strategies_at_source(desk: DeskGiven, _who: Operator) -> StrategiesAtSource:
    """Give all strategies."""
    lines = [StrategyAtSource(**_shown(line)) for line in await desk.screener.strategies()]
    return StrategiesAtSource(strategies=lines, count=len(lines))


@routes.post(STRATEGIES, responses={**UNREADABLE})
async def post_strategy_at_source(body: StrategyAsked, desk: DeskGiven, _who: Operator) -> StrategySaid:
    """Create a strategy."""
    changes, now = _ours(body, address="url"), desk.clock()
    strategy = _new(changes.pop("name", ""), changes, now=now)
    async with _opened(desk) as book:
        await book.append(await create_strategy(strategy, limits=desk.screener_limits, book=book, now=now))
    return StrategySaid(strategy_id=strategy.strategy_id, message="The strategy is created.")


@routes.get(f"{STRATEGIES}/active", responses=UNKNOWN)
async def get_active_at_source(desk: DeskGiven, _who: Operator) -> ActiveAtSource:
    """Give the active strategy."""
    return ActiveAtSource(active_strategy=StrategyAtSource(**_shown(await _active(desk))))


@routes.put(f"{STRATEGIES}/{{strategy_id:uuid}}", responses={**UNKNOWN, **UNREADABLE})
async def put_strategy_at_source(
    strategy_id: UUID, body: StrategyAsked, desk: DeskGiven, _who: Operator
) -> Said:
    """Change a strategy; what is not sent stays."""
    async with _opened(desk) as book:
        facts = await change_strategy(
            strategy_id, _ours(body, address="url"), limits=desk.screener_limits, book=book, now=desk.clock()
        )
        await book.append(facts)
    return Said(message="The strategy is changed.")


@routes.delete(f"{STRATEGIES}/{{strategy_id:uuid}}", responses={**UNKNOWN, **UNREADABLE})
async def delete_strategy_at_source(
    strategy_id: UUID, desk: DeskGiven, _who: Operator, _body: ToldAtSource | None = None
) -> Said:
    """Delete a strategy; the active one stays."""
    async with _opened(desk) as book:
        await book.append(await forget_strategy(strategy_id, book=book, now=desk.clock()))
    return Said(message="The strategy is deleted.")


@routes.post(f"{STRATEGIES}/{{strategy_id:uuid}}/activate", responses={**UNKNOWN, **UNREADABLE})
async def activate_at_source(
    strategy_id: UUID, desk: DeskGiven, _who: Operator, _body: ToldAtSource | None = None
) -> Said:
    """Have the list made by this strategy."""
    async with desk.screener_books.open() as book:
        await book.append(await activate_strategy(strategy_id, book=book, now=desk.clock()))
    return Said(message="The strategy is active.")


@routes.post(f"{STRATEGIES}/{{strategy_id:uuid}}/duplicate", responses={**UNKNOWN, **UNREADABLE})
async def duplicate_at_source(
    strategy_id: UUID, body: DuplicateAsked, desk: DeskGiven, _who: Operator
) -> StrategySaid:
    """Create another strategy with the same settings."""
    now = desk.clock()
    new_id = uuid7(now)
    async with _opened(desk) as book:
        facts = await duplicate_strategy(
            strategy_id, new_id=new_id, name=body.new_name, limits=desk.screener_limits, book=book, now=now
        )
        await book.append(facts)
    return StrategySaid(strategy_id=new_id, message="The strategy is created.")


@routes.get("/admin/reprocessing/health")
async def get_reprocessing_health_at_source(desk: DeskGiven, _who: Viewer) -> ReprocessingAtSource:
    """Say how well declined entries are tried again."""
    told = await desk.screener.reprocessing()
    percent = success_percent(found=told.found, failed=told.failed)
    return ReprocessingAtSource(
        status=grade(
            age_seconds=None if told.last_at is None else told.age_seconds,
            percent=percent,
            duration_seconds=told.duration_ms / 1_000,
        ),
        metrics=RunsAtSource(
            last_run_at=told.last_at,
            last_duration_ms=told.duration_ms,
            runs=told.runs,
            signals_found=told.found,
            signals_reprocessed=told.again,
            signals_skipped=told.skipped,
            signals_failed=told.failed,
            success_rate=percent,
        ),
        timestamp=desk.clock(),
    )


@routes.post("/admin/reprocessing/trigger", responses={**UNREADABLE})
async def trigger_at_source(body: TriggerAsked, desk: DeskGiven, _who: Operator) -> TriggerAtSource:
    """Try the last declined entries in these tickers again, as far as they are on the list."""
    async with _opened(desk) as book:
        facts = await reprocess_by_hand(
            body.tickers, window_seconds=body.window_seconds, book=book, new_id=uuid7, now=desk.clock()
        )
        await book.append(facts)
    told = [fact for fact in facts if isinstance(fact, BuyReprocessed)]
    again = sum(fact.outcome is Reprocessed.SUCCESS for fact in told)
    return TriggerAtSource(
        success=True,
        tickers_processed=len(body.tickers),
        signals_found=len(told),
        signals_reprocessed=again,
        signals_failed=0,
        success_rate=round(100 * again / len(told), 2) if told else 0.0,
        errors=[],
    )


@contextlib.asynccontextmanager
async def _opened(desk: Desk) -> AsyncIterator[ScreenerBook]:
    """Open the screener's book; what it refuses is a bad request, as it was at the source."""
    try:
        async with desk.screener_books.open() as book:
            yield book
    except (SettingUnusableError, ConflictError) as error:
        raise bad_request(error) from error


def _ours(body: Tuning, *, address: str) -> dict[str, Any]:
    told = body.model_dump(exclude_unset=True, exclude={"token"})
    if address in told:
        told["address"] = told.pop(address)
        told["source"] = Source.FINVIZ_EXPORT if "/export" in told["address"] else Source.FINVIZ
        told["tickers"] = ()
    return {OUR_NAMES.get(name, name): value for name, value in told.items()}


def _new(name: str, changes: dict[str, Any], *, now: datetime) -> Strategy:
    return Strategy(strategy_id=uuid7(now), name=name, changed_at=now, **{"source": Source.FINVIZ, **changes})


async def _active(desk: Desk) -> StrategyLine:
    for line in await desk.screener.strategies():
        if line.strategy.is_active:
            return line
    raise ApiError(404, "STRATEGY_MISSING", "No strategy is active. Create one, or activate one, first.")


def _shown(line: StrategyLine) -> dict[str, Any]:
    one = line.strategy
    return {
        "id": one.strategy_id,
        "name": one.name,
        "url": one.address,
        "description": one.description,
        "top_n": one.top_n,
        "refresh_interval_sec": one.refresh_seconds,
        "reprocess_enabled": one.reprocess_enabled,
        "reprocess_window_seconds": one.reprocess_window_seconds,
        "respect_sell_chronology_enabled": one.respect_sell_chronology,
        "sell_chronology_window_seconds": one.sell_chronology_window_seconds,
        "is_active": one.is_active,
        "created_at": line.created_at,
        "updated_at": line.updated_at,
    }
