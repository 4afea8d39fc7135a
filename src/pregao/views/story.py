"""All that happened because of one signal, in the order it happened; and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One fact as the journal keeps it."""

    seq: int
    recorded_at: datetime  # the database's clock
    happened_at: datetime
    kind: str
    signal_id: UUID  # another one's, where a later signal closed what this one opened
    account_id: int | None
    fact: str  # JSON


class Stories(Protocol):
    """Where it is fetched; ``after`` is the last line of the page before."""

    async def find_story(self, signal_id: UUID, *, after: int | None, limit: int) -> Sequence[StoryLine]:
        """
        Give the signal's own facts, and those of later orders on the positions it opened, until they are closed.

        Nothing is given where there is no such signal.
        """
        ...
