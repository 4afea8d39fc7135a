"""The journal in a list: a transaction works on a copy of the state, and its commit is one assignment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from pregao.domain.facts import Fact
from pregao.simulation.desk.folds import fold
from pregao.simulation.desk.state import State

Moment = Callable[[str], Awaitable[None]]
"""Called where the database would be waited for: before a transaction, before and after its commit. It may raise."""


async def at_once(_moment: str) -> None:
    """Wait for nothing."""


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

    def __init__(self, *, moment: Moment = at_once) -> None:
        """Start empty; ``moment`` is where time passes and where the database may fail."""
        self.state = State()
        self._moment = moment
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        await self._moment("begin")
        async with self._turn:
            transaction = MemoryTransaction(self.state.copy())
            yield transaction
            await self._moment("commit")
            self.state = transaction.state
        await self._moment("committed")
