"""Users as admins list them, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.user import Role, User


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLine:
    """A user, and what is his."""

    user: User
    accounts: int
    active_subscriptions: int
    last_login_at: datetime | None
    second_factor_since: datetime | None  # None: the password alone lets him in
    created_at: datetime
    updated_at: datetime


class People(Protocol):
    """Where they are fetched. The list is ordered by id; ``after`` is the last id of the page before."""

    async def users(
        self, *, role: Role | None, is_active: bool | None, after: UUID | None, limit: int
    ) -> Sequence[UserLine]:
        """Give users, oldest first."""
        ...

    async def find_user(self, user_id: UUID) -> UserLine | None:
        """Give one user."""
        ...
