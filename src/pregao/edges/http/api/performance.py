"""What subscriptions and bots earned and lost, and what became of their orders."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.bots.subscribe import REASON_CHARACTERS_MAX, REASON_CHARACTERS_MIN, forgive_daily_loss
from pregao.domain.money import ZERO
from pregao.edges.http.api.roles import OPERATOR, Operator, Viewer
from pregao.edges.http.api.shapes import (
    ERRORS,
    ID_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of_shown
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.views.performance import (
    Chosen,
    DailyLine,
    Period,
    ResultLine,
    Results,
    SubscriptionPerformance,
)

DAYS, DAYS_MAX = 30, 365

subscription_routes = APIRouter(
    prefix="/api/v1/bot-subscriptions", tags=["performance"], dependencies=[TOKEN], responses=ERRORS
)
routes = APIRouter(prefix="/api/v1/performance", tags=["performance"], dependencies=[TOKEN], responses=ERRORS)
bot_routes = APIRouter(
    prefix="/api/v1/bots", tags=["performance"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)

Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="UTC days, today included.")]
Reason = Annotated[
    str, Field(json_schema_extra={"minLength": REASON_CHARACTERS_MIN, "maxLength": REASON_CHARACTERS_MAX})
]


class Forgiveness(Asked):
    """Why a loss is forgiven: kept with who did it."""

    reason: Reason


class ResultsShown(Shown):
    """What closed positions came to. Amounts are in the account's margin asset; 0 is neither win nor loss."""

    closed: int
    wins: int
    losses: int
    win_rate_pct: Amount | None
    pnl_usd: Amount
    pnl_pct: Amount | None
    gross_pnl_usd: Amount
    fees_usd: Amount
    loss_usd: Amount
    notional_usd: Amount
    average_pnl_usd: Amount | None
    profit_factor: Amount | None


class TodayShown(ResultsShown):
    """Today so far, and what of it the daily limit counts."""

    forgiven_usd: Amount
    counted_loss_usd: Amount
    open_loss_usd: (
        Amount  # of open positions that were closed in part today; it counts too, and is not forgiven
    )
    max_daily_loss_usd: Amount
    remaining_loss_usd: Amount


class DayShown(ResultsShown):
    """One UTC day, and all up to it since the first."""

    day: date
    forgiven_usd: Amount
    cumulative_closed: int
    cumulative_wins: int
    cumulative_losses: int
    cumulative_pnl_usd: Amount


class SymbolResultsShown(ResultsShown):
    """What one symbol gave in the period."""

    symbol: str


class PeriodShown(Shown):
    """Figures of some days in a row."""

    first_day: date
    last_day: date
    period: ResultsShown
    all_time: ResultsShown
    best_pnl_usd: Amount | None
    worst_pnl_usd: Amount | None
    drawdown_max_usd: Amount
    daily: list[DayShown]
    symbols: list[SymbolResultsShown]


class ExecutionsShown(Shown):
    """What became of orders: executed, failed, skipped and pending are all that were received."""

    received: int
    executed: int
    failed: int
    skipped: int
    pending: int


class ForgivenShown(Shown):
    """A loss that limits no longer count."""

    day: date
    symbol: str
    forgiven_usd: Amount
    forgiven_by: str
    reason: str


class SubscriptionPerformanceShown(PeriodShown):
    """How one subscription did; its executions are counted since it began."""

    subscription_id: UUID
    bot_id: UUID
    bot_name: str
    account_id: int
    account_name: str
    today: TodayShown
    forgiven: list[ForgivenShown]
    executions: ExecutionsShown


class SnapshotShown(Shown):
    """A day on which something closed, in the words of `bot_pnl_history`; the win rate is of all days up to it."""

    snapshot_date: date
    daily_pnl_usd: Amount
    daily_trades: int
    daily_wins: int
    daily_losses: int
    cumulative_pnl_usd: Amount
    cumulative_trades: int
    cumulative_wins: int
    cumulative_losses: int
    win_rate_pct: Amount | None


class SnapshotsShown(Shown):
    """The days of the period on which something closed, the earliest first."""

    subscription_id: UUID
    items: list[SnapshotShown]


class ForgivenessShown(Shown):
    """Today as limits see it now."""

    subscription_id: UUID
    day: date
    today: TodayShown


class SubscriberShown(ResultsShown):
    """What one subscription of the bot came to in the period."""

    subscription_id: UUID
    account_id: int
    account_name: str


class AverageShown(Shown):
    """How orders with a fill were filled on average; positive slippage is worse, `_ms` count from the arrival."""

    slippage_bps: Amount | None
    sent_ms: int | None
    acknowledged_ms: int | None
    booked_ms: int | None


class BotPerformanceShown(PeriodShown):
    """How a bot did for all its subscribers; signals and executions are those that arrived in the period."""

    bot_id: UUID
    bot_name: str
    today: ResultsShown
    top_subscribers: list[SubscriberShown]
    signals: dict[str, int]
    executions: ExecutionsShown
    average: AverageShown


class BotResultsShown(ResultsShown):
    """What one bot came to in the period."""

    bot_id: UUID
    bot_name: str


class AccountResultsShown(ResultsShown):
    """What one account came to in the period."""

    account_id: int
    account_name: str


class PerformanceShown(PeriodShown):
    """How everything that is chosen did, whole and by its parts; those that earned most come first."""

    today: ResultsShown
    bots: list[BotResultsShown]
    accounts: list[AccountResultsShown]


class ResultShown(Shown):
    """What one subscription gave on one symbol on one UTC day."""

    day: date
    bot_id: UUID
    bot_name: str
    account_id: int
    account_name: str
    subscription_id: UUID
    symbol: str
    closed: int
    wins: int
    losses: int
    pnl_usd: Amount
    gross_pnl_usd: Amount
    fees_usd: Amount
    loss_usd: Amount
    notional_usd: Amount


@routes.get("", response_model=PerformanceShown, responses=AsCsv)
async def get_performance(
    *,
    desk: DeskGiven,
    who: Viewer,
    days: Days = DAYS,
    bot_id: UUID | None = None,
    subscription_id: UUID | None = None,
    account_id: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    symbol: Annotated[str | None, Query(max_length=40, description="The whole of it.")] = None,
    kind: Format = "json",
) -> PerformanceShown | Response:
    """Say what was earned and lost, by day, bot, symbol and account; `csv` gives the lines it is the sum of."""
    first_day, last_day = _window(desk, days=days)
    chosen = Chosen(
        owner=who.owner,
        bot_id=bot_id,
        subscription_id=subscription_id,
        account_id=account_id,
        symbol=printable(symbol and symbol.strip().upper()),
    )
    if kind == "csv":
        find = partial(
            desk.performances.results, chosen, first_day=first_day, last_day=last_day, limit=SHEET_ITEMS
        )

        async def fetch(last: ResultLine | None) -> Sequence[ResultLine]:
            return await find(after=last)

        return await sheet_of_shown(fetch, shown=ResultShown, name="performance")
    found = await desk.performances.performance(chosen, first_day=first_day, last_day=last_day)
    return PerformanceShown.model_validate(
        {
            **_period(found.period),
            "today": found.period.today,
            "bots": [{**_fields(one, without="results"), **_results(one.results)} for one in found.bots],
            "accounts": [
                {**_fields(one, without="results"), **_results(one.results)} for one in found.accounts
            ],
        }
    )


@subscription_routes.get("/{subscription_id:uuid}/performance", responses=UNKNOWN)
async def get_subscription_performance(
    subscription_id: UUID, desk: DeskGiven, who: Viewer, days: Days = DAYS
) -> SubscriptionPerformanceShown:
    """Say what a subscription earned and lost, day by day and symbol by symbol."""
    found = await _get_performance(subscription_id, desk=desk, who=who, days=days)
    return SubscriptionPerformanceShown.model_validate(
        {
            **_fields(found, without="period"),
            **_period(found.period),
            "today": _today(found),
        }
    )


@subscription_routes.get("/{subscription_id:uuid}/daily-snapshots", responses=UNKNOWN)
async def get_daily_snapshots(
    subscription_id: UUID, desk: DeskGiven, who: Viewer, days: Days = DAYS
) -> SnapshotsShown:
    """Give the days on which something closed; nobody has to take a snapshot, a day has one from its first close on."""
    found = await _get_performance(subscription_id, desk=desk, who=who, days=days)
    items = [_snapshot(line) for line in found.period.daily if line.results.closed]
    return SnapshotsShown(subscription_id=subscription_id, items=items)


@subscription_routes.post("/{subscription_id:uuid}/reset-daily-loss", responses={**UNKNOWN, **UNREADABLE})
async def post_reset_daily_loss(
    subscription_id: UUID, body: Forgiveness, desk: DeskGiven, who: Operator
) -> ForgivenessShown:
    """Forgive what the subscription lost so far today: limits count it no more, the figures keep it."""
    forgiven_by = await _name_of(who, desk=desk)
    async with desk.bots.open(owner=who.owner) as book:
        facts = await forgive_daily_loss(
            subscription_id, reason=body.reason, forgiven_by=forgiven_by, book=book, now=desk.clock()
        )
        await book.append(facts)
    found = await _get_performance(subscription_id, desk=desk, who=who, days=1)
    return ForgivenessShown(
        subscription_id=subscription_id,
        day=found.period.last_day,
        today=TodayShown.model_validate(_today(found)),
    )


@bot_routes.get("/{bot_id:uuid}/performance", responses=UNKNOWN)
async def get_bot_performance(bot_id: UUID, desk: DeskGiven, days: Days = DAYS) -> BotPerformanceShown:
    """Say what a bot earned and lost for all its subscribers, and how well its signals were carried out."""
    first_day, last_day = _window(desk, days=days)
    found = await desk.performances.find_bot_performance(bot_id, first_day=first_day, last_day=last_day)
    if found is None:
        raise ApiError(404, "BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    subscribers = [
        {**_fields(line, without="results"), **_results(line.results)} for line in found.top_subscribers
    ]
    return BotPerformanceShown.model_validate(
        {
            **_fields(found, without="period"),
            **_period(found.period),
            "today": found.period.today,
            "top_subscribers": subscribers,
        }
    )


async def _name_of(who: Principal, *, desk: Desk) -> str:
    line = None if who.user_id is None else await desk.people.find_user(who.user_id)
    return who.label if line is None else line.user.name


async def _get_performance(
    subscription_id: UUID, *, desk: Desk, who: Principal, days: int
) -> SubscriptionPerformance:
    first_day, last_day = _window(desk, days=days)
    found = await desk.performances.find_subscription_performance(
        subscription_id, owner=who.owner, first_day=first_day, last_day=last_day
    )
    if found is None:
        raise ApiError(
            404, "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    return found


def _window(desk: Desk, *, days: int) -> tuple[date, date]:
    today = desk.clock().astimezone(UTC).date()
    return today - timedelta(days=days - 1), today


def _period(period: Period) -> dict[str, Any]:
    return {
        "first_day": period.first_day,
        "last_day": period.last_day,
        "period": period.results,
        "all_time": period.all_time,
        "best_pnl_usd": period.best_pnl_usd,
        "worst_pnl_usd": period.worst_pnl_usd,
        "drawdown_max_usd": period.drawdown_max_usd,
        "daily": [_day(line) for line in period.daily],
        "symbols": [{"symbol": line.symbol, **_results(line.results)} for line in period.symbols],
    }


def _today(found: SubscriptionPerformance) -> dict[str, Any]:
    today = found.period.today
    return {
        **_results(today),
        "max_daily_loss_usd": found.max_daily_loss_usd,
        "open_loss_usd": found.open_loss_usd,
        "remaining_loss_usd": max(
            found.max_daily_loss_usd - today.counted_loss_usd - found.open_loss_usd, ZERO
        ),
    }


def _day(line: DailyLine) -> dict[str, Any]:
    return {
        "day": line.day,
        **_results(line.results),
        "cumulative_closed": line.cumulative.closed,
        "cumulative_wins": line.cumulative.wins,
        "cumulative_losses": line.cumulative.losses,
        "cumulative_pnl_usd": line.cumulative.pnl_usd,
    }


def _snapshot(line: DailyLine) -> SnapshotShown:
    return SnapshotShown(
        snapshot_date=line.day,
        daily_pnl_usd=line.results.pnl_usd,
        daily_trades=line.results.closed,
        daily_wins=line.results.wins,
        daily_losses=line.results.losses,
        cumulative_pnl_usd=line.cumulative.pnl_usd,
        cumulative_trades=line.cumulative.closed,
        cumulative_wins=line.cumulative.wins,
        cumulative_losses=line.cumulative.losses,
        win_rate_pct=line.cumulative.win_rate_pct,
    )


def _results(results: Results) -> dict[str, Decimal | int | None]:
    shown = {name: getattr(results, name) for name in ResultsShown.model_fields}
    return {**shown, "forgiven_usd": results.forgiven_usd, "counted_loss_usd": results.counted_loss_usd}


def _fields(value: Any, *, without: str) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value) if field.name != without}
