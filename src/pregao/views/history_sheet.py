"""
The history of signals as a sheet, in system A's columns: written, and read again.

What is written and read gives the same events, to the last character and microsecond.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pregao.domain.facts import ImportedEvent
from pregao.views.history import LOCATIONS, STATUSES, EventLine
from pregao.views.sheet import SheetError, read_csv

COLUMNS = (
    "timestamp", "signal_id", "ticker", "signal_type", "status", "location", "worker_id", "details", "http_code",
)  # fmt: skip
NEEDED = ("timestamp", "signal_id", "status")
WORD = re.compile(r"[a-z][a-z_]{0,39}")
TICKER_CHARACTERS_MAX = 40
WORKER_CHARACTERS_MAX = 100
DETAILS_CHARACTERS_MAX = 10_000  # the longest of ours has a few thousand
HTTP_STATUSES = range(100, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRefused:
    """A row that cannot be read: where it begins, in which column, and why."""

    line: int
    column: str
    reason: str


class _Refusal(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def to_row(line: EventLine) -> tuple[object, ...]:
    """Give an event as a row."""
    return (
        line.happened_at, line.signal_id, line.ticker, line.signal_type, line.status, line.location, line.worker_id,
        line.details, line.http_status,
    )  # fmt: skip


def read_history(text: str, *, now: datetime) -> Iterator[ImportedEvent | RowRefused]:
    """
    Read the rows of a sheet, one after the other.

    :raises SheetError: when it is no CSV, or its first line does not name our columns.
    """
    rows = read_csv(text)
    line, heading = next(rows, (1, []))
    columns = [name.strip().lower() for name in heading]
    missing, unknown = set(NEEDED) - set(columns), set(columns) - set(COLUMNS)
    if missing or unknown or len(set(columns)) < len(columns):
        raise SheetError(line, f"the first line must name these columns, each once: {', '.join(COLUMNS)}")
    for begins, cells in rows:
        yield _read(begins, columns, cells, now=now)


def _read(
    line: int, columns: Sequence[str], cells: Sequence[str], *, now: datetime
) -> ImportedEvent | RowRefused:
    try:
        if len(cells) != len(columns):
            raise _Refusal("", f"it has {len(cells)} cells, and the first line {len(columns)}")
        return _event({name: cell for name, cell in zip(columns, cells, strict=True) if cell}, now=now)
    except _Refusal as refusal:
        return RowRefused(line=line, column=refusal.column, reason=refusal.reason)


def _event(told: dict[str, str], *, now: datetime) -> ImportedEvent:
    for column, cell in told.items():
        if "\x00" in cell:
            raise _Refusal(column, "it holds a character that is none")
    return ImportedEvent(
        happened_at=_instant(told, now=now),
        signal_id=_signal_id(told),
        ticker=_short(told, "ticker", TICKER_CHARACTERS_MAX),
        signal_type=_signal_type(told),
        status=_one_of(told, "status", STATUSES) or "",
        location=_one_of(told, "location", LOCATIONS),
        worker_id=_short(told, "worker_id", WORKER_CHARACTERS_MAX),
        details=_short(told, "details", DETAILS_CHARACTERS_MAX) or "",
        http_status=_http_status(told),
    )


def _instant(told: dict[str, str], *, now: datetime) -> datetime:
    text = told.get("timestamp", "")
    try:
        instant = datetime.fromisoformat(text)
        # Without a zone it is UTC, as the source wrote it.
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Refusal("timestamp", "it is no instant, such as 2026-11-21T12:00:00.000000Z") from None
    if instant > now:
        raise _Refusal("timestamp", "it is later than now")
    return instant


def _signal_id(told: dict[str, str]) -> UUID:
    try:
        return UUID(told.get("signal_id", ""))
    except ValueError:
        raise _Refusal("signal_id", "it is no UUID") from None


def _signal_type(told: dict[str, str]) -> str | None:
    text = told.get("signal_type")
    if text is not None and not WORD.fullmatch(text):
        raise _Refusal("signal_type", "it is no word of small letters, such as position_close")
    return text


def _one_of(told: dict[str, str], column: str, known: Sequence[str]) -> str | None:
    text = told.get(column)
    if text not in known and (text is not None or column in NEEDED):
        raise _Refusal(column, f"it is none of {', '.join(known)}")
    return text


def _short(told: dict[str, str], column: str, characters_max: int) -> str | None:
    text = told.get(column)
    if text is not None and len(text) > characters_max:
        raise _Refusal(column, f"it has more than {characters_max} characters")
    return text


def _http_status(told: dict[str, str]) -> int | None:
    text = told.get("http_code")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{3}", text) or int(text) not in HTTP_STATUSES:
        raise _Refusal("http_code", "it is no HTTP status, such as 200")
    return int(text)
