"""Alerts: what was told and what came of it, channels, mutes, and a way to try them. Staff see the desk's, others their own."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.alerts.channels import Asker
from pregao.alerts.configure import (
    MUTE_SECONDS_MAX,
    NAME_CHARACTERS_MAX,
    PER_MINUTE_MAX,
    PLACE_MAX,
    TEXT_CHARACTERS_MAX,
    acknowledge,
    change_channel,
    forget_channel,
    get_mute,
    level_of,
    make_channel,
    mute,
    set_level,
    try_channels,
    unmute,
)
from pregao.domain.alert import AlertKind, AlertLevel, Channel, ChannelKind
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import ALERTS, MUTES
from pregao.edges.http.api.roles import Operator, Trader, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    Changes,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
    unset,
)
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of_shown
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.views.alerts import AlertLine, ChannelLine, LogLine
from pregao.views.sorting import Shape

routes = APIRouter(prefix="/api/v1", tags=["alerts"], dependencies=[TOKEN], responses=ERRORS)

TEST_LOOK_SECONDS = 0.1
TEST_TITLE, TEST_TEXT = "A test", "Somebody tries this channel. Nothing is wrong."

ChannelId = Annotated[int, Path(ge=1, le=ID_MAX)]
AddressAsked = Annotated[
    dict[str, str],
    Field(
        max_length=10,
        description="discord: `webhook_url`; telegram: `bot_token`, `chat_id`; email: `to`, and staff `server`, `port`, "
        "`username`, `password`, `from`, `security`; apprise, for staff: `url`.",
    ),
]
LevelAsked = Annotated[
    str, Field(max_length=20, description="INFO, WARNING, ERROR or CRITICAL, in any case.")
]
Place = Annotated[int, Field(ge=0, le=PLACE_MAX)]
PerMinute = Annotated[int, Field(ge=1, le=PER_MINUTE_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]


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


class ChannelAsked(Asked):
    """A new channel."""

    name: Name
    kind: ChannelKind
    address: AddressAsked
    level: LevelAsked | None = None
    place: Place = 0
    is_standby: bool = False
    per_minute_max: PerMinute = 20


class ChannelChanges(Changes):
    """What changes; an address changes as a whole, a level of null is the desk's again."""

    name: Name = unset()
    address: AddressAsked = unset()
    level: LevelAsked | None = unset()
    place: Place = unset()
    is_standby: bool = unset()
    per_minute_max: PerMinute = unset()
    is_active: bool = unset()


class ChannelShown(Shown):
    """A channel, secrets masked."""

    channel_id: int
    name: str
    kind: ChannelKind
    address: dict[str, str]
    level: AlertLevel | None
    place: int
    is_standby: bool
    per_minute_max: int
    is_active: bool
    waiting: int
    sent_at: datetime | None
    failed_at: datetime | None
    code: str | None


class ChannelsShown(Shown):
    """The channels in their order."""

    items: list[ChannelShown]


class LogShown(Shown):
    """One alert that a channel was to carry, and what came of it; `due` while it is on its way or tried again."""

    alert_id: UUID
    kind: AlertKind
    level: AlertLevel
    title: str
    raised_at: datetime
    status: str
    attempts: int
    tried_at: datetime | None
    sent_at: datetime | None
    due_at: datetime | None
    code: str | None
    reason: str | None
    is_escalation: bool


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


@routes.get("/alert-channels")
async def list_alert_channels(desk: DeskGiven, who: Viewer) -> ChannelsShown:
    """Give the channels in their order, secrets masked."""
    return ChannelsShown(items=[_channel(line) for line in await desk.alerts.channels(owner=who.owner)])


@routes.post("/alert-channels", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_alert_channel(body: ChannelAsked, desk: DeskGiven, who: Trader) -> ChannelShown:
    """Make a channel."""
    channel_id = await desk.alert_books.next_channel_id()
    channel = Channel(
        channel_id=channel_id,
        name=body.name,
        kind=body.kind,
        shown={},
        user_id=who.owner,
        level=None if body.level is None else level_of(body.level),
        place=body.place,
        is_standby=body.is_standby,
        per_minute_max=body.per_minute_max,
    )
    asker = await asker_of(who, desk=desk)
    async with desk.alert_books.open(owner=who.owner) as book:
        facts = await make_channel(
            channel, body.address, rules=desk.channel_rules, asker=asker, book=book, now=desk.clock()
        )
        await book.append(facts)
    return await _channel_of(channel_id, desk=desk, owner=who.owner)


@routes.patch("/alert-channels/{channel_id:int}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_alert_channel(
    channel_id: ChannelId, body: ChannelChanges, desk: DeskGiven, who: Trader
) -> ChannelShown:
    """Change a channel; what is not sent stays."""
    changes = body.model_dump(exclude_unset=True)
    told = changes.pop("address", None)
    if changes.get("level") is not None:
        changes["level"] = level_of(changes["level"])
    asker = await asker_of(who, desk=desk)
    async with desk.alert_books.open(owner=who.owner) as book:
        facts = await change_channel(
            channel_id, changes, told, rules=desk.channel_rules, asker=asker, book=book, now=desk.clock()
        )
        await book.append(facts)
    return await _channel_of(channel_id, desk=desk, owner=who.owner)


@routes.delete("/alert-channels/{channel_id:int}", responses=UNKNOWN)
async def delete_alert_channel(channel_id: ChannelId, desk: DeskGiven, who: Trader) -> ChannelShown:
    """Forget a channel and its address; what waits there is told nobody."""
    gone = await _channel_of(channel_id, desk=desk, owner=who.owner)
    async with desk.alert_books.open(owner=who.owner) as book:
        await book.append(await forget_channel(channel_id, book=book, now=desk.clock()))
    return gone


@routes.get(
    "/alert-channels/{channel_id:int}/deliveries",
    response_model=Page[LogShown],
    responses={**AsCsv, **UNKNOWN},
)
async def list_channel_deliveries(
    *,
    channel_id: ChannelId,
    desk: DeskGiven,
    who: Viewer,
    status: Literal["due", "sent", "failed", "muted"] | None = None,
    cursor: UUID | None = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[LogShown] | Response:
    """Give what a channel was to carry, the latest alert first: told, failed and why, or on its way."""
    await _channel_of(channel_id, desk=desk, owner=who.owner)
    find = partial(desk.alerts.deliveries, owner=who.owner, channel_id=channel_id, status=status)

    async def fetch(last: LogLine | None) -> Sequence[LogLine]:
        return await find(before=cursor if last is None else last.alert_id, limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=LogShown, name="deliveries")
    lines = [LogShown.model_validate(one) for one in await find(before=cursor, limit=limit)]
    return page_of(lines, limit=limit, cursor=lambda last: last.alert_id)


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


async def asker_of(who: Principal, *, desk: Desk) -> Asker:
    """Give who asks, and where he is reached."""
    line = None if who.user_id is None else await desk.people.find_user(who.user_id)
    return Asker(is_staff=who.owner is None, email="" if line is None else line.user.email)


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


async def _channel_of(channel_id: int, *, desk: Desk, owner: UUID | None) -> ChannelShown:
    for line in await desk.alerts.channels(owner=owner):
        if line.channel.channel_id == channel_id:
            return _channel(line)
    raise ApiError(404, "CHANNEL_UNKNOWN", f"channel={channel_id}. There is no such channel.")


def _channel(line: ChannelLine) -> ChannelShown:
    one = line.channel
    return ChannelShown(
        channel_id=one.channel_id,
        name=one.name,
        kind=one.kind,
        address=one.shown,
        level=one.level,
        place=one.place,
        is_standby=one.is_standby,
        per_minute_max=one.per_minute_max,
        is_active=one.is_active,
        waiting=line.waiting,
        sent_at=line.sent_at,
        failed_at=line.failed_at,
        code=line.code,
    )
