"""Backups that lie in the desk's own folder, and where they are made and found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupLine:
    """One file; what it says of itself, unless it cannot be read."""

    name: str
    size_bytes: int
    made_at: datetime | None  # None: it is no backup, or damaged
    version: str | None  # of the desk that made it
    facts: int | None
    accounts: int | None


class BackupUnmadeError(Exception):
    """A backup was not made; nothing was written."""

    def __init__(self, code: str, message: str, *, is_running: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.is_running = is_running  # another one is being made


class Backups(Protocol):
    """Where they are."""

    @property
    def folder(self) -> str:
        """Give the folder they lie in."""
        ...

    async def backups(self) -> Sequence[BackupLine]:
        """Give them, the newest first."""
        ...

    async def make(self, *, now: datetime) -> BackupLine:
        """
        Write one, while the desk goes on; return when it is whole.

        :raises BackupUnmadeError: with the reason.
        """
        ...
