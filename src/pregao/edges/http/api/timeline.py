"""A signal from its bytes to the exit, over all accounts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import ERRORS, TOKEN, UNKNOWN, DeskGiven, Shown
from pregao.edges.http.errors import ApiError

routes = APIRouter(prefix="/api/v1/signals", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)


class StageShown(Shown):
    """A stage that the signal came to: once, or `times` over its orders or positions; `median_at` is when half of them had."""

    stage: str
    times: int
    first_at: datetime
    median_at: datetime
    last_at: datetime


class TimelineShown(Shown):
    """Its stages, in the order of the journey; those of exits are of what it opened, whatever closed it."""

    signal_id: UUID
    stages: Annotated[list[StageShown], Field(description="`filled` is by the venue's clock.")]


@routes.get("/{signal_id:uuid}/timeline", responses=UNKNOWN)
async def get_timeline(signal_id: UUID, desk: DeskGiven, who: Viewer) -> TimelineShown:
    """Say when a signal came to each stage, from its bytes to the exit, over all accounts one may see."""
    if await desk.receipts.find_receipt(signal_id, owner=who.owner) is None:
        raise ApiError(404, "SIGNAL_UNKNOWN", f"signal={signal_id}. There is no such signal.")
    stages = await desk.timelines.find_timeline(signal_id, owner=who.owner)
    return TimelineShown(signal_id=signal_id, stages=[StageShown.model_validate(one) for one in stages])
