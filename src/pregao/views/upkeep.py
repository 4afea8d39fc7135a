"""How the desk is kept in order: how long it remembers, what it forgot, what is wrong with it; and where that is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pregao.domain.upkeep import AlarmName, Retention, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLine:
    """How long the desk remembers; ``set_by`` is empty while it goes by its settings."""

    retention: Retention
    set_by: str
    set_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """Something that is wrong with the desk as a whole."""

    name: AlarmName
    severity: Severity
    numbers: dict[str, str]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was forgotten, or would be: how many of each."""

    positions: int = 0  # with their orders, fills and stops
    signals: int = 0
    hashes: int = 0  # of deliveries
    turned_away: int = 0
    alerts: int = 0  # with what became of them on each channel
    cache_entries: int = 0
    workers: int = 0  # that ended without a word more than a day ago
    screener_runs: int = 0
    journal_partitions: int = 0  # months of former epochs


class Upkeep(Protocol):
    """Where it is done."""

    async def retention(self) -> RetentionLine:
        """Say how long the desk remembers."""
        ...

    async def set_retention(
        self, retention: Retention, *, set_by: str, reason: str = "", now: datetime
    ) -> None:
        """Change it."""
        ...

    async def alarms(self) -> Sequence[AlarmLine]:
        """Give what is wrong now, the worst first."""
        ...

    async def foresee(self, *, now: datetime) -> Forgotten:
        """Count what would be forgotten now; nothing is."""
        ...

    async def forget(self, *, now: datetime) -> Forgotten:
        """Forget what is over and old, some at a time."""
        ...
