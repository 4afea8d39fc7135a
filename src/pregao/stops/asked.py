"""What the settings of a bot and a subscription ask for a position's guard."""

from dataclasses import replace
from decimal import Decimal

from pregao.domain.bot import Bot, GuardSettings, Subscription, effective_settings
from pregao.domain.money import ZERO
from pregao.domain.signal import Risked
from pregao.domain.stop import Costs, Level, Method, StopRule, TargetRule, Trailing, TrailingMode
from pregao.stops.ports import Asked


def asked_of(bot: Bot, subscription: Subscription, *, symbol: str) -> Asked:
    """Give the rule of a subscription's position on a symbol; 0 percent asks for no such level."""
    settings = effective_settings(bot, subscription, symbol=symbol)
    guard = settings.guard
    stop = _percent(settings.stop_loss_pct)
    target = _percent(settings.take_profit_pct)
    rule = StopRule(
        stop=stop,
        targets=_targets(guard) or (() if target is None else (TargetRule(level=target),)),
        trailing=_trailing(guard, has_stop=stop is not None),
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


def _percent(value: Decimal) -> Level | None:
    return Level(method=Method.PERCENT, value=value) if value > ZERO else None


def _targets(guard: GuardSettings) -> tuple[TargetRule, ...]:
    return tuple(
        TargetRule(level=Level(method=Method.PERCENT, value=one.percent), share=one.share)
        for one in guard.targets
    )


def _trailing(guard: GuardSettings, *, has_stop: bool) -> Trailing | None:
    """Give how the stop follows; a hand-span that has no stop to be measured by follows nothing."""
    if guard.trailing is None or (guard.trailing is TrailingMode.HAND_SPAN and not has_stop):
        return None
    return Trailing(
        mode=guard.trailing, percent=guard.trailing_percent, step_percent=guard.trailing_step_percent
    )
