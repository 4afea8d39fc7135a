"""
What a subscription may lose, hold and aim for, in shares of its capital (spec E7); what is not set is not asked.

Amounts are in the account's margin asset, percentages in percent of ``capital_usd``. The system this replaces had three losses
in a row, 5 % a day, 10 % a week, 15 % from the highest, 10 % in one position and 1.5 of gain for risk; here a rule is off
until somebody sets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pregao.domain.money import HUNDRED, ZERO, to_text

SHOWN_STEP = Decimal("0.0001")  # of a percentage, in a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRules:
    """Each rule denies entries, never exits; null is no such rule. ``since`` lets them begin anew."""

    capital_usd: Decimal | None = None  # what the percentages are of
    consecutive_losses_max: int | None = None  # so many in a row end the UTC day of the last
    daily_loss_pct_max: Decimal | None = None  # by UTC day, what was earned taken off
    weekly_loss_pct_max: Decimal | None = None  # from Monday on
    drawdown_pct_max: Decimal | None = (
        None  # from the highest the capital has stood at, closed positions counted
    )
    position_pct_max: Decimal | None = None  # what one position may be worth
    reward_to_risk_min: Decimal | None = None  # the distance of the target over that of the stop
    since: datetime | None = None  # positions that closed before it are not looked at

    @property
    def looks_back(self) -> bool:
        """Whether a rule asks what came of earlier positions."""
        return (
            self.consecutive_losses_max is not None
            or self.daily_loss_pct_max is not None
            or self.weekly_loss_pct_max is not None
            or self.drawdown_pct_max is not None
        )

    @property
    def needs_capital(self) -> bool:
        """Whether a rule is a share of the capital."""
        return any(
            limit is not None
            for limit in (
                self.daily_loss_pct_max,
                self.weekly_loss_pct_max,
                self.drawdown_pct_max,
                self.position_pct_max,
            )
        )


NO_RULES = RiskRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRecord:
    """What came of a subscription's positions since its rules began; what is closed of open ones counts as today's."""

    losses_in_a_row: int = 0  # the latest; one that came to 0 is neither
    last_loss_at: datetime | None = None
    pnl_today: Decimal = ZERO
    pnl_week: Decimal = ZERO
    pnl: Decimal = ZERO
    pnl_peak: Decimal = ZERO  # the highest that pnl has stood at; never below 0


NO_RECORD = RiskRecord()


@dataclass(frozen=True, slots=True)
class Result:
    """What one position came to; None is not closed yet."""

    pnl: Decimal
    closed_at: datetime | None


def record_of(results: Sequence[Result], *, day: datetime, week: datetime) -> RiskRecord:
    """Give the record of positions in the order they closed, open ones last; ``day`` and ``week`` are when these began."""
    losses, last_loss_at = 0, None
    pnl = peak = today = this_week = ZERO
    for result in results:
        pnl += result.pnl
        peak = max(peak, pnl)
        today += result.pnl if result.closed_at is None or result.closed_at >= day else ZERO
        this_week += result.pnl if result.closed_at is None or result.closed_at >= week else ZERO
        if result.closed_at is None or result.pnl == ZERO:
            continue
        losses = losses + 1 if result.pnl < ZERO else 0
        last_loss_at = result.closed_at if result.pnl < ZERO else last_loss_at
    return RiskRecord(
        losses_in_a_row=losses,
        last_loss_at=last_loss_at,
        pnl_today=today,
        pnl_week=this_week,
        pnl=pnl,
        pnl_peak=peak,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One rule, and how what came of earlier positions stands to it; ``limit`` None is no such rule."""

    code: str
    value: Decimal
    limit: Decimal | None
    is_broken: bool


def looked_at(rules: RiskRules, record: RiskRecord, *, now: datetime) -> tuple[Looked, ...]:
    """Give the rules that look back, in E7's order; a limit that is reached is broken."""
    streak = rules.consecutive_losses_max
    shares = (
        ("DAILY_LOSS_PCT", rules.daily_loss_pct_max, lost_percent(record.pnl_today, rules)),
        ("WEEKLY_LOSS_PCT", rules.weekly_loss_pct_max, lost_percent(record.pnl_week, rules)),
        ("DRAWDOWN_PCT", rules.drawdown_pct_max, drawdown_percent(record, rules)),
    )
    return (
        Looked(
            code="LOSSES_IN_A_ROW",
            value=Decimal(record.losses_in_a_row),
            limit=None if streak is None else Decimal(streak),
            is_broken=is_losing_streak(rules, record, now=now),
        ),
        *(
            Looked(code=code, value=value, limit=limit, is_broken=limit is not None and value >= limit)
            for code, limit, value in shares
        ),
    )


def is_losing_streak(rules: RiskRules, record: RiskRecord, *, now: datetime) -> bool:
    """Say whether too many losses in a row end this UTC day: the last of them was lost on it."""
    maximum, last = rules.consecutive_losses_max, record.last_loss_at
    return (
        maximum is not None
        and last is not None
        and record.losses_in_a_row >= maximum
        and last.date() == now.date()
    )


def lost_percent(pnl: Decimal, rules: RiskRules) -> Decimal:
    """Give a loss in percent of the capital; 0 where something was earned."""
    if rules.capital_usd is None:
        return ZERO
    return max(ZERO, -pnl) * HUNDRED / rules.capital_usd


def drawdown_percent(record: RiskRecord, rules: RiskRules) -> Decimal:
    """Give how far the capital stands below its highest, in percent of that: (peak - current) / peak x 100."""
    if rules.capital_usd is None:
        return ZERO
    peak = rules.capital_usd + record.pnl_peak
    return (record.pnl_peak - record.pnl) * HUNDRED / peak


def shown(number: Decimal) -> str:
    """Write a number for people, to four places."""
    return to_text(number.quantize(SHOWN_STEP))
