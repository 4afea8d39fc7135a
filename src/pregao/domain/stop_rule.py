"""What is asked of a stop: where it begins, where profit is taken, how it follows the price, what the costs are."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pregao.domain.candle import Measure
from pregao.domain.level import Level, Method, StopUnusableError
from pregao.domain.money import HUNDRED, ONE, ZERO, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Where profit is taken, and of which part of what was entered."""

    level: Level
    share: Decimal = ONE


class TrailingMode(StrEnum):
    """How a stop follows the price."""

    HAND_SPAN = "hand_span"  # in steps of the first distance between entry and stop
    PERCENT = "percent"  # so many percent behind the best price


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailing:
    """How a stop follows; ``percent`` behind the best price, in steps of ``step_percent`` of the entry price."""

    mode: TrailingMode
    percent: Decimal = Decimal(2)  # spec E7; of PERCENT only
    step_percent: Decimal = Decimal("0.1")  # of PERCENT only: every move is a fact, and an order at the venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a round trip is reckoned to cost, in percent of the entry price (spec D1.4)."""

    fee_percent: Decimal = Decimal("0.1")
    slippage_percent: Decimal = Decimal("0.05")

    @property
    def factor(self) -> Decimal:
        """What the entry price is multiplied by to earn the costs back: 1.0015."""
        return ONE + (self.fee_percent + self.slippage_percent) / HUNDRED


NO_COSTS = Costs(fee_percent=ZERO, slippage_percent=ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """All that a subscription asks for; the targets from the nearest to the farthest."""

    stop: Level | None = None
    targets: tuple[TargetRule, ...] = ()
    trailing: Trailing | None = None
    break_even_after_target: bool = False  # the stop goes to break-even when the first target has filled
    costs: Costs = Costs()


def first_level(rule: StopRule) -> Level | None:
    """
    Give the level a stop begins at; one that trails by percent and names none begins that far behind the entry.

    :raises StopUnusableError: where a hand-span is asked for, and no stop to measure it by; or no percentage.
    """
    if rule.trailing is None:
        return rule.stop
    if rule.trailing.mode is TrailingMode.PERCENT and not ZERO < rule.trailing.percent < HUNDRED:
        raise StopUnusableError(
            "TRAILING_UNUSABLE", f"percent={to_text(rule.trailing.percent)}. It lies between 0 and 100."
        )
    if rule.stop is not None:
        return rule.stop
    if rule.trailing.mode is TrailingMode.HAND_SPAN:
        raise StopUnusableError(
            "TRAILING_WITHOUT_STOP", "mode=hand_span. Name the stop that its span is measured by."
        )
    return Level(method=Method.PERCENT, value=rule.trailing.percent)


def measure_of(rule: StopRule) -> Measure | None:
    """Give what range the levels of a rule are measured by; None where none is."""
    levels = (rule.stop, *(target.level for target in rule.targets))
    return next((one.measure for one in levels if one is not None and one.method is Method.ATR), None)


def check_shares(shares: Sequence[Decimal]) -> None:
    """
    See that targets take parts of one whole.

    :raises StopUnusableError: where a share is not above 0, or they come to more than 1 together.
    """
    total = sum(shares, ZERO)
    if any(share <= ZERO for share in shares) or total > ONE:
        shown = ",".join(to_text(share) for share in shares)
        raise StopUnusableError(
            "TARGET_SHARES_UNUSABLE",
            f"shares={shown} total={to_text(total)} maximum=1. Each is above 0, and together they are at most 1.",
        )
