"""What of alerts is kept back for a while: stored, and not told."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from pregao.alerts.configure import (
    MUTE_SECONDS_MAX,
    TEXT_CHARACTERS_MAX,
    get_mute,
    level_of,
    mute,
    unmute,
)
from pregao.domain.alert import AlertKind, AlertLevel
from pregao.edges.http.api.alerts import LevelAsked
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import MUTES
from pregao.edges.http.api.roles import Trader, Viewer, name_of
from pregao.edges.http.api.shapes import (
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Limit,
    Page,
    Shown,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.ids import uuid7

routes = APIRouter(prefix="/api/v1", tags=["alerts"], dependencies=[TOKEN], responses=ERRORS)


class MuteAsked(Asked):
    """What is kept back, and for how long."""

    kind: AlertKind | None = None
    level_max: LevelAsked = "ERROR"
    seconds: Annotated[int, Field(ge=1, le=MUTE_SECONDS_MAX)]
    reason: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)] = ""


class MuteShown(Shown):
    """What is kept back; what is worse than `level_max` is told all the same."""

    mute_id: UUID
    kind: AlertKind | None
    level_max: AlertLevel
    until: datetime
    reason: str
    muted_by: str


MuteSort = Literal[
    "until", "-until", "kind", "-kind", "level_max", "-level_max", "muted_by", "-muted_by",
]  # fmt: skip


@routes.get("/alert-mutes", response_model=Page[MuteShown], responses=AsCsv)
async def list_alert_mutes(
    *,
    desk: DeskGiven,
    who: Viewer,
    search: Search = None,
    sort: MuteSort = "until",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    form: Format = "json",
) -> Page[MuteShown] | Response:
    """Give the mutes that stand, the next to end first unless `sort` says otherwise."""
    return await MUTES.answer(
        MUTES.within(await desk.alerts.mutes(owner=who.owner, now=desk.clock())),
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=form,
        to_shown=MuteShown.model_validate,
        shown=MuteShown,
        name="mutes",
    )


@routes.post("/alert-mutes", status_code=201, responses=UNREADABLE)
async def post_alert_mute(body: MuteAsked, desk: DeskGiven, who: Trader) -> MuteShown:
    """Keep alerts back for a while; they are stored all the same."""
    now = desk.clock()
    mute_id = uuid7(now)
    facts = mute(
        mute_id=mute_id,
        user_id=who.owner,
        kind=body.kind,
        level_max=level_of(body.level_max),
        seconds=body.seconds,
        reason=body.reason,
        by=await name_of(who, desk=desk),
        now=now,
    )
    async with desk.alert_books.open(owner=who.owner) as book:
        await book.append(facts)
    standing = await desk.alerts.mutes(owner=who.owner, now=now)
    return MuteShown.model_validate(next(one for one in standing if one.mute_id == mute_id))


@routes.delete("/alert-mutes/{mute_id:uuid}", responses=UNKNOWN)
async def delete_alert_mute(mute_id: UUID, desk: DeskGiven, who: Trader) -> MuteShown:
    """Hear of it again."""
    by = await name_of(who, desk=desk)
    async with desk.alert_books.open(owner=who.owner) as book:
        gone = await get_mute(mute_id, book=book)
        await book.append(unmute(gone, by=by, now=desk.clock()))
    return MuteShown.model_validate(gone)
