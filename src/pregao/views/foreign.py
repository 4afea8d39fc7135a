"""Orders that rest at venues and are not ours, as people look at them; who had which taken back, and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.views.sorting import NEWEST_FIRST, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOrderLine:
    """One that the last look at its account saw."""

    place: str  # among all of them
    account_id: int
    account: str
    venue: str
    symbol: str
    exchange_order_id: str
    client_order_id: str
    side: str
    position_side: str
    kind: str
    price: Decimal | None
    quantity: Decimal
    filled_quantity: Decimal
    reduce_only: bool
    created_at: datetime
    seen_at: datetime
    cancel_id: UUID | None  # of what takes it back just now


@dataclass(frozen=True, slots=True, kw_only=True)
class LookLine:
    """When an account was looked at last, and why that did not succeed."""

    account_id: int
    looked_at: datetime | None
    code: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLine:
    """One that somebody wanted taken back, and what came of it."""

    cancel_id: UUID
    account_id: int
    account: str
    symbol: str
    exchange_order_id: str
    client_order_id: str
    side: str
    price: Decimal | None
    quantity: Decimal
    reason: str
    asked_by: str
    asked_at: datetime
    status: str
    code: str | None
    told_reason: str | None
    filled_quantity: Decimal | None
    told_at: datetime | None


class ForeignViews(Protocol):
    """Where they are fetched, and how an account is looked at; of ``owner`` only, unless it is None."""

    async def orders(
        self, *, owner: UUID | None, account_id: int | None, after: str | None, shape: Shape, limit: int
    ) -> Sequence[ForeignOrderLine]:
        """Give what the last looks saw, in the order of the shape."""
        ...

    async def count(self, *, owner: UUID | None) -> int:
        """Say how many the last looks saw."""
        ...

    async def look_of(self, account_id: int) -> LookLine:
        """Say when an account was looked at last."""
        ...

    async def ask(self, account_id: int) -> datetime:
        """Have an account looked at soon; give when that was asked."""
        ...

    async def is_looked(self, account_id: int, *, since: datetime) -> bool:
        """Say whether it was looked at since then."""
        ...

    async def cancels(
        self, *, owner: UUID | None, before: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> Sequence[CancelLine]:
        """Give what was to be taken back, the latest first unless the shape says otherwise."""
        ...

    async def find_cancel(self, cancel_id: UUID, *, owner: UUID | None) -> CancelLine | None:
        """Give one of these."""
        ...
