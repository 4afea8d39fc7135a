"""
What happened to signals, step by step and hour by hour, and where it is fetched.

A step is an event, in the words of system A. Those of this desk are its journal's; others were brought in from
elsewhere, and are shown and counted like them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.facts import ImportedEvent
from pregao.views.performance import HUNDRED, RATE_STEP, Results

STATUSES = (
    "received", "queued_processing", "processing", "approved", "rejected", "queued_forwarding", "forwarding",
    "forwarded_success", "forwarded_error", "forwarded_http_error", "forwarded_generic_error", "forwarded_timeout",
    "error", "discarded",
)  # fmt: skip
LOCATIONS = (
    "processing_queue", "approved_queue", "worker_processing", "worker_forwarding", "completed", "discarded",
)  # fmt: skip
FORWARDED = "forwarded_success"
FORWARD_ERRORS = tuple(one for one in STATUSES if one.startswith("forwarded_") and one != FORWARDED)

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One step of one signal; its number is below zero where it was brought in."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlace:
    """Where a page of events ended. Events never change, so that none is given twice and none is left out."""

    happened_at: datetime
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are meant: those for which all that is named here holds."""

    status: str | None = None
    ticker: str | None = None  # the whole of it
    signal_id: UUID | None = None
    signal_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None  # before this


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What happened from ``begins_at`` until the next bucket begins."""

    begins_at: datetime
    received: int = 0
    approved: int = 0
    rejected: int = 0
    forwarded: int = 0  # signals of which an order was taken
    forward_errors: int = 0  # likewise, of which one was not

    @property
    def approval_rate_pct(self) -> Decimal:
        """Give approved / received * 100, two decimals; 0 where nothing was received."""
        return _share(self.approved, self.received)

    @property
    def forward_success_pct(self) -> Decimal:
        """Give forwarded / (forwarded + errors) * 100, two decimals; 0 where there was neither."""
        return _share(self.forwarded, self.forwarded + self.forward_errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a span of UTC days came to."""

    first_day: date
    last_day: date
    signals: Bucket
    opened: int  # positions
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """How one symbol, bot or account did: ``subject`` is its id as text."""

    subject: str
    name: str
    results: Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What bringing in some events came to."""

    imported: int
    known: int  # they were there already, from here or from an earlier import


class History(Protocol):
    """Where it is fetched, and where events are brought in."""

    async def events(
        self,
        asked: EventFilter,
        *,
        before: EventPlace | None = None,
        offset: int = 0,
        limit: int,
    ) -> Sequence[EventLine]:
        """Give events, the newest first."""
        ...

    async def count_events(self, asked: EventFilter, *, at_most: int) -> int:
        """Give how many there are, up to so many."""
        ...

    async def buckets(self, begins: Sequence[datetime]) -> Sequence[Bucket]:
        """Count what happened from each of these instants until the next; the last only ends the one before it."""
        ...

    async def summaries(self, days: Sequence[date]) -> Sequence[Summary]:
        """Sum up from each of these UTC days until the next; the last only ends the span before it."""
        ...

    async def performers(
        self, *, owner: UUID | None, by: str, sort: str, first_day: date, last_day: date, limit: int
    ) -> Sequence[Performer]:
        """Give the best by what they earned (``pnl``), by ``win_rate`` or by how much was ``closed``."""
        ...

    async def import_events(
        self, events: Sequence[ImportedEvent], *, imported_by: str, now: datetime, is_dry_run: bool
    ) -> Imported:
        """Write those that are not there yet, in one transaction; a dry run only says what would be."""
        ...


def hours_until(now: datetime, *, hours: int) -> list[datetime]:
    """Give the beginnings of so many hours, the present one the last, and the end of that."""
    last = now.replace(minute=0, second=0, microsecond=0)
    return [last - HOUR * back for back in range(hours - 1, -2, -1)]


def spans_until(today: date, *, period: str, count: int) -> list[date]:
    """Give the first days of so many days, weeks (from Monday) or months, today's the last, and the first day after."""
    first = {
        "day": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
    }[period]
    return [_moved(first, period=period, by=-back) for back in range(count - 1, -2, -1)]


def to_bucket(begins_at: datetime, counts: Mapping[str, int]) -> Bucket:
    """Put a bucket together from how many signals came to each status in it."""
    return Bucket(
        begins_at=begins_at,
        received=counts.get("received", 0),
        approved=counts.get("approved", 0),
        rejected=counts.get("rejected", 0),
        forwarded=counts.get(FORWARDED, 0),
        forward_errors=sum(counts.get(status, 0) for status in FORWARD_ERRORS),
    )


def _moved(first: date, *, period: str, by: int) -> date:
    if period == "month":
        months = first.year * 12 + first.month - 1 + by
        return date(months // 12, months % 12 + 1, 1)
    return first + timedelta(days=by * (7 if period == "week" else 1))


def _share(part: int, whole: int) -> Decimal:
    if not whole:
        return Decimal("0.00")
    return (Decimal(part) / Decimal(whole) * HUNDRED).quantize(RATE_STEP, ROUND_HALF_UP)
