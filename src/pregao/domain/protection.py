"""
A protective order: it waits at the venue until its price comes, and only ever makes a position smaller.

The words spoken with a venue about one, the id that makes it one, and what a venue that keeps them is asked.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from uuid import UUID

from pregao.domain.level import TriggerKind
from pregao.domain.order import PAIRS, PositionSide, Side
from pregao.domain.venue import Refused

TAG_SHIFTS = range(150, 100, -10)  # the five pairs of the first 50 of 160 bits
NAME = re.compile(r"([st])([a-z2-7]{10})-([1-9]\d*)-([1-9]\d*)-([1-9]\d*)", re.ASCII)


class ProtectionStatus(StrEnum):
    """Where a protective order stands."""

    ACCEPTED = "accepted"  # the venue has it, and watches the price: the only state that protects
    TRIGGERING = "triggering"  # the price has come, and no order is placed yet; it may stay so
    TRIGGERED = "triggered"  # its order is placed
    FINISHED = "finished"  # its order has ended: filled, in part or not at all, its fills tell
    CANCELED = "canceled"  # taken back before its price came
    REJECTED = "rejected"  # refused when its price came: nothing was placed
    EXPIRED = "expired"  # ended by the venue: nothing left to protect, or too old


ENDS = frozenset(
    {
        ProtectionStatus.FINISHED,
        ProtectionStatus.CANCELED,
        ProtectionStatus.REJECTED,
        ProtectionStatus.EXPIRED,
    }
)
"""States that nothing follows; in every other one it may still trade."""


class LineStatus(StrEnum):
    """Where a protective order of ours stands in the books: what the venue says, and what comes before it says anything."""

    PLANNED = "planned"  # committed here, the wire not yet answered
    UNRESOLVED = "unresolved"  # sent, outcome unknown: being asked for
    ACCEPTED = "accepted"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DEAD = "dead"  # the venue provably never had it


MAY_TRADE = frozenset(
    {
        LineStatus.PLANNED,
        LineStatus.UNRESOLVED,
        LineStatus.ACCEPTED,
        LineStatus.TRIGGERING,
        LineStatus.TRIGGERED,
    }
)
"""States in which a protective order may still trade, told or not."""

TRANSITIONS: dict[ProtectionStatus, frozenset[ProtectionStatus]] = {
    # What was told between may have been lost: any later state may be the next that is heard of.
    ProtectionStatus.ACCEPTED: ENDS | {ProtectionStatus.TRIGGERING, ProtectionStatus.TRIGGERED},
    ProtectionStatus.TRIGGERING: ENDS | {ProtectionStatus.TRIGGERED},
    ProtectionStatus.TRIGGERED: ENDS,
    **dict.fromkeys(ENDS, frozenset()),
}


def may_become(status: ProtectionStatus, *, following: ProtectionStatus) -> bool:
    """Say whether a protective order in ``status`` may move to ``following``; what came late or twice may not."""
    return following in TRANSITIONS[status]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionName:
    """Which protective order it is: the position's, its kind, which of several targets, and its version."""

    position_id: int
    kind: TriggerKind
    version: int  # from 1, its own count: one more whenever another is placed in its stead
    target: int = 1  # from 1; a position has one stop and may have several targets


def protection_id(name: ProtectionName, *, desk_id: UUID) -> str:
    """
    Give the id the venue sees: the same for the same position, kind, target and version, for ever.

    's' or 't' for stop or target, ten base32 characters of the desk, then the numbers: told from an order's id, which begins with 'p', and
    within Binance's 36 characters while the numbers have 22 digits together.
    """
    text = f"{name.kind[0]}{_tag(desk_id)}-{name.position_id}-{name.target}-{name.version}"
    assert len(text) <= 36, text
    return text


def protection_of(text: str, *, desk_id: UUID) -> ProtectionName | None:
    """Read a protective order's name back from its id, which its triggered order bears too; None when it is not ours."""
    found = NAME.fullmatch(text)
    if found is None or found[2] != _tag(desk_id):
        return None
    kind = next(kind for kind in TriggerKind if kind[0] == found[1])
    return ProtectionName(position_id=int(found[3]), kind=kind, target=int(found[4]), version=int(found[5]))


def position_of(text: str) -> int | None:
    """Give the position that a protective order's id names, whichever desk's it is; None where it names none."""
    found = NAME.fullmatch(text)
    return None if found is None else int(found[3])


@lru_cache(maxsize=8)
def _tag(desk_id: UUID) -> str:
    number = int.from_bytes(hashlib.sha256(str(desk_id).encode()).digest()[:20])
    return "".join([PAIRS[number >> shift & 1023] for shift in TAG_SHIFTS])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectiveOrder:
    """
    One signed try to place one protective order: at the market, once the last price reaches ``trigger_price``.

    ``quantity`` None closes the position, whatever its size is then; a venue keeps one such stop and one such target in
    each direction. With a quantity it reduces by so much at most. ``side`` is the side that closes. What is
    signed is sent exactly as it stands, like an order's attempt.
    """

    protection_id: str
    account_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    kind: TriggerKind
    trigger_price: Decimal
    quantity: Decimal | None
    signed_at_ms: int
    recv_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionAcknowledgement:
    """The venue has the protective order, and it waits."""

    exchange_protection_id: str
    sent_at: datetime  # our clock, when the bytes left
    acknowledged_at: datetime  # our clock, when the answer was read


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueProtection:
    """
    A conditional order as the venue reports it when asked, whoever placed it.

    What it traded is not told here: the trades of ``triggered_order_id`` say it.
    """

    protection_id: str
    exchange_protection_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    kind: TriggerKind | None  # None: of a kind that the desk never places
    trigger_price: Decimal
    quantity: Decimal | None  # None closes the position
    status: ProtectionStatus
    triggered_order_id: str | None  # the order it became, once there is one
    created_at: datetime  # venue clock
    updated_at: datetime  # venue clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionReport:
    """What a user stream says of a conditional order that moved on; it may come late, twice or never."""

    account_id: int
    symbol: str
    protection_id: str
    exchange_protection_id: str
    status: ProtectionStatus
    triggered_order_id: str | None
    reason: str  # why it was rejected, in the venue's words
    reported_at: datetime  # venue clock


class RefusalCause(StrEnum):
    """Why a protective order was refused, where that says what to do next."""

    PRICE_PASSED = "price_passed"  # it would trigger at once: what it guards is to be closed now
    NOTHING_HELD = "nothing_held"  # the venue sees no position that it could make smaller
    STANDS_ALREADY = "stands_already"  # another one that closes the position stands in its place
    TOO_MANY = "too_many"  # the account has all the conditional orders it may have
    OTHER = "other"  # the code says which


class ProtectionRefused(Refused):
    """The venue provably did not take a protective order."""

    def __init__(self, code: str, message: str, *, cause: RefusalCause) -> None:
        """Say what the code means for the position."""
        super().__init__(code, message)
        self.cause = cause


class Protections(Protocol):
    """
    A venue that keeps protective orders, for all our accounts there; an account is named by our id.

    Every method raises one of the four kinds of ``VenueError``, as those of ``orders.ports.Exchange`` do: after
    ``OutcomeUnknown`` the venue is asked by id. No call takes longer than ten seconds.
    """

    async def place_protection(self, order: ProtectiveOrder) -> ProtectionAcknowledgement:
        """
        Send the order, exactly as signed, once.

        :raises ProtectionRefused: with the cause, where the venue provably said no.
        """
        ...

    async def find_protection(self, *, account_id: int, protection_id: str) -> VenueProtection | None:
        """Give the newest order with this id; None when the venue says it has none, which reads that lag may say too soon."""
        ...

    async def open_protections(
        self, *, account_id: int, symbol: str | None = None
    ) -> Sequence[VenueProtection]:
        """
        Give the account's conditional orders that wait, whoever placed them, of one symbol or of all (which costs far more).

        One that is triggering does not wait, and is told only by ``find_protection``.
        """
        ...

    async def cancel_protection(self, *, account_id: int, protection_id: str) -> bool:
        """Take one back; False when the venue says that none waits under this id: it triggered, ended or never was."""
        ...

    async def cancel_protections(self, *, account_id: int, symbol: str) -> None:
        """Take back all that wait on a symbol, whoever placed them."""
        ...
