"""What bots and subscriptions earned and lost."""

from datetime import UTC, date, timedelta
from itertools import accumulate
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.pages.drawing import columns_of
from pregao.edges.http.console.showing import CHOICES_MAX, show_page
from pregao.edges.http.desk import Desk
from pregao.views.performance import BotPerformance, Chosen, Period, SubscriptionPerformance

SPANS = (7, 30, 90, 365)  # days that performance is shown of
ALL = "all"

routes = APIRouter(include_in_schema=False)


@routes.get("/console/performance")
async def show_performance(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    of: str = "",
    days: int = SPANS[1],
    symbol: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show what was earned and lost: by everything one may see, a bot, or one subscription; on every symbol or one."""
    choices = await _performers(desk, who)
    of = of if of in {choice["value"] for choice in choices} else ALL
    days = days if days in SPANS else SPANS[1]
    asked = _chosen(of, owner=who.owner, symbol=printable(symbol.upper()))
    last_day = desk.clock().astimezone(UTC).date()
    span = {"first_day": last_day - timedelta(days=days - 1), "last_day": last_day}
    found = await desk.performances.performance(asked, **span)
    whole = await _carried_out(desk, asked, **span)
    values = {
        "choices": choices,
        "spans": SPANS,
        "chosen": {"of": of, "days": days, "symbol": asked.symbol or ""},
        "name": next(choice["name"] for choice in choices if choice["value"] == of),
        "file": _file_of(asked, days=days),
        "found": found if found.period.all_time.closed else None,
        "whole": whole,
        "average": whole.average if isinstance(whole, BotPerformance) else None,
        **_drawn(found.period),
    }
    return await show_page(request, "performance/performance.html", values, desk=desk, who=who)


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
    return [{"value": ALL, "name": ""}, *whole] + [
        {"value": f"sub.{one.subscription.subscription_id}", "name": f"{one.bot.name} / {one.account.name}"}
        for one in subscriptions
    ]


def _chosen(of: str, *, owner: UUID | None, symbol: str | None) -> Chosen:
    kind, _, subject = of.partition(".")
    return Chosen(
        owner=owner,
        bot_id=UUID(subject) if kind == "bot" else None,
        subscription_id=UUID(subject) if kind == "sub" else None,
        symbol=symbol,
    )


async def _carried_out(
    desk: Desk, asked: Chosen, *, first_day: date, last_day: date
) -> BotPerformance | SubscriptionPerformance | None:
    """Give what became of a bot's or subscription's orders; of one symbol nothing is counted."""
    span = {"first_day": first_day, "last_day": last_day}
    if asked.symbol is not None:
        return None
    if asked.bot_id is not None:
        return await desk.performances.find_bot_performance(asked.bot_id, **span)
    if asked.subscription_id is not None:
        return await desk.performances.find_subscription_performance(
            asked.subscription_id, owner=asked.owner, **span
        )
    return None


def _file_of(asked: Chosen, *, days: int) -> str:
    """Give the address of the same figures as a file, line by line."""
    named = {
        "days": days,
        "bot_id": asked.bot_id,
        "subscription_id": asked.subscription_id,
        "symbol": asked.symbol,
        "format": "csv",
    }
    return "/api/v1/performance?" + urlencode(
        {name: value for name, value in named.items() if value is not None}
    )


def _drawn(period: Period) -> dict[str, Any]:
    """Give what is drawn: the sum day by day, each day by itself, and how far below its highest point the sum stood."""
    sums = [line.cumulative.pnl_usd for line in period.daily]
    before = period.daily[0].cumulative.pnl_usd - period.daily[0].results.pnl_usd
    peaks = list(accumulate(sums, max, initial=before))[1:]
    return {
        "curve": [
            {"time": one.day.isoformat(), "value": str(one.cumulative.pnl_usd)} for one in period.daily
        ],
        "columns": columns_of([one.results.pnl_usd for one in period.daily]),
        "falls": columns_of([total - peak for total, peak in zip(sums, peaks, strict=True)]),
        "days": [one for one in period.daily[::-1] if one.results.closed],
    }
