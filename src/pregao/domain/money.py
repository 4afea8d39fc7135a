"""Prices, quantities and amounts: always ``Decimal``, and rounding always says in which direction."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)
AMOUNT_STEP = Decimal("0.00000001")  # venues book amounts with eight decimals
BASIS_POINTS = Decimal(10_000)


def floor_to_step(value: Decimal, *, step: Decimal) -> Decimal:
    """Give the largest multiple of ``step`` that is not above ``value`` in size; exact, with the step's scale."""
    return (value / step).to_integral_value(ROUND_DOWN) * step


def ceil_to_step(value: Decimal, *, step: Decimal) -> Decimal:
    """Give the smallest multiple of ``step`` that is not below ``value`` in size."""
    return (value / step).to_integral_value(ROUND_UP) * step


def is_on_step(value: Decimal, *, step: Decimal) -> bool:
    """Say whether ``value`` is a whole multiple of ``step``."""
    return value % step == 0


def to_amount(value: Decimal) -> Decimal:
    """Give an amount of money with eight decimals, halves to even, as venues book it."""
    return value.quantize(AMOUNT_STEP, ROUND_HALF_EVEN)


def to_text(value: Decimal) -> str:
    """Write a decimal for the wire: plain digits, no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def bps_between(price: Decimal, *, reference: Decimal) -> Decimal:
    """Give how far ``price`` is from ``reference`` in basis points, two decimals; positive is above."""
    return ((price - reference) / reference * BASIS_POINTS).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
