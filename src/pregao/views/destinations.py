"""The limit on forwards, and how it stands; and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pregao.domain.destination import ForwardLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """The limit that stands, and who set it; nobody where it is as it came."""

    limit: ForwardLimit
    set_by: str | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsLine:
    """One destination's slots now: those taken within the last minute, and those that are left."""

    account_id: int
    taken: int
    left: int
    limited: int  # forwards that had to wait, ever
    freed_at: datetime | None  # when a slot last came free
    is_full: bool  # the next forward has to wait


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLine:
    """An account that forwards, and where to; of its URL only the host."""

    account_id: int
    host: str
    timeout_seconds: int


class ForwardLimits(Protocol):
    """Where it is fetched."""

    async def limit(self) -> LimitLine:
        """Give the limit."""
        ...

    async def find_first(self) -> DestinationLine | None:
        """Give the desk's own first destination: the one that system A's paths are about."""
        ...

    async def slots(self) -> Sequence[SlotsLine]:
        """Give each destination's slots, those with the fewest left first."""
        ...
