"""
A stop: where a position is given up, where its profit is taken, and who claims the exit.

Set from the price of the fill, kept as absolute prices on the instrument's tick. Nothing here knows a clock or a venue.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from pregao.domain.level import (
    Level,
    StopUnusableError,
    TriggerKind,
    is_reached,
    level_price,
    watched_price,
)
from pregao.domain.money import is_on_step, to_text
from pregao.domain.position import Direction
from pregao.domain.stop_rule import StopRule, check_shares, first_level

DUPLICATE = "Duplicate execution prevented (idempotency)"
"""What the loser of a claim is told, in the words of the source system."""


class StopStatus(StrEnum):
    """Where a stop, or one of its targets, stands."""

    ARMED = "armed"  # watched
    TRIGGERED = "triggered"  # claimed: an exit was asked for, and nobody else may ask
    DISARMED = "disarmed"  # the position is closed, the share taken, or the level taken off


STOP_MOVES: dict[StopStatus, frozenset[StopStatus]] = {
    StopStatus.ARMED: frozenset({StopStatus.TRIGGERED, StopStatus.DISARMED}),
    StopStatus.TRIGGERED: frozenset({StopStatus.ARMED, StopStatus.DISARMED}),  # armed again for what is left
    StopStatus.DISARMED: frozenset({StopStatus.ARMED}),  # a fill told late opened the position again
}


class StopChange(StrEnum):
    """Why a stop was changed, where no price moved it."""

    TARGET_TAKEN = "TARGET_TAKEN"
    ARMED_AGAIN = "ARMED_AGAIN"  # an exit left a rest, or its level was not there any more
    BY_HAND = "BY_HAND"
    BACKFILL = "BACKFILL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One price at which a share is taken; ``number`` counts from 1, the nearest first."""

    number: int
    price: Decimal
    share: Decimal  # of what was entered
    status: StopStatus = StopStatus.ARMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """
    What guards one position.

    ``entry_price`` and ``initial_stop`` never change. ``stop_price`` does, and every change has a version. The method
    and its inputs stay in ``rule``: changing a percentage later moves nothing that stands.
    """

    position_id: int
    direction: Direction
    entry_price: Decimal  # the fill's, averaged where there were several
    price_tick: Decimal
    rule: StopRule
    initial_stop: Decimal | None  # None: the position has targets only
    stop_price: Decimal | None
    targets: tuple[Target, ...] = ()
    version: int = 1
    status: StopStatus = StopStatus.ARMED
    atr: Decimal | None = None  # the average true range its levels were measured by


def arm(
    rule: StopRule,
    *,
    position_id: int,
    direction: Direction,
    entry_price: Decimal,
    price_tick: Decimal,
    atr: Decimal | None = None,
) -> Stop:
    """
    Give the stop of a position that was filled at ``entry_price``; F050, F081.

    :raises StopUnusableError: where a level lies on the wrong side of the fill, or the shares are no parts of a whole.
    """
    check_shares([target.share for target in rule.targets])

    def price_of(level: Level, *, kind: TriggerKind, risk: Decimal | None = None) -> Decimal:
        return level_price(
            level,
            kind=kind,
            direction=direction,
            entry_price=entry_price,
            price_tick=price_tick,
            atr=atr,
            risk=risk,
        )

    level = first_level(rule)
    stop_price = None if level is None else price_of(level, kind=TriggerKind.STOP)
    risk = None if stop_price is None else abs(entry_price - stop_price)
    prices = [price_of(target.level, kind=TriggerKind.TARGET, risk=risk) for target in rule.targets]
    if prices != sorted(prices, reverse=direction is Direction.SHORT):
        shown = ",".join(to_text(price) for price in prices)
        raise StopUnusableError("TARGETS_UNORDERED", f"prices={shown}. Name the nearest target first.")
    targets = tuple(
        Target(number=number, price=price, share=target.share)
        for number, (price, target) in enumerate(zip(prices, rule.targets, strict=True), start=1)
    )
    return Stop(
        position_id=position_id,
        direction=direction,
        entry_price=entry_price,
        price_tick=price_tick,
        rule=rule,
        initial_stop=stop_price,
        stop_price=stop_price,
        targets=targets,
        atr=atr,
    )


class Source(StrEnum):
    """Who saw a level reached, in the words of the source system where it has one."""

    STREAM = "ws"
    POLL = "cron"
    MANUAL = "manual"
    VENUE = "venue"  # its own protective order has triggered


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A level that was reached, as a monitor saw it."""

    kind: TriggerKind
    number: int  # of the target; 0 for the stop
    level: Decimal
    price: Decimal  # bid of a long, ask of a short
    version: int  # of the stop it was seen on


def trigger_of(stop: Stop, *, bid: Decimal, ask: Decimal) -> Trigger | None:
    """Give what of an armed stop is reached: the stop before any target, the nearest target first."""
    price = watched_price(direction=stop.direction, bid=bid, ask=ask)
    for kind, number, level, status in _levels(stop):
        if status is StopStatus.ARMED and is_reached(level, kind=kind, direction=stop.direction, price=price):
            return Trigger(kind=kind, number=number, level=level, price=price, version=stop.version)
    return None


def _levels(stop: Stop) -> list[tuple[TriggerKind, int, Decimal, StopStatus]]:
    levels = [] if stop.stop_price is None else [(TriggerKind.STOP, 0, stop.stop_price, stop.status)]
    if stop.status is StopStatus.ARMED:  # whoever gives the position up takes no profit beside it
        levels += [(TriggerKind.TARGET, one.number, one.price, one.status) for one in stop.targets]
    return levels


class Lost(StrEnum):
    """Why a trigger claims nothing."""

    DUPLICATE = DUPLICATE  # somebody else has claimed it
    SUPERSEDED = "The level was moved, and the price has not come to where it is now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A trigger that is this worker's: the stop after it, and the token that is unique with the kind and number."""

    stop: Stop
    trigger: Trigger
    token: str


def execution_token(*, position_id: int, stop_price: Decimal, version: int) -> str:
    """Give the deterministic token of one level: ``{position}:{stop_price}:{version}`` (X-7)."""
    return f"{position_id}:{to_text(stop_price)}:{version}"


def claim(stop: Stop, trigger: Trigger) -> Claim | Lost:
    """
    Claim a trigger on the stop as it stands now, under its position's lock; one of any number of claims wins.

    A stop that was moved since the monitor looked is tested again, at the price the monitor saw.
    """
    for kind, number, level, status in _levels(stop):
        if (kind, number) != (trigger.kind, trigger.number):
            continue
        if status is not StopStatus.ARMED:
            return Lost.DUPLICATE
        if not is_reached(level, kind=kind, direction=stop.direction, price=trigger.price):
            return Lost.SUPERSEDED
        token = execution_token(position_id=stop.position_id, stop_price=level, version=stop.version)
        seen = replace(trigger, level=level, version=stop.version)
        return Claim(
            stop=_with_status(stop, number=number, status=StopStatus.TRIGGERED), trigger=seen, token=token
        )
    return Lost.DUPLICATE


def armed_again(stop: Stop, *, number: int) -> Stop:
    """Give the stop, or its target of that number, watched again: its exit left a rest, or provably died."""
    return replace(_with_status(stop, number=number, status=StopStatus.ARMED), version=stop.version + 1)


def target_taken(stop: Stop, *, number: int) -> Stop:
    """Give the stop after a target's share was taken."""
    return replace(_with_status(stop, number=number, status=StopStatus.DISARMED), version=stop.version + 1)


def disarmed(stop: Stop) -> Stop:
    """Give the stop of a position that is flat: nothing of it is watched any more."""
    targets = tuple(replace(target, status=StopStatus.DISARMED) for target in stop.targets)
    return replace(stop, status=StopStatus.DISARMED, targets=targets, version=stop.version + 1)


def moved(stop: Stop, *, stop_price: Decimal) -> Stop:
    """
    Give the stop at another price, as its next version; where it stands is the caller's to check.

    :raises StopUnusableError: where the price is not on the tick, or the stop is not armed.
    """
    if not is_on_step(stop_price, step=stop.price_tick):
        raise StopUnusableError(
            "STOP_OFF_TICK",
            f"price={to_text(stop_price)} tick={to_text(stop.price_tick)}. Round it to the tick.",
        )
    if stop.status is not StopStatus.ARMED:
        raise StopUnusableError(
            "STOP_NOT_ARMED",
            f"position={stop.position_id} status={stop.status}. What triggered is not moved.",
        )
    return replace(stop, stop_price=stop_price, version=stop.version + 1)


def _with_status(stop: Stop, *, number: int, status: StopStatus) -> Stop:
    if number == 0:
        assert status in STOP_MOVES[stop.status], f"{stop.status} does not become {status}"
        return replace(stop, status=status)
    targets = []
    for target in stop.targets:
        if target.number == number:
            assert status in STOP_MOVES[target.status], f"{target.status} does not become {status}"
            targets.append(replace(target, status=status))
        else:
            targets.append(target)
    return replace(stop, targets=tuple(targets))
