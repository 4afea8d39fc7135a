"""
Whether what is held is guarded: two lines of defence, when each may act, and how long nothing stood.

The invariant (design 5): no open quantity without an effective stop for more than five seconds from the fill's venue
time. Instants are given; nothing here knows a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pregao.domain.money import ZERO
from pregao.domain.protection import ENDS, ProtectionStatus

UNGUARDED_SECONDS_MAX = 5.0  # from the fill's venue time; later an alarm rings
PRICE_AGE_SECONDS_MAX = 30.0  # an older price watches nothing
VENUE_FIRST_SECONDS = 1.5  # so long the software line leaves a crossed level to the venue's own order
DATABASE_AWAY_SECONDS = 2.0  # after that the software line exits from memory
ZERO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLine:
    """The venue's protective order for a stop, as far as it is known."""

    status: ProtectionStatus | None  # None: committed here or sent, and not on the venue's word
    quantity: Decimal | None  # None: it closes whatever the position holds then


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareLine:
    """Our own watch over a stop."""

    is_armed: bool
    lease_until: datetime | None  # of the monitor that holds the symbol; None: none does
    price_at: datetime | None  # our clock, when its last valid price came; None: none has


def is_venue_line_effective(line: VenueLine | None, *, held: Decimal) -> bool:
    """Say whether the venue waits with an order for at least what is held; one that triggers may be stuck there."""
    return line is not None and line.status is ProtectionStatus.ACCEPTED and _is_for_all(line, held=held)


def may_still_trade(line: VenueLine | None) -> bool:
    """Say whether the venue's order may yet trade, told or not: nothing is entered beside it (design 4)."""
    return line is not None and line.status not in ENDS


def is_software_line_effective(line: SoftwareLine | None, *, now: datetime) -> bool:
    """Say whether our watch would see the price: armed, leased, and its price younger than thirty seconds."""
    return (
        line is not None
        and line.is_armed
        and line.lease_until is not None
        and now < line.lease_until
        and not is_stale(line.price_at, now=now)
    )


def is_stale(price_at: datetime | None, *, now: datetime) -> bool:
    """Say whether a price says nothing any more: none came, or it is thirty seconds old (F093)."""
    return price_at is None or (now - price_at).total_seconds() >= PRICE_AGE_SECONDS_MAX


def is_guarded(
    *, held: Decimal, venue: VenueLine | None, software: SoftwareLine | None, now: datetime
) -> bool:
    """Say whether what is held has an effective stop; nothing held needs none."""
    return (
        held <= ZERO
        or is_venue_line_effective(venue, held=held)
        or is_software_line_effective(software, now=now)
    )


def software_may_exit(venue: VenueLine | None, *, held: Decimal, crossed_at: datetime, now: datetime) -> bool:
    """
    Say whether the software line exits now that its level is crossed.

    Where the venue has an order for all that is held, waiting or triggered, it goes first, and after a second and a half
    both may: each is reduce-only, so whoever comes second finds nothing.
    """
    if venue is None or venue.status in {None, *ENDS} or not _is_for_all(venue, held=held):
        return True
    return (now - crossed_at).total_seconds() >= VENUE_FIRST_SECONDS


def _is_for_all(line: VenueLine, *, held: Decimal) -> bool:
    return line.quantity is None or line.quantity >= held


def exits_from_memory(*, database_away_since: datetime | None, now: datetime) -> bool:
    """Say whether a crossed level is acted on without the claim in the database: it has been away for two seconds."""
    return (
        database_away_since is not None
        and (now - database_away_since).total_seconds() >= DATABASE_AWAY_SECONDS
    )


# --- how long nothing stood -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long one position has been without an effective stop, folded from what was seen of it."""

    unguarded_since: datetime | None = None
    longest: timedelta = ZERO_TIME  # of all that are over, and of the present one up to the last look

    def alarm_due(self, now: datetime) -> bool:
        """Say whether it has stood open for longer than it may."""
        return self.seconds(now) > UNGUARDED_SECONDS_MAX

    def seconds(self, now: datetime) -> float:
        """Give for how long nothing has guarded it by now; 0 where something does."""
        return 0.0 if self.unguarded_since is None else (now - self.unguarded_since).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of one position at one instant; ``held_since`` is the venue time of the fill that opened it."""

    at: datetime
    is_guarded: bool
    held_since: datetime | None = None


def after_look(watch: Watch, look: Look) -> Watch:
    """
    Give the watch after one more look; what was not looked at counts as it was at the look before.

    A position that is first seen open has been so since its fill, by the venue's clock.
    """
    since = watch.unguarded_since
    longest = watch.longest if since is None else max(watch.longest, look.at - since)
    if look.is_guarded:
        if since is None and look.held_since is not None:
            longest = max(longest, look.at - look.held_since)
        return Watch(unguarded_since=None, longest=longest)
    if since is None:
        since = look.at if look.held_since is None else min(look.at, look.held_since)
        longest = max(longest, look.at - since)
    return Watch(unguarded_since=since, longest=longest)


def longest_unguarded(looks: Iterable[Look]) -> timedelta:
    """Give the longest time one position stood open, from all that was seen of it in order."""
    watch = Watch()
    for look in looks:
        watch = after_look(watch, look)
    return watch.longest
