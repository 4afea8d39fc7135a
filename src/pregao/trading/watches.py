"""What the monitors ask of the database: whose symbol is whose, which stops stand there, and what each was told last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from pregao.domain.account import Account, Venue
from pregao.domain.position import Position
from pregao.domain.stop import Source
from pregao.stops.ports import ArmedStop

Pair: TypeAlias = tuple[Venue, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a monitor knows of a symbol's price."""

    venue: Venue
    symbol: str
    source: Source  # who watches: the stream, or asking
    price_at: datetime | None  # our clock
    bid: Decimal | None
    ask: Decimal | None


class Watches(Protocol):
    """The symbols with armed stops, each watched by one monitor at a time, under a short lease."""

    async def take_turns(self, venues: Collection[Venue], *, seconds: float) -> frozenset[Pair]:
        """
        Renew what this monitor holds and take what nobody does, up to its share and one; give what it holds now.

        What is above its share is given up, one symbol more than that at most stays.
        """
        ...

    async def give_up(self) -> None:
        """Leave all symbols to others, now."""
        ...

    async def lock_positions(self, transaction: Any, symbols: Mapping[int, Pair]) -> Mapping[int, Position]:
        """Lock and give those of the positions, each told with its symbol, whose symbol this monitor holds at this moment."""
        ...

    async def armed(self, pairs: Collection[Pair]) -> Sequence[ArmedStop]:
        """Give the stops that are not over on these symbols."""
        ...

    async def armed_of(self, position_ids: Collection[int]) -> Sequence[ArmedStop]:
        """Give the stops of these positions, those that are over too."""
        ...

    async def held(self, position_ids: Collection[int]) -> Mapping[int, tuple[Position, Account]]:
        """Give what these positions hold, and on which account."""
        ...

    async def watched_pairs(self) -> Sequence[Pair]:
        """Give every symbol with a stop that is not over."""
        ...

    async def tell(self, told: Sequence[Told], *, now: datetime) -> None:
        """Write what is known of the prices, where this monitor holds the symbol."""
        ...
