"""A destination: an address outside that signals are forwarded to, and how many of them in a minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pregao.domain.pace import MINUTE, last_minute, seconds_to_wait

PER_MINUTE_MAX = 300  # the most that a limit may allow


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardLimit:
    """How many forwards each destination is sent in any minute."""

    max_per_minute: int = 60
    is_enabled: bool = True  # False: forwards pass without waiting, and are counted all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What one destination was sent: each forward takes a slot, which frees exactly a minute later."""

    taken_at: tuple[datetime, ...] = ()
    limited: int = 0  # forwards that had to wait, ever
    freed_at: datetime | None = (
        None  # when a slot last came free, as far as it is no longer among those taken
    )


def seconds_until_free(slots: Slots, *, limit: ForwardLimit, now: datetime) -> float:
    """Give how long a forward has to wait for its slot; 0 when it may leave now."""
    if not limit.is_enabled:
        return 0.0
    return seconds_to_wait(slots.taken_at, per_minute_max=limit.max_per_minute, now=now)


def after_take(slots: Slots, *, has_waited: bool, now: datetime) -> Slots:
    """Give the slots with one more taken now. More than the largest limit are never needed."""
    counted = last_minute(slots.taken_at, now=now)
    return Slots(
        taken_at=(*counted, now)[-PER_MINUTE_MAX:],
        limited=slots.limited + has_waited,
        freed_at=last_freed_at(slots, now=now),
    )


def last_freed_at(slots: Slots, *, now: datetime) -> datetime | None:
    """Give when a slot last came free."""
    freed: Sequence[datetime] = [at + MINUTE for at in slots.taken_at if now - at >= MINUTE]
    return max(freed, default=slots.freed_at)
