"""What this room needs from outside: positions, locked."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts import BookedByHand, DriftSettled, Fact
from pregao.domain.foreign import CancelStatus, ForeignOrder
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.domain.sell_list import SellListRule


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UntoldCancel:
    """A foreign order that somebody wants taken back, and how far that is."""

    cancel_id: UUID
    account_id: int
    order: ForeignOrder
    status: CancelStatus
    code: str | None


class ForeignBook(Protocol):
    """Orders that are not ours, as the last look saw them, in one open transaction."""

    async def lock_seen(self, *, account_id: int, symbol: str, exchange_order_id: str) -> ForeignOrder | None:
        """Lock and give one; None where none such was seen."""
        ...

    async def is_ours(self, account_id: int, order: ForeignOrder) -> bool:
        """Say whether the desk has sent it."""
        ...

    async def find_untold(self, account_id: int, order: ForeignOrder) -> UUID | None:
        """Give what takes it back already."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal facts as they stand."""
        ...


class ForeignBooks(Protocol):
    """Opens such books."""

    def open(self) -> AbstractAsyncContextManager[ForeignBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A subscription that is not canceled, and where its account is."""

    subscription_id: UUID
    bot_id: UUID
    account_id: int
    venue: Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position under its lock, where it is held, and whether an order of it is on its way."""

    position: Position
    venue: Venue
    is_busy: bool

    @property
    def is_closable_in_books(self) -> bool:
        """Whether it may be closed without an order: at a webhook, and nothing of it is on its way."""
        return self.venue is Venue.WEBHOOK and not self.is_busy and self.position.quantity > ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A bot that holds something open of a symbol, and its positions there."""

    bot_id: UUID
    name: str
    position_ids: tuple[int, ...]


class PositionBook(Protocol):
    """
    Positions and the signals that stand for what is done with them by hand, in one open transaction.

    What is not the owner's is not there.
    """

    async def lock_follower(self, subscription_id: UUID) -> Follower | None:
        """Give a subscription, and keep others from entering anything on its account meanwhile."""
        ...

    async def find_live(self, account_id: int, *, symbol: str) -> Position | None:
        """Lock and give the live position of a symbol on an account."""
        ...

    async def new_position_id(self) -> int:
        """Give a fresh position id."""
        ...

    async def lock_held(self, position_ids: Sequence[int]) -> Sequence[Held]:
        """Lock and give positions by id, in the order of their ids; closed ones too."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal facts as they stand."""
        ...

    async def book(self, booked: Sequence[BookedByHand], *, source_address: str) -> None:
        """Journal what was booked, with the signals that stand for it and all that follows."""
        ...

    async def listed(self) -> Sequence[Held]:
        """Lock and give what the bot behind `/webhook/in` holds, open or closing, in the order of their ids."""
        ...

    async def holders_of(self, symbol: str) -> Sequence[Holder]:
        """Lock what is open of a symbol, and give the bots that hold it, by name."""
        ...

    async def default_bot(self) -> UUID | None:
        """Give the bot behind `/webhook/in`; None where there is none."""
        ...

    async def destinations_of(self, bot_id: UUID) -> Sequence[UUID]:
        """Give the subscriptions of a bot whose accounts are at a webhook, canceled ones left out."""
        ...

    async def entered_before(self, instant: datetime) -> Sequence[Held]:
        """Lock and give what was entered by hand before then and is still open."""
        ...

    async def rule(self) -> SellListRule | None:
        """Give the list's rule; None where nobody has said one."""
        ...


class PositionBooks(Protocol):
    """Opens such books."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[PositionBook]:
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
