"""Whether each account holds what the books say, and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.views.sorting import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where the venue holds something else than the books; quantities are signed, shorts negative."""

    symbol: str
    position_side: str
    ours: Decimal
    venue: Decimal
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDrift:
    """One account, as it was compared last."""

    account_id: int
    account: str
    venue: str
    is_compared: bool  # False: nobody can be asked there what it holds, and the rest is empty
    checked_at: datetime | None
    agreed_at: datetime | None
    unreconciled_since: datetime | None  # it takes no entries: what happened before is not known yet
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceLine(Difference):
    """One of these, and on which account it is."""

    place: str  # among all of them
    account_id: int
    account: str


class Drifts(Protocol):
    """Where they are fetched; ``after`` is the last account, or difference, of the page before."""

    async def accounts(
        self, *, owner: UUID | None, only_drifting: bool, after: int | None, limit: int
    ) -> Sequence[AccountDrift]:
        """Give active accounts and those that differ, by id; of ``owner`` only, unless it is None."""
        ...

    async def differences(
        self, *, owner: UUID | None, after: str | None, shape: Shape, limit: int
    ) -> Sequence[DifferenceLine]:
        """Give what differs, in the order of the shape."""
        ...

    async def count(self, *, owner: UUID | None) -> int:
        """Say in how many places something differs."""
        ...
