"""
What a venue lets one address ask in a minute, and who may use how much of it.

Orders weigh nothing and never wait; questions do, the less important first.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Importance(IntEnum):
    """What hangs on a question; the lower, the longer it is still asked."""

    EXITS = 0  # exits, and what has become of them
    ENTRIES = 1  # what has become of an entry: it may have filled, and stand open
    BOOKS = 2  # reconciliation and streams; and what an entry hangs on
    REST = 3


SHARES = {
    Importance.EXITS: 0.95,
    Importance.ENTRIES: 0.88,
    Importance.BOOKS: 0.75,
    Importance.REST: 0.45,
}
"""
Of a minute's weight: a question is asked while less than this is used. The rest is for what we have not counted.

What unknown outcomes are left with asks about forty orders that nobody can find, eleven each; with half of it, and two traders that had
begun anew in that minute, entries stood unknown and unguarded until its end. Where entries could ask as long as exits, two exits did.
"""

_asking_for: ContextVar[Importance] = ContextVar("asking_for", default=Importance.EXITS)


@contextlib.contextmanager
def asking_for(importance: Importance) -> Iterator[None]:
    """Ask all that is asked in here for the sake of this, unless it is less important by itself."""
    before = _asking_for.set(importance)
    try:
        yield
    finally:
        _asking_for.reset(before)


def importance_of(question: Importance) -> Importance:
    """Give how important a question is where it is asked now."""
    return max(question, _asking_for.get())


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a process was given of a minute's weight, and how the address stands."""

    minute: int  # since 1970
    granted: int
    drawn: int  # by all processes, or used as the venue says, whichever is more
    paused_seconds: float  # all requests of the address, after a 429 or 418


class WeightBudget(Protocol):
    """One address's weight at one venue, shared with other processes."""

    async def draw(self, *, minute: int, asked: int, used: int, weight_max: int, limit: int) -> Drawn:
        """
        Draw a slice of a minute, up to ``limit`` of all; ``used`` and ``weight_max`` are as the venue says.

        Raises whatever the database raises when it is away.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Tell every process to be silent for so long; returns at once."""
        ...

    def follow(self, adopt: Callable[[Drawn], None]) -> None:
        """Call ``adopt`` with what other processes changed, about once a second."""
        ...
