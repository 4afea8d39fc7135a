"""Where alerts go: channels, and what became of what they were to carry. Staff see the desk's, others their own."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.alerts.channels import Asker
from pregao.alerts.configure import (
    NAME_CHARACTERS_MAX,
    PER_MINUTE_MAX,
    PLACE_MAX,
    change_channel,
    forget_channel,
    level_of,
    make_channel,
)
from pregao.domain.alert import AlertKind, AlertLevel, Channel, ChannelKind
from pregao.edges.http.api.alerts import LevelAsked
from pregao.edges.http.api.roles import Trader, Viewer
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
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.views.alerts import ChannelLine, LogLine

routes = APIRouter(prefix="/api/v1", tags=["alerts"], dependencies=[TOKEN], responses=ERRORS)

ChannelId = Annotated[int, Path(ge=1, le=ID_MAX)]
AddressAsked = Annotated[
    dict[str, str],
    Field(
        max_length=10,
        description="discord: `webhook_url`; telegram: `bot_token`, `chat_id`; email: `to`, and staff `server`, `port`, "
        "`username`, `password`, `from`, `security`; apprise, for staff: `url`.",
    ),
]
Place = Annotated[int, Field(ge=0, le=PLACE_MAX)]
PerMinute = Annotated[int, Field(ge=1, le=PER_MINUTE_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]


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


async def asker_of(who: Principal, *, desk: Desk) -> Asker:
    """Give who asks, and where he is reached."""
    line = None if who.user_id is None else await desk.people.find_user(who.user_id)
    return Asker(is_staff=who.owner is None, email="" if line is None else line.user.email)


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
