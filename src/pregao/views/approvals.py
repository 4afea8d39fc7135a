"""Entries that wait for a person, as the list of approvals shows them, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalLine:
    """An entry that nobody has answered yet. Prices are in the quote asset."""

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


class Approvals(Protocol):
    """Where they are fetched; ``after`` is the last of the page before."""

    async def pending(self, *, after: UUID | None, limit: int) -> Sequence[ApprovalLine]:
        """Give what waits for a person, oldest first."""
        ...
