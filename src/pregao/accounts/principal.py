"""Who is asking: found from the token that was sent, before anything else is looked at."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.user import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody the desk knows, and by which of his tokens."""

    role: Role
    label: str  # "admin token", "session", "token NAME"
    user_id: UUID | None = None  # None: the admin token, which is nobody's
    session_id: UUID | None = None
    lacks_second_factor: bool = False  # one is demanded of the role, and the user has none

    @property
    def owner(self) -> UUID | None:
        """Give whose things may be seen and changed: one user's, or everybody's (None) for staff."""
        if self.role.is_staff:
            return None
        assert self.user_id is not None, "who is not staff is a user"
        return self.user_id


ADMIN_TOKEN = Principal(role=Role.ADMIN, label="admin token")
"""Whoever has PREGAO_ADMIN_TOKEN: the first admin, so that a desk without users can be set up."""
