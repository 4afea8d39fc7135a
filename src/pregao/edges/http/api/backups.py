"""Backups in the desk's own folder: which there are, and another one."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import BACKUPS
from pregao.edges.http.api.roles import Admin
from pregao.edges.http.api.shapes import CONFLICT, ERRORS, PAGE_ITEMS, TOKEN, DeskGiven, Limit, Page, Shown
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
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


class BackupsShown(Page[BackupShown]):
    """A page of them, and where on the desk's machine they lie."""

    folder: str


BackupSort = Literal[
    "made_at", "-made_at", "name", "-name", "size_bytes", "-size_bytes", "facts", "-facts", "accounts", "-accounts",
]  # fmt: skip


@routes.get("", response_model=BackupsShown, responses=AsCsv)
async def list_backups(
    *,
    desk: DeskGiven,
    _who: Admin,
    search: Search = None,
    sort: BackupSort = "-made_at",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> BackupsShown | Response:
    """Give the backups in the desk's folder, the newest first unless `sort` says otherwise."""
    told = await BACKUPS.answer(
        BACKUPS.within(await desk.backups.backups()),
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=BackupShown.model_validate,
        shown=BackupShown,
        name="backups",
    )
    if not isinstance(told, Page):
        return told
    return BackupsShown(folder=desk.backups.folder, items=told.items, next_cursor=told.next_cursor)


@routes.post("", status_code=201, responses=CONFLICT)
async def make_backup(desk: DeskGiven, _who: Admin) -> BackupShown:
    """Write the whole database to a file in that folder, while the desk trades on; answered when it is there."""
    try:
        return BackupShown.model_validate(await desk.backups.make(now=desk.clock()))
    except BackupUnmadeError as error:
        raise ApiError(409 if error.is_running else 500, error.code, error.message) from error
