"""How well declined entries are tried again: of the last hour, in system A's words."""

from enum import StrEnum

STALE_SECONDS = 3_600.0
HEALTHY_PERCENT, HEALTHY_SECONDS = 95.0, 10.0
WARNING_PERCENT, WARNING_SECONDS = 85.0, 30.0


class Grade(StrEnum):
    """What is said of it."""

    UNKNOWN = "UNKNOWN"  # it never ran
    HEALTHY = "HEALTHY"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    STALE = "STALE"  # the last run is more than an hour old


def success_percent(*, found: int, failed: int) -> float:
    """Give the share that did not fail, to two decimals; of nothing it is 0."""
    return round(100 * (found - failed) / found, 2) if found > 0 else 0.0


def grade(*, age_seconds: float | None, percent: float, duration_seconds: float) -> Grade:
    """Grade it by the last run's age, the share that did not fail, and how long the last run took."""
    if age_seconds is None:
        return Grade.UNKNOWN
    if age_seconds > STALE_SECONDS:
        return Grade.STALE
    if percent >= HEALTHY_PERCENT and duration_seconds < HEALTHY_SECONDS:
        return Grade.HEALTHY
    if percent >= WARNING_PERCENT and duration_seconds < WARNING_SECONDS:
        return Grade.WARNING
    return Grade.CRITICAL
