"""The engine's books and events in the words spoken with a venue."""

from decimal import Decimal

from pregao.domain.clock import from_ms
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide, Side
from pregao.domain.protection import ProtectionReport, ProtectionStatus, VenueProtection
from pregao.domain.venue import OrderReport, TradeReport, VenueTrade
from pregao.simulation import books
from pregao.simulation.books import AlgoOrder, AlgoStatus, OrderKind
from pregao.simulation.events import AlgoTold, Event, OrderTold

Report = OrderReport | TradeReport | ProtectionReport

PROTECTION_STATUSES = {
    AlgoStatus.NEW: ProtectionStatus.ACCEPTED,
    AlgoStatus.TRIGGERING: ProtectionStatus.TRIGGERING,
    AlgoStatus.TRIGGERED: ProtectionStatus.TRIGGERED,
    AlgoStatus.FINISHED: ProtectionStatus.FINISHED,
    AlgoStatus.CANCELED: ProtectionStatus.CANCELED,
    AlgoStatus.REJECTED: ProtectionStatus.REJECTED,
    AlgoStatus.EXPIRED: ProtectionStatus.EXPIRED,
}
PROTECTION_KINDS = {
    OrderKind.STOP_MARKET: TriggerKind.STOP,
    OrderKind.TAKE_PROFIT_MARKET: TriggerKind.TARGET,
}


def held_of(account: books.Account, *, until_ms: int) -> dict[tuple[str, PositionSide], Decimal]:
    """Give what an account held at an instant, as the sum of its fills until then."""
    held: dict[tuple[str, PositionSide], Decimal] = {}
    for one in account.fills:
        if one.traded_ms <= until_ms:
            place = one.symbol, one.position_side
            held[place] = held.get(place, ZERO) + (one.quantity if one.side is Side.BUY else -one.quantity)
    return held


def to_trade(fill: books.Fill, *, client_order_id: str) -> VenueTrade:
    """Tell a fill in the words spoken with a venue."""
    return VenueTrade(
        trade_id=str(fill.trade_id),
        exchange_order_id=str(fill.order_id),
        client_order_id=client_order_id,
        symbol=fill.symbol,
        side=fill.side,
        position_side=fill.position_side,
        price=fill.price,
        quantity=fill.quantity,
        commission=fill.commission,
        commission_asset="USDT",
        is_maker=fill.is_maker,
        realized_pnl=fill.realized_pnl,
        traded_at=from_ms(fill.traded_ms),
    )


def to_protection(algo: AlgoOrder, *, until_ms: int) -> VenueProtection:
    """Tell a conditional order as it stood at an instant; one that has moved on since is told as it waited."""
    is_old = algo.updated_ms > until_ms
    return VenueProtection(
        protection_id=algo.client_algo_id,
        exchange_protection_id=str(algo.algo_id),
        symbol=algo.symbol,
        side=algo.side,
        position_side=algo.position_side,
        kind=PROTECTION_KINDS.get(algo.kind),
        trigger_price=algo.trigger_price,
        quantity=None if algo.close_position else algo.quantity,
        status=ProtectionStatus.ACCEPTED if is_old else PROTECTION_STATUSES[algo.status],
        triggered_order_id=str(algo.order_id) if algo.order_id and not is_old else None,
        created_at=from_ms(algo.created_ms),
        updated_at=from_ms(algo.created_ms if is_old else algo.updated_ms),
    )


def to_report(event: Event) -> Report | None:
    """Tell what a user stream says of an event; None of what the desk does not follow."""
    match event:
        case OrderTold():
            return _order_report(event)
        case AlgoTold():
            return _protection_report(event)
        case _:
            return None


def _protection_report(event: AlgoTold) -> ProtectionReport:
    algo = event.algo
    return ProtectionReport(
        account_id=int(event.account.key),
        symbol=algo.symbol,
        protection_id=algo.client_algo_id,
        exchange_protection_id=str(algo.algo_id),
        status=PROTECTION_STATUSES[algo.status],
        triggered_order_id=str(algo.order_id) if algo.order_id else None,
        reason=algo.reason,
        reported_at=from_ms(event.at_ms),
    )


def _order_report(event: OrderTold) -> OrderReport | TradeReport:
    account_id = int(event.account.key)
    if event.fill is not None:
        trade = to_trade(event.fill, client_order_id=event.order.client_order_id)
        return TradeReport(account_id=account_id, trade=trade)
    return OrderReport(
        account_id=account_id,
        client_order_id=event.order.client_order_id,
        exchange_order_id=str(event.order.order_id),
        symbol=event.order.symbol,
        status=event.order.status,
        reported_at=from_ms(event.at_ms),
    )
