"""Who hears an alert: which channels carry it, which mutes keep it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pregao.domain.alert import LEAST_LEVEL, Alert, AlertKind, AlertLevel, Channel, Mute

TRADES = frozenset({AlertKind.TRADE_EXECUTED, AlertKind.WIN_RATE_HIGH})
"""Kinds of which there may be thousands a minute: of one user's they are kept only where he wants to hear them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The channels and mutes of everybody, as they stand now."""

    channels: Sequence[Channel]
    mutes: Sequence[Mute]
    level: AlertLevel = LEAST_LEVEL  # of channels that have none of their own

    def channels_of(self, user_id: UUID | None) -> list[Channel]:
        """Give the active channels of one user, or of the desk, in their order."""
        own = [one for one in self.channels if one.user_id == user_id and one.is_active]
        return sorted(own, key=lambda one: (one.place, one.channel_id))

    def hearing(self, alert: Alert) -> list[Channel]:
        """Give the channels that carry the alert at once."""
        return [
            one
            for one in self.channels_of(alert.user_id)
            if not one.is_standby and alert.level.reaches(one.level or self.level)
        ]

    def is_wanted(self, kind: AlertKind, level: AlertLevel, user_id: UUID | None) -> bool:
        """Say whether such an alert is kept at all."""
        if any(level.reaches(one.level or self.level) for one in self.channels_of(user_id)):
            return True
        return level.reaches(LEAST_LEVEL) and (user_id is None or kind not in TRADES)

    def is_muted(self, alert: Alert, *, now: datetime) -> bool:
        """Say whether a mute keeps the alert back."""
        return any(
            one.user_id == alert.user_id
            and one.until > now
            and one.kind in (None, alert.kind)
            and one.level_max.reaches(alert.level)
            for one in self.mutes
        )


def next_channel(channels: Sequence[Channel], *, had: set[int], failed: Channel) -> Channel | None:
    """Give the channel that is asked when one finally failed: the next in order that has not had the alert."""
    own = [one for one in channels if one.user_id == failed.user_id and one.is_active]
    waiting = [one for one in own if one.channel_id not in had]
    waiting.sort(key=lambda one: (one.place < failed.place, one.place, one.channel_id))
    return waiting[0] if waiting else None
