"""
A stop: where a position is given up, where its profit is taken, who claims the exit, and how often that is tried.

Set from the price of the fill, kept as absolute prices on the instrument's tick. Nothing here knows a clock or a venue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from pregao.domain.candle import Measure
from pregao.domain.money import HUNDRED, ONE, ZERO, ceil_to_step, floor_to_step, is_on_step, to_text
from pregao.domain.position import Direction

SLIPPAGE_STEP = Decimal("0.0001")  # what slippage is kept with: dec(10,4) in system D
RETRY_FIRST_SECONDS = 2  # ADR of system D: the first retry after 2 s, then twice as long each time
EXIT_ATTEMPTS_MAX = 5  # then a person must look: 2 + 4 + 8 + 16 s have passed
DUPLICATE = "Duplicate execution prevented (idempotency)"
"""What the loser of a claim is told, in the words of the source system."""


class StopUnusableError(Exception):
    """A stop or target cannot stand where it is asked for."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the stable ``code`` apart from the sentence."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


# --- what is asked for ------------------------------------------------------------------------------------


class Method(StrEnum):
    """How far away a level is."""

    PERCENT = "percent"  # of the entry price
    ABSOLUTE = "absolute"  # it is a price
    ATR = "atr"  # so many average true ranges
    RISK = "risk"  # so many times the distance between entry and stop; of targets only


class TriggerKind(StrEnum):
    """What is reached."""

    STOP = "stop"
    TARGET = "target"


class TrailingMode(StrEnum):
    """How a stop follows the price."""

    HAND_SPAN = "hand_span"  # in steps of the first distance between entry and stop
    PERCENT = "percent"  # so many percent behind the best price


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A level as somebody asks for it: kept with the stop, so that it can be said where the price came from."""

    method: Method
    value: Decimal
    measure: Measure | None = None  # of ATR: which candles the range is the average of


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Where profit is taken, and of which part of what was entered."""

    level: Level
    share: Decimal = ONE


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
class Trailing:
    """How a stop follows; ``percent`` behind the best price, in steps of ``step_percent`` of the entry price."""

    mode: TrailingMode
    percent: Decimal = Decimal(2)  # spec E7; of PERCENT only
    step_percent: Decimal = Decimal("0.1")  # of PERCENT only: every move is a fact, and an order at the venue


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """All that a subscription asks for; the targets from the nearest to the farthest."""

    stop: Level | None = None
    targets: tuple[TargetRule, ...] = ()
    trailing: Trailing | None = None
    break_even_after_target: bool = False  # the stop goes to break-even when the first target has filled
    costs: Costs = Costs()


# --- where it stands --------------------------------------------------------------------------------------


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


class StopChange(StrEnum):
    """Why a stop was changed, where no price moved it."""

    TARGET_TAKEN = "TARGET_TAKEN"
    ARMED_AGAIN = "ARMED_AGAIN"  # an exit left a rest, or its level was not there any more
    BY_HAND = "BY_HAND"
    BACKFILL = "BACKFILL"


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


def level_price(
    level: Level,
    *,
    kind: TriggerKind,
    direction: Direction,
    entry_price: Decimal,
    price_tick: Decimal,
    atr: Decimal | None = None,
    risk: Decimal | None = None,
) -> Decimal:
    """
    Give the price of a level on its tick, rounded towards the entry: never more is lost, no profit is missed.

    Percent p (B1.2, D1.3): long stop = entry (1 - p/100), target = entry (1 + p/100), short mirrored; k ranges: entry
    -+ k ATR; k risks: entry +- k (entry - stop). Where the entry lies within the same tick, the next tick beyond is
    taken: a level never touches the entry.

    :raises StopUnusableError: where that is on the wrong side of the entry, not above 0, or what measures it is not known.
    """
    price = _exact_price(level, kind=kind, direction=direction, entry_price=entry_price, atr=atr, risk=risk)
    is_below = (direction is Direction.LONG) is (kind is TriggerKind.STOP)
    where = f"kind={kind} direction={direction} price={to_text(price)} entry={to_text(entry_price)}"
    if (price >= entry_price) if is_below else (price <= entry_price):
        side = "below" if is_below else "above"
        raise StopUnusableError(
            "STOP_WRONG_SIDE", f"{where}. The {kind} of a {direction} lies {side} its entry."
        )
    nearer, farther = (ceil_to_step, floor_to_step) if is_below else (floor_to_step, ceil_to_step)
    on_tick = nearer(price, step=price_tick)
    if (on_tick >= entry_price) if is_below else (on_tick <= entry_price):
        on_tick = farther(price, step=price_tick)
    if on_tick <= ZERO:
        raise StopUnusableError(
            "STOP_NOT_POSITIVE", f"{where} tick={to_text(price_tick)}. Ask for less distance."
        )
    return on_tick


def _exact_price(
    level: Level,
    *,
    kind: TriggerKind,
    direction: Direction,
    entry_price: Decimal,
    atr: Decimal | None,
    risk: Decimal | None,
) -> Decimal:
    if level.method is Method.ABSOLUTE:
        return level.value
    sign = -1 if (direction is Direction.LONG) is (kind is TriggerKind.STOP) else 1
    if level.method is Method.PERCENT:
        return entry_price * (ONE + sign * level.value / HUNDRED)
    if level.method is Method.RISK:
        if risk is None or kind is TriggerKind.STOP:
            raise StopUnusableError(
                "RISK_UNKNOWN", f"risks={to_text(level.value)}. Name the stop that the risk is measured by."
            )
        return entry_price + sign * level.value * risk
    if atr is None or atr <= ZERO:
        raise StopUnusableError(
            "ATR_UNAVAILABLE",
            f"ranges={to_text(level.value)}. Candles are missing; ask for percent or a price.",
        )
    return entry_price + sign * level.value * atr


def check_market_side(
    *,
    direction: Direction,
    bid: Decimal,
    ask: Decimal,
    stop_price: Decimal | None = None,
    target_price: Decimal | None = None,
) -> None:
    """
    See that levels somebody sets by hand would not trigger at once (D-13); whoever forces it does not ask.

    :raises StopUnusableError: naming the level and the price it would trigger at.
    """
    price = watched_price(direction=direction, bid=bid, ask=ask)
    for kind, level in ((TriggerKind.STOP, stop_price), (TriggerKind.TARGET, target_price)):
        if level is not None and is_reached(level, kind=kind, direction=direction, price=price):
            raise StopUnusableError(
                "STOP_AT_MARKET",
                f"kind={kind} direction={direction} level={to_text(level)} price={to_text(price)}. It would trigger at "
                "once; close the position instead, or force it.",
            )


# --- is it reached ----------------------------------------------------------------------------------------


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


def watched_price(*, direction: Direction, bid: Decimal, ask: Decimal) -> Decimal:
    """Give the price a position would be closed at: the bid of a long, the ask of a short; on a tape both are the trade."""
    return bid if direction is Direction.LONG else ask


def is_reached(level: Decimal, *, kind: TriggerKind, direction: Direction, price: Decimal) -> bool:
    """Say whether the price has come to the level; exactly there counts (F084)."""
    falls = (direction is Direction.LONG) is (kind is TriggerKind.STOP)
    return price <= level if falls else price >= level


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


# --- who exits --------------------------------------------------------------------------------------------


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


# --- how much is exited, and what came of it --------------------------------------------------------------


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
