"""The console's pages: each reads what it shows, for whoever looks, and changes nothing."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.order import OrderStatus
from pregao.domain.position import PositionStatus
from pregao.domain.trading_state import DESK, scope_of_user
from pregao.domain.user import Role
from pregao.edges.http.api.bots import shown_bot
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.rendering import render
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS, ApiError
from pregao.views.activity import OrderPlace
from pregao.views.health import ROLES_NEEDED
from pregao.views.performance import BotPerformance, Period, SubscriptionPerformance

ROWS = 50  # of a page of a list
CHOICES_MAX = 500  # bots and accounts to choose from in a filter
STORY_MAX = 1_000  # facts of one signal
JOBS = 20
SPANS = (7, 30, 90, 365)  # days that performance is shown of
PLACE = re.compile(r"([0-9a-f-]{36})[.]([a-z0-9]{1,64})")
SIGNAL_STATUSES = ("accepted", "pending", "planned", "settled", "refused", "declined")

routes = APIRouter(include_in_schema=False)


class Forbidden(Exception):  # no error: he is told so on a page
    """Somebody asked for a page that needs a larger role."""

    def __init__(self, who: Principal) -> None:
        super().__init__(who.role)
        self.who = who


@routes.get("/admin")
async def show_overview(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the desk at a glance: all of it to those who look after it, what is his own to anybody else."""
    signals, positions = await asyncio.gather(
        desk.activity.signals(owner=who.owner, bot_id=None, status=None, before=None, limit=10),
        desk.activity.positions(
            owner=who.owner,
            account_id=None,
            bot_id=None,
            status=None,
            live_only=True,
            before=None,
            limit=ROWS,
        ),
    )
    values = {
        "stats": await desk.overview.stats(now=desk.clock()) if who.role.is_staff else None,
        "signals": signals,
        "positions": positions,
        "guards": await desk.guarded.guarded([one.position_id for one in positions]),
        **await _names(desk, who),
    }
    return await _page(request, "overview.html", values, desk=desk, who=who)


@routes.get("/console/health")
async def show_health(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show how the desk is: the line below the bar of every page."""
    return render(request, "health.html", {"health": await _health(desk, who)}, who=who)


@routes.get("/console/signals")
async def show_signals(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    bot: str = "",
    status: str = "",
    before: UUID | None = None,
) -> Response:
    """Show the latest signals."""
    lines = await desk.activity.signals(
        owner=who.owner, bot_id=_uuid(bot), status=status or None, before=before, limit=ROWS + 1
    )
    values = {
        "lines": lines[:ROWS],
        "older": {"before": lines[ROWS - 1].signal_id} if len(lines) > ROWS else None,
        "chosen": {"bot": bot, "status": status},
        "statuses": SIGNAL_STATUSES,
        **await _names(desk, who),
    }
    return await _page(request, "signals.html", values, desk=desk, who=who)


@routes.get("/console/signals/{signal_id:uuid}")
async def show_signal(signal_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one signal's receipt: what it did on every account, and all that happened because of it."""
    receipt = await desk.receipts.find_receipt(signal_id, owner=who.owner)
    if receipt is None:
        return await _missing(request, desk=desk, who=who)
    values = {
        "receipt": receipt,
        "story": await desk.stories.find_story(signal_id, after=None, limit=STORY_MAX)
        if who.role.is_staff
        else (),
    }
    return await _page(request, "signal.html", values, desk=desk, who=who)


@routes.get("/console/approvals")
async def show_approvals(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what waits for a person, and what was answered lately."""
    _needs(Role.OPERATOR, who)
    values = {
        "waiting": await desk.approvals.pending(bot_id=None, after=None, limit=ROWS),
        "answered": await desk.approvals.answered(bot_id=None, after=None, limit=JOBS),
    }
    return await _page(request, "approvals.html", values, desk=desk, who=who)


@routes.get("/console/orders")
async def show_orders(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    status: str = "",
    before: str = "",
) -> Response:
    """Show the latest orders."""
    place = PLACE.fullmatch(before)
    lines = await desk.activity.orders(
        owner=who.owner,
        account_id=int(account) if account else None,
        subscription_id=None,
        signal_id=None,
        status=status or None,
        before=None if place is None else OrderPlace(signal_id=UUID(place[1]), order_id=place[2]),
        limit=ROWS + 1,
    )
    last = lines[ROWS - 1] if len(lines) > ROWS else None
    values = {
        "lines": lines[:ROWS],
        "older": None if last is None else {"before": f"{last.signal_id}.{last.order_id}"},
        "chosen": {"account": account, "status": status},
        "statuses": [one.value for one in OrderStatus],
        **await _names(desk, who),
    }
    return await _page(request, "orders.html", values, desk=desk, who=who)


@routes.get("/console/positions")
async def show_positions(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
    status: str = "live",
    before: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
) -> Response:
    """Show positions and what guards them."""
    lines = await desk.activity.positions(
        owner=who.owner,
        account_id=int(account) if account else None,
        bot_id=None,
        status=status if status not in ("", "live") else None,
        live_only=status == "live",
        before=before,
        limit=ROWS + 1,
    )
    values = {
        "lines": lines[:ROWS],
        "older": {"before": lines[ROWS - 1].position_id} if len(lines) > ROWS else None,
        "chosen": {"account": account, "status": status},
        "statuses": ["live", *(one.value for one in PositionStatus)],
        "guards": await desk.guarded.guarded([one.position_id for one in lines]),
        "can_close": who.role.is_staff,
        **await _names(desk, who),
    }
    return await _page(request, "positions.html", values, desk=desk, who=who)


@routes.get("/console/performance")
async def show_performance(
    *, request: Request, desk: DeskGiven, who: Seen, of: str = "", days: int = SPANS[1]
) -> Response:
    """Show what a bot or one subscription earned and lost; to who is not staff his own subscriptions."""
    choices = await _performers(desk, who)
    known = {choice["value"] for choice in choices}
    of = of if of in known else next(iter(choice["value"] for choice in choices), "")
    days = days if days in SPANS else SPANS[1]
    found = await _find_performance(desk, who, of=of, days=days) if of else None
    values = {
        "choices": choices,
        "spans": SPANS,
        "chosen": {"of": of, "days": days},
        "found": found,
        "curve": [] if found is None else _curve(found.period),
        "days": [] if found is None else [one for one in found.period.daily[::-1] if one.results.closed],
        "subscribers": found.top_subscribers if isinstance(found, BotPerformance) else (),
        "average": found.average if isinstance(found, BotPerformance) else None,
    }
    return await _page(request, "performance.html", values, desk=desk, who=who)


@routes.get("/console/sell-all")
async def show_sell_all(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a job would close, and how the latest jobs went."""
    _needs(Role.TRADER, who)
    scope = DESK if who.owner is None else scope_of_user(who.owner)
    values = {
        "scope": scope,
        "standing": await desk.flattens.standing(scope, owner=who.owner),
        "jobs": await desk.flattens.list_flattens(owner=who.owner, limit=JOBS),
    }
    return await _page(request, "sell_all.html", values, desk=desk, who=who)


@routes.get("/console/sell-all/{flatten_id:uuid}")
async def show_flatten(flatten_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one job's receipt: on each account what was closed and when it was proven flat, or what stands."""
    job = await desk.flattens.find_flatten(flatten_id, owner=who.owner)
    if job is None:
        return await _missing(request, desk=desk, who=who)
    values = {"job": job, "legs": await desk.flattens.accounts_of(flatten_id)}
    return await _page(request, "flatten.html", values, desk=desk, who=who)


@routes.get("/console/bots")
async def show_bots(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the bots, with their addresses for those who set them up."""
    lines = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    values = {
        "lines": lines,
        "addresses": {
            one.bot.bot_id: shown_bot(one, desk=desk, request=request)["webhook_url"] for one in lines
        },
    }
    return await _page(request, "bots.html", values, desk=desk, who=who)


@routes.get("/console/accounts")
async def show_accounts(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show accounts with the lights of their pre-flight."""
    lines = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    return await _page(request, "accounts.html", {"lines": lines}, desk=desk, who=who)


@routes.get("/console/accounts/{account_id:int}")
async def show_account(account_id: int, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one account's pre-flight, check by check."""
    line = None if account_id > ID_MAX else await desk.configured.find_account(account_id, owner=who.owner)
    if line is None:
        return await _missing(request, desk=desk, who=who)
    values = {"line": line, "preflight": await desk.preflights.of(account_id)}
    return await _page(request, "account.html", values, desk=desk, who=who)


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
    return await _page(request, "alerts.html", values, desk=desk, who=who)


@routes.get("/console/screener")
async def show_screener(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the screener's list, how it is made, and whether it is fresh."""
    _needs(Role.OPERATOR, who)
    values = {
        "screener": await desk.screener.status(),
        "strategies": await desk.screener.strategies(),
        "tickers": await desk.screener.tickers(),
    }
    return await _page(request, "screener.html", values, desk=desk, who=who)


@routes.get("/console/operations")
async def show_operations(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show workers, breakers, rate budgets, differences, and what may be traded."""
    _needs(Role.OPERATOR, who)
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
    return await _page(request, "operations.html", values, desk=desk, who=who)


async def show_forbidden(request: Request, forbidden: Any) -> Response:
    """Say so on a page."""
    desk: Desk = request.app.state.desk
    return await _page(request, "forbidden.html", {}, desk=desk, who=forbidden.who, status=403)


async def _page(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    desk: Desk,
    who: Principal,
    status: int = 200,
) -> Response:
    is_part = "hx-request" in request.headers
    health = {} if is_part else {"health": await _health(desk, who)}
    return render(request, template, {**values, **health}, who=who, status=status)


async def _missing(request: Request, *, desk: Desk, who: Principal) -> Response:
    return await _page(request, "missing.html", {}, desk=desk, who=who, status=404)


async def _health(desk: Desk, who: Principal) -> dict[str, Any] | None:
    try:
        workers, trading, unguarded = await asyncio.gather(
            desk.health.workers(), desk.health.trading_health(), desk.guarded.unguarded(owner=who.owner)
        )
        waiting = (
            len(await desk.approvals.pending(bot_id=None, after=None, limit=100)) if who.role.is_staff else 0
        )
    except DATABASE_AWAY_ERRORS:
        return None
    alive = {worker.role for worker in workers if worker.is_alive}
    known = sorted({*ROLES_NEEDED, *(worker.role for worker in workers)})
    return {
        "roles": [{"name": role, "lives": role in alive} for role in known],
        "state": trading.state.value,
        "states_set": trading.states_set,
        "unguarded": unguarded,
        "waiting": waiting,
    }


async def _names(desk: Desk, who: Principal) -> dict[str, Any]:
    """Give bots and accounts to choose from, and what they are called."""
    bots = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    accounts = await desk.configured.accounts(owner=who.owner, is_active=None, after=None, limit=CHOICES_MAX)
    return {
        "bots": bots,
        "accounts": accounts,
        "bot_names": {one.bot.bot_id: one.bot.name for one in bots},
        "account_names": {one.account.account_id: one.account.name for one in accounts},
    }


async def _performers(desk: Desk, who: Principal) -> list[dict[str, str]]:
    bots = await desk.configured.bots(status=None, market_type=None, after=None, limit=CHOICES_MAX)
    subscriptions = await desk.configured.subscriptions(
        owner=who.owner, bot_id=None, account_id=None, status=None, after=None, limit=CHOICES_MAX
    )
    whole = (
        [{"value": f"bot.{one.bot.bot_id}", "name": one.bot.name} for one in bots]
        if who.role.is_staff
        else []
    )
    return whole + [
        {"value": f"sub.{one.subscription.subscription_id}", "name": f"{one.bot.name} / {one.account.name}"}
        for one in subscriptions
    ]


async def _find_performance(
    desk: Desk, who: Principal, *, of: str, days: int
) -> BotPerformance | SubscriptionPerformance | None:
    last_day = desk.clock().date()
    first_day = last_day - timedelta(days=days - 1)
    kind, _, subject = of.partition(".")
    if kind == "bot":
        return await desk.performances.find_bot_performance(
            UUID(subject), first_day=first_day, last_day=last_day
        )
    return await desk.performances.find_subscription_performance(
        UUID(subject), owner=who.owner, first_day=first_day, last_day=last_day
    )


def _curve(period: Period) -> list[dict[str, str]]:
    """Give the points of a chart."""
    return [{"time": one.day.isoformat(), "value": str(one.cumulative.pnl_usd)} for one in period.daily]


def _needs(role: Role, who: Principal) -> None:
    if not who.role.includes(role):
        raise Forbidden(who)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as mistake:
        raise ApiError(422, "FILTER_UNREADABLE", "bot is no id of a bot.", field="bot") from mistake
