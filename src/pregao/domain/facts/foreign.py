"""Orders at a venue that are not ours, and are taken back for whoever asked."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.foreign import CancelStatus, ForeignOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCancelAsked(Fact):
    """Somebody asked to take back an order that is not ours; nothing has left yet."""

    cancel_id: UUID
    account_id: int
    order: ForeignOrder  # as it was seen last
    reason: str
    asked_by: str
    user_id: UUID | None  # None: the admin token
    source_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCancelTold(Fact):
    """What became of it: the venue's word; or why that is not known yet, and is asked about."""

    cancel_id: UUID
    account_id: int
    status: CancelStatus  # never asked
    code: str | None
    reason: str | None
    filled_quantity: Decimal | None  # of the order when it ended; None where nobody says
