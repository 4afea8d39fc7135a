"""Their JSON in our words. Tolerant of numbers that come as strings, strict about everything that is traded on."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pregao.domain.clock import from_ms
from pregao.domain.foreign import ForeignOrder
from pregao.domain.instrument import Instrument
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.protection import ProtectionReport, ProtectionStatus, VenueProtection
from pregao.domain.venue import OrderReport, TradeReport, VenueOrder, VenuePosition, VenueTrade

Json = Mapping[str, Any]

STATUSES: dict[str, OrderStatus] = {
    "NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,  # ended by self-trade prevention
    "NEW_INSURANCE": OrderStatus.ACCEPTED,  # liquidation taken over by the insurance fund
    "NEW_ADL": OrderStatus.ACCEPTED,  # liquidation against other traders
}

PROTECTION_STATUSES: dict[str, ProtectionStatus] = {
    "NEW": ProtectionStatus.ACCEPTED,
    "TRIGGERING": ProtectionStatus.TRIGGERING,
    "TRIGGERED": ProtectionStatus.TRIGGERED,
    "FINISHED": ProtectionStatus.FINISHED,
    "CANCELED": ProtectionStatus.CANCELED,
    "REJECTED": ProtectionStatus.REJECTED,
    "EXPIRED": ProtectionStatus.EXPIRED,
}
PROTECTION_KINDS: dict[str, TriggerKind] = {
    "STOP_MARKET": TriggerKind.STOP,
    "TAKE_PROFIT_MARKET": TriggerKind.TARGET,
}

FILLS = frozenset({"TRADE", "CALCULATED"})  # CALCULATED: a liquidation's execution


class Filter(msgspec.Struct, rename="camel"):
    """The parts of exchangeInfo's filters that bind our orders."""

    filter_type: str = ""
    tick_size: str = "0"
    step_size: str = "0"
    min_qty: str = "0"
    max_qty: str = "0"
    notional: str = "0"


class Symbol(msgspec.Struct, rename="camel"):
    """One symbol of exchangeInfo."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    status: str = ""
    filters: list[Filter] = []


class RateLimit(msgspec.Struct, rename="camel"):
    """One limit of exchangeInfo."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeFacts(msgspec.Struct, rename="camel"):
    """What we read of exchangeInfo."""

    symbols: list[Symbol]
    rate_limits: list[RateLimit] = []


def order_from(body: Json) -> VenueOrder:
    """Read the answer to an order query."""
    return VenueOrder(
        client_order_id=str(body["clientOrderId"]),
        exchange_order_id=str(body["orderId"]),
        symbol=str(body["symbol"]),
        status=STATUSES[body["status"]],
        quantity=Decimal(body["origQty"]),
        filled_quantity=Decimal(body["executedQty"]),
        created_at=from_ms(int(body.get("time") or body["updateTime"])),
        updated_at=from_ms(int(body["updateTime"])),
    )


def foreign_order_from(body: Json) -> ForeignOrder:
    """Read a plain order as queries, lists and cancels answer it."""
    return ForeignOrder(
        symbol=str(body["symbol"]),
        exchange_order_id=str(body["orderId"]),
        client_order_id=str(body["clientOrderId"]),
        side=Side(body["side"].lower()),
        position_side=PositionSide(body["positionSide"].lower()),
        kind=str(body["type"]).lower(),
        price=Decimal(body["price"]) or None,
        quantity=Decimal(body["origQty"]),
        filled_quantity=Decimal(body["executedQty"]),
        reduce_only=body["reduceOnly"] in (True, "true"),
        status=STATUSES[body["status"]],
        created_at=from_ms(int(body.get("time") or body["updateTime"])),
    )


def trade_from(body: Json) -> VenueTrade:
    """Read one row of userTrades; it does not tell the client order id."""
    return VenueTrade(
        trade_id=str(body["id"]),
        exchange_order_id=str(body["orderId"]),
        client_order_id="",
        symbol=str(body["symbol"]),
        side=Side(body["side"].lower()),
        position_side=PositionSide(body["positionSide"].lower()),
        price=Decimal(body["price"]),
        quantity=Decimal(body["qty"]),
        commission=Decimal(body["commission"]),
        commission_asset=str(body["commissionAsset"]),
        is_maker=bool(body["maker"]),
        realized_pnl=Decimal(body["realizedPnl"]),
        traded_at=from_ms(int(body["time"])),
    )


def position_from(body: Json) -> VenuePosition:
    """Read one row of positionRisk."""
    return VenuePosition(
        symbol=str(body["symbol"]),
        position_side=PositionSide(body["positionSide"].lower()),
        quantity=Decimal(body["positionAmt"]),
        entry_price=Decimal(body["entryPrice"]),
    )


def protection_from(body: Json) -> VenueProtection:
    """Read one conditional order as queries and lists answer it."""
    return VenueProtection(
        protection_id=str(body["clientAlgoId"]),
        exchange_protection_id=str(body["algoId"]),
        symbol=str(body["symbol"]),
        side=Side(body["side"].lower()),
        position_side=PositionSide(body["positionSide"].lower()),
        kind=PROTECTION_KINDS.get(body["orderType"]),
        trigger_price=Decimal(body.get("triggerPrice") or 0),
        quantity=None if body["closePosition"] in (True, "true") else Decimal(body["quantity"]),
        status=PROTECTION_STATUSES[body["algoStatus"]],
        triggered_order_id=_triggered(body.get("actualOrderId")),
        created_at=from_ms(int(body["createTime"])),
        updated_at=from_ms(int(body["updateTime"])),
    )


def instrument_from(symbol: Symbol) -> Instrument:
    """Read one symbol; where market orders have no filter of their own, the plain one binds them too."""
    filters = {one.filter_type: one for one in symbol.filters}
    lot = filters.get("LOT_SIZE", Filter())
    market = filters.get("MARKET_LOT_SIZE", lot)
    step = Decimal(lot.step_size)
    return Instrument(
        symbol=symbol.symbol,
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        margin_asset=symbol.margin_asset,
        price_tick=Decimal(filters.get("PRICE_FILTER", Filter()).tick_size),
        quantity_step=step,
        quantity_min=Decimal(lot.min_qty),
        quantity_max=Decimal(lot.max_qty),
        market_quantity_step=Decimal(market.step_size) or step,
        market_quantity_min=Decimal(market.min_qty),
        market_quantity_max=Decimal(market.max_qty),
        notional_min=Decimal(filters.get("MIN_NOTIONAL", Filter()).notional),
        is_trading=symbol.status == "TRADING",
    )


def instruments_from(facts: ExchangeFacts) -> dict[str, Instrument]:
    """Read every symbol that has a tick and a step; without them no order can be sized."""
    instruments = map(instrument_from, facts.symbols)
    return {
        one.symbol: one for one in instruments if one.price_tick > ZERO and one.market_quantity_step > ZERO
    }


def report_from(event: Json, *, account_id: int) -> TradeReport | OrderReport | None:
    """Read an ORDER_TRADE_UPDATE; None where it tells neither a fill nor a state an order can be in."""
    order = event["o"]
    if order["x"] in FILLS and Decimal(order["l"]) > ZERO:
        return TradeReport(account_id=account_id, trade=_streamed_trade(order))
    if order["x"] in FILLS or order["X"] not in STATUSES:
        return None
    return OrderReport(
        account_id=account_id,
        client_order_id=str(order["c"]),
        exchange_order_id=str(order["i"]),
        symbol=str(order["s"]),
        status=STATUSES[order["X"]],
        reported_at=from_ms(int(order["T"])),
    )


def protection_report_from(event: Json, *, account_id: int) -> ProtectionReport | None:
    """Read an ALGO_UPDATE; None where it tells of another kind of order, or of a state that is not known."""
    order = event["o"]
    if order["at"] != "CONDITIONAL" or order["X"] not in PROTECTION_STATUSES:
        return None
    return ProtectionReport(
        account_id=account_id,
        symbol=str(order["s"]),
        protection_id=str(order["caid"]),
        exchange_protection_id=str(order["aid"]),
        status=PROTECTION_STATUSES[order["X"]],
        triggered_order_id=_triggered(order.get("ai")),
        reason=str(order.get("rm") or ""),
        reported_at=from_ms(int(event["T"])),
    )


def _triggered(number: object) -> str | None:
    """Read the id of the order a conditional one became: empty or 0 before it triggers."""
    return None if number in (None, "", "0", 0) else str(number)


def _streamed_trade(order: Json) -> VenueTrade:
    return VenueTrade(
        trade_id=str(order["t"]),
        exchange_order_id=str(order["i"]),
        client_order_id=str(order["c"]),
        symbol=str(order["s"]),
        side=Side(order["S"].lower()),
        position_side=PositionSide(order["ps"].lower()),
        price=Decimal(order["L"]),
        quantity=Decimal(order["l"]),
        commission=Decimal(order.get("n") or 0),  # absent where nothing was paid
        commission_asset=str(order.get("N") or ""),
        is_maker=bool(order["m"]),
        realized_pnl=Decimal(order.get("rp") or 0),
        traded_at=from_ms(int(order["T"])),
    )
