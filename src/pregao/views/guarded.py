"""What guards each position right now, and where that is fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedLine:
    """
    A position's two lines of defence. Prices are in the quote asset.

    A line is effective where the venue has an order for all of it, or a monitor that holds its lease has a price
    younger than 30 s (design 5).
    """

    position_id: int
    status: str  # armed, triggered, disarmed
    version: int
    is_required: bool
    initial_stop: Decimal | None
    stop_price: Decimal | None
    targets: int  # that wait
    line_status: str | None  # of the venue's order; None: there is none
    line_price: Decimal | None
    is_line_effective: bool
    is_watched: bool
    checked_at: datetime | None  # of the monitor's last price
    bid: Decimal | None
    ask: Decimal | None

    @property
    def is_guarded(self) -> bool:
        """Say whether one of the two holds, or none has to."""
        return self.is_line_effective or self.is_watched or not self.is_required


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchfulness:
    """What of the desk's guard does not hold right now; all nothing where it does."""

    unguarded: int  # positions held, to be guarded, without an effective stop for five seconds or ever
    silent: int  # symbols that are held, with a stop, and whose price is older than half a minute
    streams_away: int  # active accounts of whose private stream the last look heard nothing


class Guarded(Protocol):
    """Where they are fetched."""

    async def guarded(self, position_ids: Sequence[int]) -> Mapping[int, GuardedLine]:
        """Give what guards these positions, by their ids; one that was never filled is not among them."""
        ...

    async def watchfulness(self, *, owner: UUID | None) -> Watchfulness:
        """Count what does not hold, of one user's accounts or of all."""
        ...
