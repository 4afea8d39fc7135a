"""Alerts at system E's own paths and in its words: the desk's three channels, a test, the last fifty."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from pregao.alerts.configure import SOURCE_KINDS, level_of, replace_channels, set_level
from pregao.domain.alert import AlertLevel, Channel, ChannelKind
from pregao.edges.http.api.alerts import DeliveryShown, TestAsked, run_test
from pregao.edges.http.api.roles import Operator, name_of
from pregao.edges.http.api.shapes import (
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Responses,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, ErrorBody
from pregao.views.alerts import AlertLine

routes = APIRouter(prefix="/api/alerts", tags=["alerts"], dependencies=[TOKEN], responses=ERRORS)

HISTORY_ITEMS = 50
BAD_CHANNEL: Responses = {400: {"model": ErrorBody, "description": "CHANNEL_UNKNOWN, or REQUEST_UNREADABLE"}}
Text = Annotated[str, Field(max_length=1_000)]


class DiscordAsked(Asked):
    """Discord's webhook."""

    webhook_url: Text


class TelegramAsked(Asked):
    """A bot, and the chat it writes to."""

    bot_token: Text
    chat_id: Text


class EmailAsked(Asked):
    """A mail server and who is written to; without a server the desk's own is used."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", hide_input_in_errors=True)

    to: Text
    server: Annotated[Text, Field(alias="smtp_server")] = ""
    port: Annotated[int, Field(alias="smtp_port", ge=1, le=65_535)] = 587
    username: Text = ""
    password: Text = ""
    sender: Annotated[Text, Field(alias="from")] = ""


class ConfigAsked(Asked):
    """All of it: what is not sent is switched off."""

    min_level: Annotated[str, Field(max_length=20)] = AlertLevel.WARNING
    discord: DiscordAsked | None = None
    telegram: TelegramAsked | None = None
    email: EmailAsked | None = None


class ChannelConfigShown(Shown):
    """One channel; `settings` has secrets masked."""

    enabled: bool
    settings: dict[str, str]


class ConfigShown(Shown):
    """The desk's three channels and its least level."""

    min_level: AlertLevel
    discord: ChannelConfigShown
    telegram: ChannelConfigShown
    email: ChannelConfigShown


class RecordShown(Shown):
    """One alert; `channels` says what came of it at each: sent, failed, due or muted."""

    timestamp: datetime
    title: str
    message: str
    level: AlertLevel
    channels: dict[str, str]


class HistoryShown(Shown):
    """The last fifty."""

    alerts: list[RecordShown]
    count: int


class TestedShown(Shown):
    """What came of a test, channel by channel."""

    success: bool
    message: str
    results: list[DeliveryShown]


@routes.get("/config")
async def get_alert_config_at_source(desk: DeskGiven, _who: Operator) -> ConfigShown:
    """Give the desk's three channels, secrets masked."""
    return await _config(desk)


@routes.post("/config", responses=UNREADABLE)
async def post_alert_config_at_source(body: ConfigAsked, desk: DeskGiven, who: Operator) -> ConfigShown:
    """Set all of it anew: a channel that is not sent is forgotten."""
    level, now = level_of(body.min_level), desk.clock()
    wanted = _wanted(body)
    channel_ids = [await desk.alert_books.next_channel_id() for _ in wanted]
    set_by = await name_of(who, desk=desk)
    async with desk.alert_books.open(owner=None) as book:
        facts = await replace_channels(
            wanted, channel_ids=channel_ids, rules=desk.channel_rules, book=book, now=now
        )
        await book.append([*facts, *set_level(level, set_by=set_by, now=now)])
    return await _config(desk)


@routes.post("/test", responses={**UNKNOWN, **BAD_CHANNEL})
async def post_alert_test_at_source(body: TestAsked, desk: DeskGiven, _who: Operator) -> TestedShown:
    """Send a test, whatever the least level is, and give what really came of it."""
    if body.channel is not None and not await _is_known(body.channel, desk=desk):
        raise ApiError(
            400, "CHANNEL_UNKNOWN", f"known={', '.join(SOURCE_KINDS)}. Set it up first.", known=SOURCE_KINDS
        )
    tested = await run_test(body, desk=desk, owner=None)
    told = ", ".join(f"{one.channel}: {one.status}" for one in tested.results)
    return TestedShown(success=tested.success, message=told, results=tested.results)


@routes.get("/history")
async def get_alert_history_at_source(desk: DeskGiven, _who: Operator) -> HistoryShown:
    """Give the last fifty alerts of the desk, the latest first; older ones are at `/api/v1/alerts`."""
    lines = await desk.alerts.alerts(
        owner=None, level=None, kind=None, is_acknowledged=None, before=None, limit=HISTORY_ITEMS
    )
    records = [_record(line) for line in lines]
    return HistoryShown(alerts=records, count=len(records))


def _wanted(body: ConfigAsked) -> Mapping[ChannelKind, Mapping[str, str]]:
    wanted: dict[ChannelKind, Mapping[str, str]] = {}
    if body.discord is not None:
        wanted[ChannelKind.DISCORD] = body.discord.model_dump()
    if body.telegram is not None:
        wanted[ChannelKind.TELEGRAM] = body.telegram.model_dump()
    if body.email is not None:
        wanted[ChannelKind.EMAIL] = _mail(body.email)
    return wanted


def _mail(body: EmailAsked) -> Mapping[str, str]:
    if not body.server:
        return {"to": body.to}
    told: dict[str, Any] = body.model_dump(exclude={"sender"})
    return {**{name: str(value) for name, value in told.items()}, "from": body.sender}


async def _config(desk: Desk) -> ConfigShown:
    channels = {line.channel.name: line.channel for line in await desk.alerts.channels(owner=None)}
    told = {kind.value: _shown(channels.get(kind.value)) for kind in SOURCE_KINDS}
    return ConfigShown(min_level=await desk.alerts.level(), **told)


def _shown(channel: Channel | None) -> ChannelConfigShown:
    if channel is None:
        return ChannelConfigShown(enabled=False, settings={})
    return ChannelConfigShown(enabled=channel.is_active, settings=channel.shown)


async def _is_known(name: str, *, desk: Desk) -> bool:
    lines = await desk.alerts.channels(owner=None)
    return any(
        line.channel.is_active and name in (line.channel.name, str(line.channel.channel_id)) for line in lines
    )


def _record(line: AlertLine) -> RecordShown:
    return RecordShown(
        timestamp=line.raised_at,
        title=line.alert.title,
        message=line.alert.text,
        level=line.alert.level,
        channels={one.channel or str(one.channel_id): one.status for one in line.deliveries},
    )
