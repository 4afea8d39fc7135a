"""Alerts, channels and mutes, as people look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.alert import Alert, AlertKind, AlertLevel, Channel, Mute
from pregao.views.sorting import NEWEST_FIRST, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """What came of an alert at one channel: due, sent, failed or muted."""

    channel_id: int
    channel: str  # its name; empty: it was forgotten
    status: str
    attempts: int
    sent_at: datetime | None
    due_at: datetime | None  # of what is tried again
    code: str | None
    reason: str | None
    is_escalation: bool
    is_summarized: bool  # one message told it together with others


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One alert on its way over one channel, or told there, and what came of it."""

    alert_id: UUID
    kind: AlertKind
    level: AlertLevel
    title: str
    alert_code: str  # what the alert says; ``code`` is why it did not get there
    about: str
    raised_at: datetime
    status: str
    attempts: int
    tried_at: datetime | None
    sent_at: datetime | None
    due_at: datetime | None  # of what is tried again
    code: str | None
    reason: str | None
    is_escalation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """An alert, and what came of it."""

    alert: Alert
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    deliveries: Sequence[DeliveryLine]

    @property
    def kind(self) -> str:
        """Give what it is about."""
        return self.alert.kind

    @property
    def title(self) -> str:
        """Give what it says in short."""
        return self.alert.title


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLine:
    """A channel, and how it does."""

    channel: Channel
    waiting: int
    sent_at: datetime | None  # the last message
    failed_at: datetime | None  # the last failure, when it is newer than that
    code: str | None  # of it


class Alerts(Protocol):
    """Where they are fetched; of one user, or (None) the desk's."""

    async def alerts(
        self,
        *,
        owner: UUID | None,
        level: AlertLevel | None,
        kind: AlertKind | None,
        is_acknowledged: bool | None,
        before: UUID | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[AlertLine]:
        """Give alerts of a level and worse, the last first unless the shape says otherwise."""
        ...

    async def find_alert(self, alert_id: UUID, *, owner: UUID | None) -> AlertLine | None:
        """Give one alert."""
        ...

    async def channels(self, *, owner: UUID | None) -> Sequence[ChannelLine]:
        """Give the channels in their order."""
        ...

    async def deliveries(
        self,
        *,
        owner: UUID | None,
        channel_id: int,
        status: str | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[LogLine]:
        """Give what one channel was to carry, the latest alert first."""
        ...

    async def mutes(self, *, owner: UUID | None, now: datetime) -> Sequence[Mute]:
        """Give the mutes that stand, the next to end first."""
        ...

    async def level(self) -> AlertLevel:
        """Give the desk's least level."""
        ...
