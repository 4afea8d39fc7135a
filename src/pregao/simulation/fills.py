"""One trade booked: position, wallet, fee, statement, and everybody told."""

from decimal import Decimal
from typing import Final

from pregao.domain.money import ZERO, to_amount
from pregao.domain.order import OrderStatus, Side
from pregao.domain.venue import MarginMode
from pregao.simulation.books import (
    Account,
    AlgoOrder,
    AlgoStatus,
    Fill,
    Income,
    Order,
    Position,
    position_key,
)
from pregao.simulation.events import AccountTold, AlgoTold, OrderTold
from pregao.simulation.floor import Floor
from pregao.simulation.margin import sign_of

TAKER_FEE_RATE: Final = Decimal("0.0005")
MAKER_FEE_RATE: Final = Decimal("0.0002")


def book_fill(
    floor: Floor,
    account: Account,
    order: Order,
    *,
    price: Decimal,
    quantity: Decimal,
    is_maker: bool,
    at_ms: int,
) -> Fill:
    """Book one trade of an order and tell it; the order ends when nothing is left."""
    position = account.position(order.symbol, order.position_side)
    floor.queues[order.symbol].holders.add(account.key)
    commission = to_amount(price * quantity * (MAKER_FEE_RATE if is_maker else TAKER_FEE_RATE))
    realized = _move_position(
        account, position, signed=quantity * sign_of(order.side), price=price, fee=commission
    )
    position.updated_ms = at_ms
    fill = Fill(
        trade_id=floor.next_trade_id(order.symbol),
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        price=price,
        quantity=quantity,
        commission=commission,
        realized_pnl=realized,
        is_maker=is_maker,
        traded_ms=at_ms,
    )
    account.fills.append(fill)
    if realized:
        book_income(floor, account, kind="REALIZED_PNL", amount=realized, at_ms=at_ms, fill=fill)
    book_income(floor, account, kind="COMMISSION", amount=-commission, at_ms=at_ms, fill=fill)
    _move_order(floor, account, order, fill)
    floor.tell(AccountTold(account=account, reason="ORDER", positions=(position,), at_ms=at_ms))
    execution = "CALCULATED" if order.is_liquidation else "TRADE"
    floor.tell(OrderTold(account=account, order=order, execution=execution, at_ms=at_ms, fill=fill))
    if not order.is_open:
        finish_algo(floor, account, order, at_ms=at_ms)
    return fill


def book_income(
    floor: Floor,
    account: Account,
    *,
    kind: str,
    amount: Decimal,
    at_ms: int,
    symbol: str = "",
    fill: Fill | None = None,
) -> None:
    """Move the wallet and write the line that says why."""
    floor.changes += 1
    floor.books.income_id += 1
    account.wallet += amount
    account.incomes.append(
        Income(
            income_id=floor.books.income_id,
            symbol=fill.symbol if fill else symbol,
            kind=kind,
            amount=amount,
            trade_id=fill.trade_id if fill else 0,
            booked_ms=at_ms,
        )
    )


def end_order(floor: Floor, account: Account, order: Order, *, status: OrderStatus, at_ms: int) -> None:
    """End an open order without (more) fills and tell it; its client id is free again."""
    floor.changes += 1
    floor.unrest(account, order)
    order.status = status
    order.updated_ms = at_ms
    account.open_orders.pop(order.client_order_id, None)
    execution = "CANCELED" if status is OrderStatus.CANCELED else "EXPIRED"
    floor.tell(OrderTold(account=account, order=order, execution=execution, at_ms=at_ms))
    finish_algo(floor, account, order, at_ms=at_ms)


def expire_leftovers(floor: Floor, account: Account, position: Position, *, at_ms: int) -> None:
    """Expire what can only close a position that is gone: its reduce-only orders, its closing conditionals."""
    for order in account.find_open_orders(position.symbol):
        if (
            order.reduce_only
            and order.position_side is position.position_side
            and not _reduces(account, order)
        ):
            end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=at_ms)
    if position.quantity:
        return
    for algo in account.find_open_algos(position.symbol):
        tied = algo.close_position or algo.time_in_force == "GTE_GTC"
        if tied and algo.position_side is position.position_side:
            floor.changes += 1
            floor.forget_trigger(account, algo)
            account.open_algos.pop(algo.client_algo_id, None)
            algo.status, algo.updated_ms = AlgoStatus.EXPIRED, at_ms
            floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))


def finish_algo(floor: Floor, account: Account, order: Order, *, at_ms: int) -> None:
    """Say that the conditional order behind an ended order is finished: filled or not, the quantity tells."""
    algo = account.algos.get(order.algo_id) if order.algo_id else None
    if algo is None or algo.status is not AlgoStatus.TRIGGERED:
        return
    tell_trigger(floor, account, algo, at_ms=at_ms)
    algo.status, algo.updated_ms = AlgoStatus.FINISHED, at_ms
    algo.actual_price, algo.actual_quantity = order.average_price, order.filled_quantity
    floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))


def tell_trigger(floor: Floor, account: Account, algo: AlgoOrder, *, at_ms: int) -> None:
    """Say once that a conditional order has become a real one."""
    if not algo.is_trigger_told:
        algo.is_trigger_told = True
        floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))


def reducible(account: Account, order: Order) -> Decimal:
    """Give how much an order could take off its position; 0 when it would only add."""
    position = account.positions.get(position_key(order.symbol, order.position_side))
    if position is None or (position.quantity > ZERO) == (order.side is Side.BUY):
        return ZERO
    return abs(position.quantity)


def _reduces(account: Account, order: Order) -> bool:
    return reducible(account, order) > ZERO


def _move_order(floor: Floor, account: Account, order: Order, fill: Fill) -> None:
    order.filled_quantity += fill.quantity
    order.filled_quote += fill.quantity * fill.price
    order.updated_ms = fill.traded_ms
    if order.filled_quantity < order.quantity:
        order.status = OrderStatus.PARTIALLY_FILLED
        return
    order.status = OrderStatus.FILLED
    floor.unrest(account, order)
    account.open_orders.pop(order.client_order_id, None)


def _move_position(
    account: Account, position: Position, *, signed: Decimal, price: Decimal, fee: Decimal
) -> Decimal:
    held = position.quantity
    adding = not held or (held > ZERO) == (signed > ZERO)
    closed = ZERO if adding else min(abs(signed), abs(held))
    realized = ZERO
    if closed:
        share = closed / abs(held)
        cost = position.cost if closed == abs(held) else to_amount(position.cost * share)
        sold = closed * price * (1 if held > ZERO else -1)
        realized = to_amount(sold - cost)
        position.cost -= cost + (sold - cost - realized)
        position.quantity -= closed if held > ZERO else -closed
        position.isolated_wallet -= to_amount(position.isolated_wallet * share)
        position.commission -= to_amount(position.commission * share)
        position.realized_pnl += realized
    opened = abs(signed) - closed
    if opened:
        part = opened if signed > ZERO else -opened
        position.quantity += part
        position.cost += part * price
        position.commission += fee * opened / abs(signed)
        if account.margin_mode_of(position.symbol) is MarginMode.ISOLATED:
            position.isolated_wallet += to_amount(opened * price / account.leverage_of(position.symbol))
    if not position.quantity:
        position.cost = position.isolated_wallet = position.commission = ZERO
    return realized
