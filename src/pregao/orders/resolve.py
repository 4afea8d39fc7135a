"""
Ask the venue until an order is known: unresolved, or accepted and not heard of since.

Takes OrderUnresolved. Gives OrderAccepted, OrderRejected, OrderEnded, FillReported, EntryRequested, ExitRequested;
nothing while the venue cannot say: then it is asked again later.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pregao.domain.account import EXCHANGES
from pregao.domain.clock import Clock, from_ms, to_ms
from pregao.domain.facts import (
    EntryRequested,
    ExitRequested,
    Fact,
    FillReported,
    OrderAccepted,
    OrderEnded,
    OrderRejected,
)
from pregao.domain.order import Leg, OrderStatus, order_of
from pregao.domain.venue import VenueOrder
from pregao.orders.ports import Books, Exchange, LiveOrder

ASK_AGAIN_SECONDS = (1, 2, 4, 8, 15, 30)  # then every half minute: a refusal that repeats is probed slowly
# An accepted order has filled, most likely, and stands open until somebody knows; a venue's reads lag for a moment. It costs little:
# one question, where three more say that an order is not there.
FILL_ASK_AGAIN_SECONDS = (1, 1, 1, 2, 4, 8, 15, 30)
# What an exit was to close stands open until its end is certain: it is asked as soon as its receive window has closed, six
# seconds and a half after it left, and again every two seconds for a while, since a question may be lost as well.
EXIT_ASK_AGAIN_SECONDS = (1.5, 4, 2, 2, 2, 4, 8, 15, 30)
CLOCK_MARGIN_MS = 1_000  # the venue takes timestamps up to this far ahead of its own clock
FORGOTTEN_MS = 600_000  # a venue that acknowledged an order and still has none such is not merely late
DOUBT_MS = 60_000  # a venue's books lag by seconds: what differs for longer is somebody else's holding
ATTEMPTS_MAX = 5  # an order that died this often will die again

ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


def ask_again_seconds(leg: Leg, status: OrderStatus, checks: int) -> float:
    """Say how long after question number ``checks`` (from zero) the next one is due."""
    pauses: Sequence[float] = ASK_AGAIN_SECONDS
    if leg is Leg.EXIT:
        pauses = EXIT_ASK_AGAIN_SECONDS
    elif status is OrderStatus.ACCEPTED:
        pauses = FILL_ASK_AGAIN_SECONDS
    return pauses[min(checks, len(pauses) - 1)]


async def resolve_order(
    order: LiveOrder, *, exchange: Exchange, books: Books, clock: Clock
) -> Sequence[Fact]:
    """
    Say what became of the order; an empty answer means: ask again later.

    "Not found" is believed only when the attempt's receive window has closed on the venue's clock and both its
    trades and its position agree that nothing happened. An account that holds something of its owner's on this
    symbol never agrees: after a minute its trades decide alone, but then no entry is sent again.

    :raises VenueError: when the venue gives no usable answer; nothing is concluded from that.
    """
    assert order.venue in EXCHANGES, "a webhook cannot be asked: see `orders.forward`"
    if (
        order.is_dead and not order.filled_quantity
    ):  # a later attempt may have filled, and been forgotten by a restore
        return [try_again(order, now=clock())]
    found = await exchange.find_order(
        account_id=order.account_id, symbol=order.symbol, client_order_id=order.client_order_id
    )
    if found is not None and to_ms(found.created_at) + CLOCK_MARGIN_MS >= order.signed_at_ms:
        return await _as_found(order, found, exchange=exchange, now=clock())
    if order.status not in (OrderStatus.PLANNED, OrderStatus.UNRESOLVED):
        return await _as_forgotten(order, exchange=exchange, books=books, clock=clock)
    if exchange.venue_now_ms() <= order.signed_at_ms + order.recv_window_ms + CLOCK_MARGIN_MS:
        return []
    if not await _all_trades_are_told(order, exchange=exchange, books=books):
        return []
    if await _position_agrees(order, exchange=exchange, books=books):
        return [try_again(order, now=clock())]
    if exchange.venue_now_ms() <= order.signed_at_ms + DOUBT_MS:
        return []
    return [_give_up(order, now=clock()) if order.leg is Leg.ENTRY else try_again(order, now=clock())]


async def _as_found(order: LiveOrder, found: VenueOrder, *, exchange: Exchange, now: datetime) -> list[Fact]:
    """Tell the fills we have not been told, and how the order stands."""
    facts: list[Fact] = []
    if (
        order.status in (OrderStatus.PLANNED, OrderStatus.UNRESOLVED)
        and found.status is not OrderStatus.REJECTED
    ):
        facts.append(
            OrderAccepted(
                happened_at=now,
                order_id=order.order_id,
                attempt=order.attempt,
                exchange_order_id=found.exchange_order_id,
                sent_at=None,
                acknowledged_at=now,
                signal_id=order.signal_id,
            ),
        )
    if found.filled_quantity > order.filled_quantity:
        trades = await exchange.trades_of(
            account_id=order.account_id, symbol=order.symbol, exchange_order_id=found.exchange_order_id
        )
        facts.extend(
            FillReported(
                happened_at=now,
                account_id=order.account_id,
                trade=replace(trade, client_order_id=order.client_order_id),
            )
            for trade in trades
        )
        if sum(trade.quantity for trade in trades) < found.filled_quantity:
            return facts  # the trades lag behind the order: how it ended is told when they are complete
    if found.status in ENDED or _was_cut(order, found):
        is_canceled = found.status is OrderStatus.CANCELED
        facts.append(
            OrderEnded(
                happened_at=now,
                order_id=order.order_id,
                signal_id=order.signal_id,
                position_id=order.position_id,
                status=OrderStatus.CANCELED if is_canceled else OrderStatus.EXPIRED,
                ended_at=found.updated_at,
            ),
        )
    return facts


async def _as_forgotten(order: LiveOrder, *, exchange: Exchange, books: Books, clock: Clock) -> list[Fact]:
    """
    Say what became of an order that the venue acknowledged once and does not find by its client id.

    At first that is a read that lags. Later it has ended, if its number is unknown too, each trade of it is booked, and
    the position is what we hold: then nothing of it can still trade. If one of these is missing, nobody knows.
    """
    number, account_id, symbol = order.exchange_order_id, order.account_id, order.symbol
    if number is None:
        return []
    if order.filled_quantity and (later := await _find_later(order, number, exchange=exchange)):
        return await _as_found(order, later, exchange=exchange, now=clock())
    if exchange.venue_now_ms() <= order.signed_at_ms + FORGOTTEN_MS:
        return []
    if await exchange.client_order_id_of(account_id=account_id, symbol=symbol, exchange_order_id=number):
        return []
    trades = await exchange.trades_of(account_id=account_id, symbol=symbol, exchange_order_id=number)
    untold = await books.untold_trades(account_id=account_id, symbol=symbol, trades=trades)
    if untold:
        return [
            FillReported(
                happened_at=clock(),
                account_id=order.account_id,
                trade=replace(trade, client_order_id=order.client_order_id),
            )
            for trade in untold
        ]
    if sum(trade.quantity for trade in trades) != order.filled_quantity:
        return []
    if not await _all_trades_are_told(order, exchange=exchange, books=books):
        return []
    if not await _position_agrees(order, exchange=exchange, books=books):
        return []
    return [
        OrderEnded(
            happened_at=clock(),
            order_id=order.order_id,
            signal_id=order.signal_id,
            position_id=order.position_id,
            status=OrderStatus.EXPIRED,
            ended_at=from_ms(exchange.venue_now_ms()),
        )
    ]


def _was_cut(order: LiveOrder, found: VenueOrder) -> bool:
    """Say whether the venue filled less than we asked and calls that all: a reduce-only order over too much."""
    return found.status is OrderStatus.FILLED and found.filled_quantity < order.quantity


async def _find_later(order: LiveOrder, number: str, *, exchange: Exchange) -> VenueOrder | None:
    """Find the later attempt that a restored database has forgotten, by the number that its fills have told."""
    name = await exchange.client_order_id_of(
        account_id=order.account_id, symbol=order.symbol, exchange_order_id=number
    )
    own = None if name is None or name == order.client_order_id else order_of(name)
    if name is None or own is None or own[0] != order.order_id:
        return None
    return await exchange.find_order(account_id=order.account_id, symbol=order.symbol, client_order_id=name)


async def _all_trades_are_told(order: LiveOrder, *, exchange: Exchange, books: Books) -> bool:
    trades = await exchange.trades_since(
        account_id=order.account_id, symbol=order.symbol, since_ms=order.signed_at_ms - CLOCK_MARGIN_MS
    )
    return not await books.untold_trades(account_id=order.account_id, symbol=order.symbol, trades=trades)


async def _position_agrees(order: LiveOrder, *, exchange: Exchange, books: Books) -> bool:
    positions = await exchange.positions(account_id=order.account_id, symbol=order.symbol)
    at_venue = sum(position.quantity for position in positions)
    return at_venue == await books.held_quantity(account_id=order.account_id, symbol=order.symbol)


def try_again(order: LiveOrder, *, now: datetime) -> Fact:
    """Give what follows from an attempt that is proven dead: an exit is always tried anew, an entry while its time lasts."""
    reason = f"attempt={order.attempt} code={order.code or 'NOT_FOUND'}"
    if order.leg is Leg.EXIT:
        return ExitRequested(
            happened_at=now,
            signal_id=order.signal_id,
            position_id=order.position_id,
            attempt=order.attempt + 1,
            reason=reason,
            quantity_max=order.quantity,
            execution=order.execution,
        )
    if order.attempt >= ATTEMPTS_MAX:
        return rejected(
            order,
            code="ATTEMPTS_EXHAUSTED",
            reason=f"{reason} attempts_max={ATTEMPTS_MAX}. The venue took none of them.",
            now=now,
        )
    return EntryRequested(
        happened_at=now,
        signal_id=order.signal_id,
        order_id=order.order_id,
        attempt=order.attempt + 1,
        reason=reason,
    )


def _give_up(order: LiveOrder, *, now: datetime) -> OrderRejected:
    return rejected(
        order,
        code="ORDER_NOT_FOUND",
        reason=f"attempt={order.attempt} doubt_seconds={DOUBT_MS // 1_000}. The venue has no such order and no trade "
        "of it, but its position is not what we hold, so the entry is not sent again. Look at the account.",
        now=now,
    )


def rejected(order: LiveOrder, *, code: str, reason: str, now: datetime) -> OrderRejected:
    """Give the end of an order that the venue took no attempt of."""
    return OrderRejected(
        happened_at=now,
        order_id=order.order_id,
        attempt=order.attempt,
        signal_id=order.signal_id,
        position_id=order.position_id,
        code=code,
        reason=reason,
    )
