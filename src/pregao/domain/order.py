"""An order: its sides, its states and the table of legal moves, and the id that makes it one."""

import hashlib
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648, in small letters
PAIRS = [first + second for first in BASE32 for second in BASE32]
SHIFTS = range(150, 20, -10)  # the 13 pairs of the first 130 of 160 bits


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        """The other way."""
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """Which position of an account an order belongs to."""

    BOTH = "both"  # one-way mode: one net position per symbol
    LONG = "long"  # hedge mode
    SHORT = "short"  # hedge mode


class PositionMode(StrEnum):
    """How an account holds positions, for all its symbols."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class Leg(StrEnum):
    """Which part of a signal an order carries out, on one account."""

    ENTRY = "entry"
    EXIT = "exit"


class OrderStatus(StrEnum):
    """Where an order stands."""

    DEFERRED = "deferred"  # an exit waiting for its entry: what fills is exited at once
    PLANNED = "planned"  # committed here, the wire not yet answered
    UNRESOLVED = "unresolved"  # sent, outcome unknown: being asked for
    ACCEPTED = "accepted"  # the venue has it
    PARTIALLY_FILLED = "partially_filled"  # some of it traded
    FILLED = "filled"  # all of it traded
    REJECTED = "rejected"  # the venue provably refused it, or never had it
    CANCELED = "canceled"  # taken back, the unfilled rest is gone
    EXPIRED = "expired"  # ended by the venue, the unfilled rest is gone
    DENIED = "denied"  # our own limit stopped it, the venue never saw it


LIVE = frozenset(
    {
        OrderStatus.DEFERRED,
        OrderStatus.PLANNED,
        OrderStatus.UNRESOLVED,
        OrderStatus.ACCEPTED,
        OrderStatus.PARTIALLY_FILLED,
    },
)
"""States in which an order may still trade."""

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.DEFERRED: frozenset({OrderStatus.PLANNED, OrderStatus.DENIED}),
    OrderStatus.PLANNED: frozenset(
        {
            OrderStatus.UNRESOLVED,
            OrderStatus.ACCEPTED,
            OrderStatus.REJECTED,
            OrderStatus.PARTIALLY_FILLED,  # a fill may be told before the answer arrives
            OrderStatus.FILLED,
            OrderStatus.CANCELED,
            OrderStatus.EXPIRED,
        },
    ),
    OrderStatus.UNRESOLVED: frozenset(
        {
            OrderStatus.PLANNED,  # proven dead, tried anew
            OrderStatus.DENIED,  # proven dead, and too late to try again
            OrderStatus.ACCEPTED,
            OrderStatus.REJECTED,
            OrderStatus.PARTIALLY_FILLED,
            OrderStatus.FILLED,
            OrderStatus.CANCELED,
            OrderStatus.EXPIRED,
        },
    ),
    OrderStatus.ACCEPTED: frozenset(
        {OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED},
    ),
    OrderStatus.PARTIALLY_FILLED: frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}),
    OrderStatus.FILLED: frozenset(),
    OrderStatus.REJECTED: frozenset(),
    OrderStatus.CANCELED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
    OrderStatus.DENIED: frozenset(),
}


def may_become(status: OrderStatus, *, following: OrderStatus) -> bool:
    """Say whether an order in ``status`` may move to ``following``."""
    return following in TRANSITIONS[status]


def order_id(
    *, desk_id: UUID, signal_id: UUID, account_id: int, leg: Leg, position_id: int, execution: str = ""
) -> str:
    """
    Give the order's own id: the same for the same signal, account, leg, position and execution of a stop, for ever.

    'p' and 26 base32 characters of SHA-256: 130 bits, within Binance's ``^[.A-Z:/a-z0-9_-]{1,36}$``.
    The position tells the exits of one ``close_all`` apart.
    """
    text = f"{_prefix(desk_id, signal_id)}/{account_id}/{leg}/{position_id if leg is Leg.EXIT else ''}"
    if execution:
        text = f"{text}/{execution}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:20])
    return "p" + "".join([PAIRS[number >> shift & 1023] for shift in SHIFTS])


@lru_cache(maxsize=256)  # one signal names a thousand orders
def _prefix(desk_id: UUID, signal_id: UUID) -> str:
    return f"{desk_id}/{signal_id}"


def client_order_id(order: str, *, attempt: int) -> str:
    """Give the id the venue sees: the order's id and the number of the attempt, from 1."""
    return f"{order}{attempt}"


def order_of(client_order_id: str) -> tuple[str, int] | None:
    """Read an order's id and attempt back from a client order id; None when it is not one of ours."""
    order, attempt = client_order_id[:27], client_order_id[27:]
    if (
        not client_order_id.startswith("p")
        or len(order) != 27
        or not (attempt.isascii() and attempt.isdigit())
    ):
        return None
    return order, int(attempt)
