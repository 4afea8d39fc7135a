"""What this room needs from outside: positions, locked."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from pregao.domain.position import Position


class Positions(Protocol):
    """The positions under the transaction's locks."""

    async def lock_positions(self, position_ids: Sequence[int]) -> Mapping[int, Position]:
        """Lock and give positions by id, in the order of their ids."""
        ...

    async def traded_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        """Give those of the positions that an order on its way may still change."""
        ...
