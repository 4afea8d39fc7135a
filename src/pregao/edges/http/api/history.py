"""What happened to signals: event by event, hour by hour, in spans of days; taken away as CSV, and brought in."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pregao.domain.facts import ImportedEvent
from pregao.edges.http.api.cursors import Cursor, read_cursor, to_cursor
from pregao.edges.http.api.performance import ResultsShown
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.shapes import (
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNREADABLE,
    Amount,
    DeskGiven,
    Limit,
    Page,
    Responses,
    Shown,
    page_of,
)
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.forms import FormError, read_form
from pregao.views.history import (
    Bucket,
    EventFilter,
    EventLine,
    EventPlace,
    Performer,
    Summary,
    hours_until,
    spans_until,
)
from pregao.views.history_sheet import COLUMNS, RowRefused, read_history, to_row
from pregao.views.sheet import SheetError

routes = APIRouter(prefix="/api/v1", tags=["history"], dependencies=[TOKEN], responses=ERRORS)

TOLD_ROWS_MAX = 100  # of those that could not be read; all are counted
HISTORY_HOURS, HISTORY_HOURS_MAX = 24, 24 * 92
EVENT_HOURS_MAX = 24 * 366 * 10
SPANS, SPANS_MAX = 31, 366
DAYS, DAYS_MAX = 30, 366
TEXT_CHARACTERS_MAX = 40
FILE_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "token": {
                            "type": "string",
                            "description": "Before the file, where no header has it.",
                        },
                        "dry_run": {"type": "boolean"},
                        "file": {"type": "string", "format": "binary", "description": "CSV, UTF-8."},
                    },
                    "required": ["file"],
                }
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}

EventStatus = Literal[
    "received", "queued_processing", "processing", "approved", "rejected", "queued_forwarding", "forwarding",
    "forwarded_success", "forwarded_error", "forwarded_http_error", "forwarded_generic_error", "forwarded_timeout",
    "error", "discarded",
]  # fmt: skip
Ticker = Annotated[str | None, Query(max_length=TEXT_CHARACTERS_MAX, description="The whole of it.")]
SignalType = Annotated[
    str | None, Query(max_length=TEXT_CHARACTERS_MAX, description="For example buy, sell, position_close.")
]
EventHours = Annotated[
    int | None, Query(ge=1, le=EVENT_HOURS_MAX, description="Not older than so many hours.")
]
HistoryHours = Annotated[int, Query(ge=1, le=HISTORY_HOURS_MAX, description="The present one is the last.")]
DryRun = Annotated[bool, Query(description="Say what would be, and write nothing.")]
FILE_ERRORS: Responses = {400: {**UNREADABLE[400], "description": "IMPORT_UNREADABLE"}}


class EventShown(Shown):
    """One step of one signal; `number` is below zero where it was brought in."""

    number: int
    happened_at: datetime
    signal_id: UUID
    ticker: str | None
    signal_type: str | None
    status: str
    location: str | None
    worker_id: str | None
    details: str
    http_status: int | None


class BucketShown(Shown):
    """What happened from one instant on, until the next bucket begins."""

    begins_at: datetime
    received: int
    approved: int
    rejected: int
    forwarded: int
    forward_errors: int
    approval_rate_pct: Amount
    forward_success_pct: Amount


class HistoryShown(Shown):
    """Hour by hour, the oldest first; hours in which nothing happened are there too."""

    hours: list[BucketShown]
    timestamp: datetime


class SummaryShown(Shown):
    """What a span of UTC days came to: signals, positions, and what they earned."""

    first_day: date
    last_day: date
    signals: BucketShown
    opened: int
    results: ResultsShown


class SummariesShown(Shown):
    """Spans one after the other, the oldest first."""

    period: str
    spans: list[SummaryShown]


class PerformerShown(Shown):
    """How one of them did."""

    subject: str
    name: str
    results: ResultsShown


class PerformersShown(Shown):
    """The best, the first ones first."""

    first_day: date
    last_day: date
    by: str
    sort: str
    performers: list[PerformerShown]


class RowRefusedShown(Shown):
    """A row that was left out; `line` is where it begins, counted from 1."""

    line: int
    column: str
    code: str
    message: str


class ImportShown(Shown):
    """What bringing in a file came to: every row is counted once."""

    message: str
    is_dry_run: bool
    imported_count: int
    known_count: int
    refused_count: int
    errors: list[RowRefusedShown]


@routes.get("/signals/history")
async def get_signal_history(
    desk: DeskGiven, _who: Operator, hours: HistoryHours = HISTORY_HOURS
) -> HistoryShown:
    """Count hour by hour what was received, approved, rejected and forwarded."""
    now = desk.clock()
    return HistoryShown(hours=[shown_bucket(one) for one in await counted(desk, hours=hours)], timestamp=now)


@routes.get("/signals/events", response_model=Page[EventShown], responses=AsCsv)
async def list_events(
    *,
    desk: DeskGiven,
    _who: Operator,
    status: EventStatus | None = None,
    ticker: Ticker = None,
    signal_id: UUID | None = None,
    signal_type: SignalType = None,
    hours: EventHours = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[EventShown] | Response:
    """Give what happened to signals, step by step: those of this desk, and those that were brought in."""
    asked = filter_of(
        desk, status=status, ticker=ticker, signal_id=signal_id, signal_type=signal_type, hours=hours
    )
    place = None if cursor is None else to_place(cursor)
    if kind == "csv":
        return await event_sheet(desk, asked, place=place)
    lines = await desk.history.events(asked, before=place, limit=limit)
    return page_of([EventShown.model_validate(line) for line in lines], limit=limit, cursor=cursor_of)


@routes.post("/signals/events/import", responses=FILE_ERRORS, openapi_extra=FILE_FORM)
async def import_events(
    request: Request, desk: DeskGiven, who: Operator, *, dry_run: DryRun = False
) -> ImportShown:
    """Bring in events of another desk, or of this one before it was cleared. They are shown, and trade nothing."""
    return await import_file(
        request, desk=desk, imported_by=await name_of(who, desk=desk), is_dry_run=dry_run
    )


@routes.get("/performance/top")
async def get_top_performers(
    desk: DeskGiven,
    who: Viewer,
    *,
    by: Literal["symbol", "bot", "account"] = "symbol",
    sort: Literal["pnl", "win_rate", "closed"] = "pnl",
    days: Annotated[int, Query(ge=1, le=DAYS_MAX, description="UTC days, today is the last.")] = DAYS,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> PerformersShown:
    """Say which symbols, bots or accounts did best by what was closed in these days; your own accounts' only."""
    last_day = desk.clock().astimezone(UTC).date()
    first_day = last_day - timedelta(days=days - 1)
    found = await desk.history.performers(
        owner=who.owner, by=by, sort=sort, first_day=first_day, last_day=last_day, limit=limit
    )
    return PerformersShown(
        first_day=first_day,
        last_day=last_day,
        by=by,
        sort=sort,
        performers=[_performer(one) for one in found],
    )


@routes.get("/performance/summaries")
async def get_summaries(
    desk: DeskGiven,
    _who: Operator,
    *,
    period: Literal["day", "week", "month"] = "day",
    count: Annotated[int, Query(ge=1, le=SPANS_MAX, description="The present one is the last.")] = SPANS,
) -> SummariesShown:
    """Sum up days, weeks or months: signals, positions, and what they earned."""
    today = desk.clock().astimezone(UTC).date()
    found = await desk.history.summaries(spans_until(today, period=period, count=count))
    return SummariesShown(period=period, spans=[_summary(one) for one in found])


def filter_of(
    desk: Desk,
    *,
    status: str | None,
    ticker: str | None,
    signal_id: UUID | None,
    signal_type: str | None,
    hours: int | None,
) -> EventFilter:
    """Give which events are meant; a ticker is spelled in capitals."""
    return EventFilter(
        status=status,
        ticker=_text(ticker.strip().upper()) if ticker else None,
        signal_id=signal_id,
        signal_type=_text(signal_type) if signal_type else None,
        since=None if hours is None else desk.clock() - timedelta(hours=hours),
    )


def to_place(cursor: str) -> EventPlace:
    """Read where a page of events ended."""
    happened_at, number = read_cursor(cursor, datetime, int)
    return EventPlace(happened_at=happened_at, number=number)


def cursor_of(line: EventLine | EventShown) -> str:
    """Write that a page ended with this event."""
    return to_cursor(line.happened_at, line.number)


async def counted(desk: Desk, *, hours: int) -> Sequence[Bucket]:
    """Count so many hours, the present one the last."""
    return await desk.history.buckets(hours_until(desk.clock().astimezone(UTC), hours=hours))


async def event_sheet(
    desk: Desk,
    asked: EventFilter,
    *,
    place: EventPlace | None = None,
    is_empty_204: bool = False,
) -> Response:
    """Answer with all events that are meant, in system A's columns."""

    async def fetch(last: EventLine | None) -> Sequence[EventLine]:
        here = place if last is None else EventPlace(happened_at=last.happened_at, number=last.number)
        return await desk.history.events(asked, before=here, limit=SHEET_ITEMS)

    return await sheet_of(fetch, columns=COLUMNS, to_row=to_row, name="signals", is_empty_204=is_empty_204)


async def import_file(request: Request, *, desk: Desk, imported_by: str, is_dry_run: bool) -> ImportShown:
    """Read the file of a form, or the body as it stands, and bring in what is not there yet."""
    text, is_dry = await _file_of(request)
    is_dry_run = is_dry_run or is_dry
    now = desk.clock()
    try:
        rows = await asyncio.to_thread(lambda: list(read_history(text, now=now)))
    except SheetError as error:
        raise _unreadable(f"line={error.line}. {error.reason}.", line=error.line) from None
    events = [row for row in rows if isinstance(row, ImportedEvent)]
    refused = [row for row in rows if isinstance(row, RowRefused)]
    came = await desk.history.import_events(events, imported_by=imported_by, now=now, is_dry_run=is_dry_run)
    done = "would be imported" if is_dry_run else "were imported"
    return ImportShown(
        message=f"{came.imported} events {done}, {came.known} were there already, {len(refused)} rows were left out.",
        is_dry_run=is_dry_run,
        imported_count=came.imported,
        known_count=came.known,
        refused_count=len(refused),
        errors=[_refused(row) for row in refused[:TOLD_ROWS_MAX]],
    )


def shown_bucket(bucket: Bucket) -> BucketShown:
    """Give a bucket as the API shows it."""
    return BucketShown.model_validate(bucket)


async def _file_of(request: Request) -> tuple[str, bool]:
    body, content_type = await request.body(), request.headers.get("content-type", "")
    is_dry_run = False
    if content_type.lower().startswith("multipart/"):
        try:
            fields = read_form(content_type, body)
        except FormError as error:
            raise _unreadable(f"{error}.") from None
        if "file" not in fields:
            raise _unreadable("The form has no field `file`.")
        is_dry_run = fields.get("dry_run", b"").strip().lower() in (b"true", b"1", b"yes", b"on")
        body = fields["file"]
    try:
        return body.decode("utf-8-sig"), is_dry_run
    except UnicodeDecodeError:
        raise _unreadable("The file is not UTF-8.") from None


def _unreadable(reason: str, *, line: int | None = None) -> ApiError:
    return ApiError(400, "IMPORT_UNREADABLE", f"{reason} Nothing was imported.", line=line)


def _text(words: str) -> str:
    # PostgreSQL holds no NUL: what has one is in no list.
    return words.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _refused(row: RowRefused) -> RowRefusedShown:
    place = f" column={row.column}" if row.column else ""
    message = f"ROW_UNREADABLE: line={row.line}{place}. {row.reason}."
    return RowRefusedShown(line=row.line, column=row.column, code="ROW_UNREADABLE", message=message)


def _summary(one: Summary) -> SummaryShown:
    return SummaryShown(
        first_day=one.first_day,
        last_day=one.last_day,
        signals=shown_bucket(one.signals),
        opened=one.opened,
        results=ResultsShown.model_validate(one.results),
    )


def _performer(one: Performer) -> PerformerShown:
    return PerformerShown(
        subject=one.subject, name=one.name, results=ResultsShown.model_validate(one.results)
    )
