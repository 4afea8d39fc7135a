"""How long the desk remembers what is over, what it forgets, and what is wrong with it as a whole."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from pregao.domain.upkeep import KEPT_ALERTS_MIN, KEPT_DAYS_MIN, KEPT_POSITIONS_MIN, AlarmName, Severity
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.roles import Admin, Operator, name_of
from pregao.edges.http.api.shapes import (
    COUNT,
    ERRORS,
    STRICT,
    TOKEN,
    UNREADABLE,
    Asked,
    Changes,
    DeskGiven,
    Shown,
    unset,
)
from pregao.views.upkeep import RetentionLine

routes = APIRouter(prefix="/api/v1", tags=["upkeep"], dependencies=[TOKEN], responses=ERRORS)

Days = Annotated[int, STRICT, COUNT, Field(ge=1, le=3_650)]


class RetentionAsked(Changes):
    """For how many days the state remembers what is over; fewer than seven act as seven."""

    signal_days: Days = unset()
    metrics_days: Days = unset()
    alert_days: Days = unset()
    reason: Reason = ""


class RetentionShown(Shown):
    """The same, and who said so; nobody did where the settings count."""

    signal_days: int
    metrics_days: int
    alert_days: int
    kept_days_min: int = KEPT_DAYS_MIN
    kept_positions_min: int = KEPT_POSITIONS_MIN
    kept_alerts_min: int = KEPT_ALERTS_MIN
    set_by: str
    set_at: datetime | None


class CleanupAsked(Asked):
    """Whether what would be forgotten is only counted."""

    dry_run: bool = True


class ForgottenShown(Shown):
    """How many of each were forgotten, or would be; positions with their orders, fills and stops."""

    dry_run: bool
    positions: int
    signals: int
    hashes: int
    turned_away: int
    alerts: int
    cache_entries: int
    workers: int
    screener_runs: int
    journal_partitions: int


class AlarmShown(Shown):
    """Something that is wrong with the desk as a whole, with the numbers that say so."""

    name: AlarmName
    severity: Severity
    numbers: dict[str, str]
    since: datetime


class AlarmsShown(Shown):
    """All that is wrong, the worst first."""

    alarms: list[AlarmShown]


@routes.get("/retention")
async def get_retention(desk: DeskGiven, _who: Operator) -> RetentionShown:
    """Say how long the desk remembers."""
    return _shown(await desk.upkeep.retention())


@routes.patch("/retention", responses=UNREADABLE)
async def change_retention(body: RetentionAsked, desk: DeskGiven, who: Admin) -> RetentionShown:
    """Change how long the desk remembers."""
    before = (await desk.upkeep.retention()).retention
    asked = replace(before, **body.model_dump(exclude_unset=True, exclude={"reason"}))
    await desk.upkeep.set_retention(
        asked, set_by=await name_of(who, desk=desk), reason=body.reason, now=desk.clock()
    )
    return _shown(await desk.upkeep.retention())


@routes.post("/cleanup", responses=UNREADABLE)
async def clean_up(body: CleanupAsked, desk: DeskGiven, _who: Admin) -> ForgottenShown:
    """Forget what is over and old, as the desk does by itself every hour; or count it."""
    do = desk.upkeep.foresee if body.dry_run else desk.upkeep.forget
    return ForgottenShown(dry_run=body.dry_run, **asdict(await do(now=desk.clock())))


@routes.get("/alarms")
async def list_alarms(desk: DeskGiven, _who: Operator) -> AlarmsShown:
    """Give what is wrong with the desk as a whole."""
    return AlarmsShown(alarms=[AlarmShown.model_validate(one) for one in await desk.upkeep.alarms()])


def _shown(line: RetentionLine) -> RetentionShown:
    return RetentionShown(**asdict(line.retention), set_by=line.set_by, set_at=line.set_at)
