"""Orders that are posted to somebody else's webhook: when each post leaves, and what is answered."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardBegun(Fact):
    """An attempt has its turn and leaves now: from here on its destination may have it."""

    order_id: str
    attempt: int
    signal_id: UUID
    account_id: int
    owner: str  # the worker that posts it
    lease_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardAnswered(Fact):
    """What a destination said to a post, or that it said nothing."""

    order_id: str
    attempt: int
    signal_id: UUID
    account_id: int
    http_status: int | None  # None: no answer, or none that could be read
    answer: str  # how it begins
