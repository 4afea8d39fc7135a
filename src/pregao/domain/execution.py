"""The exit of a claim: where it stands, how much it takes, how often it is tried, and what came of it."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from pregao.domain.level import TriggerKind
from pregao.domain.money import HUNDRED, ONE, ZERO, floor_to_step
from pregao.domain.position import Direction
from pregao.domain.stop import Stop

SLIPPAGE_STEP = Decimal("0.0001")  # what slippage is kept with: dec(10,4) in system D
RETRY_FIRST_SECONDS = 2  # ADR of system D: the first retry after 2 s, then twice as long each time
EXIT_ATTEMPTS_MAX = 5  # then a person must look: 2 + 4 + 8 + 16 s have passed


class ExecutionStatus(StrEnum):
    """Where the exit of one claim stands: the projection ``stop_executions`` of system D."""

    PENDING = "pending"  # claimed
    SUBMITTED = "submitted"  # committed, then sent; no answer yet, or none that is known
    EXECUTED = "executed"  # filled
    FAILED = "failed"  # provably not executed; tried again
    BLOCKED = "blocked"  # a guardrail or the last attempt stopped it: a person was told


EXECUTION_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.PENDING: frozenset({ExecutionStatus.SUBMITTED, ExecutionStatus.BLOCKED}),
    ExecutionStatus.SUBMITTED: frozenset({ExecutionStatus.EXECUTED, ExecutionStatus.FAILED}),
    ExecutionStatus.FAILED: frozenset({ExecutionStatus.SUBMITTED, ExecutionStatus.BLOCKED}),
    ExecutionStatus.BLOCKED: frozenset({ExecutionStatus.SUBMITTED}),  # what blocked it is over, or overruled
    ExecutionStatus.EXECUTED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One try to exit what was claimed under a token; each try is an order of its own."""

    token: str
    kind: TriggerKind
    number: int  # of the target; 0 for the stop
    attempt: int  # from 1
    limit_price: Decimal | None = None  # the worst price taken; None: at the market

    @property
    def name(self) -> str:
        """What tells its order's id apart."""
        return f"{self.token}/{self.kind}{self.number}/{self.attempt}"


def exit_quantity(
    stop: Stop,
    *,
    number: int,
    entered: Decimal,
    held: Decimal,
    quantity_step: Decimal,
    quantity_min: Decimal,
) -> Decimal:
    """
    Give what the exit of a stop (number 0) or of a target takes, never more than is held.

    A stop takes all. After target k at most 1 - (shares up to k) of what was entered is held: a share that was too
    small for the venue goes with the next target, and what would be too small to be closed later goes at once.
    """
    if number == 0:
        return held
    taken = sum((target.share for target in stop.targets if target.number <= number), ZERO)
    quantity = floor_to_step(max(ZERO, held - entered * (ONE - taken)), step=quantity_step)
    left = held - quantity
    if ZERO < left < quantity_min:
        return held
    return quantity if quantity >= quantity_min else ZERO


def close_reason(stop: Stop, *, kind: TriggerKind = TriggerKind.STOP) -> str:
    """Give why a position was closed that its stop or a target closed (B1.1)."""
    if kind is TriggerKind.TARGET:
        return "take_profit"
    return "stop_loss" if stop.stop_price == stop.initial_stop else "trailing_stop"


def retry_seconds(attempts: int) -> int | None:
    """Give how long to wait after so many failed attempts; None: it was the last, a person is told (F089)."""
    assert attempts >= 1, "nothing has failed yet"
    return None if attempts >= EXIT_ATTEMPTS_MAX else RETRY_FIRST_SECONDS * 2 ** (attempts - 1)


def slippage_percent(*, direction: Direction, stop_price: Decimal, price: Decimal) -> Decimal:
    """Give how much worse than the level a price is, in percent with four decimals; negative is better (D1.3, signed)."""
    worse = stop_price - price if direction is Direction.LONG else price - stop_price
    return (worse / stop_price * HUNDRED).quantize(SLIPPAGE_STEP, ROUND_HALF_EVEN)


def expected_pnl(*, direction: Direction, entry_price: Decimal, price: Decimal, quantity: Decimal) -> Decimal:
    """Give what an exit at a price would earn before fees: (exit - entry) quantity for a long, reversed for a short."""
    earned = price - entry_price if direction is Direction.LONG else entry_price - price
    return earned * quantity
