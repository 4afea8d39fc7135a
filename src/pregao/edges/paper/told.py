"""The exchange's events in the words of the venue's user stream."""

from decimal import Decimal
from typing import Any, Final

from pregao.domain.money import ZERO, to_amount, to_text
from pregao.domain.venue import MarginMode
from pregao.edges.paper.wire import (
    POSITION_SIDES,
    SELF_TRADE_PREVENTION,
    SIDES,
    STATUSES,
    Json,
    amount_text,
    average_text,
    price_text,
    quantity_text,
)
from pregao.simulation.books import Account, AlgoStatus, OrderKind, Position
from pregao.simulation.events import (
    AccountTold,
    AlgoTold,
    Event,
    LeverageTold,
    MarginCalled,
    OrderTold,
    StreamExpired,
)
from pregao.simulation.floor import Floor
from pregao.simulation.margin import break_even_price, find_standing


def to_messages(event: Event, *, floor: Floor) -> list[Json]:
    """Give the messages an event becomes, in the order they are sent."""
    if isinstance(event, OrderTold):
        messages = [_order_update(event)]
        if event.fill is not None and event.execution == "TRADE":
            messages.insert(0, _trade_lite(event))
        return messages
    return [_ONE[type(event)](event, floor)]


def _order_update(event: OrderTold) -> Json:
    order, fill, symbol = event.order, event.fill, event.order.symbol
    details: Json = {
        "s": symbol,
        "c": order.client_order_id,
        "S": SIDES[order.side],
        "o": order.kind.value,
        "f": order.time_in_force,
        "q": quantity_text(symbol, order.quantity),
        "p": price_text(symbol, order.limit_price),
        "ap": average_text(symbol, order.average_price) if order.filled_quantity else "0",
        "sp": price_text(symbol, order.trigger_price),
        "x": event.execution,
        "X": STATUSES[order.status],
        "i": order.order_id,
        "l": quantity_text(symbol, fill.quantity if fill else ZERO),
        "z": quantity_text(symbol, order.filled_quantity),
        "L": price_text(symbol, fill.price) if fill else "0",
        "n": amount_text(fill.commission) if fill else "0",
        "N": "USDT",
        "T": event.at_ms,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.original_kind.value,
        "ps": POSITION_SIDES[order.position_side],
        "cp": order.close_position,
        "rp": amount_text(fill.realized_pnl) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": SELF_TRADE_PREVENTION,
        "pm": "NONE",
        "gtd": order.good_till_ms,
        "er": "0",
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": event.at_ms, "E": event.at_ms, "o": details}


def _trade_lite(event: OrderTold) -> Json:
    order, fill, symbol = event.order, event.fill, event.order.symbol
    assert fill is not None
    return {
        "e": "TRADE_LITE",
        "E": event.at_ms,
        "T": event.at_ms,
        "s": symbol,
        "q": quantity_text(symbol, order.quantity),
        "p": price_text(symbol, order.limit_price),
        "m": fill.is_maker,
        "c": order.client_order_id,
        "S": SIDES[order.side],
        "L": price_text(symbol, fill.price),
        "l": quantity_text(symbol, fill.quantity),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def _account_update(event: AccountTold, floor: Floor) -> Json:
    account = event.account
    bound = sum((position.isolated_wallet for position in account.positions.values()), ZERO)
    balance = {
        "a": "USDT",
        "wb": amount_text(account.wallet),
        "cw": amount_text(account.wallet - bound),
        "bc": "0",
    }
    positions = [_position_told(floor, account, position) for position in event.positions]
    details = {"m": event.reason, "B": [balance], "P": positions}
    return {"e": "ACCOUNT_UPDATE", "T": event.at_ms, "E": event.at_ms, "a": details}


def _position_told(floor: Floor, account: Account, position: Position) -> Json:
    symbol = position.symbol
    unrealized: Decimal = position.quantity * floor.quote(symbol).mark - position.cost
    return {
        "s": symbol,
        "pa": quantity_text(symbol, position.quantity),
        "ep": to_text(round(position.entry_price, 8)),
        "cr": amount_text(position.realized_pnl),
        "up": amount_text(to_amount(unrealized)),
        "mt": "isolated" if account.margin_mode_of(symbol) is MarginMode.ISOLATED else "cross",
        "iw": to_text(position.isolated_wallet),
        "ps": POSITION_SIDES[position.position_side],
        "ma": "USDT",
        "bep": to_text(round(break_even_price(position), 8)),
    }


def _algo_update(event: AlgoTold, _: Floor) -> Json:
    algo, symbol = event.algo, event.algo.symbol
    details: Json = {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.kind.value,
        "s": symbol,
        "S": SIDES[algo.side],
        "ps": POSITION_SIDES[algo.position_side],
        "f": algo.time_in_force,
        "q": quantity_text(symbol, algo.quantity),
        "X": algo.status.value,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": average_text(symbol, algo.actual_price),
        "aq": average_text(symbol, algo.actual_quantity),
        "act": "0",
        "tp": price_text(symbol, algo.trigger_price),
        "p": price_text(symbol, algo.limit_price),
        "V": SELF_TRADE_PREVENTION,
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": algo.good_till_ms,
        "rm": algo.reason,
    }
    if algo.status in {AlgoStatus.TRIGGERED, AlgoStatus.FINISHED}:
        details["act"] = "LIMIT" if algo.limit_price else "MARKET"
    if algo.kind is OrderKind.TRAILING_STOP_MARKET:
        details["ia"] = algo.is_active
    if algo.status is AlgoStatus.FINISHED:
        details["aq"] = quantity_text(symbol, algo.actual_quantity)
    return {"e": "ALGO_UPDATE", "T": event.at_ms, "E": event.at_ms, "o": details}


def _leverage_told(event: LeverageTold, _: Floor) -> Json:
    details = {"s": event.symbol, "l": event.leverage}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": event.at_ms, "T": event.at_ms, "ac": details}


def _margin_call(event: MarginCalled, floor: Floor) -> Json:
    account = event.account
    standings = [find_standing(floor, account, position) for position in event.positions]
    return {
        "e": "MARGIN_CALL",
        "E": event.at_ms,
        "cw": amount_text(account.wallet),
        "p": [
            {
                "s": standing.position.symbol,
                "ps": POSITION_SIDES[standing.position.position_side],
                "pa": quantity_text(standing.position.symbol, standing.position.quantity),
                "mt": "ISOLATED" if standing.is_isolated else "CROSSED",
                "iw": to_text(standing.position.isolated_wallet),
                "mp": amount_text(floor.quote(standing.position.symbol).mark),
                "up": amount_text(standing.unrealized_pnl),
                "mm": amount_text(standing.maintenance_margin),
            }
            for standing in standings
        ],
    }


def _stream_expired(event: StreamExpired, _: Floor) -> Json:
    return {"e": "listenKeyExpired", "E": event.at_ms, "listenKey": event.listen_key}


_ONE: Final[dict[type, Any]] = {
    AccountTold: _account_update,
    AlgoTold: _algo_update,
    LeverageTold: _leverage_told,
    MarginCalled: _margin_call,
    StreamExpired: _stream_expired,
}
