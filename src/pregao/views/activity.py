"""What the desk did lately: signals, orders and positions as lists, newest first, and where they are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.views.sorting import NEWEST_FIRST, Shape

ORDER_PHASES = ("opening", "closing", "ended")
"""Where an order is as people look at it: on its way in, on its way out, or over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLine:
    """A signal and where it stands; the counts are None until it is planned."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    status: str
    received_at: datetime
    settled_at: datetime | None
    source: str
    again_of: UUID | None  # the signal that it repeats, where its source is retry or replay
    deliveries: int
    action: str | None
    symbol: str | None
    side: str | None
    price: Decimal | None
    code: str | None
    reason: str | None
    accounts: int | None
    orders: int | None
    orders_live: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """An order and what became of it. Quantities are in base units, prices in the quote asset."""

    order_id: str
    attempt: int
    client_order_id: str | None
    exchange_order_id: str | None
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    venue: str | None
    leg: str
    position_id: int | None
    position_status: str | None  # as it stands now
    symbol: str
    side: str | None
    position_side: str | None
    status: str
    code: str | None
    reason: str | None
    quantity: Decimal | None
    filled_quantity: Decimal
    filled_notional: Decimal  # its value: what was paid or had for what filled
    average_price: Decimal | None
    decision_price: Decimal | None
    slippage_bps: Decimal | None
    fees: Decimal
    planned_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None
    filled_at: datetime | None
    booked_at: datetime | None
    questions: int  # that the venue was asked about it
    next_question_at: datetime | None  # or the next attempt, of one that died; None: nothing more is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLine:
    """A position as the sums of its fills say. Amounts are in the account's margin asset."""

    position_id: int
    account_id: int
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    exit_signal_id: UUID | None
    symbol: str
    position_side: str
    direction: str
    status: str
    leverage: int
    quantity: Decimal
    entered_quantity: Decimal
    exited_quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    fees: Decimal
    realized_pnl: Decimal
    opened_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlace:
    """Where a page of orders ended."""

    signal_id: UUID
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCounts:
    """How many orders are on their way, and of how many the outcome is not known."""

    opening: int
    closing: int
    unresolved: int
    unresolved_since: datetime | None  # the oldest of these
    ended: int  # of signals that arrived in the last 24 hours


class Activity(Protocol):
    """
    Where they are fetched, newest first unless ``shape`` says otherwise; ``before`` is where the page before ended.

    Only what concerns ``owner``'s accounts is found, and counts count nothing else; None finds everybody's.
    """

    async def signals(
        self,
        *,
        owner: UUID | None,
        bot_id: UUID | None,
        status: str | None,
        before: UUID | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[SignalLine]:
        """Give signals by the time they arrived; to an owner those he had a part in, or would have had."""
        ...

    async def orders(
        self,
        *,
        owner: UUID | None,
        account_id: int | None,
        subscription_id: UUID | None,
        signal_id: UUID | None,
        status: str | None,
        phase: str | None = None,
        before: OrderPlace | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[OrderLine]:
        """Give orders by the time their signals arrived; ``phase`` is one of ORDER_PHASES."""
        ...

    async def order_counts(self, *, owner: UUID | None, now: datetime) -> OrderCounts:
        """Count what is on its way, and what ended lately."""
        ...

    async def positions(
        self,
        *,
        owner: UUID | None,
        account_id: int | None,
        bot_id: UUID | None,
        status: str | None,
        live_only: bool,
        symbol: str | None = None,
        before: int | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[PositionLine]:
        """Give positions by the time they were begun; ``symbol`` is contained in theirs, in capitals or not."""
        ...
