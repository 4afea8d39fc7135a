"""Where signals are forwarded to: how many forwards leave in a minute, and how the last minute was."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from pregao.destinations.limit import PER_MINUTE_MIN, change_limit
from pregao.destinations.ports import LimitBook
from pregao.domain.destination import PER_MINUTE_MAX
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.roles import Operator, name_of
from pregao.edges.http.api.shapes import (
    COUNT,
    ERRORS,
    STRICT,
    TOKEN,
    UNREADABLE,
    Changes,
    DeskGiven,
    Shown,
    unset,
)
from pregao.edges.http.desk import Desk

routes = APIRouter(
    prefix="/api/v1/destinations", tags=["destinations"], dependencies=[TOKEN], responses=ERRORS
)

PerMinute = Annotated[
    int,
    STRICT,
    COUNT,
    Field(json_schema_extra={"minimum": PER_MINUTE_MIN, "maximum": PER_MINUTE_MAX}),
]


class LimitChanges(Changes):
    """What to change; the rest stays."""

    max_per_minute: PerMinute = unset()
    is_enabled: bool = unset()
    reason: Reason = ""


class SlotsShown(Shown):
    """One destination's last minute."""

    account_id: int
    taken: Annotated[int, Field(description="Forwards within the last minute; at most 300 are remembered.")]
    left: int
    limited: Annotated[int, Field(description="Forwards that had to wait, ever.")]
    freed_at: Annotated[datetime | None, Field(description="When a slot last came free.")]
    is_full: Annotated[bool, Field(description="The next forward has to wait.")]


class LimitShown(Shown):
    """The limit, the same for each destination; ``set_by`` is null where nobody has set it."""

    max_per_minute: int
    is_enabled: Annotated[bool, Field(description="False: forwards pass without waiting.")]
    set_by: str | None
    set_at: datetime | None
    destinations: list[SlotsShown]


@routes.get("/limit")
async def get_forward_limit(desk: DeskGiven, _who: Operator) -> LimitShown:
    """Give the limit and how each destination stands, the fullest first."""
    return await _shown(desk)


@routes.patch("/limit", responses=UNREADABLE)
async def patch_forward_limit(body: LimitChanges, desk: DeskGiven, who: Operator) -> LimitShown:
    """Change the limit; it counts at once, also for forwards that wait."""
    await set_limit(desk, body.model_dump(exclude_unset=True), by=await name_of(who, desk=desk))
    return await _shown(desk)


@routes.post("/limit/pause", responses=UNREADABLE)
async def pause_forward_limit(desk: DeskGiven, who: Operator) -> LimitShown:
    """Let forwards pass without waiting."""
    await set_limit(desk, {"is_enabled": False}, by=await name_of(who, desk=desk))
    return await _shown(desk)


@routes.post("/limit/resume", responses=UNREADABLE)
async def resume_forward_limit(desk: DeskGiven, who: Operator) -> LimitShown:
    """Have forwards wait for their slot again; what was sent meanwhile counts."""
    await set_limit(desk, {"is_enabled": True}, by=await name_of(who, desk=desk))
    return await _shown(desk)


async def set_limit(desk: Desk, changes: dict[str, Any], *, by: str) -> None:
    """Change what is given."""
    async with desk.forward_limit_books.open() as book:
        await set_limit_in(book, changes, by=by, desk=desk)


async def set_limit_in(book: LimitBook, changes: dict[str, Any], *, by: str, desk: Desk) -> None:
    """Change what is given, in an open transaction."""
    await book.append(await change_limit(**changes, set_by=by, book=book, now=desk.clock()))


async def _shown(desk: Desk) -> LimitShown:
    line = await desk.forward_limits.limit()
    return LimitShown(
        max_per_minute=line.limit.max_per_minute,
        is_enabled=line.limit.is_enabled,
        set_by=line.set_by,
        set_at=line.set_at,
        destinations=[SlotsShown.model_validate(one) for one in await desk.forward_limits.slots()],
    )
