"""What this room needs from outside: the ledger under the transaction's locks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.order import PositionSide, Side

FillKey = tuple[int, str, str, str]
"""Account, symbol, trade id, exchange order id: what makes a fill one fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order of ours that a fill may belong to."""

    order_id: str
    signal_id: UUID
    position_id: int
    quantity: Decimal
    filled_quantity: Decimal
    close_reason: str | None = None  # of an exit that a stop or a target asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """A position that a fill may reduce which no order of ours explains."""

    position_id: int
    entry_side: Side
    quantity: Decimal
    opened_at: datetime | None
    signal_id: UUID | None = None
    close_reason: str | None = None  # where it is the position's own protective order that fills


class Ledger(Protocol):
    """The books, locked where they are about to change."""

    async def booked(self, keys: Sequence[FillKey]) -> frozenset[FillKey]:
        """Give those of the keys that are booked already."""
        ...

    async def lock_orders(self, order_ids: Sequence[str]) -> Mapping[str, OwnOrder]:
        """Lock and give orders by our order id, in the order of their ids; ids that are not there are left out."""
        ...

    async def open_position(
        self, *, account_id: int, symbol: str, position_side: PositionSide
    ) -> OpenPosition | None:
        """Lock and give the live position there, if any."""
        ...

    async def guarded_positions(self, position_ids: Sequence[int]) -> Mapping[int, OpenPosition]:
        """Lock and give positions that a protective order of ours guards or guarded, whether they are live or not."""
        ...

    async def is_entering(self, position_id: int) -> bool:
        """Say whether an order on its way may still enter the position, whose row is locked."""
        ...

    async def margin_assets(self, account_ids: Sequence[int]) -> Mapping[int, str]:
        """Give the margin asset of each account."""
        ...
