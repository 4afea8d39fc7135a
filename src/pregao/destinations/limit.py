"""
Set how many forwards leave in a minute, pause the limit, resume it.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from dataclasses import replace
from datetime import datetime

from pregao.destinations.ports import LimitBook
from pregao.destinations.refusals import SettingUnusableError
from pregao.domain.destination import PER_MINUTE_MAX, ForwardLimit
from pregao.domain.facts import Fact, ForwardLimitSet

PER_MINUTE_MIN = 1


async def change_limit(
    *,
    max_per_minute: int | None = None,
    is_enabled: bool | None = None,
    set_by: str,
    reason: str = "",
    book: LimitBook,
    now: datetime,
) -> list[Fact]:
    """
    Change what is given; it counts from the next look of whoever waits. Changing nothing gives no fact.

    :raises SettingUnusableError: when the number is out of its range.
    """
    if max_per_minute is not None:
        check_per_minute(max_per_minute)
    before = await book.limit()
    after = replace(
        before,
        max_per_minute=before.max_per_minute if max_per_minute is None else max_per_minute,
        is_enabled=before.is_enabled if is_enabled is None else is_enabled,
    )
    return [] if after == before else [_set(after, set_by=set_by, reason=reason, now=now)]


async def ensure_limit(limit: ForwardLimit, *, set_by: str, book: LimitBook, now: datetime) -> list[Fact]:
    """Set the limit where nobody has yet: from then on the database says it, not the settings."""
    return [] if await book.is_set() else [_set(limit, set_by=set_by, now=now)]


def check_per_minute(max_per_minute: int) -> None:
    """
    See that the number is in its range.

    :raises SettingUnusableError: when it is not.
    """
    if not PER_MINUTE_MIN <= max_per_minute <= PER_MINUTE_MAX:
        raise SettingUnusableError(
            "FORWARD_LIMIT_UNUSABLE",
            f"max_per_minute={max_per_minute} minimum={PER_MINUTE_MIN} maximum={PER_MINUTE_MAX}.",
            field="max_per_minute",
            value=max_per_minute,
            minimum=PER_MINUTE_MIN,
            maximum=PER_MINUTE_MAX,
        )


def _set(limit: ForwardLimit, *, set_by: str, now: datetime, reason: str = "") -> ForwardLimitSet:
    return ForwardLimitSet(
        happened_at=now,
        max_per_minute=limit.max_per_minute,
        is_enabled=limit.is_enabled,
        set_by=set_by,
        reason=reason,
    )
