"""JSON lines in a file that stays small: one event per line, turned over by size."""

import json
import logging
import os
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 10 * 1024 * 1024
FILES_OLDER = 2  # with the current one: three


class _PrivateFile(RotatingFileHandler):
    """Opens each new file readable by us alone, whatever the umask."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)


def rotating_file(path: Path) -> RotatingFileHandler:
    """Open a log that is turned over at 10 MB; three files are kept, readable by us alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _PrivateFile(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_OLDER, encoding="utf-8")


class JsonLines:
    """A log for a process that imports little: no levels, no context, the same shape as the roles' logs."""

    def __init__(self, path: Path, *, role: str) -> None:
        self._role = role
        self._file = rotating_file(path)

    def say(self, event: str, *, level: str = "info", **keys: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(
            {"at": now, "level": level, "role": self._role, "event": event, **keys}, default=str
        )
        self._file.handle(logging.LogRecord(self._role, logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        self._file.close()
