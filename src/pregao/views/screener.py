"""The screener, as people look at it: what it does, its list, its strategies, what was tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.screener import Reprocessed, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerLine:
    """What the screener does now. ``code`` says why the last look gave no list; empty: it gave one."""

    is_paused: bool
    is_running: bool  # a process holds the lease
    strategy_id: UUID | None  # the active one
    strategy: str
    list_of: str  # the strategy that made the list that stands; empty: there is none
    size: int
    entered: int  # with the last swap
    gone: int
    listed_at: datetime | None
    good_at: datetime | None
    failed_at: datetime | None
    failures: int  # in a row
    code: str
    reason: str
    next_look_at: datetime | None  # None: none will come by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerLine:
    """A ticker on the list."""

    ticker: str
    rank: int
    entered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """A list that took the place of the last one: who entered, and who left."""

    listed_at: datetime
    strategy: str
    size: int
    entered: tuple[str, ...]
    gone: tuple[str, ...]
    is_baseline: bool  # the first of its strategy: nobody has entered


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyLine:
    """A strategy."""

    strategy: Strategy
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReprocessedLine:
    """A declined entry that was looked at again."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    ticker: str
    outcome: Reprocessed
    again_as: UUID | None
    reprocessed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reprocessing:
    """How the last hour's looks at declined entries went; the last one, however long ago."""

    last_at: datetime | None  # None: there was none
    age_seconds: float
    duration_ms: int
    runs: int
    found: int
    again: int
    skipped: int
    failed: int  # a run that could not be written counts as one


class ScreenerViews(Protocol):
    """Where it is fetched."""

    async def changes(self, *, limit: int) -> Sequence[ListChange]:
        """Give the latest lists that were not what the list before was."""
        ...

    async def status(self) -> ScreenerLine:
        """Say what the screener does."""
        ...

    async def tickers(self) -> Sequence[TickerLine]:
        """Give the list, the best first."""
        ...

    async def strategies(self) -> Sequence[StrategyLine]:
        """Give all strategies, by name."""
        ...

    async def find_strategy(self, strategy_id: UUID) -> StrategyLine | None:
        """Give one strategy."""
        ...

    async def reprocessing(self) -> Reprocessing:
        """Say how trying again goes."""
        ...

    async def reprocessed(self, *, limit: int) -> Sequence[ReprocessedLine]:
        """Give what was tried again, the latest first."""
        ...
