"""
Send one planned order to its account, exactly once.

Takes OrderPlanned. Gives OrderAccepted, OrderRejected or OrderUnresolved; of what is posted to a webhook ForwardAnswered,
too, and FillReported where that took it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from pregao.domain.clock import Clock
from pregao.domain.facts import (
    Fact,
    FillReported,
    ForwardAnswered,
    OrderAccepted,
    OrderPlanned,
    OrderRejected,
    OrderUnresolved,
)
from pregao.domain.forward import ForwardAnswer
from pregao.domain.order import Leg
from pregao.domain.venue import (
    NeverKnown,
    OperatorNeeded,
    OrderAttempt,
    OutcomeUnknown,
    Refused,
    RetryLater,
    VenueError,
)
from pregao.orders.denial import Denial
from pregao.orders.ports import Exchange

# By attempt, the last for ever: an exit is never given up. For a minute it is tried so often that a venue which answers
# again is not left with what should have been closed for longer than a position may be unguarded.
DEAD_EXIT_SECONDS = (0, 0, 0, 1, 2, *[4] * 14, 8, 15, 30)
ENTRY = Leg.ENTRY  # looked up once: a burst of orders passes here
ASK_SECONDS = 1.0  # the first question comes soon: most lost answers were orders that arrived

Stopped = Callable[[OrderPlanned], Denial | None]
"""Gives why an order must not leave any more."""


def nothing_stops(_order: OrderPlanned) -> None:
    """Let every order leave."""


async def send_order(
    order: OrderPlanned, *, exchange: Exchange, clock: Clock, stopped: Stopped = nothing_stops
) -> list[Fact]:
    """
    Send the order and say what became of it; that comes first.

    The attempt is in the journal before this runs; a crash in here is found by ``resolve``. What ``stopped`` gives a
    reason for is not sent: it is asked first of all, and once more right before the order would leave.
    """
    if (denial := stopped(order)) is not None:
        return [not_sent(order, denial, now=clock())]
    sent_at = clock()
    if _is_too_late(order, now=sent_at):
        return [_expired(order, now=sent_at)]
    if order.leg is ENTRY:
        try:
            await exchange.ensure_leverage(
                account_id=order.account_id,
                symbol=order.symbol,
                leverage=order.leverage,
                margin_mode=order.margin_mode,
            )
        except (RetryLater, OutcomeUnknown) as trouble:
            # The order itself never left: whatever became of the leverage, this attempt is dead.
            return [_unresolved(order, trouble, is_dead=True, now=clock())]
        except VenueError as trouble:
            code = f"LEVERAGE_NOT_SET {trouble.code}"
            return [_rejected(order, code=code, reason=trouble.message, now=clock())]
        if (denial := stopped(order)) is not None:
            return [not_sent(order, denial, now=clock())]
        sent_at = clock()
        if _is_too_late(order, now=sent_at):  # a venue may take its time over the leverage
            return [_expired(order, now=sent_at)]
    try:
        acknowledgement = await exchange.submit(attempt_of(order))
    except (Refused, OperatorNeeded, NeverKnown) as end:
        ended = _rejected(order, code=end.code, reason=end.message, now=clock())
        return [ended, *_answered(order, end.answer, now=clock())]
    except RetryLater as trouble:
        dead = _unresolved(order, trouble, is_dead=True, now=clock())
        return [dead, *_answered(order, trouble.answer, now=clock())]
    except OutcomeUnknown as trouble:
        # The venue may already have it. Sending again could double the position.
        return [_unresolved(order, trouble, is_dead=False, now=clock(), sent_at=sent_at)]
    accepted = OrderAccepted(
        happened_at=clock(),
        order_id=order.order_id,
        attempt=order.attempt,
        exchange_order_id=acknowledgement.exchange_order_id,
        sent_at=acknowledgement.sent_at,
        acknowledged_at=acknowledgement.acknowledged_at,
        signal_id=order.signal_id,
    )
    facts: list[Fact] = [accepted, *_answered(order, acknowledgement.answer, now=clock())]
    if acknowledgement.trade is not None:
        facts.append(
            FillReported(happened_at=clock(), account_id=order.account_id, trade=acknowledgement.trade)
        )
    return facts


def _answered(order: OrderPlanned, answer: ForwardAnswer | None, *, now: datetime) -> list[Fact]:
    if answer is None:
        return []
    return [
        ForwardAnswered(
            happened_at=now,
            order_id=order.order_id,
            attempt=order.attempt,
            signal_id=order.signal_id,
            account_id=order.account_id,
            http_status=answer.http_status,
            answer=answer.text,
        )
    ]


def _is_too_late(order: OrderPlanned, *, now: datetime) -> bool:
    return order.send_before is not None and now >= order.send_before


def _expired(order: OrderPlanned, *, now: datetime) -> OrderUnresolved:
    late = RetryLater("SIGNAL_EXPIRED", "not sent", retry_after_seconds=0)
    return _unresolved(order, late, is_dead=True, now=now)


def not_sent(order: OrderPlanned, denial: Denial, *, now: datetime) -> OrderUnresolved:
    """Give the outcome of an attempt that stays here: dead, so that its order is planned anew, or denied."""
    trouble = RetryLater(denial.code, f"not sent: {denial.reason}", retry_after_seconds=0)
    return _unresolved(order, trouble, is_dead=True, now=now)


def attempt_of(order: OrderPlanned) -> OrderAttempt:
    """Give what the venue is sent: the attempt exactly as it was planned."""
    return OrderAttempt(
        client_order_id=order.client_order_id,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        quantity=order.quantity,
        reduce_only=order.reduce_only,
        signed_at_ms=order.signed_at_ms,
        recv_window_ms=order.recv_window_ms,
        limit_price=None if order.execution is None else order.execution.limit_price,
    )


def _rejected(order: OrderPlanned, *, code: str, reason: str, now: datetime) -> OrderRejected:
    return OrderRejected(
        happened_at=now,
        order_id=order.order_id,
        attempt=order.attempt,
        signal_id=order.signal_id,
        position_id=order.position_id,
        code=code,
        reason=reason,
    )


def _unresolved(
    order: OrderPlanned, trouble: VenueError, *, is_dead: bool, now: datetime, sent_at: datetime | None = None
) -> OrderUnresolved:
    wait = trouble.retry_after_seconds if isinstance(trouble, RetryLater) else ASK_SECONDS
    if is_dead and order.leg is Leg.EXIT:
        wait = max(wait, DEAD_EXIT_SECONDS[min(order.attempt, len(DEAD_EXIT_SECONDS)) - 1])
    ask_at = now + timedelta(seconds=wait)
    if is_dead and order.send_before is not None:
        # A venue's long pause must not keep a receipt waiting: what is too late by then is denied when it is too late.
        ask_at = min(ask_at, max(now, order.send_before))
    return OrderUnresolved(
        happened_at=now,
        order_id=order.order_id,
        attempt=order.attempt,
        code=trouble.code,
        reason=trouble.message,
        is_dead=is_dead,
        sent_at=sent_at,
        ask_at=ask_at,
        signal_id=order.signal_id,
    )
