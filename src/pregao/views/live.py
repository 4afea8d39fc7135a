"""What happens as it happens: facts with their places, what they are about, and where they are fetched."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts import Fact
from pregao.domain.order import Leg, Side

_PLACE = re.compile(r"([1-9][0-9]{0,8})\.([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """
    How far somebody has read. Whoever has read to one has seen all that stands before it, late commits too.

    As text it is what a reader sends back to go on: epoch, transaction and number, with full stops between.
    """

    epoch: int
    xid: int
    seq: int

    def __str__(self) -> str:
        """Give it as readers keep it."""
        return f"{self.epoch}.{self.xid}.{self.seq}"


def to_place(text: str) -> Place | None:
    """Read a place; None where the text is none."""
    found = _PLACE.fullmatch(text)
    return None if found is None else Place(int(found[1]), int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIs:
    """What of an order never changes."""

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    position_id: int | None
    leg: Leg
    symbol: str
    side: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalIs:
    """What of a signal never changes once it was read."""

    signal_id: UUID
    bot_id: UUID
    is_desks_own: bool  # asked for by the desk itself, perhaps for one subscription only
    symbol: str | None
    signal_type: str | None  # in system A's words


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a fact does not say itself: which order and signal it is of, and whose."""

    order: OrderIs | None = None
    signal: SignalIs | None = None
    owner: UUID | None = None  # of the account it is on; None: the desk's own, or on no account
    venue: Venue | None = None  # of that account
    http_status: int | None = None  # what a destination answered to the order's last post
    worker: str | None = None  # who wrote it
    followers: frozenset[UUID] = frozenset()  # who has an account that follows the signal's bot


@dataclass(frozen=True, slots=True)
class Told:
    """A fact, the place behind it, and what it is about."""

    place: Place
    fact: Fact
    about: About = field(default_factory=About)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is counted rather than told: looked at every few seconds while somebody watches."""

    metrics: Mapping[str, int]  # by system A's names
    signals_waiting: int  # accepted, and not decided
    orders_waiting: int  # planned, and not answered
    orders_unresolved: int
    positions_pending: int
    positions_open: int
    positions_closing: int
    workers: Mapping[str, int]  # how many live, by role


class Happenings(Protocol):
    """Where they are fetched; raises whatever the database raises when it is away."""

    async def present(self) -> Place:
        """Give the place behind all that can no longer be overtaken."""
        ...

    async def read(self, after: Place, *, limit: int) -> tuple[Sequence[Told], Place]:
        """Give what stands behind a place, in order, and how far that is; never skips a late commit."""
        ...

    async def forget(self) -> None:
        """Forget what was remembered about orders and owners: facts were passed over meanwhile."""
        ...

    async def figures(self) -> Figures:
        """Count."""
        ...

    async def sellable(self) -> Sequence[str]:
        """Give the symbols of which something is held or being closed: system A's sell-all list."""
        ...
