"""Stops as operators look after them: how exits went, and stops for what was opened before one was asked for."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.shapes import CONFLICT, ERRORS, TOKEN, UNREADABLE, Amount, Asked, DeskGiven, Shown
from pregao.stops.backfill import Backfilled, Outcome, totals
from pregao.stops.by_hand import backfill_stops

routes = APIRouter(prefix="/api/v1/stops", tags=["stops"], dependencies=[TOKEN], responses=ERRORS)

BATCH_SIZE, BATCH_SIZE_MAX = 1_000, 10_000
SKIPPED_SHOWN_MAX = 1_000


class BackfillAsked(Asked):
    """What is to be done; a dry run is the same without writing."""

    dry_run: bool = False
    batch_size: Annotated[
        int, Field(ge=1, le=BATCH_SIZE_MAX, description="Positions in one transaction.")
    ] = BATCH_SIZE
    force: Annotated[
        bool, Field(description="Also stops that would trigger at once, and where no price is known.")
    ] = False


class SkippedShown(Shown):
    """A position that got no stop, and why."""

    position_id: int
    code: str
    reason: str


class BackfillShown(Shown):
    """How many were looked at, got a stop, and were left; with those that were left, a thousand at most."""

    dry_run: bool
    processed: int
    updated: int
    skipped: int
    left: list[SkippedShown]


class FailedShown(Shown):
    """An exit that failed or was blocked within the last hour; `retry_count` counts attempts after the first."""

    execution_token: str
    kind: str
    operation_id: int
    account_id: int
    symbol: str
    status: str
    code: str | None
    error: str | None
    retry_count: int
    again_at: datetime | None
    failed_at: datetime


class ReportShown(Shown):
    """
    How the exits of stops and targets went in the last 24 hours, and what failed in the last hour.

    Slippage is in percent of the level, positive is worse; seconds are from the claim to the booked fill.
    """

    since: datetime
    executions_by_status: dict[str, int]
    average_slippage_percent: Amount | None
    max_slippage_percent: Amount | None
    average_seconds: Amount | None
    max_seconds: Amount | None
    failures: list[FailedShown]


@routes.get("/report")
async def get_stop_report(desk: DeskGiven, who: Viewer) -> ReportShown:
    """Say how the exits of stops and targets went: by status, slippage, time, and what failed."""
    return ReportShown.model_validate(await desk.stop_reports.report(owner=who.owner, now=desk.clock()))


@routes.post("/backfill", responses={**CONFLICT, **UNREADABLE})
async def post_backfill(
    body: BackfillAsked, request: Request, desk: DeskGiven, who: Operator
) -> BackfillShown:
    """Give a stop to every open position that has none although its settings ask for one; twice is once."""
    changed_by = await name_of(who, desk=desk)
    outcomes: list[Backfilled] = []
    after, is_more = 0, True
    while is_more:
        async with desk.hand_books.open(owner=who.owner) as book:
            held = await book.held_without(after=after, limit=body.batch_size)
            now = desk.clock()
            sides = {one.row.position_id: await book.sides_of(one.armed, now=now) for one in held}
            done, facts = backfill_stops(
                held, sides=sides, is_forced=body.force, changed_by=changed_by, now=now
            )
            if not body.dry_run:
                await book.append(facts)
        outcomes += done
        is_more = len(held) == body.batch_size
        after = held[-1].row.position_id if held else after
    request.scope["action_targets"] = {"dry_run": str(body.dry_run).lower()}
    left = [one for one in outcomes if one.outcome is Outcome.SKIPPED]
    return BackfillShown(
        dry_run=body.dry_run,
        **totals(outcomes),
        left=[SkippedShown.model_validate(one, from_attributes=True) for one in left[:SKIPPED_SHOWN_MAX]],
    )
