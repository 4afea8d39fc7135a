"""What those who look after the desk watch: workers, budgets, breakers, alerts, the screener."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.account import EXCHANGES
from pregao.domain.alert import AlertKind, AlertLevel, ChannelKind
from pregao.domain.screener import Source
from pregao.domain.user import Role
from pregao.edges.http.api.listing import ALERTS
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, arrange, asked_of, page_of
from pregao.edges.http.console.showing import CHOICES_MAX, JOBS, needs, show_missing, show_page
from pregao.market.strategies import RANGES
from pregao.views.alerts import AlertLine
from pregao.views.screener import TickerLine
from pregao.views.sorting import ALERT_FIELDS, Shape

TICKERS_BY: dict[str, Callable[[TickerLine], Any]] = {
    "rank": lambda one: one.rank,
    "ticker": lambda one: one.ticker,
    "entered_at": lambda one: one.entered_at,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/alerts")
async def show_alerts(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a person should know, whom it was told, and who takes care of it."""
    asked = asked_of(request, sorts=ALERT_FIELDS, usual={"level": "", "kind": "", "state": ""})
    level, kind = asked.chosen["level"], asked.chosen["kind"]
    is_acknowledged = {"open": False, "taken": True}.get(asked.chosen["state"])

    async def find(before: UUID | None, *, shape: Shape, limit: int) -> Sequence[AlertLine]:
        return await desk.alerts.alerts(
            owner=who.owner,
            level=AlertLevel(level) if level in set(AlertLevel) else None,
            kind=AlertKind(kind) if kind in set(AlertKind) else None,
            is_acknowledged=is_acknowledged,
            before=before,
            shape=shape,
            limit=limit,
        )

    values = {
        **await page_of(ALERTS, find, asked),
        "file": asked.file(
            "/api/v1/alerts",
            level=level,
            kind=kind,
            acknowledged="" if is_acknowledged is None else str(is_acknowledged).lower(),
        ),
        "levels": list(AlertLevel),
        "kinds": sorted(AlertKind),
        "channels": await desk.alerts.channels(owner=who.owner),
        "least": await desk.alerts.level(),
        "can_act": who.role.includes(Role.TRADER),
        "is_staff": who.role.is_staff,
        "channel_kinds": kinds_for(who),
    }
    return await show_page(request, "operations/alerts.html", values, desk=desk, who=who)


def kinds_for(who: Principal) -> list[str]:
    """Give the kinds of channel that somebody may make."""
    return [one.value for one in ChannelKind if who.role.is_staff or one is not ChannelKind.APPRISE]


@routes.get("/console/alerts/channels/{channel_id:int}")
async def show_channel(
    *,
    channel_id: int,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    before: UUID | None = None,
) -> Response:
    """Show one channel: how it reaches people, what it carries, and what came of each message."""
    found = [
        one for one in await desk.alerts.channels(owner=who.owner) if one.channel.channel_id == channel_id
    ]
    if not found:
        return await show_missing(request, desk=desk, who=who)
    [line] = found
    asked = asked_of(request, usual={"status": ""})
    lines = await desk.alerts.deliveries(
        owner=who.owner,
        channel_id=channel_id,
        status=asked.chosen["status"] or None,
        before=before,
        limit=ROWS + 1,
    )
    values = {
        "line": line,
        "it": line.channel,
        "asked": asked,
        "lines": lines[:ROWS],
        "following": str(lines[ROWS - 1].alert_id) if len(lines) > ROWS else None,
        "file": asked.file(f"/api/v1/alert-channels/{channel_id}/deliveries", status=asked.chosen["status"]),
        "levels": list(AlertLevel),
        "least": await desk.alerts.level(),
        "can_act": who.role.includes(Role.TRADER),
        "is_staff": who.role.is_staff,
    }
    return await show_page(request, "operations/channel.html", values, desk=desk, who=who)


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
    """Show workers, breakers, rate budgets, differences, and what may be traded."""
    needs(Role.OPERATOR, who)
    accounts = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    values = {
        "workers": await desk.health.workers(),
        "queues": await desk.health.queues(),
        "journal": await desk.health.journal(),
        "breakers": await desk.breakers.breakers(),
        "weights": await desk.weights.weights(),
        "drifts": await desk.drifts.accounts(
            owner=who.owner, only_drifting=True, after=None, limit=CHOICES_MAX
        ),
        "subscriptions": await desk.configured.subscriptions(
            owner=who.owner, bot_id=None, account_id=None, status=None, after=None, limit=CHOICES_MAX
        ),
        "accounts": [one for one in accounts if one.account.venue in EXCHANGES],
        "foreign": await desk.foreign.orders(owner=who.owner, account_id=None, after=None, limit=CHOICES_MAX),
        "cancels": await desk.foreign.cancels(owner=who.owner, before=None, limit=JOBS),
        "backups": {"folder": desk.backups.folder, "lines": await desk.backups.backups()}
        if who.role.includes(Role.ADMIN)
        else None,
        "standing": await desk.clear_books.standing() if who.role.includes(Role.ADMIN) else None,
        "trading": await desk.trading_states.now(owner=who.owner),
    }
    return await show_page(request, "operations/operations.html", values, desk=desk, who=who)
