"""
Both books side by side: what the desk says happened, and what the exchange says. Pure.

Each difference is one line of text under the figure it belongs to.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pregao.domain.money import ZERO
from pregao.domain.order import order_of

NOTHING_TO_DO = frozenset(
    {
        "SAME_SIDE_OPEN",
        "OPPOSITE_SIDE_OPEN",
        "NOTHING_OPEN",
        "CLOSED_MEANWHILE",
        "EXIT_IN_FLIGHT",
        "EXIT_ON_ITS_WAY",
        "ENTRY_ON_ITS_WAY",
        "ORDER_IN_FLIGHT",
        "SUPERSEDED",
    }
)
"""Denials by a rule the owner chose: no order was to be expected."""
DUPLICATED = "orders duplicated"
LOST = "signals lost"
LEDGER = "ledger differences"
UNRESOLVED = "unresolved"
OUTLIVED = "leases outlived"
FIGURES = (DUPLICATED, LOST, LEDGER, UNRESOLVED, OUTLIVED)
"""The figures that must be 0."""

Fill = tuple[int, str, str, str, str, str, Decimal, Decimal]
"""Account, symbol, trade id, order id, side, position side, price, quantity."""
Place = tuple[int, str, str]
"""Account, symbol, position side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order as the desk has it."""

    order_id: str
    signal_id: str
    account_id: int
    leg: str
    status: str
    code: str | None
    attempt: int


@dataclass(slots=True, kw_only=True)
class OwnBooks:
    """What the desk has written."""

    orders: dict[str, OwnOrder] = field(default_factory=dict)
    client_order_ids: set[str] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)
    positions: dict[Place, Decimal] = field(default_factory=dict)  # longs minus shorts
    foreign: dict[Place, Decimal] = field(default_factory=dict)  # seen at the venue and not ours
    positions_unlike_fills: list[int] = field(default_factory=list)
    live_orders: list[str] = field(default_factory=list)
    unsettled_signals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the exchange has it."""

    account_id: int
    client_order_id: str
    status: str
    quantity: Decimal
    filled_quantity: Decimal


@dataclass(slots=True, kw_only=True)
class VenueBooks:
    """What the exchange has written."""

    orders: list[VenueOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    positions: dict[Place, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that must not be, under its figure."""

    figure: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many orders there were."""

    expected: int
    sent: int
    filled: int


def to_venue_books(page: Mapping[str, Any], *, accounts: Mapping[str, int]) -> VenueBooks:
    """Read what the paper exchange shows of its books; ``accounts`` gives each key's account."""
    books = VenueBooks()
    for key, account_id in accounts.items():
        shown = page[key]
        books.orders += [
            VenueOrder(
                account_id=account_id,
                client_order_id=order["client_order_id"],
                status=order["status"],
                quantity=Decimal(order["quantity"]),
                filled_quantity=Decimal(order["filled_quantity"]),
            )
            for order in shown["orders"]
        ]
        books.fills += [
            (
                account_id,
                fill["symbol"],
                str(fill["trade_id"]),
                str(fill["order_id"]),
                fill["side"],
                fill["position_side"],
                Decimal(fill["price"]),
                Decimal(fill["quantity"]),
            )
            for fill in shown["fills"]
        ]
        for position in shown["positions"]:
            place = account_id, position["symbol"], position["position_side"]
            books.positions[place] = Decimal(position["quantity"])
    return books


def compare(
    own: OwnBooks, venue: VenueBooks, *, answered: Mapping[int, Collection[str]], finished: Collection[str]
) -> list[Difference]:
    """
    Give every difference.

    ``answered`` are the alerts that were taken, with the signals their senders were told of; ``finished`` are the
    signals with a complete receipt.
    """
    return [
        *_duplicated(own, venue, answered=answered),
        *_lost(answered, finished=finished),
        *_ledger(own, venue),
        *_unresolved(own),
    ]


def count_orders(own: OwnBooks, venue: VenueBooks) -> Counts:
    """Count the orders that were to be expected, that reached the exchange, that traded."""
    at_venue: dict[str, bool] = {}
    for order in venue.orders:
        name = _name(order)
        at_venue[name] = at_venue.get(name, False) or order.filled_quantity > ZERO
    return Counts(
        expected=sum(order.code not in NOTHING_TO_DO for order in own.orders.values()),
        sent=len(at_venue),
        filled=sum(at_venue.values()),
    )


def _duplicated(
    own: OwnBooks, venue: VenueBooks, *, answered: Mapping[int, Collection[str]]
) -> Iterable[Difference]:
    times = Counter((order.account_id, order.client_order_id) for order in venue.orders)
    for (account_id, client_order_id), count in times.items():
        if count > 1:
            yield Difference(
                DUPLICATED, f"client_order_id={client_order_id} account={account_id} orders={count}"
            )
    for name, attempts in _by_order(venue.orders).items():
        filled = [attempt for attempt in attempts if attempt.filled_quantity > ZERO]
        order = own.orders.get(name)
        is_entry = order is None or order.leg == "entry"
        traded = sum((attempt.filled_quantity for attempt in filled), ZERO)
        if len(filled) > 1 and (is_entry or traded > max(attempt.quantity for attempt in attempts)):
            yield Difference(DUPLICATED, f"order={name} attempts_filled={len(filled)} traded={traded}")
    for number, signal_ids in answered.items():
        if len(signal_ids) > 1:
            yield Difference(DUPLICATED, f"alert={number} became several signals: {sorted(signal_ids)}")
    traded_names = {_name(order) for order in venue.orders if order.filled_quantity > ZERO}
    entries = Counter(
        (order.signal_id, order.account_id)
        for name, order in own.orders.items()
        if order.leg == "entry" and name in traded_names
    )
    for (signal_id, account_id), count in entries.items():
        if count > 1:
            yield Difference(DUPLICATED, f"signal={signal_id} account={account_id} entries={count}")


def _lost(answered: Mapping[int, Collection[str]], *, finished: Collection[str]) -> Iterable[Difference]:
    for number, signal_ids in answered.items():
        for signal_id in signal_ids:
            if signal_id not in finished:
                yield Difference(LOST, f"alert={number} signal={signal_id} has no finished receipt")


def _ledger(own: OwnBooks, venue: VenueBooks) -> Iterable[Difference]:
    ours, theirs = Counter(own.fills), Counter(venue.fills)
    for fill, count in (theirs - ours).items():
        yield Difference(LEDGER, f"fill not booked: {_told(fill)} times={count}")
    for fill, count in (ours - theirs).items():
        yield Difference(LEDGER, f"fill booked that was none: {_told(fill)} times={count}")
    for place in sorted(own.positions.keys() | venue.positions.keys()):
        here, there = own.positions.get(place, ZERO), venue.positions.get(place, ZERO)
        if here != there:
            yield Difference(
                LEDGER, f"position: account={place[0]} {place[1]} {place[2]} ours={here} venue={there}"
            )
    for place, quantity in own.foreign.items():
        if quantity:
            yield Difference(
                LEDGER,
                f"taken for a stranger's: account={place[0]} {place[1]} {place[2]} quantity={quantity}",
            )
    for order in venue.orders:
        if order.client_order_id not in own.client_order_ids:
            yield Difference(
                LEDGER,
                f"order unknown to us: client_order_id={order.client_order_id} account={order.account_id}",
            )
    for position_id in own.positions_unlike_fills:
        yield Difference(LEDGER, f"position {position_id} is not the sum of its fills")


def _unresolved(own: OwnBooks) -> Iterable[Difference]:
    for name in own.live_orders:
        order = own.orders[name]
        yield Difference(UNRESOLVED, f"order={name} status={order.status} code={order.code}")
    for signal_id in own.unsettled_signals:
        yield Difference(UNRESOLVED, f"signal={signal_id} is not settled")


def _by_order(orders: Sequence[VenueOrder]) -> dict[str, list[VenueOrder]]:
    found: defaultdict[str, list[VenueOrder]] = defaultdict(list)
    for order in orders:
        found[_name(order)].append(order)
    return found


def _name(order: VenueOrder) -> str:
    own = order_of(order.client_order_id)
    return own[0] if own else order.client_order_id


def _told(fill: Fill) -> str:
    account_id, symbol, trade_id, order_id, side, position_side, price, quantity = fill
    return f"account={account_id} {symbol} trade={trade_id} order={order_id} {side} {position_side} {quantity} @ {price}"
