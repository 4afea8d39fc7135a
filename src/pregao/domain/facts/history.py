"""What is brought in from elsewhere: what another desk did, or this one before it was cleared."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedEvent:
    """One step of one signal elsewhere, in system A's words."""

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
class HistoryImported(Fact):
    """Events of signals that somebody brought in: they are shown and counted, and nothing of them ever trades."""

    imported_by: str
    first_number: int  # of the first event; the others count on from it
    events: tuple[ImportedEvent, ...]
