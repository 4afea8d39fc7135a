"""What this room needs from outside: positions, locked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingExit:
    """An exit that waits until nothing else of its position is on the way."""

    position_id: int
    signal_id: UUID
    share: Decimal | None  # None closes all


class Positions(Protocol):
    """The positions under the transaction's locks."""

    async def lock_positions(self, position_ids: Sequence[int]) -> Mapping[int, Position]:
        """Lock and give positions by id, in the order of their ids."""
        ...

    async def last_trades(self, position_ids: Sequence[int]) -> Mapping[int, datetime]:
        """Give when the last booked trade of each position was, at the venue."""
        ...

    async def traded_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        """Give those of the positions that an order on its way may still change."""
        ...

    async def waiting_exits(self, position_ids: Sequence[int]) -> Mapping[int, WaitingExit]:
        """Give the oldest exit that waits, of each of these positions that has one."""
        ...
