"""The books in the venue's own words: orders, conditional orders, trades, positions, accounts as JSON values."""

from decimal import Decimal
from typing import Any, Final

from pregao.domain.money import ZERO, to_text
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.simulation.books import Account, AlgoOrder, AlgoStatus, Fill, Income, Order, OrderKind
from pregao.simulation.floor import Floor
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.margin import Standing, Summary, break_even_price, liquidation_price

Json = dict[str, Any]

SIDES: Final = {Side.BUY: "BUY", Side.SELL: "SELL"}
POSITION_SIDES: Final = {side: side.value.upper() for side in PositionSide}
STATUSES: Final = {
    OrderStatus.ACCEPTED: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
SIDES_READ: Final = {text: side for side, text in SIDES.items()}
POSITION_SIDES_READ: Final = {text: side for side, text in POSITION_SIDES.items()}
SELF_TRADE_PREVENTION: Final = "EXPIRE_MAKER"


def price_text(symbol: str, price: Decimal) -> str:
    """Write a price with the symbol's digits; 0 is written bare, as the venue does."""
    return f"{price:.{LISTINGS[symbol].price_digits}f}" if price else "0"


def quantity_text(symbol: str, quantity: Decimal) -> str:
    """Write a quantity with the symbol's digits, and with more where it is listed with a finer step."""
    text = f"{quantity:.{LISTINGS[symbol].quantity_digits}f}"
    return text if Decimal(text) == quantity else to_text(quantity)


def average_text(symbol: str, price: Decimal) -> str:
    """Write an average price: one digit more than the symbol's prices have, at least five."""
    return f"{price:.{max(LISTINGS[symbol].price_digits + 1, 5)}f}"


def amount_text(amount: Decimal) -> str:
    """Write an amount of money with eight decimals."""
    return f"{amount:.8f}"


def acknowledgement(order: Order, *, is_bare: bool = False) -> Json:
    """
    Give an order as placing, modifying and canceling answer it: without average price since July 2026.

    ``is_bare`` is the answer type ACK: the order as it was taken, whatever has happened since.
    """
    symbol = order.symbol
    executed = quantity_text(symbol, ZERO if is_bare else order.filled_quantity)
    return {
        "orderId": order.order_id,
        "symbol": symbol,
        "status": "NEW" if is_bare else STATUSES[order.status],
        "clientOrderId": order.client_order_id,
        "price": price_text(symbol, order.limit_price),
        "origQty": quantity_text(symbol, order.quantity),
        "executedQty": executed,
        "cumQty": executed,
        "timeInForce": order.time_in_force,
        "type": order.kind.value,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": SIDES[order.side],
        "positionSide": POSITION_SIDES[order.position_side],
        "stopPrice": price_text(symbol, order.trigger_price),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.original_kind.value,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE_PREVENTION,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.updated_ms,
    }


def queried_order(order: Order, *, as_of_ms: int) -> Json:
    """Give an order as queries answer it; one changed after ``as_of_ms`` is shown as it was taken."""
    told = acknowledgement(order, is_bare=order.updated_ms > as_of_ms)
    del told["cumQty"]
    is_old = order.updated_ms > as_of_ms
    told["avgPrice"] = average_text(order.symbol, ZERO if is_old else order.average_price)
    told["cumQuote"] = to_text(ZERO if is_old else order.filled_quote)
    told["time"] = order.created_ms
    return told


def algo_acknowledgement(algo: AlgoOrder) -> Json:
    """Give a conditional order as placing it answers."""
    symbol = algo.symbol
    trails = algo.kind is OrderKind.TRAILING_STOP_MARKET
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.kind.value,
        "symbol": symbol,
        "side": SIDES[algo.side],
        "positionSide": POSITION_SIDES[algo.position_side],
        "timeInForce": algo.time_in_force,
        "quantity": quantity_text(symbol, algo.quantity),
        "algoStatus": algo.status.value,
        "triggerPrice": price_text(symbol, algo.trigger_price),
        "price": price_text(symbol, algo.limit_price),
        "icebergQuantity": None,
        "selfTradePreventionMode": SELF_TRADE_PREVENTION,
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
        "activatePrice": price_text(symbol, algo.activate_price) if trails else "",
        "callbackRate": to_text(algo.callback_percent) if trails else "",
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
    }


def queried_algo(algo: AlgoOrder, *, as_of_ms: int) -> Json:
    """
    Give a conditional order as queries answer it, with the real order once there is one.

    One that has moved on after ``as_of_ms`` is shown as it waited.
    """
    told = algo_acknowledgement(algo)
    is_old = algo.updated_ms > as_of_ms
    if is_old:
        told |= {"algoStatus": AlgoStatus.NEW.value, "updateTime": algo.created_ms, "triggerTime": 0}
    told["actualOrderId"] = str(algo.order_id) if algo.order_id and not is_old else ""
    told["actualPrice"] = average_text(algo.symbol, ZERO if is_old else algo.actual_price)
    told["actualType"] = "LIMIT" if algo.limit_price else "MARKET"
    told["actualQty"] = quantity_text(algo.symbol, ZERO if is_old else algo.actual_quantity)
    for name in ("tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"):
        told[name] = "0.000"
    told["tpOrderType"] = ""
    return told


def user_trade(fill: Fill) -> Json:
    """Give a fill as ``userTrades`` answers it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": SIDES[fill.side],
        "price": price_text(fill.symbol, fill.price),
        "qty": quantity_text(fill.symbol, fill.quantity),
        "realizedPnl": amount_text(fill.realized_pnl),
        "marginAsset": "USDT",
        "quoteQty": to_text(fill.price * fill.quantity),
        "commission": amount_text(fill.commission),
        "commissionAsset": "USDT",
        "time": fill.traded_ms,
        "positionSide": POSITION_SIDES[fill.position_side],
        "maker": fill.is_maker,
        "buyer": fill.side is Side.BUY,
    }


def income_line(income: Income) -> Json:
    """Give a line of the statement as ``income`` answers it."""
    return {
        "symbol": income.symbol,
        "incomeType": income.kind,
        "income": amount_text(income.amount),
        "asset": "USDT",
        "info": income.kind,
        "time": income.booked_ms,
        "tranId": income.income_id,
        "tradeId": str(income.trade_id) if income.trade_id else "",
    }


def position_risk(floor: Floor, summary: Summary, standing: Standing) -> Json:
    """Give a position as ``positionRisk`` version 3 answers it."""
    position, symbol = standing.position, standing.position.symbol
    bracket = LISTINGS[symbol].bracket_of(abs(standing.notional))
    liquidation = liquidation_price(summary, standing, maintenance_ratio=bracket.maintenance_ratio)
    return {
        "symbol": symbol,
        "positionSide": POSITION_SIDES[position.position_side],
        "positionAmt": quantity_text(symbol, position.quantity),
        "entryPrice": to_text(round(position.entry_price, 8)),
        "breakEvenPrice": to_text(round(break_even_price(position), 8)),
        "markPrice": amount_text(floor.quote(symbol).mark),
        "unRealizedProfit": amount_text(standing.unrealized_pnl),
        "liquidationPrice": to_text(round(liquidation, 8)),
        "isolatedMargin": _isolated_margin(standing),
        "notional": to_text(round(standing.notional, 8)),
        "marginAsset": "USDT",
        "isolatedWallet": to_text(position.isolated_wallet),
        "initialMargin": to_text(standing.position_margin + standing.order_margin),
        "maintMargin": to_text(standing.maintenance_margin),
        "positionInitialMargin": to_text(standing.position_margin),
        "openOrderInitialMargin": to_text(standing.order_margin),
        "adl": 2 if position.quantity else 0,
        "bidNotional": to_text(standing.bid_notional),
        "askNotional": to_text(standing.ask_notional),
        "updateTime": position.updated_ms,
    }


def position_risk_v2(floor: Floor, account: Account, summary: Summary, standing: Standing) -> Json:
    """Give a position as ``positionRisk`` version 2 answers it, with the symbol's settings."""
    newer = position_risk(floor, summary, standing)
    kept = (
        "symbol",
        "positionSide",
        "positionAmt",
        "entryPrice",
        "breakEvenPrice",
        "markPrice",
        "unRealizedProfit",
        "liquidationPrice",
        "isolatedMargin",
        "notional",
        "isolatedWallet",
        "updateTime",
    )
    leverage = account.leverage_of(standing.position.symbol)
    return {name: newer[name] for name in kept} | {
        "marginType": "isolated" if standing.is_isolated else "cross",
        "isAutoAddMargin": "false",
        "leverage": str(leverage),
        "maxNotionalValue": to_text(LISTINGS[standing.position.symbol].notional_max_at(leverage)),
    }


def _isolated_margin(standing: Standing) -> str:
    if not standing.is_isolated or not standing.notional:
        return "0"
    return to_text(standing.position.isolated_wallet + standing.unrealized_pnl)


def balance_line(account: Account, summary: Summary) -> Json:
    """Give the wallet as ``balance`` answers it."""
    return {
        "accountAlias": "PaPr",
        "asset": "USDT",
        "balance": amount_text(summary.wallet),
        "crossWalletBalance": amount_text(summary.cross_wallet),
        "crossUnPnl": amount_text(summary.cross_unrealized_pnl),
        "availableBalance": amount_text(summary.available),
        "maxWithdrawAmount": amount_text(summary.available),
        "marginAvailable": True,
        "updateTime": account.incomes[-1].booked_ms,
    }


def account_asset(account: Account, summary: Summary) -> Json:
    """Give the wallet as ``account`` lists it among the assets."""
    return {
        "asset": "USDT",
        "walletBalance": amount_text(summary.wallet),
        "unrealizedProfit": amount_text(summary.unrealized_pnl),
        "marginBalance": amount_text(summary.wallet + summary.unrealized_pnl),
        "maintMargin": amount_text(summary.maintenance_margin),
        "initialMargin": amount_text(summary.position_margin + summary.order_margin),
        "positionInitialMargin": amount_text(summary.position_margin),
        "openOrderInitialMargin": amount_text(summary.order_margin),
        "crossWalletBalance": amount_text(summary.cross_wallet),
        "crossUnPnl": amount_text(summary.cross_unrealized_pnl),
        "availableBalance": amount_text(summary.available),
        "maxWithdrawAmount": amount_text(summary.available),
        "updateTime": account.incomes[-1].booked_ms,
    }


def account_totals(summary: Summary) -> Json:
    """Give the sums at the head of ``account``, the same in versions 2 and 3."""
    return {
        "totalInitialMargin": amount_text(summary.position_margin + summary.order_margin),
        "totalMaintMargin": amount_text(summary.maintenance_margin),
        "totalWalletBalance": amount_text(summary.wallet),
        "totalUnrealizedProfit": amount_text(summary.unrealized_pnl),
        "totalMarginBalance": amount_text(summary.wallet + summary.unrealized_pnl),
        "totalPositionInitialMargin": amount_text(summary.position_margin),
        "totalOpenOrderInitialMargin": amount_text(summary.order_margin),
        "totalCrossWalletBalance": amount_text(summary.cross_wallet),
        "totalCrossUnPnl": amount_text(summary.cross_unrealized_pnl),
        "availableBalance": amount_text(summary.available),
        "maxWithdrawAmount": amount_text(summary.available),
    }


def account_position(standing: Standing) -> Json:
    """Give a position as ``account`` version 3 lists it."""
    position, symbol = standing.position, standing.position.symbol
    return {
        "symbol": symbol,
        "positionSide": POSITION_SIDES[position.position_side],
        "positionAmt": quantity_text(symbol, position.quantity),
        "unrealizedProfit": amount_text(standing.unrealized_pnl),
        "isolatedMargin": _isolated_margin(standing),
        "notional": to_text(round(standing.notional, 8)),
        "isolatedWallet": to_text(position.isolated_wallet),
        "initialMargin": to_text(standing.position_margin + standing.order_margin),
        "maintMargin": to_text(standing.maintenance_margin),
        "updateTime": position.updated_ms,
    }


def account_position_v2(account: Account, standing: Standing) -> Json:
    """Give a position as ``account`` version 2 lists it."""
    position, symbol = standing.position, standing.position.symbol
    leverage = account.leverage_of(symbol)
    return {
        "symbol": symbol,
        "initialMargin": to_text(standing.position_margin + standing.order_margin),
        "maintMargin": to_text(standing.maintenance_margin),
        "unrealizedProfit": amount_text(standing.unrealized_pnl),
        "positionInitialMargin": to_text(standing.position_margin),
        "openOrderInitialMargin": to_text(standing.order_margin),
        "leverage": str(leverage),
        "isolated": standing.is_isolated,
        "entryPrice": to_text(round(position.entry_price, 8)),
        "breakEvenPrice": to_text(round(break_even_price(position), 8)),
        "maxNotional": to_text(LISTINGS[symbol].notional_max_at(leverage)),
        "bidNotional": to_text(standing.bid_notional),
        "askNotional": to_text(standing.ask_notional),
        "positionSide": POSITION_SIDES[position.position_side],
        "positionAmt": quantity_text(symbol, position.quantity),
        "notional": to_text(round(standing.notional, 8)),
        "isolatedWallet": to_text(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }
