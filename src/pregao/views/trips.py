"""
Round trips and fills: what system A calls an order, and what was traded for it; and where they are fetched.

A round trip is a position that something was held in. One that waits for its first fill, or never had one, is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

NOTHING = "\N{EM DASH}"
TRIP_STATUSES = ("open", "closing", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class TripLine:
    """A round trip; prices are None where nobody told one. ``value`` is what the entry cost."""

    position_id: int
    bot: str | None  # whose signals opened it; None where the bot is forgotten
    account_id: int
    ticker: str
    status: str
    direction: str
    opened_at: datetime | None
    closed_at: datetime | None
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    value: Decimal | None
    realized_pnl: Decimal
    close_reason: str | None

    @property
    def duration_seconds(self) -> int:
        """Give how long it was held; 0 while it is."""
        if self.opened_at is None or self.closed_at is None:
            return 0
        return max(int((self.closed_at - self.opened_at).total_seconds()), 0)

    @property
    def duration(self) -> str:
        """Give how long it was held, as "Xh Ym"; a dash while it is."""
        if self.opened_at is None or self.closed_at is None:
            return NOTHING
        return f"{self.duration_seconds // 3_600}h {self.duration_seconds % 3_600 // 60}m"


@dataclass(frozen=True, slots=True, kw_only=True)
class TripPlace:
    """Where a page of round trips ended."""

    opened_at: datetime
    position_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TripFilter:
    """Which round trips are meant."""

    owner: UUID | None = None  # whose accounts; None: everybody's
    status: str | None = None
    ticker: str | None = None  # contained in it, in capitals or not


@dataclass(frozen=True, slots=True, kw_only=True)
class TripStats:
    """How many there are; today is the UTC day they closed on. ``total_value`` is of those still held."""

    counts: Mapping[str, int]
    closed_today: int
    total_value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """One trade of an account, as the venue told it; without an order it was not ours."""

    account_id: int
    symbol: str
    trade_id: str
    exchange_order_id: str
    order_id: str | None
    signal_id: UUID | None
    position_id: int | None
    side: str
    position_side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    traded_at: datetime
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class FillPlace:
    """Where a page of fills ended."""

    booked_at: datetime
    account_id: int
    symbol: str
    trade_id: str
    exchange_order_id: str


class Trips(Protocol):
    """Where they are fetched, the newest first."""

    async def trips(
        self, asked: TripFilter, *, before: TripPlace | None = None, limit: int
    ) -> Sequence[TripLine]:
        """Give round trips by when they were opened."""
        ...

    async def count_trips(self, asked: TripFilter) -> int:
        """Give how many there are."""
        ...

    async def stats(self, *, owner: UUID | None = None, now: datetime) -> TripStats:
        """Count them."""
        ...

    async def fills(
        self,
        *,
        owner: UUID | None = None,
        account_id: int | None = None,
        signal_id: UUID | None = None,
        symbol: str | None = None,
        before: FillPlace | None = None,
        limit: int,
    ) -> Sequence[FillLine]:
        """Give fills by when they were booked."""
        ...
