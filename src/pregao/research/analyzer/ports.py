"""What the analyzer needs from outside: past candles, a place for its signals, and its own progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.deployment import Deployment
from pregao.research.analyzer.wishes import Wish
from pregao.research.strategies.live import Opinion
from pregao.research.ticks import Candle


class PastUnavailableError(Exception):
    """The past candles cannot be had at the moment; the text begins with a stable code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Candles of one symbol and length at one venue."""

    venue: Venue
    symbol: str
    timeframe: str
    frame_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a deployment has come; instants are a candle's close."""

    began_at_ms: int
    bar_at_ms: int
    bars: int
    wanted: str


class Past(Protocol):
    """Candles that are closed."""

    def has(self, series: Series) -> bool:
        """Whether somebody else knows these candles, seen or not."""
        ...

    async def closed(self, series: Series, *, since_ms: int | None, limit: int) -> Sequence[Candle]:
        """
        Give the latest ``limit`` of them that opened since then, oldest first; none where nobody has kept any.

        :raises PastUnavailableError: when whoever has them cannot be asked.
        """
        ...

    async def keep(self, series: Series, candle: Candle) -> None:
        """Keep a candle that was seen."""
        ...


class Desk(Protocol):
    """Where signals go, and where progress is kept."""

    async def send(self, deployment: Deployment, wish: Wish) -> None:
        """Hand a signal in; the same one twice is one."""
        ...

    async def find_progress(self, deployment_id: UUID) -> Progress | None:
        """Give how far a deployment has come."""
        ...

    async def note_progress(self, deployment_id: UUID, progress: Progress) -> None:
        """Keep how far it has come."""
        ...

    async def note_trouble(self, deployment_id: UUID, *, code: str, reason: str) -> None:
        """Keep why it cannot go on."""
        ...


class Judges(Protocol):
    """Whoever looks at the last candles as a whole, in a process of its own."""

    async def judge(self, deployment: Deployment, candles: Sequence[Candle]) -> Opinion:
        """Say what is wanted from the close of the last candle on."""
        ...
