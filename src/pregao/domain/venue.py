"""
The words spoken with a venue: what we ask, what it answers, and the four kinds of no.

An adapter translates these to its own protocol; nothing above the edges knows any other.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pregao.domain.forward import ForwardAnswer
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.quickly import made_quickly

RECV_WINDOW_MS = 5_000  # the venue refuses an attempt that arrives later: Binance's default, our upper bound


class Blame(StrEnum):
    """Whose fault it was that a venue did not do what was asked."""

    VENUE = "venue"  # it was silent, broken, busy, or could not be understood
    ASKER = "asker"  # it works, and said no
    NOBODY = "nobody"  # it was not asked


class VenueError(Exception):
    """A venue did not do what was asked; ``blame`` says nothing of it until whoever heard the answer does."""

    blame: Blame = Blame.NOBODY
    answer: ForwardAnswer | None = None  # what a destination said

    def __init__(self, code: str, message: str) -> None:
        """Keep the stable ``code`` (ours or the venue's number) apart from the sentence."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Refused(VenueError):
    """The venue provably said no: nothing happened there, and asking again gives the same."""


class RetryLater(VenueError):
    """The venue provably did nothing this time; the same may be asked after ``retry_after_seconds``."""

    def __init__(self, code: str, message: str, *, retry_after_seconds: float) -> None:
        """Say when to ask again."""
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(VenueError):
    """Nobody knows what happened: the request may have been executed. Ask; never send again."""


class OperatorNeeded(VenueError):
    """The venue provably did nothing, and will not until a person acts (key, permission, ban, mode)."""


class NeverKnown(VenueError):
    """Nobody knows what happened, and nobody can be asked: it ends here, and whoever reads of it is told so."""


class MarginMode(StrEnum):
    """How a position's margin is kept."""

    ISOLATED = "isolated"  # a position's loss is limited to its own margin
    CROSSED = "crossed"  # the whole wallet stands behind every position


class OutsideClose(StrEnum):
    """Who closed a position at the venue, where it was not the desk."""

    LIQUIDATED = "liquidated"  # the margin was used up
    DELEVERAGED = "deleveraged"  # the venue took the profitable side of somebody else's liquidation
    SETTLED = "settled"  # the contract was delivered or taken off the list
    BY_HAND = "closed_outside"  # the account's owner, or another program
    WRITTEN_OFF = "written_off"  # nobody knows who: an operator gave it up


WRITTEN_OFF_ID = "written-off"
ADOPTED_ID = "adopted"
BOOKED_ID = "by-hand"
"""Where a venue's client order id stands: fills that an operator booked."""

VENUE_ORDERS = {
    WRITTEN_OFF_ID: OutsideClose.WRITTEN_OFF,
    # Prefixes of the ids that the venue gives its own orders (Binance USD-M).
    "autoclose-": OutsideClose.LIQUIDATED,
    "adl_autoclose": OutsideClose.DELEVERAGED,
    "settlement_autoclose-": OutsideClose.SETTLED,
}


def outside_close(client_order_id: str) -> OutsideClose:
    """Say who sent an order that is not ours, from its client id."""
    return next(
        (who for prefix, who in VENUE_ORDERS.items() if client_order_id.startswith(prefix)),
        OutsideClose.BY_HAND,
    )


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAttempt:
    """
    One signed try to place one order: at the market, or at ``limit_price`` and better, whatever fills there at once.

    ``signed_at_ms`` is the venue's clock and is sent exactly as it stands, so a try that wakes up late is
    refused by the venue instead of trading. ``quantity`` counts base units, on the market step.
    """

    client_order_id: str
    account_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    reduce_only: bool
    signed_at_ms: int
    recv_window_ms: int
    limit_price: Decimal | None = None  # the worst price taken; what does not fill at once has ended (IOC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The venue has the order. An exchange says nothing about price or filled quantity; a destination says nothing else."""

    exchange_order_id: str
    sent_at: datetime  # our clock, when the bytes left
    acknowledged_at: datetime  # our clock, when the answer was read
    answer: ForwardAnswer | None = None  # a destination's, in its words
    trade: "VenueTrade | None" = (
        None  # where the answer says that all of it has traded, and nothing else will
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue reports it."""

    client_order_id: str
    exchange_order_id: str
    symbol: str
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    created_at: datetime  # venue clock
    updated_at: datetime  # venue clock


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """
    One fill as the venue reports it, by stream or by query.

    ``commission`` is what was paid (positive) in ``commission_asset``; ``realized_pnl`` is the venue's own
    figure, kept for comparison, never used for ours. ``client_order_id`` is empty where a query does not tell it.
    """

    trade_id: str
    exchange_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    realized_pnl: Decimal
    traded_at: datetime  # venue clock


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """A position as the venue holds it; ``quantity`` is signed in one-way mode and for SHORT (negative)."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of one symbol at one venue: last trade, best bid, best ask, in the quote asset."""

    symbol: str
    last_price: Decimal
    bid: Decimal
    ask: Decimal
    quoted_at: datetime  # our clock, when it was read


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What a user stream says of an order that ended without (more) fills, or was taken by the venue."""

    account_id: int
    client_order_id: str
    exchange_order_id: str
    symbol: str
    status: OrderStatus
    reported_at: datetime  # venue clock


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReport:
    """One fill told by an account's user stream."""

    account_id: int
    trade: VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGap:
    """An account's user stream was away (first connection included): what happened meanwhile must be asked."""

    account_id: int
    connected_at: datetime
