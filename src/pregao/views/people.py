"""Users as admins list them, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.user import Role, User
from pregao.views.sorting import OLDEST_FIRST, Shape


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

    @property
    def name(self) -> str:
        """Give what he is called."""
        return self.user.name

    @property
    def email(self) -> str:
        """Give what he signs in with."""
        return self.user.email

    @property
    def role(self) -> Role:
        """Give what he may."""
        return self.user.role


class People(Protocol):
    """Where they are fetched. The list is ordered by id unless a shape says otherwise; ``after`` is the last id of the page before."""

    async def users(
        self,
        *,
        role: Role | None,
        is_active: bool | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[UserLine]:
        """Give users."""
        ...

    async def find_user(self, user_id: UUID) -> UserLine | None:
        """Give one user."""
        ...
