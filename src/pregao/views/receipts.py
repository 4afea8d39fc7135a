"""A receipt says what one signal did on every account, and why."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRow:
    """
    One account's order.

    ``outcome`` is filled, partially_filled, pending, unresolved, denied, rejected, canceled or expired. Prices are
    in the quote asset, quantities in base units. ``slippage_bps`` compares the average price with the price at the
    decision: positive is worse for the account. The ``_ms`` fields count from the signal's arrival.

    ``stop`` says how what an entry opened is guarded, once something has filled: required, optional, or none, where
    its settings ask for no stop; ``stop_price`` is where the stop was first.
    """

    account_id: int
    account: str
    subscription_id: UUID
    order_id: str
    leg: str
    symbol: str
    side: str | None
    outcome: str
    code: str | None
    reason: str | None
    quantity: Decimal | None
    filled_quantity: Decimal
    average_price: Decimal | None
    decision_price: Decimal | None
    slippage_bps: Decimal | None
    fees: Decimal
    client_order_id: str | None
    exchange_order_id: str | None
    attempt: int
    decided_ms: int | None
    sent_ms: int | None
    acknowledged_ms: int | None
    filled_ms: int | None
    booked_ms: int | None
    stop: str | None
    stop_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptApproval:
    """What a person was asked, and what was answered: nothing yet where ``answered_at`` is None."""

    asked_at: datetime
    expires_at: datetime
    venue: str | None
    price_then: Decimal | None
    answered_at: datetime | None
    answered_by: str | None
    is_approved: bool | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A signal that repeats this one; its source says whether it is a retry or a replay."""

    signal_id: UUID
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A signal and what came of it; complete when nothing is on its way any more."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    status: str
    is_complete: bool
    action: str | None
    symbol: str | None
    side: str | None
    code: str | None
    reason: str | None
    not_used: tuple[str, ...]
    verdicts: tuple[dict[str, object], ...]
    approval: ReceiptApproval | None = None  # None: nobody was asked
    source: str = ""
    again_of: UUID | None = None  # the signal it repeats, where its source is retry or replay
    repeats: tuple[Repetition, ...] = ()
    deliveries: int
    received_at: datetime
    settled_at: datetime | None
    rows: tuple[ReceiptRow, ...]

    def count(self, *outcomes: str) -> int:
        """Give how many rows have one of these outcomes."""
        return sum(row.outcome in outcomes for row in self.rows)


class Receipts(Protocol):
    """Where receipts are fetched."""

    async def find_receipt(self, signal_id: UUID, *, owner: UUID | None) -> Receipt | None:
        """
        Give the receipt of a signal, None when there is no such signal.

        An owner's has the rows of his accounts only, and is complete when they are; None gives everybody's.
        """
        ...
