"""What keeps the desk in order."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.upkeep import AlarmName, Retention, Severity
from pregao.domain.user import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSet(Fact):
    """Somebody said how long the state remembers what is over."""

    retention: Retention
    set_by: str
    reason: str = ""  # empty where nobody gave one


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorDemanded(Fact):
    """Somebody said who must have a second factor: whoever has this role or a larger one; None is nobody."""

    role: Role | None
    set_by: str
    reason: str = ""  # empty where nobody gave one


@dataclass(frozen=True, slots=True, kw_only=True)
class PastForgotten(Fact):
    """What was over and old left the state, with all that belongs to it; the journal keeps it."""

    position_ids: tuple[int, ...]
    signal_ids: tuple[UUID, ...]
    hashes_before: datetime | None  # hashes of deliveries that came before; None: they stay
    turned_away_before: datetime | None
    alert_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAlarmed(Fact):
    """Something is wrong with the desk as a whole, or no longer is; once each."""

    name: AlarmName
    severity: Severity
    is_on: bool
    numbers: dict[str, str]
