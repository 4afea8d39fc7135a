"""What people are told, and by which channels."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.alert import Alert, AlertLevel, Channel, Mute
from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Fact):
    """Somebody is to hear of something; whoever listens is told after the commit, at least once."""

    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged(Fact):
    """Somebody has seen an alert and takes care of it."""

    alert_id: UUID
    acknowledged_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsMuted(Fact):
    """Somebody wants to hear less for a while."""

    mute: Mute


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsUnmuted(Fact):
    """Somebody wants to hear of it again, before its time."""

    mute_id: UUID
    unmuted_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfigured(Fact):
    """A channel was made or changed; its whole setting, its address apart."""

    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForgotten(Fact):
    """A channel was deleted, with its address."""

    channel_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLevelSet(Fact):
    """Somebody said what the least level is that channels without one of their own carry."""

    level: AlertLevel
    set_by: str
    reason: str = ""  # empty where nobody gave one
