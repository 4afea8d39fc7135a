"""
What an order must satisfy before the exchange takes it, in the order the venue asks.

Each function returns quietly or raises :class:`ExchangeError` with the venue's code.
"""

import re
from decimal import Decimal

from pregao.domain.money import ZERO, is_on_step, to_text
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.simulation.books import Account, Quote
from pregao.simulation.instruments import Listing
from pregao.simulation.margin import closes
from pregao.simulation.refusals import ExchangeError

CLIENT_ID = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC"})
OPEN_ORDERS_MAX = 200  # per symbol, the filter MAX_NUM_ORDERS
OPEN_ALGOS_MAX = 200  # per account over all symbols, since 2025-12-29


def check_client_id(client_id: str) -> None:
    """Refuse an id outside the venue's pattern."""
    if not CLIENT_ID.match(client_id):
        raise ExchangeError(-4015)


def check_position_side(account: Account, position_side: PositionSide | None) -> PositionSide:
    """Give the position side an order means, or refuse one that does not fit the account's mode."""
    if account.position_mode is PositionMode.HEDGE:
        if position_side is None or position_side is PositionSide.BOTH:
            raise ExchangeError(-4061)
        return position_side
    if position_side not in {None, PositionSide.BOTH}:
        raise ExchangeError(-4061)
    return PositionSide.BOTH


def check_reduce_only(
    account: Account, *, reduce_only: bool | None, side: Side, position_side: PositionSide
) -> bool:
    """Say whether an order may only reduce; hedge mode says it by side and forbids the parameter."""
    if account.position_mode is PositionMode.HEDGE:
        if reduce_only is not None:
            raise ExchangeError(-1106, "reduceonly")
        return closes(account, side=side, position_side=position_side)
    return bool(reduce_only)


def check_quantity(listing: Listing, quantity: Decimal | None, *, is_market: bool) -> Decimal:
    """Refuse a quantity outside the lot filter."""
    if quantity is None:
        raise ExchangeError(-1102, "quantity")
    if quantity <= ZERO:
        raise ExchangeError(-4003)
    instrument = listing.instrument
    _check_digits(quantity, listing.quantity_digits)
    if is_market:
        low, high, step = (
            instrument.market_quantity_min,
            instrument.market_quantity_max,
            instrument.market_quantity_step,
        )
    else:
        low, high, step = instrument.quantity_min, instrument.quantity_max, instrument.quantity_step
    if quantity > high:
        raise ExchangeError(-4005)
    if quantity < low:
        raise ExchangeError(-4004)
    if not is_on_step(quantity, step=step):
        raise ExchangeError(-4023)
    return quantity


def check_price(listing: Listing, price: Decimal | None, *, name: str = "price") -> Decimal:
    """Refuse a price outside the price filter."""
    if price is None:
        raise ExchangeError(-1102, name)
    if price <= ZERO:
        raise ExchangeError(-4001)
    _check_digits(price, listing.price_digits)
    if price > listing.price_max:
        raise ExchangeError(-4002)
    if price < listing.price_min:
        raise ExchangeError(-4013)
    if not is_on_step(price, step=listing.instrument.price_tick):
        raise ExchangeError(-4014)
    return price


def check_percent_price(listing: Listing, quote: Quote, *, side: Side, limit_price: Decimal | None) -> None:
    """Refuse a limit, or the best price a market order would meet, too far from the mark."""
    buying = side is Side.BUY
    price = limit_price if limit_price is not None else (quote.ask if buying else quote.bid)
    bound = quote.mark * (listing.price_up_ratio if buying else listing.price_down_ratio)
    if (price <= bound) if buying else (price >= bound):
        return
    if limit_price is None:
        raise ExchangeError(-4131)
    shown = to_text(round(bound, listing.price_digits))
    raise ExchangeError(-4016 if buying else -4024, shown)


def check_notional(listing: Listing, *, quantity: Decimal, price: Decimal, reduce_only: bool) -> None:
    """Refuse an order worth less than the smallest notional; reducing orders are exempt."""
    if not reduce_only and quantity * price < listing.instrument.notional_min:
        raise ExchangeError(-4164, to_text(listing.instrument.notional_min))


def _check_digits(value: Decimal, digits: int) -> None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):  # NaN and infinity have letters there
        raise ExchangeError(-1111)
    if -exponent > digits and value != round(value, digits):
        raise ExchangeError(-1111)
