"""A sliding minute: so many uses in any sixty seconds, and when the next one may follow."""

from collections.abc import Sequence
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


def last_minute(used_at: Sequence[datetime], *, now: datetime) -> tuple[datetime, ...]:
    """Give the uses that still count, the oldest first: each does for exactly a minute."""
    return tuple(sorted(at for at in used_at if now - at < MINUTE))


def seconds_to_wait(used_at: Sequence[datetime], *, per_minute_max: int, now: datetime) -> float:
    """Give how long to wait before another use; 0 when it may be now. It holds for a limit that was lowered, too."""
    counted = last_minute(used_at, now=now)
    if len(counted) < per_minute_max:
        return 0.0
    frees_at = counted[len(counted) - per_minute_max] + MINUTE
    return max(0.0, (frees_at - now).total_seconds())
