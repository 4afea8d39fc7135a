"""Backups made from a page: in the state folder, one at a time. What it takes to make one is loaded when one is made."""

import asyncio
import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pregao import __version__
from pregao.views.backups import BackupLine, BackupUnmadeError

FOLDER = "backups"
ENDING = ".backup"
SHOWN_MAX = 200  # of the newest
PAGE_BYTES_MAX = 1 << 20


class FolderBackups:
    """The port `views.backups.Backups`."""

    def __init__(self, state_dir: Path, *, dsn: str) -> None:
        """Keep them below ``state_dir``."""
        self._folder = state_dir / FOLDER
        self._dsn = dsn
        self._making = asyncio.Lock()

    @property
    def folder(self) -> str:
        return str(self._folder)

    async def backups(self) -> Sequence[BackupLine]:
        return await asyncio.to_thread(self._read_folder)

    async def make(self, *, now: datetime) -> BackupLine:
        from pregao.edges.postgres.backup import open_snapshot  # noqa: PLC0415
        from pregao.edges.processes.backup import BackupError, write_backup  # noqa: PLC0415

        if self._making.locked():
            raise BackupUnmadeError(
                "BACKUP_RUNNING", "A backup is being made. Wait until it is there.", is_running=True
            )
        path = self._folder / f"desk-{now:%Y-%m-%d-%H%M%S}{ENDING}"
        async with self._making:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                async with open_snapshot(self._dsn, version=__version__, now=now) as (snapshot, page):
                    await asyncio.to_thread(
                        write_backup,
                        path,
                        dsn=self._dsn,
                        snapshot=snapshot,
                        manifest=page,
                        told=lambda _size: None,
                    )
            except BackupError as error:
                code, _, message = str(error).partition(": ")
                raise BackupUnmadeError(code, message) from error
            except OSError as error:
                raise BackupUnmadeError(
                    "FILE_UNUSABLE", f"file={error.filename} reason={error.strerror}."
                ) from error
            return await asyncio.to_thread(_line_of, path)

    def _read_folder(self) -> Sequence[BackupLine]:
        if not self._folder.is_dir():
            return ()
        files = sorted(self._folder.glob(f"*{ENDING}"), key=lambda one: one.stat().st_mtime, reverse=True)
        return [_line_of(one) for one in files[:SHOWN_MAX]]


def _line_of(path: Path) -> BackupLine:
    page = _page_of(path)
    rows = page.get("rows", {})
    return BackupLine(
        name=path.name,
        size_bytes=path.stat().st_size,
        made_at=datetime.fromisoformat(page["made_at"]) if "made_at" in page else None,
        version=page.get("pregao"),
        facts=rows.get("journal"),
        accounts=rows.get("accounts"),
    )


def _page_of(path: Path) -> dict[str, Any]:
    """Give what the file says of itself; `pregao db restore` is who looks at every byte."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("manifest.json").file_size > PAGE_BYTES_MAX:
                return {}
            page: dict[str, Any] = json.loads(archive.read("manifest.json"))
            return page
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}
