"""A claimed exit from the claim to its end: what its order came to, when it is tried again, and what is told of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pregao.domain.execution import EXIT_ATTEMPTS_MAX, ExecutionStatus, retry_seconds, slippage_percent
from pregao.domain.facts import ExecutionMoved, Fact, StopTriggered
from pregao.domain.level import TriggerKind
from pregao.domain.order import LIVE, OrderStatus
from pregao.domain.position import Direction, Position
from pregao.domain.stop import Source, StopStatus, Trigger, execution_token
from pregao.stops.ports import ArmedStop, Claimed, Guard

LOOK_AGAIN_SECONDS = 5.0  # at a claim of which nothing was heard
BLOCKED_AGAIN_SECONDS = 60.0  # an exit that failed five times is tried on, slowly: a person was called


class After(StrEnum):
    """What has become of a claimed exit."""

    WAITING = "its order is on its way, or was not planned yet"
    FILLED = "its order has filled"
    FAILED = "its order ended with something left: it is tried again"
    NOT_REACHED = "the market did not come to its bound: the target is watched again"


def triggered(
    armed: ArmedStop,
    trigger: Trigger,
    *,
    token: str,
    source: Source,
    claimed_by: str,
    now: datetime,
    price_at: datetime | None = None,
    estimated_price: Decimal | None = None,
    wait_seconds: float = LOOK_AGAIN_SECONDS,
) -> StopTriggered:
    """Tell of a claim; ``armed`` holds the stop as the claim left it."""
    return StopTriggered(
        happened_at=now,
        stop=armed.stop,
        trigger=trigger,
        token=token,
        account_id=armed.account_id,
        signal_id=armed.signal_id,
        venue=armed.venue,
        symbol=armed.symbol,
        source=source,
        seen_at=now,
        price_at=price_at,
        estimated_price=estimated_price,
        again_at=now + timedelta(seconds=wait_seconds),
        claimed_by=claimed_by,
    )


def claimed_by(fact: StopTriggered) -> Claimed:
    """Give the claim that was made."""
    return Claimed(
        token=fact.token,
        kind=fact.trigger.kind,
        number=fact.trigger.number,
        position_id=fact.stop.position_id,
        account_id=fact.account_id,
        signal_id=fact.signal_id,
        version=fact.trigger.version,
        level=fact.trigger.level,
        source=fact.source,
        seen_at=fact.seen_at,
        status=ExecutionStatus.PENDING,
        again_at=fact.again_at,
    )


def after_claim(guard: Guard, fact: StopTriggered) -> Guard:
    """Give what guards a position once its claim is made."""
    assert guard.armed is not None, "what was never armed reaches no level"
    claims = sorted((*guard.claims, claimed_by(fact)), key=order_of_claim)
    return replace(guard, armed=replace(guard.armed, stop=fact.stop), claims=tuple(claims))


def order_of_claim(one: Claimed) -> tuple[datetime, str, TriggerKind, int]:
    """Give what a position's claims are sorted by."""
    return one.seen_at, one.token, one.kind, one.number


def give_up(armed: ArmedStop, *, claimed_by: str, now: datetime) -> StopTriggered:
    """Claim the exit of a position that nothing can guard as asked, at the level its stop has."""
    stop = armed.stop
    assert stop.stop_price is not None
    level = stop.stop_price
    return triggered(
        replace(armed, stop=replace(stop, status=StopStatus.TRIGGERED)),
        Trigger(kind=TriggerKind.STOP, number=0, level=level, price=level, version=stop.version),
        token=execution_token(position_id=stop.position_id, stop_price=level, version=stop.version),
        source=Source.MANUAL,
        claimed_by=claimed_by,
        now=now,
    )


def after_order(claimed: Claimed, *, direction: Direction, now: datetime) -> tuple[list[Fact], After]:
    """Give what the order of a claim came to, and the fact that says so where it is over."""
    if claimed.status is not ExecutionStatus.SUBMITTED or claimed.order_status is None:
        return [], After.WAITING
    if claimed.order_status in LIVE:
        return [], After.WAITING
    if claimed.order_status is OrderStatus.FILLED:
        price = claimed.filled_notional / claimed.filled_quantity
        return [_executed(claimed, price=price, direction=direction, now=now)], After.FILLED
    if claimed.is_bounded and claimed.kind is TriggerKind.TARGET:
        moved = _moved(claimed, status=ExecutionStatus.FAILED, code="BOUND_NOT_REACHED", now=now)
        return [moved], After.NOT_REACHED
    return [_failed(claimed, now=now)], After.FAILED


def _failed(claimed: Claimed, *, now: datetime) -> ExecutionMoved:
    # A bounded stop goes to the market at once: it has waited for its price already.
    wait = 0 if claimed.is_bounded else retry_seconds(max(claimed.attempts, 1))
    is_last = wait is None
    return _moved(
        claimed,
        status=ExecutionStatus.BLOCKED if is_last else ExecutionStatus.FAILED,
        code="EXIT_FAILED" if is_last else "EXIT_ENDED_SHORT",
        now=now,
        again_at=now + timedelta(seconds=BLOCKED_AGAIN_SECONDS if wait is None else wait),
    )


def end_with_position(claimed: Claimed, *, position: Position, now: datetime) -> ExecutionMoved:
    """Give the end of a claim whose position is flat, whoever closed it."""
    price = (
        claimed.filled_notional / claimed.filled_quantity if claimed.filled_quantity else position.exit_price
    )
    return _executed(claimed, price=price, direction=position.direction, now=now)


def watched_again(claimed: Claimed, *, code: str, reason: str, now: datetime) -> ExecutionMoved:
    """Give the end of a claim from which no exit comes: its level is watched again, or has nothing left to take."""
    ended = _moved(claimed, status=ExecutionStatus.FAILED, code=code, now=now)
    return replace(ended, reason=reason)


def _executed(
    claimed: Claimed, *, price: Decimal | None, direction: Direction, now: datetime
) -> ExecutionMoved:
    slippage = (
        None
        if price is None
        else slippage_percent(direction=direction, stop_price=claimed.level, price=price)
    )
    return replace(
        _moved(claimed, status=ExecutionStatus.EXECUTED, code=None, now=now),
        price=price,
        slippage_percent=slippage,
    )


def _moved(
    claimed: Claimed,
    *,
    status: ExecutionStatus,
    code: str | None,
    now: datetime,
    again_at: datetime | None = None,
) -> ExecutionMoved:
    told = None if claimed.order_status is None else f"order={claimed.order_id} status={claimed.order_status}"
    return ExecutionMoved(
        happened_at=now,
        token=claimed.token,
        kind=claimed.kind,
        number=claimed.number,
        position_id=claimed.position_id,
        account_id=claimed.account_id,
        signal_id=claimed.signal_id,
        status=status,
        attempts=claimed.attempts,
        order_id=claimed.order_id,
        code=code,
        reason=None
        if code is None
        else f"attempts={claimed.attempts}/{EXIT_ATTEMPTS_MAX} {told or ''}".strip(),
        price=None,
        slippage_percent=None,
        again_at=again_at,
    )
