"""What this room needs from outside: positions, locked."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.facts import DriftSettled
from pregao.domain.order import PositionSide
from pregao.domain.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingExit:
    """An exit that waits until nothing else of its position is on the way."""

    position_id: int
    signal_id: UUID
    share: Decimal | None  # None closes all


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the books hold at one place of an account, and what the venue was seen to hold beside that."""

    account_id: int
    symbol: str
    position_side: PositionSide
    position: Position | None  # the live one, whoever opened it
    is_busy: bool  # an order of it is on its way
    foreign: Decimal  # the venue's quantity minus ours, signed; 0 when they agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopter:
    """The subscription that is to hold a quantity, and the leverage it trades the symbol with."""

    subscription_id: UUID
    bot_id: UUID
    account_id: int
    leverage: int


class DriftBook(Protocol):
    """Places under the locks of one open transaction."""

    async def lock_place(self, *, account_id: int, symbol: str, position_side: PositionSide) -> Place | None:
        """Lock and give a place; None where there is no such account."""
        ...

    async def find_adopter(self, subscription_id: UUID, *, symbol: str) -> Adopter | None:
        """Give a subscription that may adopt; None where there is none."""
        ...

    async def new_position_id(self) -> int:
        """Give a fresh position id."""
        ...

    async def settle(self, settled: DriftSettled) -> Position:
        """Journal what was said with all that follows from it; give the position as it stands then."""
        ...


class DriftBooks(Protocol):
    """Opens drift books."""

    def open(self) -> AbstractAsyncContextManager[DriftBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


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
