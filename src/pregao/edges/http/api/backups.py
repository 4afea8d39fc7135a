"""Backups in the desk's own folder: which there are, and another one."""

from datetime import datetime

from fastapi import APIRouter

from pregao.edges.http.api.roles import Admin
from pregao.edges.http.api.shapes import CONFLICT, ERRORS, TOKEN, DeskGiven, Shown
from pregao.edges.http.errors import ApiError
from pregao.views.backups import BackupUnmadeError

routes = APIRouter(prefix="/api/v1/backups", tags=["database"], dependencies=[TOKEN], responses=ERRORS)


class BackupShown(Shown):
    """One file; all but its name and size are null where it is no backup, or damaged."""

    name: str
    size_bytes: int
    made_at: datetime | None
    version: str | None
    facts: int | None
    accounts: int | None


class BackupsShown(Shown):
    """All of them, the newest first, and where on the desk's machine they lie."""

    folder: str
    items: list[BackupShown]


@routes.get("")
async def list_backups(desk: DeskGiven, _who: Admin) -> BackupsShown:
    """Give the backups in the desk's folder."""
    lines = await desk.backups.backups()
    return BackupsShown(
        folder=desk.backups.folder, items=[BackupShown.model_validate(line) for line in lines]
    )


@routes.post("", status_code=201, responses=CONFLICT)
async def make_backup(desk: DeskGiven, _who: Admin) -> BackupShown:
    """Write the whole database to a file in that folder, while the desk trades on; answered when it is there."""
    try:
        return BackupShown.model_validate(await desk.backups.make(now=desk.clock()))
    except BackupUnmadeError as error:
        raise ApiError(409 if error.is_running else 500, error.code, error.message) from error
