"""
A foreign order: it rests at a venue on an account of ours, and the desk did not send it.

The words spoken with a venue about one, and what becomes of taking one back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from pregao.domain.order import OrderStatus, PositionSide, Side


class CancelStatus(StrEnum):
    """Where it stands that a foreign order is taken back."""

    ASKED = "asked"  # committed here, nothing told yet
    UNKNOWN = "unknown"  # the venue did not say what became of it: it is asked about
    CANCELED = "canceled"  # the venue says that it is taken back
    ENDED = "ended"  # it had ended already: filled, expired, or forgotten by the venue
    REFUSED = "refused"  # the venue provably refused to take it back


UNTOLD = frozenset({CancelStatus.ASKED, CancelStatus.UNKNOWN})
"""States that something follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOrder:
    """A plain order as the venue tells of it, under the number that the venue gave it."""

    symbol: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    position_side: PositionSide
    kind: str  # the venue's word, in small letters: limit
    price: Decimal | None
    quantity: Decimal
    filled_quantity: Decimal
    reduce_only: bool
    status: OrderStatus
    created_at: datetime  # venue clock

    @property
    def rests(self) -> bool:
        """Say whether it may still trade."""
        return self.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class ForeignOrders(Protocol):
    """
    A venue that can be asked for orders by its own numbers; every method raises one of the four kinds of ``VenueError``.

    Taking one back names one order for ever: asked for twice, it is done once.
    """

    async def resting_orders(self, *, account_id: int) -> Sequence[ForeignOrder]:
        """Give all plain orders of the account that may still trade, ours included; conditional ones are not among them."""
        ...

    async def find_resting(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> ForeignOrder | None:
        """Give one order, resting or ended; None when the venue says it has none such."""
        ...

    async def take_back(self, *, account_id: int, symbol: str, exchange_order_id: str) -> ForeignOrder | None:
        """Take one order back and give it as it ended; None when the venue says that none such rests."""
        ...
