"""How the circuit breakers stand, and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pregao.domain.breaker import BreakerScope, BreakerState


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLine:
    """One breaker, as the process that told of it last sees it."""

    name: str
    scope: BreakerScope
    state: BreakerState
    failure_count: int  # in a row
    success_count: int  # of probes, while half open
    half_open_calls: int  # probes under way
    last_failure_time: datetime | None
    next_try_at: datetime | None  # None: calls pass
    changed_at: datetime  # when it opened or closed
    told_by: str  # the process


class BreakerStates(Protocol):
    """Where they are fetched; raises whatever the database raises when it is away."""

    async def breakers(self) -> Sequence[BreakerLine]:
        """Give every breaker, services first, by name."""
        ...
