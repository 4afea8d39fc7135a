"""What bots and subscriptions earned and lost."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import CHOICES_MAX, show_page
from pregao.edges.http.desk import Desk
from pregao.views.performance import BotPerformance, Period, SubscriptionPerformance

SPANS = (7, 30, 90, 365)  # days that performance is shown of

routes = APIRouter(include_in_schema=False)


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
