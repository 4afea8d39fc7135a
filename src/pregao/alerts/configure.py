"""
Set up channels, mute, acknowledge, and try a channel.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pregao.alerts.channels import Asker, ChannelRules, ReadAddress, read_address
from pregao.alerts.ports import AlertBook, Queued
from pregao.alerts.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.domain.alert import Alert, AlertKind, AlertLevel, Channel, ChannelKind, Mute
from pregao.domain.facts import (
    AlertAcknowledged,
    AlertLevelSet,
    AlertRaised,
    AlertsMuted,
    AlertsUnmuted,
    ChannelConfigured,
    ChannelForgotten,
    Fact,
)

NAME_CHARACTERS_MAX = 60
PLACE_MAX = 1_000
PER_MINUTE_MAX = 60
MUTE_SECONDS_MAX = 30 * 86_400
TEXT_CHARACTERS_MAX = 2_000
CHANGEABLE = frozenset({"name", "level", "place", "is_standby", "per_minute_max", "is_active"})


def level_of(text: str) -> AlertLevel:
    """
    Give a level as people write it, in letters of any size.

    :raises SettingUnusableError: when it is none.
    """
    try:
        return AlertLevel(text.strip().upper())
    except ValueError:
        raise SettingUnusableError(
            "ALERT_LEVEL_UNKNOWN",
            f"known={', '.join(AlertLevel)}. Send one of these.",
            known=list(AlertLevel),
        ) from None


async def make_channel(
    channel: Channel,
    told: Mapping[str, str],
    *,
    rules: ChannelRules,
    asker: Asker,
    book: AlertBook,
    now: datetime,
) -> list[Fact]:
    """
    Make a channel, and keep its address sealed.

    :raises SettingUnusableError: when a value cannot be used.
    :raises ConflictError: when the name is taken, or there are too many.
    """
    channel = spelled(channel)
    others = await book.channels()
    _check_free(channel, others)
    if channel.user_id is not None and len(others) >= rules.per_user_max:
        raise ConflictError(
            "CHANNELS_AT_LIMIT", f"maximum={rules.per_user_max}. Forget one.", maximum=rules.per_user_max
        )
    read = read_address(channel.kind, told, rules=rules, asker=asker)
    return await _kept(channel, read, book=book, now=now)


async def change_channel(
    channel_id: int,
    changes: Mapping[str, Any],
    told: Mapping[str, str] | None,
    *,
    rules: ChannelRules,
    asker: Asker,
    book: AlertBook,
    now: datetime,
) -> list[Fact]:
    """
    Change a channel; an address is changed as a whole, None leaves it as it is.

    :raises SettingUnusableError: when a value cannot be used.
    :raises UnknownError: when there is no such channel.
    :raises ConflictError: when the name is taken.
    """
    assert CHANGEABLE.issuperset(changes)
    others = await book.channels()
    standing = _get(channel_id, others)
    changed = spelled(replace(standing, **changes))
    _check_free(changed, [one for one in others if one.channel_id != channel_id])
    if told is not None:
        read = read_address(changed.kind, told, rules=rules, asker=asker)
        return await _kept(changed, read, book=book, now=now)
    return [] if changed == standing else [ChannelConfigured(happened_at=now, channel=changed)]


async def forget_channel(channel_id: int, *, book: AlertBook, now: datetime) -> list[Fact]:
    """
    Delete a channel and its address.

    :raises UnknownError: when there is no such channel.
    """
    channel = _get(channel_id, await book.channels())
    await book.forget_address(channel.channel_id)
    return [ChannelForgotten(happened_at=now, channel_id=channel.channel_id)]


async def replace_channels(
    wanted: Mapping[ChannelKind, Mapping[str, str]],
    *,
    channel_ids: Sequence[int],
    rules: ChannelRules,
    book: AlertBook,
    now: datetime,
) -> list[Fact]:
    """
    Have exactly these of system E's three channels, each named by its kind; other channels stay as they are.

    ``channel_ids`` are numbers for those that are new.

    :raises SettingUnusableError: when a value cannot be used; then nothing changed.
    """
    standing = {one.name: one for one in await book.channels()}
    numbers = iter(channel_ids)
    facts: list[Fact] = []
    for kind in SOURCE_KINDS:
        former = standing.get(kind.value)
        if kind not in wanted:
            if former is not None:
                facts += await forget_channel(former.channel_id, book=book, now=now)
            continue
        read = read_address(kind, wanted[kind], rules=rules, asker=Asker(is_staff=True))
        channel = former or Channel(
            channel_id=next(numbers), name=kind.value, kind=kind, shown={}, place=SOURCE_KINDS.index(kind)
        )
        facts += await _kept(replace(channel, is_active=True), read, book=book, now=now)
    return facts


SOURCE_KINDS = (ChannelKind.DISCORD, ChannelKind.TELEGRAM, ChannelKind.EMAIL)


def set_level(level: AlertLevel, *, set_by: str, reason: str = "", now: datetime) -> list[Fact]:
    """Say what the least level is that channels without one of their own carry."""
    return [AlertLevelSet(happened_at=now, level=level, set_by=set_by, reason=reason)]


async def acknowledge(alert_id: UUID, *, by: str, book: AlertBook, now: datetime) -> list[Fact]:
    """
    Say that somebody takes care of an alert.

    :raises UnknownError: when there is no such alert.
    """
    if await book.find_alert(alert_id) is None:
        raise UnknownError("ALERT_UNKNOWN", f"alert={alert_id}. There is no such alert.")
    return [AlertAcknowledged(happened_at=now, alert_id=alert_id, acknowledged_by=by)]


def mute(
    *,
    mute_id: UUID,
    user_id: UUID | None,
    kind: AlertKind | None,
    level_max: AlertLevel,
    seconds: int,
    reason: str,
    by: str,
    now: datetime,
) -> list[Fact]:
    """
    Keep alerts back for a while; they are stored all the same.

    :raises SettingUnusableError: when it would be for longer than a month.
    """
    if not 1 <= seconds <= MUTE_SECONDS_MAX:
        raise SettingUnusableError(
            "MUTE_TOO_LONG",
            f"seconds={seconds} minimum=1 maximum={MUTE_SECONDS_MAX}. A silence for ever is a channel less.",
            minimum=1,
            maximum=MUTE_SECONDS_MAX,
        )
    made = Mute(
        mute_id=mute_id,
        user_id=user_id,
        kind=kind,
        level_max=level_max,
        until=now + timedelta(seconds=seconds),
        reason=_text(reason, "reason"),
        muted_by=by,
    )
    return [AlertsMuted(happened_at=now, mute=made)]


async def get_mute(mute_id: UUID, *, book: AlertBook) -> Mute:
    """
    Give a mute.

    :raises UnknownError: when there is no such mute.
    """
    found = await book.find_mute(mute_id)
    if found is None:
        raise UnknownError("MUTE_UNKNOWN", f"mute={mute_id}. There is no such mute.")
    return found


def unmute(standing: Mute, *, by: str, now: datetime) -> list[Fact]:
    """Hear of it again."""
    return [AlertsUnmuted(happened_at=now, mute_id=standing.mute_id, unmuted_by=by)]


async def try_channels(
    wanted: str | None,
    *,
    alert_id: UUID,
    user_id: UUID | None,
    title: str,
    text: str,
    level: AlertLevel,
    book: AlertBook,
    now: datetime,
) -> Sequence[Channel]:
    """
    Put a test on its way over one channel, or over every active one; levels and mutes do not count.

    :raises UnknownError: when there is no such channel.
    """
    channels = [one for one in await book.channels() if one.is_active]
    if wanted is not None:
        channels = [one for one in channels if wanted in (one.name, str(one.channel_id))]
    if not channels:
        raise UnknownError("CHANNEL_UNKNOWN", "There is no such active channel. See the list of channels.")
    alert = Alert(
        alert_id=alert_id,
        kind=AlertKind.TEST,
        level=level,
        title=_text(title, "title"),
        text=_text(text, "message"),
        numbers={},
        dedupe_key=f"test:{alert_id}",
        subject=f"test:{alert_id}",
        user_id=user_id,
    )
    await book.append([AlertRaised(happened_at=now, alert=alert)])
    await book.queue([Queued(alert=alert, channel_id=one.channel_id) for one in channels])
    return channels


def spelled(channel: Channel) -> Channel:
    """
    Give the channel with its name as the desk writes it.

    :raises SettingUnusableError: when a value cannot be used.
    """
    name = channel.name.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable() or name.isdigit():
        raise _unusable(
            "name", f"characters={len(name)} maximum={NAME_CHARACTERS_MAX}. Send a name, not a number."
        )
    if not 0 <= channel.place <= PLACE_MAX:
        raise _unusable("place", f"place={channel.place} maximum={PLACE_MAX}. Send 0 to {PLACE_MAX}.")
    if not 1 <= channel.per_minute_max <= PER_MINUTE_MAX:
        raise _unusable("per_minute_max", f"maximum={PER_MINUTE_MAX}. Send 1 to {PER_MINUTE_MAX}.")
    return replace(channel, name=name)


async def _kept(channel: Channel, read: ReadAddress, *, book: AlertBook, now: datetime) -> list[Fact]:
    await book.keep_address(channel.channel_id, read.address)
    return [ChannelConfigured(happened_at=now, channel=replace(channel, shown=read.shown))]


def _check_free(channel: Channel, others: Sequence[Channel]) -> None:
    if any(one.name == channel.name for one in others):
        raise ConflictError("CHANNEL_NAME_TAKEN", f"name={channel.name}. Choose another.", name=channel.name)


def _get(channel_id: int, channels: Sequence[Channel]) -> Channel:
    for one in channels:
        if one.channel_id == channel_id:
            return one
    raise UnknownError("CHANNEL_UNKNOWN", f"channel={channel_id}. There is no such channel.")


def _text(text: str, field: str) -> str:
    if len(text) > TEXT_CHARACTERS_MAX or "\0" in text:
        raise _unusable(field, f"maximum={TEXT_CHARACTERS_MAX}. Send less.")
    return text


def _unusable(field: str, remedy: str) -> SettingUnusableError:
    return SettingUnusableError("CHANNEL_SETTING_UNUSABLE", f"field={field} {remedy}", field=field)
