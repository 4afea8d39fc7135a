"""What may be traded, as people look at it: what is not active, and which traders have seen it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.trading_state import ScopeState


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine(ScopeState):
    """A state that was set, with who did it and when."""

    set_by: str
    is_by_staff: bool
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderSeen:
    """A trader whose lease has not run out, and the version it has acknowledged."""

    worker_id: str
    states_seen: int
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateNow:
    """All of it, at one moment."""

    version: int
    states: Sequence[StateLine]
    traders: Sequence[TraderSeen]


class TradingStateViews(Protocol):
    """Where it is fetched."""

    async def now(self, *, owner: UUID | None) -> TradingStateNow:
        """
        Give what is not active and the traders that live.

        ``owner`` sees what concerns him: the desk, symbols, bots his accounts follow, himself and his accounts.
        """
        ...

    async def unseen_by(self, version: int) -> Sequence[str]:
        """Give the living traders that have not acknowledged a version yet, by the database's clock."""
        ...
