"""
How much to stake (spec E7): Kelly's fraction, the value of a position in money, and where its targets lie.

F = (p x b - q) / b; a quarter of it is staked, between 1 and 5 percent. An edge that loses is not staked on at all.
"""

from dataclasses import dataclass
from decimal import Decimal

from pregao.domain.money import HUNDRED, ONE, ZERO, to_text
from pregao.domain.position import Direction
from pregao.domain.risk import SizeUnusableError

KELLY_PART = Decimal("0.25")
STAKE_PERCENT_MIN, STAKE_PERCENT_MAX = Decimal(1), Decimal(5)
STAKE_PERCENT_UNKNOWN = Decimal(2)  # of who has not traded enough to know
POSITION_PERCENT_MAX = Decimal(10)  # of the capital, in one position
STOP_RANGES = Decimal(2)  # average true ranges between entry and stop
TARGET_RISKS = (Decimal(1), Decimal(2))  # half at half of twice the risk, the rest at twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What to risk: ``percent`` of the capital; 0 means no trade. ``kelly`` is null where the odds are not known."""

    kelly: Decimal | None
    part: Decimal | None  # a quarter of Kelly's, in percent, before it is bounded
    percent: Decimal

    @property
    def is_trade(self) -> bool:
        """Whether there is anything to stake on."""
        return self.percent > ZERO


def kelly_fraction(*, win_rate: Decimal, reward_to_risk: Decimal) -> Decimal:
    """
    Give f = (p x b - q) / b; below 0 the edge loses.

    :raises SizeUnusableError: where the rate is no share, or the average win over the average loss not above 0.
    """
    if not ZERO <= win_rate <= ONE or reward_to_risk <= ZERO:
        raise SizeUnusableError(
            "ODDS_UNUSABLE",
            f"win_rate={to_text(win_rate)} reward_to_risk={to_text(reward_to_risk)}. The rate is a share from 0 to 1, the "
            "average win over the average loss is above 0.",
        )
    return (win_rate * reward_to_risk - (ONE - win_rate)) / reward_to_risk


def stake_of(*, win_rate: Decimal | None, reward_to_risk: Decimal | None) -> Stake:
    """
    Give what to stake; without known odds 2 percent.

    :raises SizeUnusableError: where the odds are none.
    """
    if win_rate is None or reward_to_risk is None:
        return Stake(kelly=None, part=None, percent=STAKE_PERCENT_UNKNOWN)
    kelly = kelly_fraction(win_rate=win_rate, reward_to_risk=reward_to_risk)
    part = kelly * KELLY_PART * HUNDRED
    bounded = min(max(part, STAKE_PERCENT_MIN), STAKE_PERCENT_MAX)
    return Stake(kelly=kelly, part=part, percent=bounded if kelly > ZERO else ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPosition:
    """A position in money, exact: ``value`` is what is bought or sold, ``risk_amount`` what its stop costs."""

    value: Decimal
    risk_amount: Decimal
    stop_distance_percent: Decimal
    is_capped: bool
    targets: tuple[tuple[Decimal, Decimal], ...]  # price and share


def position_in_money(
    *,
    direction: Direction,
    capital: Decimal,
    entry_price: Decimal,
    stop_price: Decimal,
    risk_percent: Decimal,
    position_percent_max: Decimal = POSITION_PERCENT_MAX,
) -> MoneyPosition:
    """
    Give capital x risk / (|entry - stop| / entry), at most a tenth of the capital; no risk, no position.

    :raises SizeUnusableError: where a value cannot be, or the stop is on the wrong side.
    """
    for name, value in (("capital", capital), ("entry_price", entry_price), ("stop_price", stop_price)):
        if value <= ZERO:
            raise SizeUnusableError("RISK_UNUSABLE", f"{name}={to_text(value)}. It must be above 0.")
    for name, value in (("risk_percent", risk_percent), ("position_percent_max", position_percent_max)):
        if not ZERO <= value <= HUNDRED:
            raise SizeUnusableError(
                "RISK_UNUSABLE",
                f"{name}={to_text(value)} minimum=0 maximum=100. It is a share of the capital.",
            )
    distance = (entry_price - stop_price) * _sign(direction)
    if distance <= ZERO:
        side = "below" if direction is Direction.LONG else "above"
        raise SizeUnusableError(
            "STOP_WRONG_SIDE",
            f"direction={direction} stop={to_text(stop_price)} entry={to_text(entry_price)}. The stop of a {direction} "
            f"lies {side} its entry.",
        )
    wanted = capital * risk_percent / HUNDRED * entry_price / distance
    most = capital * position_percent_max / HUNDRED
    value = min(wanted, most)
    share = ONE / len(TARGET_RISKS)
    return MoneyPosition(
        value=value,
        risk_amount=value * distance / entry_price,
        stop_distance_percent=distance / entry_price * HUNDRED,
        is_capped=wanted > most,
        targets=tuple((entry_price + distance * risks * _sign(direction), share) for risks in TARGET_RISKS),
    )


def stop_by_range(*, direction: Direction, entry_price: Decimal, range_now: Decimal) -> Decimal:
    """
    Give the stop two average true ranges from the entry.

    :raises SizeUnusableError: where that is no price.
    """
    stop = entry_price - range_now * STOP_RANGES * _sign(direction)
    if stop <= ZERO or range_now <= ZERO:
        raise SizeUnusableError(
            "RANGE_UNUSABLE",
            f"entry_price={to_text(entry_price)} atr={to_text(range_now)}. No stop lies there.",
        )
    return stop


def _sign(direction: Direction) -> int:
    return 1 if direction is Direction.LONG else -1
