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
        "PROTECTION_STANDS",
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
    signal_ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the exchange has it."""

    account_id: int
    client_order_id: str
    status: str
    quantity: Decimal
    filled_quantity: Decimal
    created_ms: int = 0


@dataclass(slots=True, kw_only=True)
class VenueBooks:
    """What the exchange has written; the fills of an account are in the order they happened."""

    orders: list[VenueOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    client_order_ids: list[str] = field(default_factory=list)  # of the fills, each beside its own
    positions: dict[Place, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTime:
    """What a database forgot that was put back: from its copy until what was begun before its return was over."""

    began_ms: int
    ended_ms: int


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
    unfilled: Mapping[str, int] = field(default_factory=dict)  # of those expected, by code or status


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
                created_ms=order["created_ms"],
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
        books.client_order_ids += [fill["client_order_id"] for fill in shown["fills"]]
        for position in shown["positions"]:
            place = account_id, position["symbol"], position["position_side"]
            books.positions[place] = Decimal(position["quantity"])
    return books


def compare(
    own: OwnBooks,
    venue: VenueBooks,
    *,
    answered: Mapping[int, Collection[str]],
    finished: Collection[str],
    lost_time: LostTime | None = None,
) -> list[Difference]:
    """
    Give every difference.

    ``answered`` are the alerts that were taken, with the signals their senders were told of; ``finished`` are the
    signals with a complete receipt. A database that was put back may have forgotten orders of the time that it lost:
    what they hold must be known as held beside ours then, and nothing may be entered on top of it.
    """
    forgotten = find_forgotten(own, venue, lost_time=lost_time)
    return [
        *_duplicated(own, venue, answered=answered),
        *_on_top(own, venue),
        *_lost(answered, finished=finished),
        *_ledger(own, venue, forgotten=forgotten),
        *_positions(own, venue, foreign_is_known=lost_time is not None),
        *_unresolved(own),
    ]


def find_forgotten(own: OwnBooks, venue: VenueBooks, *, lost_time: LostTime | None) -> set[str]:
    """Give the client ids of the orders that were sent in the lost time and that the books know nothing of."""
    if lost_time is None:
        return set()
    return {
        order.client_order_id
        for order in venue.orders
        if order.client_order_id not in own.client_order_ids
        and lost_time.began_ms <= order.created_ms <= lost_time.ended_ms
    }


def count_orders(own: OwnBooks, venue: VenueBooks) -> Counts:
    """Count the orders that were to be expected, that reached the exchange, that traded."""
    at_venue: dict[str, bool] = {}
    for order in venue.orders:
        name = _name(order)
        if name not in own.orders:
            continue  # forgotten by a database that was put back, or a difference
        at_venue[name] = at_venue.get(name, False) or order.filled_quantity > ZERO
    expected = [order for order in own.orders.values() if order.code not in NOTHING_TO_DO]
    unfilled = Counter(order.code or order.status for order in expected if not at_venue.get(order.order_id))
    return Counts(
        expected=len(expected), sent=len(at_venue), filled=sum(at_venue.values()), unfilled=dict(unfilled)
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


def _on_top(own: OwnBooks, venue: VenueBooks) -> Iterable[Difference]:
    """Entries begin flat: no bot of a proof adds to what is open."""
    held: defaultdict[Place, Decimal] = defaultdict(Decimal)
    begun: set[str] = set()
    for fill, client_order_id in zip(venue.fills, venue.client_order_ids, strict=True):
        account_id, symbol, _, order_id, side, position_side, _, quantity = fill
        place = account_id, symbol, position_side
        named = order_of(client_order_id)
        order = own.orders.get(named[0]) if named else None
        if order is not None and order.leg == "entry" and order_id not in begun and held[place]:
            yield Difference(DUPLICATED, f"order={order.order_id} entered on top of {held[place]} {place}")
        begun.add(order_id)
        held[place] += quantity if side == "buy" else -quantity


def _ledger(own: OwnBooks, venue: VenueBooks, *, forgotten: Collection[str]) -> Iterable[Difference]:
    remembered = [
        fill
        for fill, client_order_id in zip(venue.fills, venue.client_order_ids, strict=True)
        if client_order_id not in forgotten
    ]
    ours, theirs = Counter(own.fills), Counter(remembered)
    for fill, count in (theirs - ours).items():
        yield Difference(LEDGER, f"fill not booked: {_told(fill)} times={count}")
    for fill, count in (ours - Counter(venue.fills)).items():
        yield Difference(LEDGER, f"fill booked that was none: {_told(fill)} times={count}")
    for order in venue.orders:
        if order.client_order_id not in own.client_order_ids | set(forgotten):
            yield Difference(
                LEDGER,
                f"order unknown to us: client_order_id={order.client_order_id} account={order.account_id}",
            )
    for position_id in own.positions_unlike_fills:
        yield Difference(LEDGER, f"position {position_id} is not the sum of its fills")


def _positions(own: OwnBooks, venue: VenueBooks, *, foreign_is_known: bool) -> Iterable[Difference]:
    beside = own.foreign if foreign_is_known else {}
    for place in sorted(own.positions.keys() | venue.positions.keys() | beside.keys()):
        here = own.positions.get(place, ZERO) + beside.get(place, ZERO)
        there = venue.positions.get(place, ZERO)
        if here != there:
            yield Difference(
                LEDGER, f"position: account={place[0]} {place[1]} {place[2]} ours={here} venue={there}"
            )
    for place, quantity in own.foreign.items():
        if quantity and not foreign_is_known:
            yield Difference(
                LEDGER,
                f"taken for a stranger's: account={place[0]} {place[1]} {place[2]} quantity={quantity}",
            )


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
