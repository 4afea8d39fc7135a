"""
How much may be risked: the size of an operation, the month's drawdown, the health of a margin (spec D1.3).

Rounded down: an operation never risks more than was asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pregao.domain.money import AMOUNT_STEP, HUNDRED, ZERO, floor_to_step, to_text
from pregao.domain.position import Direction

RISK_PERCENT = Decimal(1)  # of the capital, on one operation
DRAWDOWN_PERCENT_MAX = Decimal(4)  # of the capital, in one month
POSITION_PERCENT_MAX = Decimal(50)  # of the capital, in one position
STOP_PERCENT_NEAR = Decimal("0.5")  # a nearer stop is hit by noise
STOP_PERCENT_FAR = Decimal(10)  # a farther one gives up too much of the entry

MARGIN_LEVELS = (
    (Decimal("2.0"), "SAFE"),
    (Decimal("1.5"), "CAUTION"),
    (Decimal("1.3"), "WARNING"),
    (Decimal("1.1"), "CRITICAL"),
)


class SizeUnusableError(Exception):
    """No size can be given for what was asked."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the stable ``code`` apart from the sentence."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class MarginHealth(StrEnum):
    """How far a margin account is from its liquidation."""

    SAFE = "SAFE"
    CAUTION = "CAUTION"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    DANGER = "DANGER"
    UNKNOWN = "UNKNOWN"


class StopWarning(StrEnum):
    """What is odd about a stop's distance."""

    NEAR = "STOP_NEAR"
    FAR = "STOP_FAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSize:
    """What to trade so that the stop costs no more than asked. Amounts are in the quote asset, exact."""

    quantity: Decimal
    position_value: Decimal
    risk_amount: Decimal
    risk_percent: Decimal
    stop_distance: Decimal
    stop_distance_percent: Decimal
    is_capped: bool  # by the largest share of the capital, not by the risk
    warnings: tuple[StopWarning, ...]


def size_position(
    *,
    direction: Direction,
    capital: Decimal,
    entry_price: Decimal,
    stop_price: Decimal,
    risk_percent: Decimal = RISK_PERCENT,
    position_percent_max: Decimal = POSITION_PERCENT_MAX,
    quantity_step: Decimal = AMOUNT_STEP,
) -> PositionSize:
    """
    Give quantity = capital x risk % / |entry - stop|, at most half of the capital in value; F100, D1.3.

    The source rounds to nearest and may exceed the risk by a unit; here it is floored to the step.

    :raises SizeUnusableError: where a value is not above 0, a percentage is above 100, or the stop is on the wrong side.
    """
    _check_positive(
        capital=capital, entry_price=entry_price, stop_price=stop_price, risk_percent=risk_percent
    )
    _check_positive(position_percent_max=position_percent_max, quantity_step=quantity_step)
    if max(risk_percent, position_percent_max) > HUNDRED:
        shown = f"risk_percent={to_text(risk_percent)} position_percent_max={to_text(position_percent_max)}"
        raise SizeUnusableError(
            "RISK_UNUSABLE", f"{shown} maximum=100. A share of the capital is at most all of it."
        )
    if (stop_price >= entry_price) if direction is Direction.LONG else (stop_price <= entry_price):
        side = "below" if direction is Direction.LONG else "above"
        raise SizeUnusableError(
            "STOP_WRONG_SIDE",
            f"direction={direction} stop={to_text(stop_price)} entry={to_text(entry_price)}. The stop of a {direction} "
            f"lies {side} its entry.",
        )
    distance = abs(entry_price - stop_price)
    wanted = capital * risk_percent / HUNDRED / distance
    value_max = capital * position_percent_max / HUNDRED
    is_capped = wanted * entry_price > value_max
    quantity = floor_to_step(value_max / entry_price if is_capped else wanted, step=quantity_step)
    distance_percent = distance / entry_price * HUNDRED
    return PositionSize(
        quantity=quantity,
        position_value=quantity * entry_price,
        risk_amount=quantity * distance,
        risk_percent=quantity * distance / capital * HUNDRED,
        stop_distance=distance,
        stop_distance_percent=distance_percent,
        is_capped=is_capped,
        warnings=_warnings(distance_percent),
    )


def _warnings(distance_percent: Decimal) -> tuple[StopWarning, ...]:
    if distance_percent < STOP_PERCENT_NEAR:
        return (StopWarning.NEAR,)
    return (StopWarning.FAR,) if distance_percent > STOP_PERCENT_FAR else ()


def _check_positive(**values: Decimal) -> None:
    for name, value in values.items():
        if value <= ZERO:
            raise SizeUnusableError("RISK_UNUSABLE", f"{name}={to_text(value)}. It must be above 0.")


# --- the month --------------------------------------------------------------------------------------------


class ClosedTrade(Protocol):
    """What the month's drawdown asks of a closed position."""

    @property
    def user_id(self) -> UUID | None:
        """Whose account it was on."""

    @property
    def closed_at(self) -> datetime | None:
        """When it closed, in UTC."""

    @property
    def realized_pnl(self) -> Decimal:
        """What it earned after fees."""


PERCENT_STEP = Decimal("0.0001")  # of a percentage, in a reason


class MonthlyState(StrEnum):
    """Whether a tenant may go on entering this month."""

    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """What a month has cost a tenant; ``percent`` is of the capital, 0 in a month that earned."""

    pnl: Decimal
    loss: Decimal
    percent: Decimal
    limit_percent: Decimal
    state: MonthlyState


def month_pnl(trades: Iterable[ClosedTrade], *, user_id: UUID | None, now: datetime) -> Decimal:
    """Give what a tenant's own positions that closed in the UTC month of ``now`` have earned together (D-8, F101)."""
    return sum(
        (
            trade.realized_pnl
            for trade in trades
            if trade.user_id == user_id
            and trade.closed_at is not None
            and (trade.closed_at.year, trade.closed_at.month) == (now.year, now.month)
        ),
        ZERO,
    )


def drawdown_of(pnl: Decimal, *, capital: Decimal, limit_percent: Decimal = DRAWDOWN_PERCENT_MAX) -> Drawdown:
    """
    Give the month's drawdown: loss / capital >= 4 % pauses, exactly 4 % too (D1.3, F101).

    :raises SizeUnusableError: where the capital or the limit is not above 0.
    """
    _check_positive(capital=capital, limit_percent=limit_percent)
    loss = max(ZERO, -pnl)
    percent = loss / capital * HUNDRED
    is_over = loss * HUNDRED >= limit_percent * capital  # multiplied: a quotient may round to the limit
    return Drawdown(
        pnl=pnl,
        loss=loss,
        percent=percent,
        limit_percent=limit_percent,
        state=MonthlyState.PAUSED if is_over else MonthlyState.ACTIVE,
    )


def month_told(drawdown: Drawdown, *, month: date) -> str:
    """Give the numbers of a month that has cost too much, as reasons tell them."""
    return (
        f"loss={to_text(drawdown.loss)} percent={to_text(drawdown.percent.quantize(PERCENT_STEP))} "
        f"limit_percent={to_text(drawdown.limit_percent)} month={month:%Y-%m}"
    )


def margin_health(level: Decimal | None) -> MarginHealth:
    """Give the word for a margin level: 2.0 and more SAFE, 1.5 CAUTION, 1.3 WARNING, 1.1 CRITICAL, less DANGER."""
    if level is None:
        return MarginHealth.UNKNOWN
    for least, name in MARGIN_LEVELS:
        if level >= least:
            return MarginHealth(name)
    return MarginHealth.DANGER
