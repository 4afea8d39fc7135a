"""Subscriptions: which account follows which bot, with what, within which limits, and why it skipped what it skipped."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.bots.by_hand import BY_HAND_PATH
from pregao.domain.account import EXCHANGES
from pregao.domain.bot import SubscriptionStatus
from pregao.domain.order import OrderStatus
from pregao.domain.user import Role
from pregao.edges.http.api.listing import SUBSCRIPTIONS
from pregao.edges.http.api.rules import RiskShown, effective_by_symbol, effective_on
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, UUID_OR_NONE, asked_of, page_of
from pregao.edges.http.console.pages.bots import TIMEFRAMES
from pregao.edges.http.console.showing import CHOICES_MAX, names_for, show_missing, show_page
from pregao.edges.http.desk import Desk
from pregao.views.activity import OrderLine
from pregao.views.configured import SubscriptionLine
from pregao.views.sorting import SUBSCRIPTION_FIELDS, Shape

ORDERS = 10

routes = APIRouter(include_in_schema=False)


@routes.get("/console/subscriptions")
async def show_subscriptions(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    bot: Annotated[str, Query(pattern=UUID_OR_NONE)] = "",
    account: Annotated[str, Query(pattern="^[0-9]{0,18}$")] = "",
) -> Response:
    """Show who follows what: how each is, and what of its limits is used."""
    asked = asked_of(request, sorts=SUBSCRIPTION_FIELDS, usual={"bot": "", "account": "", "status": ""})
    status = asked.chosen["status"]

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[SubscriptionLine]:
        return await desk.configured.subscriptions(
            owner=who.owner,
            bot_id=UUID(bot) if bot else None,
            account_id=int(account) if account else None,
            status=status or None,
            after=after,
            shape=shape,
            limit=limit,
        )

    found = await page_of(SUBSCRIPTIONS, find, asked)
    lines: Sequence[SubscriptionLine] = found["lines"]
    values = {
        **found,
        "file": asked.file(
            "/api/v1/bot-subscriptions/my-subscriptions", bot_id=bot, account_id=account, status=status
        ),
        "statuses": [one.value for one in SubscriptionStatus],
        "used": await desk.configured.used(
            [one.subscription.subscription_id for one in lines], day=desk.clock().date()
        ),
        "effective": {
            one.subscription.subscription_id: effective_on(None, bot=one.bot, subscription=one.subscription)
            for one in lines
        },
        "exchanges": EXCHANGES,
        "named": await names_for(desk, who),
        **await _joinable(desk, who),
    }
    return await show_page(request, "subscriptions/subscriptions.html", values, desk=desk, who=who)


@routes.get("/console/subscriptions/{subscription_id:uuid}")
async def show_subscription(subscription_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one: what it trades with and where each value is set, its limits, its light, and what it skipped and why."""
    line = await desk.configured.find_subscription(subscription_id, owner=who.owner)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    account_id = line.account.account_id
    latest, denied, rejected, used, account = await asyncio.gather(
        _orders(line.subscription.subscription_id, None, ORDERS, desk=desk, who=who),
        _orders(line.subscription.subscription_id, OrderStatus.DENIED, ROWS, desk=desk, who=who),
        _orders(line.subscription.subscription_id, OrderStatus.REJECTED, ROWS, desk=desk, who=who),
        desk.configured.used([subscription_id], day=desk.clock().date()),
        desk.configured.find_account(account_id, owner=who.owner),
    )
    effective = effective_on(None, bot=line.bot, subscription=line.subscription)
    values = {
        "line": line,
        "account": account,
        "used": used[subscription_id],
        "effective": effective,
        "by_symbol": effective_by_symbol(line.bot, line.subscription),
        "own_symbols": {row.symbol: row for row in line.subscription.symbols},
        "timeframes": TIMEFRAMES,
        "risk_rules": _rules_in(effective.risk),
        "latest": latest,
        "skipped": sorted([*denied, *rejected], key=lambda one: one.planned_at, reverse=True)[:ROWS],
        "exchanges": EXCHANGES,
        "can_change": who.role.includes(Role.TRADER)
        and line.subscription.status is not SubscriptionStatus.CANCELED,
    }
    return await show_page(request, "subscriptions/subscription.html", values, desk=desk, who=who)


def _rules_in(risk: RiskShown) -> int:
    told = risk.model_dump(exclude={"capital_usd", "since"})
    return sum(value is not None for value in told.values())


async def _orders(
    subscription_id: UUID, status: OrderStatus | None, limit: int, *, desk: Desk, who: Principal
) -> list[OrderLine]:
    return list(
        await desk.activity.orders(
            owner=who.owner,
            account_id=None,
            subscription_id=subscription_id,
            signal_id=None,
            status=status,
            before=None,
            limit=limit,
        )
    )


async def _joinable(desk: Desk, who: Principal) -> dict[str, object]:
    if not who.role.includes(Role.TRADER):
        return {"can_join": False, "bots": [], "accounts": []}
    bots, accounts = await asyncio.gather(
        desk.configured.bots(status="active", market_type=None, after=None, limit=CHOICES_MAX),
        desk.configured.accounts(owner=who.owner, is_active=True, after=None, limit=CHOICES_MAX),
    )
    open_bots = [one for one in bots if one.bot.webhook_path != BY_HAND_PATH]
    newest = {"bots": open_bots[::-1], "accounts": accounts[::-1]}
    return {"can_join": bool(open_bots and accounts), **newest}
