"""What stops an entry by the rules of what an account may lose, hold and aim for (spec E7, in its order)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from pregao.domain.account import Venue
from pregao.domain.bot import EffectiveSettings, TargetSettings
from pregao.domain.candle import Measure
from pregao.domain.money import HUNDRED, ZERO, to_text
from pregao.domain.risk_rules import RiskRecord, RiskRules, looked_at, shown
from pregao.domain.signal import Risked
from pregao.orders.denial import Denial

Ranges = Mapping[tuple[Venue, str, Measure], Decimal]


def denial_of_record(rules: RiskRules, record: RiskRecord, *, now: datetime) -> Denial | None:
    """Give why what came of earlier positions stops an entry."""
    broken = next((one for one in looked_at(rules, record, now=now) if one.is_broken), None)
    if broken is None or broken.limit is None:
        return None
    of = "" if rules.capital_usd is None else f" capital_usd={to_text(rules.capital_usd)}"
    return Denial(
        code=broken.code,
        reason=f"value={shown(broken.value)} maximum={to_text(broken.limit)}{of}. A risk rule of this subscription; `since` "
        "lets its rules begin anew.",
    )


def denial_of_size(rules: RiskRules, *, quantity: Decimal, price: Decimal) -> Denial | None:
    """Give why a position would be worth too much of the capital."""
    if rules.position_pct_max is None or rules.capital_usd is None:
        return None
    value, most = quantity * price, rules.capital_usd * rules.position_pct_max / HUNDRED
    if value <= most:
        return None
    return Denial(
        code="POSITION_ABOVE_SHARE",
        reason=f"value={shown(value)} maximum={shown(most)} position_pct_max={to_text(rules.position_pct_max)} "
        f"capital_usd={to_text(rules.capital_usd)}. Lower margin or leverage, or raise the share.",
    )


def denial_of_reward(rules: RiskRules, reward_to_risk: Decimal | None) -> Denial | None:
    """Give why a target is too near for its stop; what nobody can tell is not enough."""
    if rules.reward_to_risk_min is None:
        return None
    if reward_to_risk is not None and reward_to_risk >= rules.reward_to_risk_min:
        return None
    told = "unknown" if reward_to_risk is None else shown(reward_to_risk)
    return Denial(
        code="REWARD_TOO_SMALL",
        reason=f"reward_to_risk={told} minimum={to_text(rules.reward_to_risk_min)}. Move the target away or the stop nearer; "
        "without a stop and a target nobody can tell.",
    )


def reward_to_risk(
    settings: EffectiveSettings, *, venue: Venue, symbol: str, price: Decimal, ranges: Ranges
) -> Decimal | None:
    """Give the distance of the targets, weighed by their shares, over that of the stop; None where one is missing."""
    guard = settings.guard
    if guard.targets and guard.targets[0].risk_multiple is not None:
        has_stop = guard.stop is not None or settings.stop_loss_pct > ZERO
        return _weighed(guard.targets) if has_stop else None
    stop_pct = _stop_percent(settings, venue=venue, symbol=symbol, price=price, ranges=ranges)
    target_pct = _weighed(guard.targets) if guard.targets else settings.take_profit_pct
    if stop_pct is None or stop_pct <= ZERO or target_pct <= ZERO:
        return None
    return target_pct / stop_pct


def reward_of_risked(risk: Risked, *, price: Decimal) -> Decimal | None:
    """Give the same of a trade by hand, which names its own stop and target."""
    distance = abs(price - risk.stop_price)
    if risk.target_price is None or distance == ZERO:
        return None
    is_ahead = (risk.target_price - price) * (price - risk.stop_price) > ZERO
    return abs(risk.target_price - price) / distance if is_ahead else ZERO


def _stop_percent(
    settings: EffectiveSettings, *, venue: Venue, symbol: str, price: Decimal, ranges: Ranges
) -> Decimal | None:
    stop = settings.guard.stop
    if stop is None:
        return settings.stop_loss_pct
    measured = ranges.get((venue, symbol, stop.measure))
    return None if measured is None else measured * stop.multiple / price * HUNDRED


def _weighed(targets: Sequence[TargetSettings]) -> Decimal:
    """Give the mean distance; what no target takes stays open and counts for nothing more."""
    shares = sum((target.share for target in targets), ZERO)
    sums = (target.share * (target.percent or target.risk_multiple or ZERO) for target in targets)
    return sum(sums, ZERO) / shares
