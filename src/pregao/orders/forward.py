"""
Say what becomes of an order that was to be posted to a webhook and has no answer that ends it.

A destination cannot be asked what it has. What never left is posted now; what may have arrived is posted again only where
the destination takes it once, however often it comes; else it ends there, and the receipt says so.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from pregao.domain.clock import Clock
from pregao.domain.facts import Fact, OrderRejected
from pregao.domain.forward import FORWARD_CODES, TIMED_OUT, UNREACHABLE
from pregao.orders.ports import Forwards, LiveOrder
from pregao.orders.resolve import rejected, try_again

FORWARDS_MAX = 5  # posts of one order that came to nothing; then it is given up, an exit too


async def resolve_forward(
    order: LiveOrder, *, forwards: Forwards, owner: str, in_hand: Collection[str], clock: Clock
) -> Sequence[Fact]:
    """
    Say what becomes of the order; an empty answer means: look again later.

    ``in_hand`` are the attempts that this worker, ``owner``, is about to post or is posting.
    """
    if order.is_dead:
        return [_again_or_end(order, code=order.code, now=clock())]
    known = await forwards.find_forward(order.order_id, attempt=order.attempt, owner=owner)
    if known is None or known.is_others or order.client_order_id in in_hand:
        return []
    if known.has_left and not known.honours_idempotency:
        return [lost(order, now=clock())]
    return [_again_or_end(order, code=TIMED_OUT if known.has_left else UNREACHABLE, now=clock())]


def lost(order: LiveOrder, *, now: datetime) -> OrderRejected:
    """Give the end of an order whose post may have arrived, at a destination that might take it twice."""
    return rejected(
        order,
        code=TIMED_OUT,
        reason=f"attempt={order.attempt}. No answer came back: the destination may have it. It is not posted again, "
        "because the destination is not said to honour the header Idempotency-Key. Look there.",
        now=now,
    )


def _again_or_end(order: LiveOrder, *, code: str | None, now: datetime) -> Fact:
    if order.attempt < FORWARDS_MAX:
        return try_again(order, now=now)
    became = "No answer came back: the destination may have it." if code == TIMED_OUT else "None was taken."
    return rejected(
        order,
        code=code if code in FORWARD_CODES else UNREACHABLE,  # or it was stopped before it left
        reason=f"attempts={order.attempt} attempts_max={FORWARDS_MAX}. {became}",
        now=now,
    )
