"""What keeps a desk in order: how long what is over is remembered, and when the desk as a whole is not well."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

KEPT_DAYS_MIN = 7  # a shorter retention acts as this
KEPT_POSITIONS_MIN = 1_000  # the newest, however old
KEPT_ALERTS_MIN = 100  # of each audience the newest, however old
HASHES_KEPT = timedelta(days=1)  # a hash of a delivery counts for a minute
ERROR_SHARE_MAX = Decimal("0.10")
SIGNAL_IS_RECENT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many days the state remembers what is over; the journal keeps it (decision 26)."""

    signal_days: int = 30  # signals, and their orders, positions and fills
    metrics_days: int = 90  # deliveries that were turned away, and how the screener's work went
    alert_days: int = 90  # alerts, and what became of them on each channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Before which instant what is over is forgotten."""

    signals: datetime
    metrics: datetime
    alerts: datetime
    hashes: datetime


class AlarmName(StrEnum):
    """What is wrong with the desk as a whole."""

    ERROR_RATE_HIGH = "error_rate_high"  # venues and destinations refuse too much of what is sent
    WORKERS_STUCK = "workers_stuck"  # signals come, and nobody works


class Severity(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing that is wrong, with the numbers that say so."""

    name: AlarmName
    severity: Severity
    numbers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the desk as a whole is judged by."""

    sent_well: int  # orders of the last hour's signals that were filled, or arrived
    sent_badly: int  # that were refused for good
    traders: int  # whose lease is valid
    last_signal_seconds: float | None  # its age; None: there was none


def cutoffs_of(retention: Retention, *, now: datetime) -> Cutoffs:
    """Give before when what is over is forgotten; never within the last seven days."""
    return Cutoffs(
        signals=now - timedelta(days=max(retention.signal_days, KEPT_DAYS_MIN)),
        metrics=now - timedelta(days=max(retention.metrics_days, KEPT_DAYS_MIN)),
        alerts=now - timedelta(days=max(retention.alert_days, KEPT_DAYS_MIN)),
        hashes=now - HASHES_KEPT,
    )


def error_share(vitals: Vitals) -> Decimal:
    """Give the share of what was sent that was refused; of nothing it is 0."""
    sent = vitals.sent_well + vitals.sent_badly
    return Decimal(vitals.sent_badly) / sent if sent else Decimal(0)


def alarms_of(vitals: Vitals) -> list[Alarm]:
    """Say what is wrong."""
    found = []
    share = error_share(vitals)
    if share > ERROR_SHARE_MAX:
        numbers = {
            "error_share": f"{share:.4f}",
            "error_share_max": str(ERROR_SHARE_MAX),
            "sent_badly": str(vitals.sent_badly),
            "sent_well": str(vitals.sent_well),
        }
        found.append(Alarm(name=AlarmName.ERROR_RATE_HIGH, severity=Severity.WARNING, numbers=numbers))
    age = vitals.last_signal_seconds
    if vitals.traders == 0 and age is not None and age < SIGNAL_IS_RECENT_SECONDS:
        numbers = {"last_signal_seconds": f"{age:.0f}", "recent_seconds": str(SIGNAL_IS_RECENT_SECONDS)}
        found.append(Alarm(name=AlarmName.WORKERS_STUCK, severity=Severity.CRITICAL, numbers=numbers))
    return found
