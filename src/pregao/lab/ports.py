"""What this room needs from outside: the runs as they stand."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from pregao.domain.facts import Fact
from pregao.domain.lab import LabRun


class LabBook(Protocol):
    """The runs, in one transaction that nobody else asks in."""

    async def waiting(self, *, user_id: UUID | None) -> tuple[int, int]:
        """Count the runs that are not over: all, and those this person asked for."""
        ...

    async def find_run(self, run_id: UUID) -> LabRun | None:
        """Lock and give a run; None when there is none, or it is somebody else's."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class LabBooks(Protocol):
    """Where a book is opened."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[LabBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...
