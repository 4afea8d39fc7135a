"""What the lab was asked, and that it is over."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.lab import LabKind, LabRequest, LabStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRunAsked(Fact):
    """Somebody asked for a backtest."""

    run_id: UUID
    kind: LabKind
    symbol: str
    timeframe: str
    request: LabRequest
    user_id: UUID | None
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRunEnded(Fact):
    """A backtest is over: computed, failed, or called off. ``figures`` are the best one's, as text."""

    run_id: UUID
    status: LabStatus
    code: str | None = None
    reason: str | None = None
    figures: dict[str, str]
    ended_by: str
