"""Conditional orders: taken, waiting, following the price, triggered into a real order, taken back."""

from decimal import Decimal

from pregao.domain.money import ZERO, ceil_to_step, floor_to_step
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.simulation import checks
from pregao.simulation.books import (
    CONDITIONAL_KINDS,
    Account,
    AlgoOrder,
    AlgoStatus,
    OrderKind,
    Quote,
    TriggerFate,
)
from pregao.simulation.commands import CancelAlgo, CancelAllAlgos, PlaceAlgo, PlaceOrder, SpoilTrigger
from pregao.simulation.events import AlgoTold
from pregao.simulation.floor import Floor, Queues, Waiting, rises_to_trigger
from pregao.simulation.instruments import TRIGGER_PROTECT
from pregao.simulation.orders import GOOD_TILL_LEAD_MS, place_order
from pregao.simulation.refusals import ExchangeError

CALLBACK_PERCENT_MIN = Decimal("0.1")
CALLBACK_PERCENT_MAX = Decimal(20)  # 10 until 2026-10-23
CLOSING_KINDS = frozenset({OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET})
WORKING_TYPES = frozenset({"CONTRACT_PRICE", "MARK_PRICE"})
NOTHING_TO_CLOSE = frozenset({-2022, -4003})
REASONS = {-2022: "Reduce Only reject"}  # where the venue tells a trigger's end in other words than a refusal


def place_algo(floor: Floor, command: PlaceAlgo) -> AlgoOrder:
    """
    Take a conditional order; it waits for its price.

    :raises ExchangeError: when the venue would refuse it; -2021 when it would trigger at once.
    """
    account = floor.account(command.key)
    algo = _checked_algo(floor, account, command)
    floor.books.algo_id += 1
    floor.changes += 1
    algo.algo_id = floor.books.algo_id
    algo.client_algo_id = algo.client_algo_id or f"x-{algo.algo_id}"
    account.algos[algo.algo_id] = algo
    account.latest_algos[algo.client_algo_id] = algo.algo_id
    account.open_algos[algo.client_algo_id] = algo.algo_id
    floor.await_trigger(account, algo)
    floor.tell(AlgoTold(account=account, algo=algo, at_ms=command.at_ms))
    return algo


def cancel_algo(floor: Floor, command: CancelAlgo) -> AlgoOrder:
    """
    Take a waiting conditional order back.

    :raises ExchangeError: -2011 when it does not wait any more.
    """
    account = floor.account(command.key)
    algo = account.algos.get(command.algo_id)
    if algo is None or algo.status is not AlgoStatus.NEW:
        raise ExchangeError(-2011)
    end_algo(floor, account, algo, status=AlgoStatus.CANCELED, at_ms=command.at_ms)
    return algo


def cancel_all_algos(floor: Floor, command: CancelAllAlgos) -> int:
    """Take all waiting conditional orders of a symbol back and say how many there were."""
    account = floor.account(command.key)
    found = account.find_open_algos(command.symbol)
    for algo in found:
        end_algo(floor, account, algo, status=AlgoStatus.CANCELED, at_ms=command.at_ms)
    return len(found)


def end_algo(
    floor: Floor, account: Account, algo: AlgoOrder, *, status: AlgoStatus, at_ms: int, reason: str = ""
) -> None:
    """End a conditional order and tell it; its client id is free again."""
    floor.changes += 1
    floor.forget_trigger(account, algo)
    account.open_algos.pop(algo.client_algo_id, None)
    algo.status, algo.updated_ms, algo.reason = status, at_ms, reason
    floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))


def spoil_trigger(floor: Floor, command: SpoilTrigger) -> AlgoOrder:
    """
    Seal the fate of a waiting conditional order.

    :raises ExchangeError: -2011 when it does not wait any more.
    """
    algo = floor.account(command.key).algos.get(command.algo_id)
    if algo is None or algo.status is not AlgoStatus.NEW:
        raise ExchangeError(-2011)
    floor.changes += 1
    algo.fate, algo.fate_code, algo.stuck_ms = command.fate, command.code, command.stuck_ms
    return algo


def find_due(floor: Floor, quote: Quote) -> list[tuple[str, AlgoOrder]]:
    """Give the conditional orders that a price would trigger, each with its account's key; nothing changes."""
    queues = floor.queues[quote.symbol]
    waiting = [(key, floor.account(key).algos[algo_id]) for _, algo_id, key in _reached(queues, quote)]
    due = [(key, algo) for key, algo in waiting if _has_come(algo, quote)]
    trailing = [(key, floor.account(key).algos[algo_id]) for algo_id, key in queues.trailing.items()]
    # A price that moves the trigger has not turned: only where it stands now it can be met.
    due += [
        (key, algo) for key, algo in trailing if algo.is_active and _has_turned(algo, _watched(algo, quote))
    ]
    return due


def wake_conditionals(floor: Floor, symbol: str, *, at_ms: int) -> None:
    """Trigger every conditional order the new price has reached."""
    queues, quote = floor.queues[symbol], floor.quote(symbol)
    for _, algo_id, key in _reached(queues, quote):
        account = floor.account(key)
        algo = account.algos[algo_id]
        if algo.status is AlgoStatus.NEW and _has_come(algo, quote):
            trigger(floor, account, algo, at_ms=at_ms)
    for algo_id, key in list(queues.trailing.items()):
        account = floor.account(key)
        algo = account.algos[algo_id]
        if algo.status is AlgoStatus.NEW and _follow(floor, algo, quote):
            trigger(floor, account, algo, at_ms=at_ms)


def trigger(floor: Floor, account: Account, algo: AlgoOrder, *, at_ms: int) -> None:
    """Place the real order behind a conditional one, under the same client id."""
    floor.changes += 1
    floor.forget_trigger(account, algo)
    account.open_algos.pop(algo.client_algo_id, None)
    algo.status, algo.updated_ms, algo.triggered_ms = AlgoStatus.TRIGGERING, at_ms, at_ms
    floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))
    if algo.fate is TriggerFate.STUCK:
        account.stuck_algos.append(algo.algo_id)
        return
    _send_on(floor, account, algo, at_ms=at_ms)


def send_stuck_on(floor: Floor, account: Account, *, at_ms: int) -> None:
    """Place the real orders behind conditional ones that have been stuck for long enough."""
    for algo_id in tuple(account.stuck_algos):
        algo = account.algos[algo_id]
        if algo.stuck_ms and algo.triggered_ms + algo.stuck_ms <= at_ms:
            floor.changes += 1
            account.stuck_algos.remove(algo_id)
            _send_on(floor, account, algo, at_ms=at_ms)


def _send_on(floor: Floor, account: Account, algo: AlgoOrder, *, at_ms: int) -> None:
    try:
        if algo.fate is TriggerFate.REJECTED:
            raise ExchangeError(algo.fate_code, "", "")  # some sentences name a number
        place_order(floor, _real_order(account, algo, at_ms=at_ms), algo=algo)
    except ExchangeError as refusal:
        is_pointless = algo.close_position and refusal.code in NOTHING_TO_CLOSE
        algo.status = AlgoStatus.EXPIRED if is_pointless else AlgoStatus.REJECTED
        algo.updated_ms, algo.reason = at_ms, REASONS.get(refusal.code, refusal.message)
        floor.tell(AlgoTold(account=account, algo=algo, at_ms=at_ms))


def _real_order(account: Account, algo: AlgoOrder, *, at_ms: int) -> PlaceOrder:
    quantity = algo.quantity
    if algo.close_position:
        quantity = abs(account.position(algo.symbol, algo.position_side).quantity)
    hedged = account.position_mode is PositionMode.HEDGE
    is_limit = algo.kind in {OrderKind.STOP, OrderKind.TAKE_PROFIT}
    return PlaceOrder(
        at_ms=at_ms,
        key=account.key,
        symbol=algo.symbol,
        side=algo.side,
        kind=OrderKind.LIMIT if is_limit else OrderKind.MARKET,
        quantity=quantity,
        position_side=algo.position_side,
        limit_price=algo.limit_price if is_limit else None,
        time_in_force="GTC" if algo.time_in_force == "GTE_GTC" else algo.time_in_force,
        client_order_id=algo.client_algo_id,
        reduce_only=None if hedged else (algo.reduce_only or algo.close_position),
        good_till_ms=algo.good_till_ms,
    )


def _reached(queues: Queues, quote: Quote) -> list[Waiting]:
    highest, lowest = max(quote.last, quote.mark), min(quote.last, quote.mark)
    reached = [waiting for waiting in queues.risers if waiting[0] <= highest] if queues.risers else []
    if queues.fallers:
        reached += [waiting for waiting in reversed(queues.fallers) if waiting[0] >= lowest]
    return reached


def _watched(algo: AlgoOrder, quote: Quote) -> Decimal:
    return quote.mark if algo.working_type == "MARK_PRICE" else quote.last


def _has_come(algo: AlgoOrder, quote: Quote) -> bool:
    if algo.price_protect and abs(quote.last - quote.mark) > quote.mark * TRIGGER_PROTECT:
        return False  # it waits until the two prices agree again
    return _is_through(algo, _watched(algo, quote))


def _is_through(algo: AlgoOrder, price: Decimal) -> bool:
    return price >= algo.trigger_price if rises_to_trigger(algo) else price <= algo.trigger_price


def _has_turned(algo: AlgoOrder, price: Decimal) -> bool:
    return price <= algo.trigger_price if algo.side is Side.SELL else price >= algo.trigger_price


def _follow(floor: Floor, algo: AlgoOrder, quote: Quote) -> bool:
    price = _watched(algo, quote)
    selling = algo.side is Side.SELL
    if not algo.is_active:
        reached = price >= algo.activate_price if selling else price <= algo.activate_price
        if not reached:
            return False
        algo.is_active, algo.extreme_price = True, price
        _trail(floor, algo)
    elif (price > algo.extreme_price) if selling else (price < algo.extreme_price):
        algo.extreme_price = price
        _trail(floor, algo)
    return _has_turned(algo, price)


def _trail(floor: Floor, algo: AlgoOrder) -> None:
    floor.changes += 1
    tick = floor.listings[algo.symbol].instrument.price_tick
    share = algo.callback_percent / 100
    if algo.side is Side.SELL:
        algo.trigger_price = floor_to_step(algo.extreme_price * (1 - share), step=tick)
    else:
        algo.trigger_price = ceil_to_step(algo.extreme_price * (1 + share), step=tick)


def _checked_algo(floor: Floor, account: Account, command: PlaceAlgo) -> AlgoOrder:
    if command.kind not in CONDITIONAL_KINDS:
        raise ExchangeError(-1116)
    if command.working_type not in WORKING_TYPES:
        raise ExchangeError(-1130, "workingType")
    listing = floor.listing(command.symbol)
    if command.client_algo_id:
        checks.check_client_id(command.client_algo_id)
    position_side = checks.check_position_side(account, command.position_side)
    reduce_only = checks.check_reduce_only(
        account, reduce_only=command.reduce_only, side=command.side, position_side=position_side
    )
    is_limit = command.kind in {OrderKind.STOP, OrderKind.TAKE_PROFIT}
    quantity = _checked_quantity(floor, account, command, position_side=position_side)
    limit_price = checks.check_price(listing, command.limit_price) if is_limit else ZERO
    trails = command.kind is OrderKind.TRAILING_STOP_MARKET
    if trails and not CALLBACK_PERCENT_MIN <= command.callback_percent <= CALLBACK_PERCENT_MAX:
        raise ExchangeError(-2007)
    trigger_price = (
        ZERO if trails else checks.check_price(listing, command.trigger_price, name="triggerprice")
    )
    activate_price = ZERO
    if trails and command.activate_price:
        activate_price = checks.check_price(listing, command.activate_price, name="activateprice")
    _check_time_in_force(command)
    _check_room(account, command, position_side=position_side)
    algo = AlgoOrder(
        algo_id=0,
        client_algo_id=command.client_algo_id,
        symbol=command.symbol,
        side=command.side,
        position_side=position_side,
        kind=command.kind,
        quantity=quantity,
        limit_price=limit_price,
        trigger_price=trigger_price,
        activate_price=activate_price,
        callback_percent=command.callback_percent,
        is_active=False,
        extreme_price=ZERO,
        time_in_force=command.time_in_force or "GTC",
        working_type=command.working_type,
        price_protect=command.price_protect,
        reduce_only=reduce_only,
        close_position=command.close_position,
        status=AlgoStatus.NEW,
        created_ms=command.at_ms,
        updated_ms=command.at_ms,
        good_till_ms=command.good_till_ms,
    )
    _check_waits(floor, algo)
    return algo


def _checked_quantity(
    floor: Floor, account: Account, command: PlaceAlgo, *, position_side: PositionSide
) -> Decimal:
    position = account.position(command.symbol, position_side)
    held = position.quantity < ZERO if command.side is Side.BUY else position.quantity > ZERO
    if (command.close_position or command.time_in_force == "GTE_GTC") and not held:
        raise ExchangeError(-4509)
    if not command.close_position:
        is_market = command.kind not in {OrderKind.STOP, OrderKind.TAKE_PROFIT}
        return checks.check_quantity(floor.listing(command.symbol), command.quantity, is_market=is_market)
    if command.kind not in CLOSING_KINDS:
        raise ExchangeError(-4136, command.kind.value)
    if command.quantity:
        raise ExchangeError(-4137)
    if command.reduce_only is not None:
        raise ExchangeError(-1106, "reduceonly")
    return ZERO


def _check_time_in_force(command: PlaceAlgo) -> None:
    if command.time_in_force and command.time_in_force not in checks.TIMES_IN_FORCE:
        raise ExchangeError(-1115)
    if command.time_in_force == "GTD" and command.good_till_ms <= command.at_ms + GOOD_TILL_LEAD_MS:
        raise ExchangeError(-1130, "goodTillDate")


def _check_room(account: Account, command: PlaceAlgo, *, position_side: PositionSide) -> None:
    if command.client_algo_id in account.open_algos:
        raise ExchangeError(-4116)
    if len(account.open_algos) >= checks.OPEN_ALGOS_MAX:
        raise ExchangeError(-4045)
    if command.close_position and any(
        waiting.close_position
        and (waiting.kind, waiting.side, waiting.position_side) == (command.kind, command.side, position_side)
        for waiting in account.find_open_algos(command.symbol)
    ):
        raise ExchangeError(-4130)  # one stop and one target in each direction


def _check_waits(floor: Floor, algo: AlgoOrder) -> None:
    price = _watched(algo, floor.quote(algo.symbol))
    if algo.kind is not OrderKind.TRAILING_STOP_MARKET:
        if _is_through(algo, price):
            raise ExchangeError(-2021)
        return
    if not algo.activate_price:
        algo.is_active, algo.extreme_price = True, price
        _trail(floor, algo)
    elif algo.activate_price <= price if algo.side is Side.SELL else algo.activate_price >= price:
        raise ExchangeError(-2021)
