"""Bots: channels of signals, their rules, and the messages that reach them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.bot import Bot, BotStatus
from pregao.domain.candle import Timeframe
from pregao.domain.user import Role
from pregao.edges.http.api.bots import shown_bot
from pregao.edges.http.api.listing import BOTS
from pregao.edges.http.api.models import models_of
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import asked_of, page_of
from pregao.edges.http.console.showing import needs, show_missing, show_page
from pregao.edges.http.desk import Desk
from pregao.signals.messages import MESSAGES
from pregao.views.activity import SignalLine
from pregao.views.configured import BotLine
from pregao.views.performance import Chosen, Results
from pregao.views.sorting import BOT_FIELDS, Shape

DAYS = 30  # that results are shown of
TURNED_DOWN = 10
TIMEFRAMES = [(str(one), str(one)) for one in Timeframe]

routes = APIRouter(include_in_schema=False)


@routes.get("/console/bots")
async def show_bots(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the bots and what they came to, with their addresses for those who set them up."""
    asked = asked_of(request, sorts=BOT_FIELDS, usual={"status": ""})
    status = asked.chosen["status"]

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[BotLine]:
        return await desk.configured.bots(
            status=status or None, market_type=None, after=after, shape=shape, limit=limit
        )

    found = await page_of(BOTS, find, asked)
    values = {
        **found,
        "file": asked.file("/api/v1/bots", status=status) if who.role.is_staff else None,
        "statuses": [one.value for one in BotStatus],
        "addresses": {
            one.bot.bot_id: shown_bot(one, desk=desk, request=request)["webhook_url"]
            for one in found["lines"]
        },
        "days": DAYS,
        "earned": await _earned(desk, who),
        "nothing": Results(),
    }
    return await show_page(request, "bots/bots.html", values, desk=desk, who=who)


@routes.get("/console/bots/new")
async def show_new_bot(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show all rules of a bot that is not made yet, as they are where nobody says anything."""
    needs(Role.OPERATOR, who)
    values = {
        "bot": Bot(bot_id=UUID(int=0), name="", webhook_path="", secret_sha256=""),
        **await _choices(desk),
    }
    return await show_page(request, "bots/new.html", values, desk=desk, who=who)


@routes.get("/console/bots/{bot_id:uuid}")
async def show_bot(bot_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one bot: its rules to change, what TradingView needs, and which signals it did not trade and why."""
    needs(Role.OPERATOR, who)
    line = await desk.configured.find_bot(bot_id)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    shown = shown_bot(line, desk=desk, request=request)
    earned, refused, declined = await asyncio.gather(
        _earned(desk, who), _signals(bot_id, "refused", desk), _signals(bot_id, "declined", desk)
    )
    values = {
        "line": line,
        "address": shown["webhook_url"],
        "former_until": shown["former_secret_until"],
        "messages": MESSAGES,
        "days": DAYS,
        "results": earned.get(bot_id, Results()),
        "turned_down": sorted([*refused, *declined], key=lambda one: one.received_at, reverse=True)[
            :TURNED_DOWN
        ],
        **await _choices(desk),
    }
    return await show_page(request, "bots/bot.html", values, desk=desk, who=who)


async def _choices(desk: Desk) -> dict[str, object]:
    models = [one.name for one in await models_of(desk) if one.code is None]
    return {"timeframes": TIMEFRAMES, "models": models}


async def _earned(desk: Desk, who: Principal) -> dict[UUID, Results]:
    today = desk.clock().date()
    found = await desk.performances.bots(
        Chosen(owner=who.owner), first_day=today - timedelta(days=DAYS - 1), last_day=today
    )
    return {one.bot_id: one.results for one in found}


async def _signals(bot_id: UUID, status: str, desk: Desk) -> list[SignalLine]:
    return list(
        await desk.activity.signals(owner=None, bot_id=bot_id, status=status, before=None, limit=TURNED_DOWN)
    )
