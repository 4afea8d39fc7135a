"""What people asked the API to change, as admins look at it, and where it is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


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
    targets: dict[str, str]
    status: int
    error_code: str | None
    duration_ms: int


class Actions(Protocol):
    """Where they are fetched, newest first; ``before`` is where the page before ended."""

    async def actions(
        self,
        *,
        user_id: UUID | None,
        action: str | None,
        is_success: bool | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[ActionLine]:
        """Give actions by the time they were taken."""
        ...
