"""How far a fill was from the price the desk decided on."""

from decimal import ROUND_HALF_EVEN, Decimal

from pregao.domain.money import bps_between, to_text

PRICE_STEP = Decimal("0.0000000001")  # finer than any venue's tick; an average may not end


def average_price(*, notional: Decimal, quantity: Decimal) -> Decimal | None:
    """Give the average price of what was filled, at most ten decimals; None before the first fill."""
    return to_price(notional / quantity) if quantity and notional else None


def to_price(price: Decimal) -> Decimal:
    """Give a price as it is shown: at most ten decimals, no zeros at the end."""
    return Decimal(to_text(price.quantize(PRICE_STEP, ROUND_HALF_EVEN)))


def slippage_bps(
    *, side: str | None, price: Decimal | None, decision_price: Decimal | None
) -> Decimal | None:
    """Give how much worse for the account the price was than decided, in basis points; better is negative."""
    if side is None or price is None or not decision_price:
        return None
    above = bps_between(price, reference=decision_price)
    return above if side == "buy" else -above
