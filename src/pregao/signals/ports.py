"""What this room needs from outside: bots by their address, a durable place for arrivals, and their end."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from pregao.domain.bot import Bot
from pregao.domain.facts import DeliveryTurnedAway, SignalAccepted, SignalReceived, SignalRefused
from pregao.domain.signal import Instruction


class StoreAway(Exception):
    """Nothing can be stored at the moment; what was asked may or may not be there, and may be asked again."""


@dataclass(slots=True)  # not frozen, nor is the next: they are made for every signal, at a third of the cost
class Arrival:
    """An authenticated body and what its reading says; counts only if it turns out to be the first delivery."""

    received: SignalReceived
    outcome: SignalAccepted | SignalRefused
    signature: str | None = None  # one that was here before is the same delivery, replayed


@dataclass(slots=True)
class Recorded:
    """
    What a delivery became, committed.

    ``signal_id`` is the first delivery's where this one repeats it. ``code`` and ``reason`` are set where the
    signal was refused.
    """

    signal_id: UUID
    is_first: bool
    code: str | None = None
    reason: str | None = None


Record: TypeAlias = Callable[[Arrival], asyncio.Future[Recorded]]
"""Stores an arrival; the future is done once it is committed, and raises when it could not be."""


class Arrivals(Protocol):
    """Where arrivals are kept for ever."""

    async def record(self, arrivals: Sequence[Arrival]) -> Sequence[Recorded]:
        """Store a batch in one transaction; each key has one signal, whatever arrives at once."""
        ...

    async def record_turned_away(self, facts: Sequence[DeliveryTurnedAway]) -> None:
        """Store who knocked without the secret."""
        ...

    async def settled(self, signal_ids: Iterable[UUID]) -> set[UUID]:
        """Give those of the signals that nothing more will happen to."""
        ...

    async def is_holding(self, bot_id: UUID, *, against: Instruction | None = None) -> bool:
        """
        Say whether the bot has a live position; with an entry ``against`` it: on its symbol, on the other side.

        :raises StoreAway: when the database cannot be asked
        """
        ...

    async def count_undecided(self, *, at_most: int) -> int:
        """Count the accepted signals nobody has decided about yet, up to ``at_most``."""
        ...


class BotBook(Protocol):
    """The desk's bots by webhook path, kept in memory."""

    def find_bot_by_path(self, webhook_path: str) -> Bot | None:
        """Give the bot as last seen, without waiting."""
        ...

    def find_bot_by_name(self, name: str) -> Bot | None:
        """Give the bot as last seen, without waiting; of several the one not archived, made first."""
        ...

    async def look_again(self) -> None:
        """
        Return once the book shows what was committed before this call.

        :raises StoreAway: when the database cannot be asked
        """
        ...
