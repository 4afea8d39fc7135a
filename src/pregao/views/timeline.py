"""A signal from its bytes to the exit, over all accounts: each stage once, with the first, the middle and the last of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How many came to a stage, and when: the first, half of them, the last. The stages are in the order of the journey."""

    stage: str  # one of STAGES
    times: int
    first_at: datetime
    median_at: datetime
    last_at: datetime


STAGES = (
    "received",  # the bytes
    "read",  # accepted, or refused
    "asked",  # put to a person
    "answered",
    "decided",
    "planned",  # from here on one for each order
    "denied",
    "sent",
    "acknowledged",
    "rejected",
    "filled",  # by the venue's clock, which may run a little before ours
    "booked",
    "armed",  # from here on one for each position that it opened
    "line stands",  # the venue has the protective order
    "stop moved",
    "stop reached",
    "target reached",
    "exit sent",
    "exit filled",
    "closed",
)
"""What may happen to a signal, in this order."""


class Timelines(Protocol):
    """Where timelines are fetched."""

    async def find_timeline(self, signal_id: UUID, *, owner: UUID | None) -> Sequence[Stage]:
        """Give the stages that a signal came to; an owner's are of his accounts only. Nothing where there is no such signal."""
        ...
