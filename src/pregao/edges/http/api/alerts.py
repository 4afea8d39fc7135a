"""Alerts: what was told and what came of it, who takes care of it, and a way to try. Staff see the desk's, others their own."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pregao.alerts.configure import (
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    acknowledge,
    level_of,
    set_level,
    try_channels,
)
from pregao.domain.alert import AlertKind, AlertLevel
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import ALERTS
from pregao.edges.http.api.roles import Operator, Trader, Viewer, name_of
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
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.views.alerts import AlertLine
from pregao.views.sorting import Shape

routes = APIRouter(prefix="/api/v1", tags=["alerts"], dependencies=[TOKEN], responses=ERRORS)

TEST_LOOK_SECONDS = 0.1
TEST_TITLE, TEST_TEXT = "A test", "Somebody tries this channel. Nothing is wrong."

LevelAsked = Annotated[
    str, Field(max_length=20, description="INFO, WARNING, ERROR or CRITICAL, in any case.")
]


class DeliveryShown(Shown):
    """What came of an alert at one channel; `due` while it is on its way or tried again."""

    channel_id: int
    channel: str
    status: str
    attempts: int
    sent_at: datetime | None
    due_at: datetime | None
    code: str | None
    reason: str | None
    is_escalation: bool
    is_summarized: bool


class AlertShown(Shown):
    """An alert."""

    alert_id: UUID
    kind: AlertKind
    level: AlertLevel
    title: str
    text: str
    numbers: dict[str, str]
    account_id: int | None
    bot_id: UUID | None
    repeats: int
    code: str = Field(
        description="What it says; empty where a person wrote it, or it is older than these codes."
    )
    about: str = Field(description="What the title begins with: a symbol, a process, a name.")
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    deliveries: list[DeliveryShown]


class LevelShown(Shown):
    """The least level that channels without one of their own carry."""

    level: AlertLevel


class LevelSaid(Asked):
    """The least level."""

    level: LevelAsked
    reason: Reason = ""


class TestAsked(Asked):
    """A test over one channel, by its name or number, or over all of them."""

    channel: Annotated[str | None, Field(max_length=NAME_CHARACTERS_MAX)] = None
    title: Annotated[str, Field(min_length=1, max_length=200)] = TEST_TITLE
    message: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)] = TEST_TEXT
    level: LevelAsked = "INFO"


class TestShown(Shown):
    """What came of a test; `due` is not known yet."""

    alert_id: UUID
    success: bool
    results: list[DeliveryShown]


AlertSort = Literal[
    "time", "-time", "kind", "-kind", "title", "-title", "acknowledged_at", "-acknowledged_at",
]  # fmt: skip


@routes.get("/alerts", response_model=Page[AlertShown], responses=AsCsv)
async def list_alerts(
    *,
    desk: DeskGiven,
    who: Viewer,
    level: Annotated[str | None, Query(max_length=20, description="The least level.")] = None,
    kind: AlertKind | None = None,
    acknowledged: bool | None = None,
    search: Search = None,
    sort: AlertSort = "-time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    form: Format = "json",
) -> Page[AlertShown] | Response:
    """Give the latest alerts, the last first unless `sort` says otherwise."""
    least = None if level is None else level_of(level)

    async def find(before: UUID | None, *, shape: Shape, limit: int) -> Sequence[AlertLine]:
        return await desk.alerts.alerts(
            owner=who.owner,
            level=least,
            kind=kind,
            is_acknowledged=acknowledged,
            before=before,
            shape=shape,
            limit=limit,
        )

    return await ALERTS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=form,
        to_shown=shown,
        shown=AlertShown,
        name="alerts",
    )


@routes.post("/alerts/test", responses={**UNKNOWN, **UNREADABLE})
async def post_alert_test(body: TestAsked, desk: DeskGiven, who: Trader) -> TestShown:
    """Send a test, whatever levels and mutes say, and wait a while for what comes of it."""
    return await run_test(body, desk=desk, owner=who.owner)


@routes.get("/alerts/level")
async def get_alert_level(desk: DeskGiven, _who: Viewer) -> LevelShown:
    """Give the desk's least level."""
    return LevelShown(level=await desk.alerts.level())


@routes.put("/alerts/level", responses=UNREADABLE)
async def put_alert_level(body: LevelSaid, desk: DeskGiven, who: Operator) -> LevelShown:
    """Say the desk's least level."""
    level = level_of(body.level)
    async with desk.alert_books.open(owner=None) as book:
        set_by = await name_of(who, desk=desk)
        await book.append(set_level(level, set_by=set_by, reason=body.reason, now=desk.clock()))
    return LevelShown(level=level)


@routes.get("/alerts/{alert_id:uuid}", responses=UNKNOWN)
async def get_alert(alert_id: UUID, desk: DeskGiven, who: Viewer) -> AlertShown:
    """Give one alert."""
    return await _alert(alert_id, desk=desk, owner=who.owner)


@routes.post("/alerts/{alert_id:uuid}/acknowledge", responses=UNKNOWN)
async def acknowledge_alert(alert_id: UUID, desk: DeskGiven, who: Trader) -> AlertShown:
    """Say that you take care of it; the first to say so stands."""
    async with desk.alert_books.open(owner=who.owner) as book:
        await book.append(
            await acknowledge(alert_id, by=await name_of(who, desk=desk), book=book, now=desk.clock())
        )
    return await _alert(alert_id, desk=desk, owner=who.owner)


async def run_test(body: TestAsked, *, desk: Desk, owner: UUID | None) -> TestShown:
    """Send a test and give what came of it at each channel, as far as it is known in time."""
    now = desk.clock()
    alert_id = uuid7(now)
    async with desk.alert_books.open(owner=owner) as book:
        await try_channels(
            body.channel,
            alert_id=alert_id,
            user_id=owner,
            title=body.title,
            text=body.message,
            level=level_of(body.level),
            book=book,
            now=now,
        )
    line = await _tested(alert_id, desk=desk, owner=owner)
    results = [DeliveryShown.model_validate(one) for one in line.deliveries]
    return TestShown(alert_id=alert_id, success=all(one.status == "sent" for one in results), results=results)


def shown(line: AlertLine) -> AlertShown:
    """Give an alert as it is answered."""
    alert = line.alert
    return AlertShown(
        alert_id=alert.alert_id,
        kind=alert.kind,
        level=alert.level,
        title=alert.title,
        text=alert.text,
        numbers=alert.numbers,
        account_id=alert.account_id,
        bot_id=alert.bot_id,
        repeats=alert.repeats,
        code=alert.code,
        about=alert.about,
        raised_at=line.raised_at,
        acknowledged_at=line.acknowledged_at,
        acknowledged_by=line.acknowledged_by,
        deliveries=[DeliveryShown.model_validate(one) for one in line.deliveries],
    )


async def _tested(alert_id: UUID, *, desk: Desk, owner: UUID | None) -> AlertLine:
    line = await _line(alert_id, desk=desk, owner=owner)
    try:
        async with asyncio.timeout(desk.alert_test_seconds_max):
            while any(one.status == "due" for one in line.deliveries):  # the role `jobs` sends
                await asyncio.sleep(TEST_LOOK_SECONDS)
                line = await _line(alert_id, desk=desk, owner=owner)
    except TimeoutError:
        pass  # it says so itself: it is due
    return line


async def _alert(alert_id: UUID, *, desk: Desk, owner: UUID | None) -> AlertShown:
    return shown(await _line(alert_id, desk=desk, owner=owner))


async def _line(alert_id: UUID, *, desk: Desk, owner: UUID | None) -> AlertLine:
    line = await desk.alerts.find_alert(alert_id, owner=owner)
    if line is None:
        raise ApiError(404, "ALERT_UNKNOWN", f"alert={alert_id}. There is no such alert.")
    return line
