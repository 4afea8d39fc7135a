"""One order per account, and what flows back up to be planned again."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.execution import Execution
from pregao.domain.facts.fact import Fact
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.domain.quickly import made_quickly
from pregao.domain.venue import MarginMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlanned(Fact):
    """
    Every account of a part has its order or its denial: they stand before this; with the last part all have.

    The parts go round the subscribed accounts by their ids, from ``first_account_id`` on, and end before it.
    """

    signal_id: UUID
    bot_id: UUID
    accounts: int  # subscribed accounts looked at in this part
    orders: int  # orders to send; the rest are denied
    part: int = 1
    first_account_id: int | None = None  # where the round began
    last_account_id: int | None = None  # where the next part goes on
    is_whole: bool = True  # nobody is left


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlanned(Fact):
    """One attempt of one account's order, committed before the wire is touched. It is signed only once."""

    order_id: str
    attempt: int
    client_order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    venue: Venue
    leg: Leg
    position_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    reduce_only: bool
    leverage: int
    margin_mode: MarginMode
    margin_usd: Decimal | None  # None on exits: they are sized by the position
    decision_price: (
        Decimal | None
    )  # the venue's price when it was planned; None on an exit in a silent market
    send_before: datetime | None  # None on exits: they never expire
    signed_at_ms: int
    recv_window_ms: int
    owner: str
    lease_epoch: int
    execution: Execution | None = None  # of an exit that a stop or a target asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDenied(Fact):
    """Our own limit stopped it: the venue never saw this order, or never will see another attempt of it."""

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    leg: Leg
    symbol: str
    side: Side | None
    position_id: int | None  # set where an attempt had reserved one
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDeferred(Fact):
    """
    An order that waits for another one of its position.

    An exit waits for an entry that is still on its way, or for an exit of only a share: it closes what is there
    then. An entry waits until its position is closed: a reverse, a replacement, a signal that came meanwhile.
    """

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    symbol: str
    position_id: int  # the position whose order it waits for
    leg: Leg = Leg.EXIT
    side: Side | None = None  # of an entry
    send_before: datetime | None = None  # of an entry
    share: Decimal | None = None  # of an exit: the part to close; None is all
    code: str = "ENTRY_ON_ITS_WAY"
    reason: str


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Fact):
    """The venue has the order: by its own word, or found when asked."""

    order_id: str
    attempt: int
    exchange_order_id: str
    sent_at: datetime | None  # None when it was found by asking
    acknowledged_at: datetime
    signal_id: UUID | None = None  # None in facts older than this field


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Fact):
    """The venue provably refused the order and has none such."""

    order_id: str
    attempt: int
    signal_id: UUID
    position_id: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnresolved(Fact):
    """
    No usable answer: nobody knows, so it is asked about and never sent again as it is.

    ``is_dead`` where the venue provably did not take this attempt (its clock window closed, it was busy): then
    nothing is asked, and the order may be tried anew once ``ask_at`` has come.
    """

    order_id: str
    attempt: int
    code: str
    reason: str
    is_dead: bool
    sent_at: datetime | None
    ask_at: datetime
    signal_id: UUID | None = None  # None in facts older than this field


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded(Fact):
    """The venue ended the order with something left unfilled: canceled or expired."""

    order_id: str
    signal_id: UUID
    position_id: int
    status: OrderStatus
    ended_at: datetime  # venue clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRequested(Fact):
    """A position, or what is left of it, is to be closed: by a reduce-only order."""

    signal_id: UUID
    position_id: int
    attempt: int
    reason: str
    quantity_max: Decimal | None = None  # what the attempt that died was to close; None is all that is held
    share: Decimal | None = None  # the part of what is held to close; None is all
    execution: Execution | None = None  # of a stop or a target: an order of its own for each try


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequested(Fact):
    """An entry whose attempt provably died, or that has waited for a close, is to be planned if its time allows."""

    signal_id: UUID
    order_id: str
    attempt: int
    reason: str
    bot_id: UUID | None = (
        None  # of an entry that has waited: its first attempt is planned with its bot's others
    )
