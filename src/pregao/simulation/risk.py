"""What time and the market do to accounts: deadlines, funding, margin calls, liquidation."""

from decimal import Decimal

from pregao.domain.money import ZERO, to_amount
from pregao.domain.order import OrderStatus, Side
from pregao.simulation.books import Account, AlgoStatus, Order, OrderKind, Position
from pregao.simulation.conditional import end_algo, send_stuck_on
from pregao.simulation.events import AccountTold, MarginCalled, OrderTold, StreamExpired
from pregao.simulation.fills import book_fill, book_income, end_order, expire_leftovers
from pregao.simulation.floor import Floor
from pregao.simulation.margin import Summary, summarize

FUNDING_EVERY_MS = 8 * 3_600_000
WARNING_RATIO = Decimal("0.8")  # of the margin balance bound as maintenance margin: a margin call is sent


def review_accounts(floor: Floor, *, at_ms: int, symbol: str | None = None) -> None:
    """Warn and liquidate the accounts whose margin no longer carries their positions."""
    symbols = [symbol] if symbol is not None else list(floor.queues)
    keys = {key for name in symbols for key in floor.queues[name].holders}
    for key in sorted(keys):
        _review(floor, floor.account(key), at_ms=at_ms)


def pass_deadlines(floor: Floor, *, at_ms: int) -> None:
    """Cancel what a countdown or a good-till date has caught up with, and end silent listen keys."""
    for account in floor.books.accounts.values():
        for symbol, deadline_ms in list(account.countdowns.items()):
            if deadline_ms <= at_ms:
                floor.changes += 1
                del account.countdowns[symbol]
                for order in account.find_open_orders(symbol):
                    end_order(floor, account, order, status=OrderStatus.CANCELED, at_ms=at_ms)
        if account.stuck_algos:
            send_stuck_on(floor, account, at_ms=at_ms)
        if account.open_orders or account.open_algos:
            _pass_good_till(floor, account, at_ms=at_ms)
        if account.listen_key and account.listen_key_until_ms <= at_ms:
            floor.changes += 1
            floor.tell(StreamExpired(account=account, listen_key=account.listen_key, at_ms=at_ms))
            account.listen_key = ""


def settle_funding(floor: Floor, *, rate: Decimal, at_ms: int) -> None:
    """Let longs pay shorts (or back, below 0) on every open position when an eight-hour mark has passed."""
    mark_ms = at_ms - at_ms % FUNDING_EVERY_MS
    if mark_ms <= floor.books.funded_ms:
        return
    is_first = not floor.books.funded_ms
    floor.books.funded_ms = mark_ms
    floor.changes += 1
    if is_first:
        return  # the exchange has just opened: nobody held anything over the mark
    for account in floor.books.accounts.values():
        for position in account.positions.values():
            if position.quantity:
                owed = to_amount(position.quantity * floor.quote(position.symbol).mark * rate)
                book_income(
                    floor, account, kind="FUNDING_FEE", amount=-owed, at_ms=mark_ms, symbol=position.symbol
                )
                floor.tell(
                    AccountTold(account=account, reason="FUNDING_FEE", positions=(position,), at_ms=mark_ms)
                )


def _pass_good_till(floor: Floor, account: Account, *, at_ms: int) -> None:
    for order in account.find_open_orders():
        if order.good_till_ms and order.good_till_ms <= at_ms:
            end_order(floor, account, order, status=OrderStatus.EXPIRED, at_ms=at_ms)
    for algo in account.find_open_algos():
        if algo.good_till_ms and algo.good_till_ms <= at_ms:
            end_algo(floor, account, algo, status=AlgoStatus.EXPIRED, at_ms=at_ms)


def _review(floor: Floor, account: Account, *, at_ms: int) -> None:
    if not any(position.quantity for position in account.positions.values()):
        return
    summary = summarize(floor, account)
    for standing in summary.standings:
        if standing.is_isolated and standing.notional:
            balance = standing.position.isolated_wallet + standing.unrealized_pnl
            if balance < standing.maintenance_margin:
                _liquidate(floor, account, (standing.position,), at_ms=at_ms)
    _review_cross(floor, account, summarize(floor, account), at_ms=at_ms)


def _review_cross(floor: Floor, account: Account, summary: Summary, *, at_ms: int) -> None:
    balance = summary.cross_wallet + summary.cross_unrealized_pnl
    crossed = tuple(
        standing.position for standing in summary.standings if standing.notional and not standing.is_isolated
    )
    if crossed and balance < summary.cross_maintenance_margin:
        _liquidate(floor, account, crossed, at_ms=at_ms)
        return
    is_close = bool(crossed) and summary.cross_maintenance_margin > balance * WARNING_RATIO
    if is_close != account.is_warned:
        floor.changes += 1
        account.is_warned = is_close
        if is_close:
            floor.tell(MarginCalled(account=account, positions=crossed, at_ms=at_ms))


def _liquidate(floor: Floor, account: Account, positions: tuple[Position, ...], *, at_ms: int) -> None:
    for position in positions:
        for resting in account.find_open_orders(position.symbol):
            end_order(floor, account, resting, status=OrderStatus.CANCELED, at_ms=at_ms)
        isolated_wallet = position.isolated_wallet
        _close_by_force(floor, account, position, at_ms=at_ms)
        if isolated_wallet:
            _cover_isolated(floor, account, position, isolated_wallet, at_ms=at_ms)
        expire_leftovers(floor, account, position, at_ms=at_ms)
    if account.wallet < ZERO:
        # The insurance fund takes what is lost beyond the wallet.
        book_income(floor, account, kind="INSURANCE_CLEAR", amount=-account.wallet, at_ms=at_ms)
        floor.tell(AccountTold(account=account, reason="INSURANCE_CLEAR", positions=(), at_ms=at_ms))
    account.is_warned = False


def _cover_isolated(
    floor: Floor, account: Account, position: Position, isolated_wallet: Decimal, *, at_ms: int
) -> None:
    # An isolated position never costs more than its own wallet, fee included.
    number = account.fills[-1].order_id
    results = [fill.realized_pnl - fill.commission for fill in account.fills if fill.order_id == number]
    beyond = -sum(results, ZERO) - isolated_wallet
    if beyond > ZERO:
        book_income(
            floor, account, kind="INSURANCE_CLEAR", amount=beyond, at_ms=at_ms, symbol=position.symbol
        )


def _close_by_force(floor: Floor, account: Account, position: Position, *, at_ms: int) -> None:
    order_id = floor.next_order_id()
    order = Order(
        order_id=order_id,
        client_order_id=f"autoclose-{order_id}",
        symbol=position.symbol,
        side=Side.SELL if position.quantity > ZERO else Side.BUY,
        position_side=position.position_side,
        kind=OrderKind.MARKET,
        original_kind=OrderKind.MARKET,
        quantity=abs(position.quantity),
        limit_price=ZERO,
        trigger_price=ZERO,
        time_in_force="IOC",
        reduce_only=True,
        close_position=False,
        status=OrderStatus.ACCEPTED,
        created_ms=at_ms,
        updated_ms=at_ms,
        is_liquidation=True,
    )
    account.orders[order_id] = order
    account.latest_orders[order.client_order_id] = order_id
    account.open_orders[order.client_order_id] = order_id
    floor.tell(OrderTold(account=account, order=order, execution="NEW", at_ms=at_ms))
    left = order.quantity
    for price, offered in floor.ladder(order.symbol, order.side):
        taken = min(left, offered)
        book_fill(floor, account, order, price=price, quantity=taken, is_maker=False, at_ms=at_ms)
        left -= taken
        if not left:
            return
