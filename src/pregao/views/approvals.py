"""Entries that were put to a person, as the list of approvals shows them, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.views.sorting import NEWEST_FIRST, OLDEST_FIRST, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalLine:
    """An entry that was put to a person, and what was answered. Prices are in the quote asset."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    symbol: str
    side: str
    signal_price: Decimal | None  # what the alert said
    verdicts: tuple[dict[str, object], ...]
    received_at: datetime
    asked_at: datetime
    expires_at: datetime
    venue: str | None  # where most of the bot's accounts trade
    price_then: Decimal | None  # there, when it was put to a person
    price_move_pct_max: Decimal
    subscriptions: int  # active ones, of active accounts: what it would trade for
    status: str  # of the signal
    code: str | None  # why the signal was declined, where it was
    answered_at: datetime | None
    answered_by: str | None
    is_approved: bool | None
    reason: str | None  # the answer's


class Approvals(Protocol):
    """Where they are fetched; ``after`` is the last of the page before."""

    async def pending(
        self, *, bot_id: UUID | None, after: UUID | None, shape: Shape = OLDEST_FIRST, limit: int
    ) -> Sequence[ApprovalLine]:
        """Give what waits for a person, what was asked first before all unless the shape sorts by a field."""
        ...

    async def answered(
        self, *, bot_id: UUID | None, after: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> Sequence[ApprovalLine]:
        """Give what a person or the clock has answered, the latest signal first unless the shape says otherwise."""
        ...

    async def find_approval(self, signal_id: UUID) -> ApprovalLine | None:
        """Give what was asked about a signal; None where nobody was asked."""
        ...
