"""How large an order is, on this account, on this instrument."""

from decimal import Decimal

from pregao.domain.instrument import Instrument
from pregao.domain.money import ONE, floor_to_step, to_text
from pregao.domain.order import Side
from pregao.domain.position import Direction
from pregao.domain.risk import SizeUnusableError, size_position
from pregao.domain.signal import Risked
from pregao.orders.denial import Denial

FORWARDED_QUANTITY = ONE  # a destination sizes by itself: one signal held there counts as one


def size_entry(
    *, margin_usd: Decimal, leverage: int, price: Decimal, instrument: Instrument
) -> Decimal | Denial:
    """
    Give margin x leverage / price in base units, floored to the instrument's market step.

    The notional never exceeds margin x leverage. ``price`` is the venue's live price, never the signal's.
    """
    quantity = floor_to_step(margin_usd * leverage / price, step=instrument.market_quantity_step)
    wanted = f"margin_usd={to_text(margin_usd)} leverage={leverage} price={to_text(price)}"
    whose = "the subscription's margin or leverage"
    return _fitting(quantity, price=price, instrument=instrument, wanted=wanted, whose=whose)


def size_risked(risk: Risked, *, side: Side, price: Decimal, instrument: Instrument) -> Decimal | Denial:
    """
    Give what loses at most the share of the capital that is risked, between the venue's live price and the stop.

    Floored to the market step, and worth at most half of the capital; where the price has passed the stop: nothing.
    """
    try:
        size = size_position(
            direction=Direction.of_entry(side),
            capital=risk.capital,
            entry_price=price,
            stop_price=risk.stop_price,
            risk_percent=risk.risk_percent,
            quantity_step=instrument.market_quantity_step,
        )
    except SizeUnusableError as problem:
        return Denial(code=problem.code, reason=problem.message)
    wanted = (
        f"capital={to_text(risk.capital)} risk_percent={to_text(risk.risk_percent)} price={to_text(price)} "
        f"stop={to_text(risk.stop_price)}"
    )
    whose = "the capital or the risk"
    return _fitting(size.quantity, price=price, instrument=instrument, wanted=wanted, whose=whose)


def _fitting(
    quantity: Decimal, *, price: Decimal, instrument: Instrument, wanted: str, whose: str
) -> Decimal | Denial:
    where = f"instrument={instrument.symbol}"
    if quantity < instrument.market_quantity_min or quantity == 0:
        return Denial(
            code="QUANTITY_BELOW_MINIMUM",
            reason=f"quantity={to_text(quantity)} minimum={to_text(instrument.market_quantity_min)} {where} {wanted}. "
            f"Raise {whose}.",
        )
    if quantity > instrument.market_quantity_max:
        return Denial(
            code="QUANTITY_ABOVE_MAXIMUM",
            reason=f"quantity={to_text(quantity)} maximum={to_text(instrument.market_quantity_max)} {where} {wanted}. "
            f"Lower {whose}.",
        )
    if quantity * price < instrument.notional_min:
        return Denial(
            code="NOTIONAL_BELOW_MINIMUM",
            reason=f"notional={to_text(quantity * price)} minimum={to_text(instrument.notional_min)} {where} {wanted}. "
            f"Raise {whose}.",
        )
    return quantity


def size_exit(*, held: Decimal, share: Decimal | None, instrument: Instrument | None) -> Decimal | Denial:
    """
    Give what an exit closes: all that is held, or the share of it, floored to the market step.

    Where the step is not known, the decimals are what the venue's fills had: less is closed than asked, never more.
    """
    if share is None or share >= 1:
        return held
    step = (
        instrument.market_quantity_step if instrument else Decimal((0, (1,), int(held.as_tuple().exponent)))
    )
    minimum = instrument.market_quantity_min if instrument else step
    quantity = floor_to_step(held * share, step=step)
    if quantity < minimum or quantity == 0:
        return Denial(
            code="QUANTITY_BELOW_MINIMUM",
            reason=f"quantity={to_text(quantity)} minimum={to_text(minimum)} "
            f"held={to_text(held)} share={to_text(share)}. Close a larger share.",
        )
    return quantity
