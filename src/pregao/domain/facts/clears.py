"""The desk forgets what it did."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCleared(Fact):
    """
    Signals, positions and all that came of them were deleted; with this the journal's next epoch begins.

    What people have set up, and what they asked for, is there as before.
    """

    events: int  # facts about signals
    positions: int
    signals: int
    orders: int
    fills: int
    is_forced: bool  # something was still held or on its way
    reason: str
    cleared_by: str
    user_id: UUID | None  # None: the admin token
    source_address: str
