"""Market and limit orders: taken, matched against the quote, laid in line, modified, taken back."""

from collections.abc import Iterator
from decimal import Decimal

from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionMode, Side
from pregao.simulation import checks
from pregao.simulation.books import (
    CONDITIONAL_KINDS,
    Account,
    AlgoOrder,
    AlgoStatus,
    Order,
    OrderKind,
    TriggerFate,
)
from pregao.simulation.commands import CancelAllOrders, CancelOrder, ModifyOrder, PlaceOrder
from pregao.simulation.events import OrderTold
from pregao.simulation.fills import (
    TAKER_FEE_RATE,
    book_fill,
    end_order,
    expire_leftovers,
    reducible,
    tell_trigger,
)
from pregao.simulation.floor import Floor
from pregao.simulation.instruments import Listing
from pregao.simulation.margin import added_margin, sign_of, summarize
from pregao.simulation.refusals import ExchangeError

GOOD_TILL_LEAD_MS = 600_000  # a GTD order must live at least ten minutes
MODIFICATIONS_SHOWN = "AMENDMENT"


def place_order(floor: Floor, command: PlaceOrder, *, algo: AlgoOrder | None = None) -> Order:
    """
    Take an order, match what can be matched now, lay the rest in line.

    ``algo`` is the conditional order that has triggered into it.

    :raises ExchangeError: when the venue would refuse it; nothing has happened then.
    """
    account, listing = floor.account(command.key), floor.listing(command.symbol)
    order = _checked_order(floor, account, listing, command)
    order.order_id = floor.next_order_id()
    if not order.client_order_id:
        order.client_order_id = f"x-{order.order_id}"
    if algo is not None:
        _link(order, algo)
    _keep(floor, account, order)
    if algo is not None and algo.fate is TriggerFate.UNFILLED:
        end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=command.at_ms)
        return order
    match_now(floor, account, order, at_ms=command.at_ms)
    if algo is not None:
        tell_trigger(floor, account, algo, at_ms=command.at_ms)
    return order


def match_now(floor: Floor, account: Account, order: Order, *, at_ms: int) -> None:
    """Trade an order that has just been taken against the quote, then let it rest or expire."""
    limit = order.limit_price if order.kind is OrderKind.LIMIT else None
    if (
        order.time_in_force == "FOK"
        and limit is not None
        and _reachable(floor, order, limit) < order.quantity
    ):
        end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=at_ms)
        return
    for price, quantity in list(_takes(floor, order, limit)):
        book_fill(floor, account, order, price=price, quantity=quantity, is_maker=False, at_ms=at_ms)
    if order.is_open:
        if limit is None or order.time_in_force in {"IOC", "FOK"}:
            end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=at_ms)
        else:
            floor.rest(account, order)
    expire_leftovers(floor, account, account.position(order.symbol, order.position_side), at_ms=at_ms)


def modify_order(floor: Floor, command: ModifyOrder) -> Order:
    """
    Change an open limit order's price and quantity; it goes to the end of the line.

    :raises ExchangeError: when it is not open or the new values do not pass the filters.
    """
    account = floor.account(command.key)
    order = account.orders.get(command.order_id)
    if order is None or not order.is_open or order.kind is not OrderKind.LIMIT:
        raise ExchangeError(-2013)
    listing = floor.listing(order.symbol)
    quantity = checks.check_quantity(listing, command.quantity, is_market=False)
    limit_price = checks.check_price(listing, command.limit_price)
    if (quantity, limit_price) == (order.quantity, order.limit_price):
        raise ExchangeError(-5027)
    checks.check_percent_price(listing, floor.quote(order.symbol), side=order.side, limit_price=limit_price)
    checks.check_notional(listing, quantity=quantity, price=limit_price, reduce_only=order.reduce_only)
    floor.unrest(account, order)
    floor.changes += 1
    order.quantity, order.limit_price, order.updated_ms = quantity, limit_price, command.at_ms
    if order.quantity <= order.filled_quantity:
        end_order(floor, account, order, status=OrderStatus.CANCELED, at_ms=command.at_ms)
        return order
    floor.tell(OrderTold(account=account, order=order, execution=MODIFICATIONS_SHOWN, at_ms=command.at_ms))
    match_now(floor, account, order, at_ms=command.at_ms)
    return order


def cancel_order(floor: Floor, command: CancelOrder) -> Order:
    """
    Take an open order back.

    :raises ExchangeError: -2011 when it is not open (filled, ended, or never was).
    """
    account = floor.account(command.key)
    order = account.orders.get(command.order_id)
    if order is None or not order.is_open:
        raise ExchangeError(-2011)
    end_order(floor, account, order, status=OrderStatus.CANCELED, at_ms=command.at_ms)
    return order


def cancel_all_orders(floor: Floor, command: CancelAllOrders) -> int:
    """Take all open orders of a symbol back and say how many there were."""
    account = floor.account(command.key)
    found = account.find_open_orders(command.symbol)
    for order in found:
        end_order(floor, account, order, status=OrderStatus.CANCELED, at_ms=command.at_ms)
    return len(found)


def fill_resting(floor: Floor, symbol: str, *, at_ms: int) -> None:
    """Fill the limit orders the new price has reached, each at its own limit, as maker."""
    queues, quote = floor.queues[symbol], floor.quote(symbol)
    while queues.buys and queues.buys[-1][0] >= quote.ask:
        _fill_first(floor, queues.buys[-1], at_ms=at_ms)
    while queues.sells and queues.sells[0][0] <= quote.bid:
        _fill_first(floor, queues.sells[0], at_ms=at_ms)


def _link(order: Order, algo: AlgoOrder) -> None:
    order.algo_id, order.original_kind = algo.algo_id, algo.kind
    order.trigger_price, order.close_position = algo.trigger_price, algo.close_position
    algo.status, algo.order_id, algo.updated_ms = AlgoStatus.TRIGGERED, order.order_id, order.created_ms


def _fill_first(floor: Floor, waiting: tuple[Decimal, int, str], *, at_ms: int) -> None:
    price, order_id, key = waiting
    account = floor.account(key)
    order = account.orders[order_id]
    quantity = order.quantity_left
    if order.reduce_only:
        quantity = min(quantity, reducible(account, order))
    if quantity:
        book_fill(floor, account, order, price=price, quantity=quantity, is_maker=True, at_ms=at_ms)
    if order.is_open:  # only a reducing order can have something left here: there is nothing more to reduce
        end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=at_ms)
    expire_leftovers(floor, account, account.position(order.symbol, order.position_side), at_ms=at_ms)


def _takes(floor: Floor, order: Order, limit: Decimal | None) -> Iterator[tuple[Decimal, Decimal]]:
    left = order.quantity_left
    buying = order.side is Side.BUY
    for price, quantity in floor.ladder(order.symbol, order.side):
        if limit is not None and (price > limit if buying else price < limit):
            return
        taken = min(left, quantity)
        yield price, taken
        left -= taken
        if not left:
            return


def _reachable(floor: Floor, order: Order, limit: Decimal) -> Decimal:
    return sum((quantity for _, quantity in _takes(floor, order, limit)), ZERO)


def _keep(floor: Floor, account: Account, order: Order) -> None:
    floor.changes += 1
    account.orders[order.order_id] = order
    account.latest_orders[order.client_order_id] = order.order_id
    account.open_orders[order.client_order_id] = order.order_id
    floor.tell(OrderTold(account=account, order=order, execution="NEW", at_ms=order.created_ms))


def _checked_order(floor: Floor, account: Account, listing: Listing, command: PlaceOrder) -> Order:
    if command.kind in CONDITIONAL_KINDS:
        raise ExchangeError(-4120)
    is_market = command.kind is OrderKind.MARKET
    if command.client_order_id:
        checks.check_client_id(command.client_order_id)
    position_side = checks.check_position_side(account, command.position_side)
    reduce_only = checks.check_reduce_only(
        account, reduce_only=command.reduce_only, side=command.side, position_side=position_side
    )
    quantity = checks.check_quantity(listing, command.quantity, is_market=is_market)
    time_in_force = "GTC" if is_market else _checked_time_in_force(command)
    limit_price = ZERO if is_market else checks.check_price(listing, command.limit_price)
    order = Order(
        order_id=0,
        client_order_id=command.client_order_id,
        symbol=command.symbol,
        side=command.side,
        position_side=position_side,
        kind=command.kind,
        original_kind=command.kind,
        quantity=quantity,
        limit_price=limit_price,
        trigger_price=ZERO,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        close_position=False,
        status=OrderStatus.ACCEPTED,
        created_ms=command.at_ms,
        updated_ms=command.at_ms,
        good_till_ms=command.good_till_ms,
    )
    _check_against_market(floor, account, listing, order)
    return order


def _checked_time_in_force(command: PlaceOrder) -> str:
    if not command.time_in_force:
        raise ExchangeError(-1102, "timeinforce")
    if command.time_in_force not in checks.TIMES_IN_FORCE:
        raise ExchangeError(-1115)
    if command.time_in_force == "GTD" and command.good_till_ms <= command.at_ms + GOOD_TILL_LEAD_MS:
        raise ExchangeError(-1130, "goodTillDate")
    return command.time_in_force


def _check_against_market(floor: Floor, account: Account, listing: Listing, order: Order) -> None:
    quote = floor.quote(order.symbol)
    limit = order.limit_price if order.kind is OrderKind.LIMIT else None
    checks.check_percent_price(listing, quote, side=order.side, limit_price=limit)
    touch = quote.ask if order.side is Side.BUY else quote.bid
    price = touch if limit is None else limit
    checks.check_notional(listing, quantity=order.quantity, price=price, reduce_only=order.reduce_only)
    if order.client_order_id in account.open_orders:
        raise ExchangeError(-4116)
    crosses = limit is not None and (limit >= touch if order.side is Side.BUY else limit <= touch)
    if order.time_in_force == "GTX" and crosses:
        raise ExchangeError(-5022)
    if order.reduce_only:
        _trim_to_position(account, order)
        return
    if not account.may_trade:
        raise ExchangeError(-4088)
    if len(account.open_orders) >= checks.OPEN_ORDERS_MAX:
        raise ExchangeError(-2025)
    _check_margin(floor, account, listing, order, price=max(price, quote.bid) if limit is not None else price)


def _trim_to_position(account: Account, order: Order) -> None:
    room = reducible(account, order)
    if not room or (account.position_mode is PositionMode.HEDGE and order.quantity > room):
        raise ExchangeError(-2022)
    order.quantity = min(order.quantity, room)


def _check_margin(floor: Floor, account: Account, listing: Listing, order: Order, *, price: Decimal) -> None:
    position = account.position(order.symbol, order.position_side)
    signed = order.quantity * sign_of(order.side)
    needed = added_margin(floor, account, position=position, signed=signed, price=price)
    if not needed:
        return
    if needed + order.quantity * price * TAKER_FEE_RATE > summarize(floor, account).available:
        raise ExchangeError(-2019)
    if abs(position.quantity + signed) * price > listing.notional_max_at(account.leverage_of(order.symbol)):
        raise ExchangeError(-2027)
