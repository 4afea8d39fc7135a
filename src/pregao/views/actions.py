"""What people asked the API to change, as admins look at it, and where it is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

ACTION_TYPES = (
    "config_update", "engine_control", "url_management", "metrics_reset", "database_operation", "rate_limiter_control",
    "order_management", "file_import", "manual_override", "system_maintenance",
)  # fmt: skip
"""System A's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLine:
    """One action; without a user it was the admin token, or nobody known."""

    action_id: UUID
    happened_at: datetime
    user_id: UUID | None
    email: str | None
    principal: str
    source_address: str
    user_agent: str
    method: str
    path: str
    action: str
    action_type: str
    targets: dict[str, str]
    status: int
    error_code: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFilter:
    """Which actions are meant: those for which all that is named here holds."""

    user_id: UUID | None = None
    action: str | None = None
    action_type: str | None = None  # one of ACTION_TYPES
    is_success: bool | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCount:
    """How often one type of action was taken, and how long it took on average."""

    action_type: str
    succeeded: int
    failed: int
    duration_ms: int
    last_at: datetime


class Actions(Protocol):
    """Where they are fetched, newest first; ``before`` is where the page before ended."""

    async def actions(
        self, asked: ActionFilter, *, before: UUID | None = None, offset: int = 0, limit: int
    ) -> Sequence[ActionLine]:
        """Give actions by the time they were taken."""
        ...

    async def count_actions(self, asked: ActionFilter) -> int:
        """Give how many there are."""
        ...

    async def summary(self, *, since: datetime | None) -> Sequence[ActionCount]:
        """Count the actions of each type."""
        ...
