"""
Keep the guard of a position beside it: armed with its first fill, again for what is left, taken off when it is flat.

Takes PositionChanged. Gives StopArmed, StopUnusable, StopTriggered, StopChanged, ExecutionMoved, ProtectionPlanned,
StopDisarmed, PositionLeft.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    Fact,
    PositionChanged,
    PositionLeft,
    ProtectionPlanned,
    StopArmed,
    StopChanged,
    StopDisarmed,
    StopUnusable,
)
from pregao.domain.level import StopUnusableError, TriggerKind
from pregao.domain.market import Market
from pregao.domain.mistakes import MISTAKES
from pregao.domain.money import ZERO, ceil_to_step, floor_to_step
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.protection import ProtectionName, protection_id
from pregao.domain.stop import Stop, StopChange, StopStatus, arm, armed_again, target_taken
from pregao.domain.stop_rule import StopRule, measure_of
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.stops.claims import After, after_order, end_with_position, give_up
from pregao.stops.ports import ArmedStop, Guard, Guards

HELD = (PositionStatus.OPEN, PositionStatus.CLOSING)
BY_DESK = "desk"
RANGE_SECONDS_MAX = 3.0  # so long after its fill a position waits for the range that its stop is measured by


OnMistake: TypeAlias = Callable[[int, Exception], None]
"""Is told the position and the mistake, while it is being handled."""


def tell_nobody(_position_id: int, _mistake: Exception) -> None:
    """Keep it to ourselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Who guards, with what, and when."""

    market: Market
    desk: Desk
    keeps_lines: Collection[Venue]  # the venues that keep protective orders
    now: datetime


async def follow_position(
    changes: Sequence[PositionChanged],
    *,
    guards: Guards,
    market: Market,
    desk: Desk,
    keeps_lines: Collection[Venue],
    now: datetime,
    on_mistake: OnMistake = tell_nobody,
) -> list[Fact]:
    """
    Give what each position's guard needs after what just happened to it; a second look finds the work of the first.

    A position whose symbol's rules, or whose range, no venue has told yet is not armed: whoever asks for them brings it
    here again. One whose range is not to be had for seconds cannot be guarded as asked.
    A mistake of ours about one position keeps neither the others from being guarded nor any fill from being booked.
    """
    latest = {change.position.position_id: change.position for change in changes}
    known = await guards.guards([one for one in latest.values() if one.status is not PositionStatus.PENDING])
    post = Post(market=market, desk=desk, keeps_lines=keeps_lines, now=now)
    facts: list[Fact] = []
    for number, guard in sorted(known.items()):
        follow = _hold if latest[number].status in HELD else _leave
        try:
            facts += follow(latest[number], guard, post)
        except MISTAKES as mistake:
            on_mistake(number, mistake)
    return facts


# --- held -------------------------------------------------------------------------------------------------


def _hold(position: Position, guard: Guard, post: Post) -> list[Fact]:
    facts, armed = _armed(position, guard, post)
    if armed is None:
        return facts
    for claimed in guard.claims:
        told, after = after_order(claimed, direction=position.direction, now=post.now)
        facts += told
        changed = _after_exit(armed.stop, number=claimed.number, after=after, held=position.quantity)
        if changed is not None:
            stop, code = changed
            armed = replace(armed, stop=stop)
            facts.append(_stop_changed(armed, code=code, reason=after.value, now=post.now))
    line = _line(guard, armed, post)
    return facts if line is None else [*facts, line]


def _after_exit(stop: Stop, *, number: int, after: After, held: Decimal) -> tuple[Stop, StopChange] | None:
    """Give the stop after an exit of it is over: a target is taken; what a stop's exit left is watched again."""
    status = stop.status if number == 0 else stop.targets[number - 1].status
    if status is not StopStatus.TRIGGERED:
        return None
    if after is After.FILLED and number:
        return target_taken(stop, number=number), StopChange.TARGET_TAKEN
    if after is After.NOT_REACHED or (after is After.FILLED and held > ZERO):
        return armed_again(stop, number=number), StopChange.ARMED_AGAIN
    return None


def _armed(position: Position, guard: Guard, post: Post) -> tuple[list[Fact], ArmedStop | None]:
    """Arm what is not armed, once more when the entry's average is known, and again what a late fill has reopened."""
    before = guard.armed
    is_final = not guard.is_entering
    if before is None:
        return _arm_first(position, guard, post, is_final=is_final)
    if before.left_at is not None or before.stop.status is StopStatus.DISARMED:
        stop = replace(before.stop, status=StopStatus.ARMED, version=before.stop.version + 1)
    elif before.is_anchor_final or not is_final:
        return [], before
    else:
        stop = _anchored(position, before.stop)
    armed = replace(before, stop=stop, is_anchor_final=is_final, left_at=None)
    return [_stop_armed(armed, now=post.now)], armed


def _arm_first(
    position: Position, guard: Guard, post: Post, *, is_final: bool
) -> tuple[list[Fact], ArmedStop | None]:
    instrument = post.market.instruments.get((guard.venue, position.symbol))
    if instrument is None:
        return [], None
    assert position.entry_price is not None, "what is held was entered"
    measure = measure_of(guard.asked.rule)
    atr = None if measure is None else post.market.ranges.get((guard.venue, position.symbol, measure))
    if measure is not None and atr is None and not _has_waited(position, now=post.now):
        return [], None
    try:
        stop = arm(
            guard.asked.rule,
            position_id=position.position_id,
            direction=position.direction,
            entry_price=position.entry_price,
            price_tick=instrument.price_tick,
            atr=atr,
        )
    except StopUnusableError as unusable:
        stop = _at_entry(position, price_tick=instrument.price_tick)
        armed = _guarding(position, guard, stop=stop, is_required=True, is_final=True)
        unusable_fact = StopUnusable(
            happened_at=post.now,
            position_id=position.position_id,
            account_id=position.account_id,
            signal_id=position.signal_id,
            code=unusable.code,
            reason=unusable.message,
        )
        claim = give_up(armed, claimed_by=unusable.code, now=post.now)
        return [unusable_fact, _stop_armed(armed, now=post.now), claim], replace(armed, stop=claim.stop)
    armed = _guarding(position, guard, stop=stop, is_required=guard.asked.is_required, is_final=is_final)
    return [_stop_armed(armed, now=post.now)], armed


def _has_waited(position: Position, *, now: datetime) -> bool:
    assert position.opened_at is not None, "what is held was entered"
    return (now - position.opened_at).total_seconds() >= RANGE_SECONDS_MAX


def _at_entry(position: Position, *, price_tick: Decimal) -> Stop:
    """Give the stop of a position that cannot be guarded as asked: it counts as reached where it was entered."""
    assert position.entry_price is not None
    to_tick = floor_to_step if position.direction is Direction.LONG else ceil_to_step
    level = max(to_tick(position.entry_price, step=price_tick), price_tick)
    return Stop(
        position_id=position.position_id,
        direction=position.direction,
        entry_price=position.entry_price,
        price_tick=price_tick,
        rule=StopRule(),
        initial_stop=level,
        stop_price=level,
    )


def _anchored(position: Position, stop: Stop) -> Stop:
    """Give the stop from the entry's average; one that triggered, was moved, or cannot stand there stays as it is."""
    assert position.entry_price is not None, "what is held was entered"
    if stop.status is not StopStatus.ARMED or stop.stop_price != stop.initial_stop:
        return stop
    if any(target.status is not StopStatus.ARMED for target in stop.targets):
        return stop
    if stop.entry_price == position.entry_price:
        return stop
    try:
        anew = arm(
            stop.rule,
            position_id=stop.position_id,
            direction=stop.direction,
            entry_price=position.entry_price,
            price_tick=stop.price_tick,
            atr=stop.atr,
        )
    except StopUnusableError:
        return stop
    return replace(anew, version=stop.version + 1)


def _guarding(
    position: Position, guard: Guard, *, stop: Stop, is_required: bool, is_final: bool
) -> ArmedStop:
    assert position.opened_at is not None, "what is held was entered"
    return ArmedStop(
        stop=stop,
        account_id=position.account_id,
        bot_id=position.bot_id,
        subscription_id=position.subscription_id,
        signal_id=position.signal_id,
        venue=guard.venue,
        symbol=position.symbol,
        position_side=position.position_side,
        held_since=position.opened_at,
        is_anchor_final=is_final,
        is_required=is_required,
    )


def _stop_armed(armed: ArmedStop, *, now: datetime) -> StopArmed:
    return StopArmed(
        happened_at=now,
        stop=armed.stop,
        account_id=armed.account_id,
        bot_id=armed.bot_id,
        subscription_id=armed.subscription_id,
        signal_id=armed.signal_id,
        venue=armed.venue,
        symbol=armed.symbol,
        position_side=armed.position_side,
        held_since=armed.held_since,
        is_anchor_final=armed.is_anchor_final,
        is_required=armed.is_required,
    )


def _stop_changed(armed: ArmedStop, *, code: StopChange, reason: str, now: datetime) -> StopChanged:
    return StopChanged(
        happened_at=now,
        stop=armed.stop,
        account_id=armed.account_id,
        signal_id=armed.signal_id,
        code=code,
        changed_by=BY_DESK,
        reason=reason,
    )


# --- the venue's line -------------------------------------------------------------------------------------


def _line(guard: Guard, armed: ArmedStop, post: Post) -> ProtectionPlanned | None:
    """
    Plan the venue's own order for an armed stop that has none there.

    One that stands elsewhere is moved by whoever looks after the lines: the old one goes first.
    """
    stop = armed.stop
    if stop.stop_price is None or stop.status is not StopStatus.ARMED or guard.lines:
        return None
    if armed.venue not in post.keeps_lines or (armed.line_at is not None and post.now < armed.line_at):
        return None
    return plan_line(
        armed, version=guard.lines_made + 1, quantity=None, market=post.market, desk=post.desk, now=post.now
    )


def plan_line(
    armed: ArmedStop, *, version: int, quantity: Decimal | None, market: Market, desk: Desk, now: datetime
) -> ProtectionPlanned:
    """Plan one protective order where the stop stands; without a quantity it closes whatever is held when it triggers."""
    stop = armed.stop
    assert stop.stop_price is not None
    name = ProtectionName(position_id=stop.position_id, kind=TriggerKind.STOP, version=version)
    return ProtectionPlanned(
        happened_at=now,
        protection_id=protection_id(name, desk_id=desk.desk_id),
        version=version,
        stop_version=stop.version,
        position_id=stop.position_id,
        account_id=armed.account_id,
        signal_id=armed.signal_id,
        venue=armed.venue,
        symbol=armed.symbol,
        kind=TriggerKind.STOP,
        number=0,
        side=stop.direction.entry_side.opposite,
        position_side=armed.position_side,
        trigger_price=stop.stop_price,
        quantity=quantity,
        signed_at_ms=market.venue_now_ms[armed.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=desk.owner,
        lease_epoch=desk.lease_epoch,
    )


# --- flat -------------------------------------------------------------------------------------------------


def _leave(position: Position, guard: Guard, post: Post) -> list[Fact]:
    facts: list[Fact] = [
        end_with_position(claimed, position=position, now=post.now) for claimed in guard.claims
    ]
    armed = guard.armed
    if armed is not None and armed.left_at is not None:
        return facts
    if not guard.lines:
        left = PositionLeft(
            happened_at=post.now,
            position_id=position.position_id,
            account_id=position.account_id,
            signal_id=position.signal_id,
        )
        return [*facts, left]
    if armed is not None and armed.stop.status is StopStatus.DISARMED:
        return facts
    disarmed = StopDisarmed(
        happened_at=post.now,
        position_id=position.position_id,
        account_id=position.account_id,
        signal_id=position.signal_id,
        venue=guard.venue,
        symbol=position.symbol,
        position_side=position.position_side,
    )
    return [*facts, disarmed]
