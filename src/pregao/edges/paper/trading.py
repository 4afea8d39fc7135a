"""What places, changes, takes back and shows orders, conditional ones included."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide, Side
from pregao.edges.paper.calls import Call, Endpoint, Security
from pregao.edges.paper.wire import (
    POSITION_SIDES_READ,
    SIDES_READ,
    Json,
    acknowledgement,
    algo_acknowledgement,
    queried_algo,
    queried_order,
    user_trade,
)
from pregao.simulation.books import AlgoOrder, AlgoStatus, Order, OrderKind
from pregao.simulation.commands import (
    CancelAlgo,
    CancelAllAlgos,
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    PlaceAlgo,
    PlaceOrder,
    SetCountdown,
)
from pregao.simulation.refusals import ExchangeError

BATCH_MAX = 5
ROWS_MAX = 1_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
Row = TypeVar("Row")
_KINDS: Final = {kind.value: kind for kind in OrderKind}


def place_order(call: Call) -> Json:
    """``POST /fapi/v1/order``."""
    call.venue.order_limit(call.key).spend(at_ms=call.at_ms)
    call.check_window()
    return _place(call)


def check_order(call: Call) -> Json:
    """``POST /fapi/v1/order/test``: reads the order and places nothing."""
    _placement(call)
    return {}


def modify_order(call: Call) -> Json:
    """``PUT /fapi/v1/order``: price and quantity of an open limit order."""
    call.venue.order_limit(call.key).spend(at_ms=call.at_ms)
    call.check_window()
    order = _find_order(call, missing=-2013)
    quantity, price = call.find_decimal("quantity"), call.find_decimal("price")
    if quantity is None or price is None:
        raise ExchangeError(-1102, "quantity" if quantity is None else "price")
    command = ModifyOrder(
        at_ms=call.at_ms, key=call.key, order_id=order.order_id, quantity=quantity, limit_price=price
    )
    return acknowledgement(call.venue.execute(command)) | {"modifyId": 1}


def cancel_order(call: Call) -> Json:
    """``DELETE /fapi/v1/order``."""
    call.check_window()
    order = _find_order(call, missing=-2011)
    command = CancelOrder(at_ms=call.at_ms, key=call.key, order_id=order.order_id)
    return acknowledgement(call.venue.execute(command))


def query_order(call: Call) -> Json:
    """``GET /fapi/v1/order``."""
    order = _find_order(call, missing=-2013)
    if order.created_ms > call.as_of_ms:
        raise ExchangeError(-2013)
    return queried_order(order, as_of_ms=call.as_of_ms)


def query_open_order(call: Call) -> Json:
    """``GET /fapi/v1/openOrder``."""
    order = _find_order(call, missing=-2013)
    if not order.is_open:
        raise ExchangeError(-2013)
    return queried_order(order, as_of_ms=call.as_of_ms)


def list_open_orders(call: Call) -> list[Json]:
    """``GET /fapi/v1/openOrders``."""
    found = call.account.find_open_orders(_find_symbol(call))
    return [
        queried_order(order, as_of_ms=call.as_of_ms) for order in found if order.created_ms <= call.as_of_ms
    ]


def list_all_orders(call: Call) -> list[Json]:
    """``GET /fapi/v1/allOrders``: from an order id on, or the newest of a time span."""
    symbol = _symbol(call)
    mine = [order for order in call.account.orders.values() if order.symbol == symbol]
    found = _page(
        call, mine, number=lambda order: order.order_id, at=lambda order: order.created_ms, first="orderId"
    )
    return [queried_order(order, as_of_ms=call.as_of_ms) for order in found]


def list_user_trades(call: Call) -> list[Json]:
    """``GET /fapi/v1/userTrades``: from a trade id on, of one order, or the newest of a time span."""
    symbol, order_id = _symbol(call), call.find_number("orderId")
    mine = [
        fill
        for fill in call.account.fills
        if fill.symbol == symbol and (order_id is None or fill.order_id == order_id)
    ]
    found = _page(
        call, mine, number=lambda fill: fill.trade_id, at=lambda fill: fill.traded_ms, first="fromId"
    )
    return [user_trade(fill) for fill in found]


def cancel_all_orders(call: Call) -> Json:
    """``DELETE /fapi/v1/allOpenOrders``: conditional orders stay."""
    call.check_window()
    call.venue.execute(CancelAllOrders(at_ms=call.at_ms, key=call.key, symbol=_symbol(call)))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def place_batch(call: Call) -> list[Json]:
    """``POST /fapi/v1/batchOrders``: each on its own; a refusal stands in the answer at its place."""
    orders = _read_list(call, "batchOrders")
    if not 0 < len(orders) <= BATCH_MAX:
        raise ExchangeError(-1130, "batchOrders")
    call.venue.order_limit(call.key).spend(at_ms=call.at_ms, short=BATCH_MAX)
    call.check_window()
    return [_attempt(_place, _part(call, order)) for order in orders]


def cancel_batch(call: Call) -> list[Json]:
    """``DELETE /fapi/v1/batchOrders``: by order ids or by client ids."""
    call.check_window()
    numbers, names = _read_list(call, "orderIdList"), _read_list(call, "origClientOrderIdList")
    parts = [{"orderId": number} for number in numbers] or [{"origClientOrderId": name} for name in names]
    if not 0 < len(parts) <= 10:
        raise ExchangeError(-1130, "orderIdList")
    return [_attempt(cancel_order, _part(call, part | {"symbol": _symbol(call)})) for part in parts]


def set_countdown(call: Call) -> Json:
    """``POST /fapi/v1/countdownCancelAll``: open orders go when it is not called again in time."""
    countdown_ms = call.find_number("countdownTime")
    if countdown_ms is None or countdown_ms < 0:
        raise ExchangeError(-1102, "countdowntime")
    symbol = _symbol(call)
    call.venue.execute(SetCountdown(at_ms=call.at_ms, key=call.key, symbol=symbol, countdown_ms=countdown_ms))
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


def place_algo(call: Call) -> Json:
    """``POST /fapi/v1/algoOrder``: a conditional order."""
    call.venue.order_limit(call.key).spend(at_ms=call.at_ms)
    call.check_window()
    if call.text("algoType") != "CONDITIONAL":
        raise ExchangeError(-1130, "algoType")
    command = PlaceAlgo(
        at_ms=call.at_ms,
        key=call.key,
        symbol=call.text("symbol"),
        side=_side(call),
        kind=_kind(call),
        trigger_price=call.find_decimal("triggerPrice"),
        quantity=call.find_decimal("quantity"),
        position_side=_position_side(call),
        limit_price=call.find_decimal("price"),
        time_in_force=call.params.get("timeInForce", ""),
        client_algo_id=call.params.get("clientAlgoId", ""),
        reduce_only=call.find_flag("reduceOnly"),
        close_position=bool(call.find_flag("closePosition")),
        working_type=call.params.get("workingType") or "CONTRACT_PRICE",
        price_protect=bool(call.find_flag("priceProtect")),
        activate_price=call.find_decimal("activatePrice") or call.find_decimal("activationPrice") or ZERO,
        callback_percent=call.find_decimal("callbackRate") or ZERO,
        good_till_ms=call.find_number("goodTillDate") or 0,
    )
    return algo_acknowledgement(call.venue.execute(command))


def query_algo(call: Call) -> Json:
    """``GET /fapi/v1/algoOrder``."""
    algo = _find_algo(call, missing=-2013)
    if algo.created_ms > call.as_of_ms or _is_forgotten(algo, at_ms=call.at_ms):
        raise ExchangeError(-2013)
    return queried_algo(algo, as_of_ms=call.as_of_ms)


def list_open_algos(call: Call) -> list[Json]:
    """``GET /fapi/v1/openAlgoOrders``."""
    symbol, number = _find_symbol(call), call.find_number("algoId")
    # A read that lags shows what has ended since, too.
    found = call.account.algos.values() if call.lag_ms else call.account.find_open_algos(symbol)
    return [
        queried_algo(algo, as_of_ms=call.as_of_ms)
        for algo in found
        if symbol in (None, algo.symbol)
        and number in (None, algo.algo_id)
        and algo.created_ms <= call.as_of_ms
        and (algo.status is AlgoStatus.NEW or algo.updated_ms > call.as_of_ms)
    ]


def list_all_algos(call: Call) -> list[Json]:
    """``GET /fapi/v1/allAlgoOrders``: waiting, triggered and ended ones, while the venue remembers them."""
    symbol = _symbol(call)
    mine = [
        algo
        for algo in call.account.algos.values()
        if algo.symbol == symbol and not _is_forgotten(algo, at_ms=call.at_ms)
    ]
    found = _page(
        call, mine, number=lambda algo: algo.algo_id, at=lambda algo: algo.created_ms, first="algoId"
    )
    return [queried_algo(algo, as_of_ms=call.as_of_ms) for algo in found]


def cancel_algo(call: Call) -> Json:
    """``DELETE /fapi/v1/algoOrder``."""
    call.check_window()
    algo = _find_algo(call, missing=-2011)
    call.venue.execute(CancelAlgo(at_ms=call.at_ms, key=call.key, algo_id=algo.algo_id))
    return {"algoId": algo.algo_id, "clientAlgoId": algo.client_algo_id, "code": "200", "msg": "success"}


def cancel_all_algos(call: Call) -> Json:
    """``DELETE /fapi/v1/algoOpenOrders``."""
    call.check_window()
    call.venue.execute(CancelAllAlgos(at_ms=call.at_ms, key=call.key, symbol=_symbol(call)))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _place(call: Call) -> Json:
    order = call.venue.execute(_placement(call))
    return acknowledgement(order, is_bare=call.params.get("newOrderRespType", "ACK") != "RESULT")


def _placement(call: Call) -> PlaceOrder:
    return PlaceOrder(
        at_ms=call.at_ms,
        key=call.key,
        symbol=call.text("symbol"),
        side=_side(call),
        kind=_kind(call),
        quantity=call.find_decimal("quantity"),
        position_side=_position_side(call),
        limit_price=call.find_decimal("price"),
        time_in_force=call.params.get("timeInForce", ""),
        client_order_id=call.params.get("newClientOrderId", ""),
        reduce_only=call.find_flag("reduceOnly"),
        good_till_ms=call.find_number("goodTillDate") or 0,
    )


def _side(call: Call) -> Side:
    side = SIDES_READ.get(call.text("side"))
    if side is None:
        raise ExchangeError(-1117)
    return side


def _kind(call: Call) -> OrderKind:
    kind = _KINDS.get(call.text("type"))
    if kind is None:
        raise ExchangeError(-1116)
    return kind


def _position_side(call: Call) -> PositionSide | None:
    text = call.params.get("positionSide")
    if not text:
        return None
    position_side = POSITION_SIDES_READ.get(text)
    if position_side is None:
        raise ExchangeError(-1130, "positionSide")
    return position_side


def _symbol(call: Call) -> str:
    return call.venue.exchange.floor.listing(call.text("symbol")).symbol


def _find_symbol(call: Call) -> str | None:
    return _symbol(call) if call.params.get("symbol") else None


def _find_order(call: Call, *, missing: int) -> Order:
    symbol, account = _symbol(call), call.account
    number, name = call.find_number("orderId"), call.params.get("origClientOrderId")
    if number is None and not name:
        raise ExchangeError(-1102, message=_ONE_OF)
    if number is None:
        number = account.latest_orders.get(name or "")
    order = account.orders.get(number) if number is not None else None
    if order is None or order.symbol != symbol:
        raise ExchangeError(missing)
    return order


def _find_algo(call: Call, *, missing: int) -> AlgoOrder:
    account, number, name = call.account, call.find_number("algoId"), call.params.get("clientAlgoId")
    if number is None and not name:
        raise ExchangeError(-1102, message=_ONE_OF_ALGO)
    if number is None:
        number = account.latest_algos.get(name or "")
    algo = account.algos.get(number) if number is not None else None
    if algo is None:
        raise ExchangeError(missing)
    return algo


def _is_forgotten(algo: AlgoOrder, *, at_ms: int) -> bool:
    has_left = algo.status in {AlgoStatus.CANCELED, AlgoStatus.EXPIRED} and not algo.actual_quantity
    return at_ms > algo.created_ms + (3 if has_left else 90) * DAY_MS


_ONE_OF_ALGO: Final = "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!"
_ONE_OF: Final = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"


def _page(
    call: Call, rows: list[Row], *, number: Callable[[Row], int], at: Callable[[Row], int], first: str
) -> list[Row]:
    limit = call.limit(500, most=ROWS_MAX)
    shown = [row for row in rows if at(row) <= call.as_of_ms]
    start = call.find_number(first)
    if start is not None:
        return [row for row in shown if number(row) >= start][:limit]
    since, until = call.find_number("startTime"), call.find_number("endTime")
    if since is not None and until is not None and until - since > WEEK_MS:
        raise ExchangeError(-4166, message="Search window is restricted to recent 7 days only.")
    if since is not None:
        until = until if until is not None else since + WEEK_MS
        return [row for row in shown if since <= at(row) <= until][:limit]
    return [row for row in shown if until is None or at(row) <= until][-limit:]


def _read_list(call: Call, name: str) -> list[Any]:
    text = call.params.get(name) or call.params.get(name.lower())
    if not text:
        return []
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        raise ExchangeError(-1130, name) from None


def _part(call: Call, values: dict[str, Any]) -> Call:
    texts = {
        name: ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
    return Call(
        venue=call.venue,
        method=call.method,
        path=call.path,
        params=texts,
        key=call.key,
        at_ms=call.at_ms,
        lag_ms=call.lag_ms,
        expires_ms=call.expires_ms,
    )


def _attempt(act: Callable[[Call], Json], call: Call) -> Json:
    try:
        return act(call)
    except ExchangeError as refusal:
        return {"code": refusal.code, "msg": refusal.message}


_SIGNED: Final = Security.SIGNED
ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {
    # Placing costs no weight of the address: it is counted against the account's order limit.
    ("POST", "/fapi/v1/order"): Endpoint(act=place_order, security=_SIGNED, weight=0, orders=True),
    ("POST", "/fapi/v1/order/test"): Endpoint(act=check_order, security=_SIGNED, weight=0, orders=True),
    ("PUT", "/fapi/v1/order"): Endpoint(act=modify_order, security=_SIGNED, orders=True),
    ("DELETE", "/fapi/v1/order"): Endpoint(act=cancel_order, security=_SIGNED),
    ("GET", "/fapi/v1/order"): Endpoint(act=query_order, security=_SIGNED),
    ("GET", "/fapi/v1/openOrder"): Endpoint(act=query_open_order, security=_SIGNED),
    ("GET", "/fapi/v1/openOrders"): Endpoint(
        act=list_open_orders, security=_SIGNED, weight_without_symbol=40
    ),
    ("GET", "/fapi/v1/allOrders"): Endpoint(act=list_all_orders, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/userTrades"): Endpoint(act=list_user_trades, security=_SIGNED, weight=5),
    ("DELETE", "/fapi/v1/allOpenOrders"): Endpoint(act=cancel_all_orders, security=_SIGNED),
    ("POST", "/fapi/v1/batchOrders"): Endpoint(act=place_batch, security=_SIGNED, weight=5, orders=True),
    ("DELETE", "/fapi/v1/batchOrders"): Endpoint(act=cancel_batch, security=_SIGNED),
    ("POST", "/fapi/v1/countdownCancelAll"): Endpoint(act=set_countdown, security=_SIGNED, weight=10),
    ("POST", "/fapi/v1/algoOrder"): Endpoint(act=place_algo, security=_SIGNED, weight=0, orders=True),
    ("GET", "/fapi/v1/algoOrder"): Endpoint(act=query_algo, security=_SIGNED),
    ("DELETE", "/fapi/v1/algoOrder"): Endpoint(act=cancel_algo, security=_SIGNED),
    ("GET", "/fapi/v1/openAlgoOrders"): Endpoint(
        act=list_open_algos, security=_SIGNED, weight_without_symbol=40
    ),
    ("GET", "/fapi/v1/allAlgoOrders"): Endpoint(act=list_all_algos, security=_SIGNED, weight=5),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Endpoint(act=cancel_all_algos, security=_SIGNED),
}
