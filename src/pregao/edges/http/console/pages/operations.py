"""What those who look after the desk watch: what waits, workers, budgets, breakers, backups; the screener."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.screener import Source
from pregao.domain.user import Role
from pregao.edges.http.api.listing import BACKUPS, BREAKERS, WORKERS
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import arrange, asked_of, page_of
from pregao.edges.http.console.showing import JOBS, needs, show_page
from pregao.market.strategies import RANGES
from pregao.views.screener import TickerLine
from pregao.views.sorting import BACKUP_FIELDS, BREAKER_FIELDS, WORKER_FIELDS

TICKERS_BY: dict[str, Callable[[TickerLine], Any]] = {
    "rank": lambda one: one.rank,
    "ticker": lambda one: one.ticker,
    "entered_at": lambda one: one.entered_at,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/screener")
async def show_screener(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the screener's list, how it is made, and whether it is fresh."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=TICKERS_BY, usual_sort="rank")
    values = {
        "asked": asked,
        "screener": await desk.screener.status(),
        "strategies": await desk.screener.strategies(),
        "tickers": arrange(await desk.screener.tickers(), asked, by=TICKERS_BY),
        "changes": await desk.screener.changes(limit=JOBS),
        "sources": [one.value for one in Source],
        "ranges": RANGES,
    }
    return await show_page(request, "operations/screener.html", values, desk=desk, who=who)


@routes.get("/console/operations")
async def show_operations(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what waits, what is wrong anywhere, rate budgets, and what may be traded."""
    needs(Role.OPERATOR, who)
    values = {
        "workers": await desk.health.workers(),
        "queues": await desk.health.queues(),
        "journal": await desk.health.journal(),
        "breakers": await desk.breakers.breakers(),
        "differences": await desk.drifts.count(owner=who.owner),
        "foreign": await desk.foreign.count(owner=who.owner),
        "weights": await desk.weights.weights(),
        "trading": await desk.trading_states.now(owner=who.owner),
    }
    return await show_page(request, "operations/operations.html", values, desk=desk, who=who)


@routes.get("/console/operations/workers")
async def show_workers(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the desk's processes, and which ended without a word."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=WORKER_FIELDS, usual_sort="role")
    values = {
        **await page_of(WORKERS, WORKERS.within(await desk.health.workers()), asked),
        "file": asked.file("/api/v1/workers"),
    }
    return await show_page(request, "operations/workers.html", values, desk=desk, who=who)


@routes.get("/console/operations/breakers")
async def show_breakers(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show which venues and symbols take no entries, and since when."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=BREAKER_FIELDS, usual_sort="name")
    lines = await desk.breakers.breakers()
    values = {
        **await page_of(BREAKERS, BREAKERS.within(lines), asked),
        "file": asked.file("/api/v1/breakers"),
    }
    return await show_page(request, "operations/breakers.html", values, desk=desk, who=who)


@routes.get("/console/operations/backups")
async def show_backups(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the backups in the desk's folder, how one is put back, and what clearing the database would forget."""
    needs(Role.ADMIN, who)
    asked = asked_of(request, sorts=BACKUP_FIELDS, usual_sort="-made_at")
    values = {
        **await page_of(BACKUPS, BACKUPS.within(await desk.backups.backups()), asked),
        "file": asked.file("/api/v1/backups"),
        "folder": desk.backups.folder,
        "standing": await desk.clear_books.standing(),
    }
    return await show_page(request, "operations/backups.html", values, desk=desk, who=who)
