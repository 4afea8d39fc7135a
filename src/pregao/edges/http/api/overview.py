"""The whole desk at a glance, for those who look after it; and the end of bots that were never used."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from pregao.bots.configure import forget_bot
from pregao.domain.bot import BotStatus
from pregao.edges.http.api.accounts import AccountShown, account_fields
from pregao.edges.http.api.bots import BotShown, shown_bot
from pregao.edges.http.api.roles import OPERATOR, Admin
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    Amount,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)

routes = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[TOKEN, OPERATOR], responses=ERRORS)


class DeskStatsShown(Shown):
    """How much there is of everything; today is the UTC day, amounts are in USD."""

    users: int
    users_active: int
    bots_active: int
    bots_paused: int
    bots_archived: int
    accounts: int
    accounts_active: int
    accounts_ready: int
    accounts_warning: int
    accounts_blocked: int
    subscriptions_active: int
    subscriptions_paused: int
    signals_today: int
    signals_refused_today: int
    signals_declined_today: int
    signals_waiting: int
    orders_live: int
    orders_unresolved: int
    positions_live: int
    positions_closed_today: int
    wins_today: int
    losses_today: int
    pnl_today: Amount
    workers: int
    timestamp: datetime


class BotOverviewShown(BotShown):
    """A bot and how much hangs on it."""

    subscriptions: int
    paused_subscriptions: int
    signals: int
    live_positions: int


class BotForgottenShown(Shown):
    """A bot that is no more."""

    bot_id: UUID
    is_forgotten: bool


class AccountOverviewShown(AccountShown):
    """An account, whose it is, and how much hangs on it; without an e-mail it is the desk's own."""

    email: str | None
    user_name: str | None
    active_subscriptions: int
    live_positions: int


class WebhookShown(Shown):
    """A bot's address and what came in by it, or knocked in vain."""

    bot_id: UUID
    bot_name: str
    status: BotStatus
    webhook_path: str
    webhook_url: str
    is_open: bool
    signals_per_minute_max: int | None
    last_signal_at: datetime | None
    signals: int
    deliveries: int
    refused: int
    last_code: str | None
    turned_away: int
    last_turned_away_at: datetime | None


@routes.get("/dashboard/stats")
async def get_desk_stats(desk: DeskGiven) -> DeskStatsShown:
    """Count everything."""
    now = desk.clock()
    return DeskStatsShown.model_validate({**asdict(await desk.overview.stats(now=now)), "timestamp": now})


@routes.get("/bots")
async def list_bot_overviews(
    desk: DeskGiven, request: Request, cursor: UUID | None = None, limit: Limit = PAGE_ITEMS
) -> Page[BotOverviewShown]:
    """Give all bots with what hangs on them, archived ones too, oldest first."""
    bots = [
        BotOverviewShown.model_validate(
            {
                **shown_bot(one.line, desk=desk, request=request),
                "subscriptions": one.subscriptions,
                "paused_subscriptions": one.paused_subscriptions,
                "signals": one.signals,
                "live_positions": one.live_positions,
            }
        )
        for one in await desk.overview.bots(after=cursor, limit=limit)
    ]
    return page_of(bots, limit=limit, cursor=lambda last: last.bot_id)


@routes.delete("/bots/{bot_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_bot_for_good(bot_id: UUID, desk: DeskGiven, _who: Admin) -> BotForgottenShown:
    """Delete an archived bot that never had a signal, with its canceled subscriptions; its path is free again."""
    async with desk.bots.open(owner=None) as book:
        await book.append(await forget_bot(bot_id, book=book, now=desk.clock()))
    return BotForgottenShown(bot_id=bot_id, is_forgotten=True)


@routes.get("/exchanges")
async def list_account_overviews(
    desk: DeskGiven,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[AccountOverviewShown]:
    """Give everybody's accounts with whose they are and what hangs on them, oldest first."""
    accounts = [
        AccountOverviewShown.model_validate(
            {
                **account_fields(one.line),
                "email": None if one.user is None else one.user.email,
                "user_name": None if one.user is None else one.user.name,
                "active_subscriptions": one.active_subscriptions,
                "live_positions": one.live_positions,
            }
        )
        for one in await desk.overview.accounts(after=cursor, limit=limit)
    ]
    return page_of(accounts, limit=limit, cursor=lambda last: last.account_id)


@routes.get("/webhooks")
async def list_webhooks(
    desk: DeskGiven, request: Request, cursor: UUID | None = None, limit: Limit = PAGE_ITEMS
) -> Page[WebhookShown]:
    """Give the bots' addresses, what came in by them and what was turned away, oldest first."""
    webhooks = [
        WebhookShown.model_validate(
            {
                **shown_bot(one.line, desk=desk, request=request),
                "bot_name": one.line.bot.name,
                "signals": one.signals,
                "deliveries": one.deliveries,
                "refused": one.refused,
                "last_code": one.last_code,
                "turned_away": one.turned_away,
                "last_turned_away_at": one.last_turned_away_at,
            }
        )
        for one in await desk.overview.webhooks(after=cursor, limit=limit)
    ]
    return page_of(webhooks, limit=limit, cursor=lambda last: last.bot_id)
