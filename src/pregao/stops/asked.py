"""What the settings of a bot and a subscription ask for a position's guard."""

from dataclasses import replace
from decimal import Decimal

from pregao.domain.bot import (
    Bot,
    GuardSettings,
    StopSettings,
    Subscription,
    TargetSettings,
    effective_settings,
)
from pregao.domain.level import Level, Method
from pregao.domain.money import ZERO
from pregao.domain.signal import Risked
from pregao.domain.stop_rule import Costs, StopRule, TargetRule, Trailing, TrailingMode
from pregao.stops.ports import Asked


def asked_of(bot: Bot, subscription: Subscription, *, symbol: str) -> Asked:
    """Give the rule of a subscription's position on a symbol; 0 percent asks for no such level."""
    settings = effective_settings(bot, subscription, symbol=symbol)
    guard = settings.guard
    stop = _percent(settings.stop_loss_pct) if guard.stop is None else _ranges(guard.stop)
    target = _percent(settings.take_profit_pct)
    trailing = _trailing(guard, has_stop=stop is not None)
    targets = _targets(guard, has_stop=stop is not None or trailing is not None)
    rule = StopRule(
        stop=stop,
        targets=targets or (() if target is None else (TargetRule(level=target),)),
        trailing=trailing,
        break_even_after_target=guard.break_even_after_target,
        costs=Costs(fee_percent=guard.fee_percent, slippage_percent=guard.slippage_percent),
    )
    has_stop = stop is not None or rule.trailing is not None
    return Asked(
        rule=rule, is_required=has_stop if guard.is_required is None else guard.is_required and has_stop
    )


def said_by_hand(asked: Asked, risk: Risked) -> Asked:
    """Give what guards a trade by hand: its own stop and target in place of the settings', and what else they ask."""
    stop = Level(method=Method.ABSOLUTE, value=risk.stop_price)
    target = risk.target_price
    targets = () if target is None else (TargetRule(level=Level(method=Method.ABSOLUTE, value=target)),)
    return Asked(rule=replace(asked.rule, stop=stop, targets=targets), is_required=True)


def said_by_strategy(asked: Asked, *, stop_percent: Decimal | None, target_percent: Decimal | None) -> Asked:
    """Give what guards a strategy's position: the stop and target it says in place of the settings', and what else they ask."""
    rule = asked.rule
    if stop_percent is not None:
        rule = replace(rule, stop=Level(method=Method.PERCENT, value=stop_percent))
    if target_percent is not None:
        rule = replace(rule, targets=(TargetRule(level=Level(method=Method.PERCENT, value=target_percent)),))
    return Asked(rule=rule, is_required=asked.is_required or stop_percent is not None)


def _percent(value: Decimal) -> Level | None:
    return Level(method=Method.PERCENT, value=value) if value > ZERO else None


def _ranges(stop: StopSettings) -> Level:
    return Level(method=Method.ATR, value=stop.multiple, measure=stop.measure)


def _targets(guard: GuardSettings, *, has_stop: bool) -> tuple[TargetRule, ...]:
    """Give where profit is taken; what is measured by a risk that is not there is not taken."""
    return tuple(
        TargetRule(level=level, share=one.share)
        for one in guard.targets
        if (level := _target(one)).method is not Method.RISK or has_stop
    )


def _target(one: TargetSettings) -> Level:
    if one.percent is not None:
        return Level(method=Method.PERCENT, value=one.percent)
    assert one.risk_multiple is not None, "a target that was checked has one of the two"
    return Level(method=Method.RISK, value=one.risk_multiple)


def _trailing(guard: GuardSettings, *, has_stop: bool) -> Trailing | None:
    """Give how the stop follows; a hand-span that has no stop to be measured by follows nothing."""
    if guard.trailing is None or (guard.trailing is TrailingMode.HAND_SPAN and not has_stop):
        return None
    return Trailing(
        mode=guard.trailing, percent=guard.trailing_percent, step_percent=guard.trailing_step_percent
    )
