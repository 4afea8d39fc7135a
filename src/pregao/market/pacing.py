"""How often a screener may be asked: so many requests in any minute, so many pages in a list, when to look again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
# Finviz's, as anybody and with a paid login.
ROWS_PER_PAGE, ROWS_PER_PAGE_ELITE = 20, 100
PER_MINUTE_MAX, PER_MINUTE_MAX_ELITE = 59, 120
FAILED_SECONDS_MAX = 300.0  # a source that is away is asked at least this often


def last_minute(asked_at: Sequence[datetime], *, now: datetime) -> tuple[datetime, ...]:
    """Give the requests that still count: each does for exactly a minute."""
    return tuple(sorted(at for at in asked_at if now - at < MINUTE))


def seconds_to_wait(asked_at: Sequence[datetime], *, per_minute_max: int, now: datetime) -> float:
    """Give how long to wait before another request; 0 when it may go now."""
    counted = last_minute(asked_at, now=now)
    if len(counted) < per_minute_max:
        return 0.0
    frees_at = counted[len(counted) - per_minute_max] + MINUTE
    return max(0.0, (frees_at - now).total_seconds())


def pages_of(top_n: int, *, rows_per_page: int) -> int:
    """Give how many pages a list takes."""
    return -(-top_n // rows_per_page)


def requests_per_minute(pages: int, *, refresh_seconds: int) -> float:
    """Give how many requests a list costs a minute."""
    return pages * 60 / refresh_seconds


def seconds_until_next(*, refresh_seconds: float, failures: int) -> float:
    """Give how long to wait after a look: the strategy's time, and longer while looks fail."""
    if failures == 0:
        return refresh_seconds
    return max(refresh_seconds, min(FAILED_SECONDS_MAX, 2.0 ** min(failures, 16)))
