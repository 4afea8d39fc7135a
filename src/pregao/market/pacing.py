"""How often a screener may be asked: so many pages in a list, so many requests a minute, when to look again."""

# Finviz's, as anybody and with a paid login.
ROWS_PER_PAGE, ROWS_PER_PAGE_ELITE = 20, 100
PER_MINUTE_MAX, PER_MINUTE_MAX_ELITE = 59, 120
FAILED_SECONDS_MAX = 300.0  # a source that is away is asked at least this often


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
