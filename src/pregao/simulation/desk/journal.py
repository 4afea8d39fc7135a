"""The journal in a list: a transaction works on a copy of the state, and its commit is one assignment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from pregao.domain.facts import Fact
from pregao.simulation.desk.folds import fold
from pregao.simulation.desk.state import State
from pregao.simulation.loop import PROCESS

Moment = Callable[[str], Awaitable[None]]
"""Called where the database would be waited for: before a transaction, before and after its commit. It may raise."""


Tell = Callable[[Sequence[Fact]], None]
"""Hears the facts of each commit."""

TURN_SECONDS = 0.0005  # between two looks whether it is one's turn


async def at_once(_moment: str) -> None:
    """Wait for nothing."""


def nobody(_facts: Sequence[Fact]) -> None:
    """Tell nobody."""


class MemoryTransaction:
    """One open transaction: what is appended is folded at once, and seen by nobody else before the commit."""

    def __init__(self, state: State) -> None:
        """Change ``state``, which is a copy."""
        self.state = state

    async def append(self, facts: Iterable[Fact]) -> None:
        """Fold the facts into the state and journal them, in their order."""
        for fact in facts:
            if fact.is_journaled:
                fold(self.state, fact)
                self.state.journal.append(fact)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Leave no trace of the block when it fails."""
        before = self.state.copy()
        try:
            yield
        except BaseException:
            self.state = before
            raise


class MemoryJournal:
    """The journal of one desk: one transaction at a time, as if every row were locked."""

    def __init__(self, *, moment: Moment = at_once, tell: Tell = nobody) -> None:
        """Start empty; ``moment`` is where time passes and the database may fail; ``tell`` hears what is committed."""
        self.state = State()
        self._moment = moment
        self._tell = tell
        self._holder: str | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        await self._moment("begin")
        while self._holder is not None:  # noqa: ASYNC110  # a holder that is gone wakes nobody
            await asyncio.sleep(TURN_SECONDS)
        self._holder = PROCESS.get()
        try:
            transaction = MemoryTransaction(self.state.copy())
            yield transaction
            await self._moment("commit")
            new = transaction.state.journal[len(self.state.journal) :]
            self.state = transaction.state
        finally:
            self._holder = None
        self._tell(new)
        await self._moment("committed")

    @property
    def is_open(self) -> bool:
        """Whether somebody has a transaction open."""
        return self._holder is not None

    def put_back(self, state: State) -> None:
        """Put an older state back, as a backup is: what was committed since is forgotten."""
        assert not self.is_open, "a transaction would commit what it began with"
        self.state = state.copy()

    def break_off(self, process: str) -> None:
        """Roll back what a process has open that is gone for ever."""
        if self._holder == process:
            self._holder = None
