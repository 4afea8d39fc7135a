"""Operations, as system D calls positions with their stops: how large one may be."""

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from pregao.domain.money import AMOUNT_STEP, floor_to_step, to_text
from pregao.domain.order import Side
from pregao.domain.position import Direction
from pregao.domain.risk import RISK_PERCENT, PositionSize, SizeUnusableError, StopWarning, size_position
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import NUMBER, UNREADABLE, Amount, Asked, Shown
from pregao.edges.http.api.two_paths import TwoPaths
from pregao.edges.http.errors import ApiError

SYMBOL_PATTERN = "^[A-Za-z0-9_./:-]{1,40}$"
PRICE_MAX = Decimal(10) ** 12  # beyond it nothing is quoted, and sums stay exact
PRICE_STEP = Decimal("1e-12")

operations = TwoPaths(ours="/api/v1/operations", source="/api/operations", tag="operations")


def _small_letters(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Price = Annotated[Decimal, NUMBER, Field(ge=PRICE_STEP, le=PRICE_MAX)]
Percent = Annotated[Decimal, NUMBER, Field(gt=0, le=100)]
AskedSide = Annotated[Side, BeforeValidator(_small_letters)]


class SizeAsked(Asked):
    """A trade whose size is asked for: what it may cost, and where its stop lies."""

    side: Annotated[AskedSide, Field(description="BUY opens a long, SELL a short.")] = Side.BUY
    capital: Price
    entry_price: Price
    stop_price: Price
    max_risk_percent: Annotated[Percent, Field(description="Of the capital, if the stop is hit.")] = (
        RISK_PERCENT
    )
    symbol: Annotated[str | None, Field(pattern=SYMBOL_PATTERN)] = None


class SizeShown(Shown):
    """
    What to trade so that the stop costs no more than asked, rounded down to eight decimals.

    ``is_capped`` says that half of the capital was reached first; then less is risked than asked.
    """

    side: str
    symbol: str | None
    capital: Amount
    entry_price: Amount
    stop_price: Amount
    quantity: Amount
    position_value: Amount
    risk_amount: Amount
    risk_percent: Amount
    stop_distance: Amount
    stop_distance_percent: Amount
    is_capped: bool
    warnings: list[StopWarning]


@operations.post("/calculate-size", responses=UNREADABLE)
async def calculate_size(body: SizeAsked, _who: Viewer) -> SizeShown:
    """Say how large a trade may be: capital x risk / distance of its stop, at most half of the capital in value."""
    size = sized(body)
    return SizeShown(
        side=body.side.upper(),
        symbol=None if body.symbol is None else body.symbol.upper(),
        capital=body.capital,
        entry_price=body.entry_price,
        stop_price=body.stop_price,
        quantity=size.quantity,
        position_value=size.position_value,
        risk_amount=size.risk_amount,
        risk_percent=floor_to_step(size.risk_percent, step=AMOUNT_STEP),
        stop_distance=size.stop_distance,
        stop_distance_percent=floor_to_step(size.stop_distance_percent, step=AMOUNT_STEP),
        is_capped=size.is_capped,
        warnings=list(size.warnings),
    )


def sized(asked: SizeAsked) -> PositionSize:
    """Give the size; a stop on the wrong side is 400, and so is a size too small to be any."""
    try:
        size = size_position(
            direction=Direction.of_entry(asked.side),
            capital=asked.capital,
            entry_price=asked.entry_price,
            stop_price=asked.stop_price,
            risk_percent=asked.max_risk_percent,
        )
    except SizeUnusableError as problem:
        raise ApiError(400, problem.code, problem.message) from problem
    if not size.quantity:
        raise ApiError(
            400,
            "QUANTITY_BELOW_MINIMUM",
            f"quantity=0 capital={to_text(asked.capital)} entry={to_text(asked.entry_price)}. "
            "So little capital buys nothing; risk more of it, or set the stop nearer.",
        )
    return size
