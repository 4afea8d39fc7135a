"""How the desk is: its workers, its bots; and where that is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pregao.domain.trading_state import TradingState

LEASE_SECONDS = 10.0  # a worker that says nothing for so long is dead
ROLES_NEEDED = frozenset({"trader", "monitor"})  # without one signals wait, or prices are not watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker that has not given its lease up; alive until that runs out, by the database's clock."""

    worker_id: str
    role: str
    is_alive: bool
    started_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many signals wait for a decision, and how many orders for their answer."""

    signals: int
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits for somebody to go on with it, and since when the first of it does."""

    name: str
    waiting: int
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHealth:
    """When the last fact was written, and how far behind it whoever follows the journal may be."""

    last_fact_at: datetime | None
    behind_ms: int  # the age of the oldest transaction that still writes: followers wait for it


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHealth:
    """What the desk as a whole may trade, and how many scopes, the desk among them, are not active."""

    state: TradingState
    version: int
    states_set: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BotsHealth:
    """What the desk may trade, how many bots and subscriptions take entries, and when the last signal came."""

    trading_state: TradingState
    active_bots: int
    active_subscriptions: int
    last_signal_at: datetime | None


class Health(Protocol):
    """Where it is fetched; raises whatever the database raises when it is away."""

    async def workers(self) -> Sequence[Worker]:
        """Give the workers that live, and those that ended within the last hour without a word, by role and start."""
        ...

    async def waiting(self) -> Waiting:
        """Give what waits."""
        ...

    async def queues(self) -> Sequence[Queue]:
        """Give all that waits, in the order of a signal's way."""
        ...

    async def journal(self) -> JournalHealth:
        """Say how the journal does."""
        ...

    async def trading_health(self) -> TradingHealth:
        """Give what may be traded."""
        ...

    async def bots_health(self) -> BotsHealth:
        """Give the counts of the bots."""
        ...
