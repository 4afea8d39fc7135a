"""
The exchange's books on disk: a snapshot and the commands since, written before anybody is answered.

A write to the operating system survives the death of the process (kill -9); a power cut may cost the tail.
Without a folder everything is kept in memory only.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from pregao.simulation import commands
from pregao.simulation.books import Books
from pregao.simulation.commands import Command
from pregao.simulation.exchange import Exchange
from pregao.simulation.instruments import LISTINGS, Listing

ROTATE_BYTES: Final = 32_000_000  # a longer log makes the next start slow
_TYPES: Final[dict[str, type]] = {
    name: kind
    for name, kind in vars(commands).items()
    if isinstance(kind, type) and kind.__module__ == commands.__name__
}


class Ledger:
    """Appends commands, and gives the books back after a restart."""

    def __init__(self, folder: Path | None) -> None:
        """Keep the books in ``folder``, or nowhere."""
        self._folder = folder
        self._number = 0
        self._log = -1
        self._bytes = 0
        self._rotate_at = ROTATE_BYTES

    def restore(self, listings: Mapping[str, Listing] = LISTINGS) -> Books:
        """Read the newest snapshot and carry out the commands written after it, under these listings."""
        if self._folder is None:
            return Books()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        numbers = [int(path.suffixes[0][1:]) for path in self._folder.glob("books.*.msgpack")]
        self._number = max(numbers, default=0)
        books = Books()
        if numbers:
            books = msgspec.msgpack.decode(self._snapshot_path.read_bytes(), type=Books)
        exchange = Exchange(books, listings=listings)
        if self._log_path.exists():
            _cut_torn_tail(self._log_path)
            for line in self._log_path.read_bytes().splitlines():
                exchange.execute(_read_command(line))
        self._open_log()
        return exchange.books

    def append(self, command: Command, *, books: Books) -> None:
        """Write one command that has been carried out; now and then the snapshot with it."""
        if self._log < 0:
            return
        line = msgspec.json.encode([type(command).__name__, command]) + b"\n"
        os.write(self._log, line)
        self._bytes += len(line)
        if self._bytes > self._rotate_at:
            self.rotate(books)

    def rotate(self, books: Books) -> None:
        """Write a snapshot and begin a new log after it; the old pair goes last."""
        if self._folder is None or self._log < 0:
            return
        old = (self._snapshot_path, self._log_path)
        os.close(self._log)
        encoded = msgspec.msgpack.encode(books)
        draft = self._folder / "books.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
        self._number += 1
        draft.rename(self._snapshot_path)
        self._open_log()
        self._rotate_at = max(ROTATE_BYTES, 2 * len(encoded))
        for path in old:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    @property
    def _snapshot_path(self) -> Path:
        assert self._folder is not None
        return self._folder / f"books.{self._number}.msgpack"

    @property
    def _log_path(self) -> Path:
        assert self._folder is not None
        return self._folder / f"commands.{self._number}.jsonl"

    def _open_log(self) -> None:
        self._log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._bytes = os.fstat(self._log).st_size


def _read_command(line: bytes) -> Command:
    name, values = msgspec.json.decode(line, type=tuple[str, dict[str, Any]])
    command: Command = msgspec.convert(values, type=_TYPES[name], strict=False)
    return command


def _cut_torn_tail(path: Path) -> None:
    # A process killed inside its last write leaves half a line: nobody was answered for it.
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
