"""
Lists at system A's own paths and in its words: orders, what happened to signals, and what people asked for.

An order there is a position that something was held in. Amounts are text, so that no digit is lost.
"""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from pregao.edges.http.api.actions import ActionType, Hours
from pregao.edges.http.api.cursors import Cursor, read_cursor, to_cursor
from pregao.edges.http.api.history import (
    FILE_ERRORS,
    FILE_FORM,
    HISTORY_HOURS,
    DryRun,
    EventHours,
    EventStatus,
    HistoryHours,
    ImportShown,
    SignalType,
    Ticker,
    counted,
    cursor_of,
    event_sheet,
    filter_of,
    import_file,
    to_place,
)
from pregao.edges.http.api.roles import Admin, Operator, name_of
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS_MAX, TOKEN, Amount, DeskGiven, Responses, Shown
from pregao.edges.http.api.sheets import SHEET_ITEMS, sheet_of
from pregao.edges.http.desk import Desk
from pregao.views.actions import ActionFilter, ActionLine
from pregao.views.history import EventFilter
from pregao.views.trips import TripFilter, TripLine, TripPlace

routes = APIRouter(tags=["lists"], dependencies=[TOKEN], responses=ERRORS)

OFFSET_MAX = 10_000  # further back a cursor leads
COUNTED_MAX = 1_000  # of events: nobody turns so many pages, and everybody would wait for the count
ORDERS, ORDERS_MAX = 1_000, 10_000
ACTION_COLUMNS = (
    "action_id", "timestamp", "action_type", "action_name", "admin", "ip_address", "user_agent", "target_resource", "details",
    "success", "error_message", "execution_time_ms",
)  # fmt: skip
CSV_FILE: Responses = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    204: {"description": "There is nothing."},
}

Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX)]


class OrderAtSource(Shown):
    """A round trip; prices and value are null where nobody told a price."""

    id: int
    bot: str | None
    ticker: str
    status: str
    opened_at: datetime | None
    closed_at: datetime | None
    entry_price: Amount | None
    exit_price: Amount | None
    value: Amount | None
    duration: str
    duration_seconds: int


class OrdersAtSource(Shown):
    """Orders, the newest opened first; `total` are those that are meant, on this page or not."""

    orders: list[OrderAtSource]
    count: int
    total: int
    next_cursor: str | None
    timestamp: datetime


class OrderCounts(Shown):
    """How many there are; today is the UTC day."""

    open: int
    closing: int
    closed: int
    closed_today: int


class OrderStatsAtSource(Shown):
    """The counts, and when they were taken."""

    stats: OrderCounts
    timestamp: datetime


class EventAtSource(Shown):
    """One step of one signal."""

    timestamp: datetime
    signal_id: UUID
    ticker: str | None
    event_type: str
    location: str | None
    details: str
    worker_id: str | None
    http_status: int | None
    signal_type: str | None


class AuditTrail(Shown):
    """
    Events, the newest first. Paging by `next_cursor` neither repeats nor leaves out any while others come in.

    `total` counts up to 1,000; where there are more it says so.
    """

    events: list[EventAtSource]
    total: int
    total_is_exact: bool
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None
    filters_applied: dict[str, str | int]


class HourAtSource(Shown):
    """One hour, as it is labeled on a chart."""

    hour: str
    date: date
    signals_received: int
    signals_approved: int
    signals_rejected: int
    signals_forwarded: int
    timestamp: datetime


class SignalsHistory(Shown):
    """Hours, the oldest first."""

    history: list[HourAtSource]
    hours: int
    timestamp: datetime


class ActionAtSource(Shown):
    """What somebody asked for; never what proves him."""

    action_id: UUID
    timestamp: datetime
    action_type: str
    action_name: str
    admin: str
    ip_address: str
    user_agent: str
    target_resource: str | None
    details: dict[str, str]
    success: bool
    error_message: str | None
    execution_time_ms: int


class ActionsLog(Shown):
    """Actions, the latest first."""

    actions: list[ActionAtSource]
    total: int
    limit: int
    offset: int
    has_more: bool


class ActionTypeAtSource(Shown):
    """How often one type of action was taken."""

    action_type: str
    total: int
    succeeded: int
    failed: int
    average_execution_time_ms: int
    last_at: datetime


class ActionsSummary(Shown):
    """All of them, and each type."""

    total: int
    succeeded: int
    failed: int
    types: list[ActionTypeAtSource]
    timestamp: datetime


@routes.get("/admin/orders")
async def list_orders_at_source(
    *,
    desk: DeskGiven,
    _who: Operator,
    status: Literal["open", "closing", "closed", "all"] = "all",
    ticker: Annotated[
        str | None, Query(max_length=40, description="Contained in it, in capitals or not.")
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=ORDERS_MAX)] = ORDERS,
) -> OrdersAtSource:
    """Give orders, the newest opened first."""
    asked = TripFilter(
        status=None if status == "all" else status,
        ticker=(ticker or "").strip().replace("\x00", "\N{REPLACEMENT CHARACTER}") or None,
    )
    before = None if cursor is None else _trip_place(cursor)
    lines = await desk.trips.trips(asked, before=before, limit=limit)
    last = lines[-1] if len(lines) == limit else None
    return OrdersAtSource(
        orders=[_order(line) for line in lines],
        count=len(lines),
        total=await desk.trips.count_trips(asked),
        next_cursor=None
        if last is None or last.opened_at is None
        else to_cursor(last.opened_at, last.position_id),
        timestamp=desk.clock(),
    )


@routes.get("/admin/orders/stats")
async def get_order_stats_at_source(desk: DeskGiven, _who: Operator) -> OrderStatsAtSource:
    """Count the orders."""
    now = desk.clock()
    stats = await desk.trips.stats(now=now)
    return OrderStatsAtSource(
        stats=OrderCounts(**stats.counts, closed_today=stats.closed_today), timestamp=now
    )


@routes.get("/admin/audit-trail")
async def get_audit_trail(
    *,
    desk: DeskGiven,
    _who: Operator,
    status_filter: EventStatus | Literal["all"] | None = None,
    ticker: Ticker = None,
    hours: EventHours = None,
    signal_id: UUID | None = None,
    signal_type: SignalType = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 20,
    offset: Offset = 0,
) -> AuditTrail:
    """Give what happened to signals, step by step."""
    told = {
        "status_filter": None if status_filter == "all" else status_filter, "ticker": ticker, "hours": hours,
        "signal_id": None if signal_id is None else str(signal_id), "signal_type": signal_type,
    }  # fmt: skip
    asked = filter_of(
        desk,
        status=told["status_filter"],  # type: ignore[arg-type]
        ticker=ticker,
        signal_id=signal_id,
        signal_type=signal_type,
        hours=hours,
    )
    before = None if cursor is None else to_place(cursor)
    lines = await desk.history.events(asked, before=before, offset=offset, limit=limit + 1)
    shown = lines[:limit]
    total = await desk.history.count_events(asked, at_most=COUNTED_MAX)
    return AuditTrail(
        events=[
            EventAtSource(
                timestamp=line.happened_at,
                signal_id=line.signal_id,
                ticker=line.ticker,
                event_type=line.status,
                location=line.location,
                details=line.details,
                worker_id=line.worker_id,
                http_status=line.http_status,
                signal_type=line.signal_type,
            )
            for line in shown
        ],
        total=total,
        total_is_exact=total < COUNTED_MAX,
        limit=limit,
        offset=offset,
        has_more=len(lines) > limit,
        next_cursor=cursor_of(shown[-1]) if len(lines) > limit else None,
        filters_applied={name: value for name, value in told.items() if value is not None},
    )


@routes.get("/admin/signals-history")
async def get_signals_history_at_source(
    desk: DeskGiven, _who: Operator, hours: HistoryHours = HISTORY_HOURS
) -> SignalsHistory:
    """Count hour by hour what happened to signals; an hour of nothing has zeros."""
    buckets = await counted(desk, hours=hours)
    return SignalsHistory(
        history=[
            HourAtSource(
                hour=f"{bucket.begins_at:%H:%M}",
                date=bucket.begins_at.date(),
                signals_received=bucket.received,
                signals_approved=bucket.approved,
                signals_rejected=bucket.rejected,
                signals_forwarded=bucket.forwarded,
                timestamp=bucket.begins_at,
            )
            for bucket in buckets
        ],
        hours=hours,
        timestamp=desk.clock(),
    )


@routes.get("/admin/export-csv", response_class=Response, responses=CSV_FILE)
async def export_csv_at_source(desk: DeskGiven, _who: Operator) -> Response:
    """Give all that happened to signals as CSV, the newest first; it can be brought in again."""
    return await event_sheet(desk, EventFilter(), is_empty_204=True)


@routes.get("/admin/database/export", response_class=Response, responses=CSV_FILE)
async def export_database_at_source(desk: DeskGiven, _who: Operator) -> Response:
    """Give all that happened to signals as CSV, the newest first; it can be brought in again."""
    return await event_sheet(desk, EventFilter(), is_empty_204=True)


@routes.post("/admin/import-csv", responses=FILE_ERRORS, openapi_extra=FILE_FORM)
async def import_csv_at_source(
    request: Request, desk: DeskGiven, who: Operator, *, dry_run: DryRun = False
) -> ImportShown:
    """Bring in what was exported, here or elsewhere. It is shown, and trades nothing; twice is once."""
    return await import_file(
        request, desk=desk, imported_by=await name_of(who, desk=desk), is_dry_run=dry_run
    )


@routes.post("/admin/database/import", responses=FILE_ERRORS, openapi_extra=FILE_FORM)
async def import_database_at_source(
    request: Request, desk: DeskGiven, who: Operator, *, dry_run: DryRun = False
) -> ImportShown:
    """Bring in what was exported, here or elsewhere. It is shown, and trades nothing; twice is once."""
    return await import_file(
        request, desk=desk, imported_by=await name_of(who, desk=desk), is_dry_run=dry_run
    )


@routes.get("/admin/actions-log")
async def get_actions_log(
    *,
    desk: DeskGiven,
    _who: Admin,
    action_type_filter: ActionType | Literal["all"] | None = None,
    hours: Hours = None,
    success_filter: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 50,
    offset: Offset = 0,
) -> ActionsLog:
    """Give what people asked the desk to change, and what came of it."""
    asked = _actions_meant(desk, action_type=action_type_filter, hours=hours, is_success=success_filter)
    lines = await desk.actions.actions(asked, offset=offset, limit=limit + 1)
    return ActionsLog(
        actions=[_action(line) for line in lines[:limit]],
        total=await desk.actions.count_actions(asked),
        limit=limit,
        offset=offset,
        has_more=len(lines) > limit,
    )


@routes.get("/admin/actions-log/summary")
async def get_actions_summary(desk: DeskGiven, _who: Admin, hours: Hours = None) -> ActionsSummary:
    """Count what people asked for, by its type."""
    now = desk.clock()
    found = await desk.actions.summary(since=None if hours is None else now - timedelta(hours=hours))
    return ActionsSummary(
        total=sum(one.succeeded + one.failed for one in found),
        succeeded=sum(one.succeeded for one in found),
        failed=sum(one.failed for one in found),
        types=[
            ActionTypeAtSource(
                action_type=one.action_type,
                total=one.succeeded + one.failed,
                succeeded=one.succeeded,
                failed=one.failed,
                average_execution_time_ms=one.duration_ms,
                last_at=one.last_at,
            )
            for one in found
        ],
        timestamp=now,
    )


@routes.get("/admin/actions-log/export", response_model=list[ActionAtSource], responses=CSV_FILE)
async def export_actions_log(
    *,
    desk: DeskGiven,
    _who: Admin,
    kind: Annotated[Literal["csv", "json"], Query(alias="format")] = "csv",
    action_type_filter: ActionType | Literal["all"] | None = None,
    hours: Hours = None,
    success_filter: bool | None = None,
) -> Response:
    """Give all of it as a file, the latest first."""
    asked = _actions_meant(desk, action_type=action_type_filter, hours=hours, is_success=success_filter)

    async def fetch(last: ActionLine | None) -> Sequence[ActionLine]:
        before = None if last is None else last.action_id
        return await desk.actions.actions(asked, before=before, limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of(
            fetch, columns=ACTION_COLUMNS, to_row=_action_row, name="actions", is_empty_204=True
        )
    first = await fetch(None)
    if not first:
        return Response(status_code=204)

    async def parts() -> AsyncIterator[str]:
        items, opening = first, "[\n"
        while items:
            for line in items:
                yield opening + _action(line).model_dump_json()
                opening = ",\n"
            items = await fetch(items[-1]) if len(items) == SHEET_ITEMS else ()
        yield "\n]\n"

    headers = {"Content-Disposition": 'attachment; filename="actions.json"', "Cache-Control": "no-store"}
    return StreamingResponse(parts(), media_type="application/json", headers=headers)


def _trip_place(cursor: str) -> TripPlace:
    opened_at, position_id = read_cursor(cursor, datetime, int)
    return TripPlace(opened_at=opened_at, position_id=position_id)


def _order(line: TripLine) -> OrderAtSource:
    return OrderAtSource(
        id=line.position_id,
        bot=line.bot,
        ticker=line.ticker,
        status=line.status,
        opened_at=line.opened_at,
        closed_at=line.closed_at,
        entry_price=line.entry_price,
        exit_price=line.exit_price,
        value=line.value,
        duration=line.duration,
        duration_seconds=line.duration_seconds,
    )


def _actions_meant(
    desk: Desk, *, action_type: str | None, hours: int | None, is_success: bool | None
) -> ActionFilter:
    return ActionFilter(
        action_type=None if action_type == "all" else action_type,
        is_success=is_success,
        since=None if hours is None else desk.clock() - timedelta(hours=hours),
    )


def _action(line: ActionLine) -> ActionAtSource:
    return ActionAtSource(
        action_id=line.action_id,
        timestamp=line.happened_at,
        action_type=line.action_type,
        action_name=line.action,
        admin=line.email or line.principal,
        ip_address=line.source_address,
        user_agent=line.user_agent,
        target_resource=" ".join(line.targets.values()) or None,
        details={**line.targets, "method": line.method, "path": line.path, "status": str(line.status)},
        success=line.status < 400,
        error_message=line.error_code,
        execution_time_ms=line.duration_ms,
    )


def _action_row(line: ActionLine) -> list[Any]:
    shown = _action(line)
    return [
        json.dumps(shown.details, ensure_ascii=False) if name == "details" else getattr(shown, name)
        for name in ACTION_COLUMNS
    ]
