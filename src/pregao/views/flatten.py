"""Jobs that sell out, as people look at them: what would be closed, what was, what still stands and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.facts import HeldPlace
from pregao.domain.trading_state import Scope, ScopeLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenLine:
    """A job and how far it is."""

    flatten_id: UUID
    level: ScopeLevel
    subject: str
    name: str
    keep_trading: bool
    reason: str
    asked_by: str
    is_by_staff: bool
    started_at: datetime
    status: str  # running, done or stopped
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    accounts: int
    proven: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenAccountLine:
    """One account of a job; without ``proved_at`` something stands there, or nobody has looked yet."""

    account_id: int
    account_name: str
    proved_at: datetime | None
    code: str
    reason: str
    closed: tuple[HeldPlace, ...]
    attempts: int
    foreign_held: tuple[HeldPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPosition:
    """A position that is live at a scope."""

    position_id: int
    account_id: int
    account_name: str
    venue: str
    bot_id: UUID
    subscription_id: UUID
    symbol: str
    direction: str
    status: str
    quantity: Decimal


class Flattens(Protocol):
    """Where it is fetched. ``owner`` sees the jobs of himself and his accounts."""

    async def list_flattens(self, *, owner: UUID | None, limit: int) -> Sequence[FlattenLine]:
        """Give the latest jobs first."""
        ...

    async def find_flatten(self, flatten_id: UUID, *, owner: UUID | None) -> FlattenLine | None:
        """Give one job."""
        ...

    async def accounts_of(self, flatten_id: UUID) -> Sequence[FlattenAccountLine]:
        """Give the job's accounts, by id."""
        ...

    async def accounts_to_prove(self, scope: Scope) -> Sequence[int]:
        """Give the accounts that the desk holds something of at a scope, or ever has."""
        ...

    async def name_of(self, scope: Scope, *, owner: UUID | None) -> str | None:
        """Give what people call a scope; None where there is no such thing, or not for ``owner``."""
        ...

    async def standing(self, scope: Scope, *, owner: UUID | None) -> Sequence[StandingPosition]:
        """Give what is live at a scope."""
        ...
