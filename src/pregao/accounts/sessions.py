"""What a user can prove himself with: a password and a code, a session after a login, tokens for his programs."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.user import Role, User

SESSION_LASTS = timedelta(hours=12)  # a working day: whoever leaves a screen behind is out by tomorrow


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user and the hash of his password."""

    user: User
    password_hash: str = field(repr=False)
    second_factor_since: datetime | None  # None: the password alone lets him in


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that lasts. Its token was shown once and is kept as SHA-256."""

    session_id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime
    source_address: str
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What one program of a user comes in with. It was shown once and is kept as SHA-256."""

    token_id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None  # None: until it is revoked
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What makes a user's codes; whether it counts stands beside his password."""

    user_id: UUID
    secret: str = field(repr=False)  # base32
    begun_at: datetime
    last_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorRule:
    """Who must have a second factor: whoever has this role or a larger one."""

    role: Role | None  # None: nobody must
    set_by: str
    set_at: datetime | None  # None: nobody has said anything


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLogin:
    """A password that was right, while its owner looks for the code. The ticket was given once and is kept as SHA-256."""

    ticket_sha256: str = field(repr=False)
    email: str
    password_hash: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """
    What lets a browser open one websocket, which cannot send a header: once, within half a minute.

    It was shown once and is kept as SHA-256, beside that of the token that asked for it.
    """

    ticket_sha256: str = field(repr=False)
    token_sha256: str | None = field(repr=False)  # None: the admin token
    expires_at: datetime
