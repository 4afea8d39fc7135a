"""
Take back at a venue what rests there and is not ours: a plain order that somebody else placed on an account of ours.

Gives ForeignCancelAsked and ForeignCancelTold. What is asked is written before anything leaves. An order is named by the
venue's own number, which never names another: taking it back twice is once, and so it may be asked again until the
venue's word is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.facts import ForeignCancelAsked, ForeignCancelTold
from pregao.domain.foreign import CancelStatus, ForeignOrder, ForeignOrders
from pregao.domain.order import OrderStatus
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.positions.ports import ForeignBook, UntoldCancel
from pregao.positions.refusals import ConflictError, UnknownError

LAG = timedelta(minutes=10)  # an order younger than this may be missing in an answer from older books

ENDS: Mapping[OrderStatus, tuple[CancelStatus, str | None, str | None]] = {
    # Who has canceled it is not told: that it is canceled is what was asked for.
    OrderStatus.CANCELED: (CancelStatus.CANCELED, None, None),
    OrderStatus.FILLED: (CancelStatus.ENDED, "ORDER_FILLED", "All of it had traded before."),
    OrderStatus.EXPIRED: (CancelStatus.ENDED, "ORDER_EXPIRED", "The venue had ended it before."),
    OrderStatus.REJECTED: (CancelStatus.ENDED, "ORDER_REJECTED", "The venue never took it."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWish:
    """What an operator asks: which order, and why; ``cancel_id`` names it."""

    cancel_id: UUID
    account_id: int
    symbol: str
    exchange_order_id: str
    asked_by: str
    user_id: UUID | None
    source_address: str
    reason: str


async def ask_cancel(wish: CancelWish, *, book: ForeignBook, now: datetime) -> ForeignCancelAsked:
    """
    Write that an order that is not ours is to be taken back.

    :raises UnknownError: when none such was seen on the account.
    :raises ConflictError: when it is ours, or is being taken back already.
    """
    named = f"account={wish.account_id} symbol={wish.symbol} exchange_order_id={wish.exchange_order_id}"
    order = await book.lock_seen(
        account_id=wish.account_id, symbol=wish.symbol, exchange_order_id=wish.exchange_order_id
    )
    if order is None:
        raise UnknownError(
            "FOREIGN_ORDER_UNKNOWN", f"{named}. The last look at the account saw none such: look again."
        )
    if await book.is_ours(wish.account_id, order):
        raise ConflictError(
            "ORDER_IS_OURS",
            f"{named} client_order_id={order.client_order_id}. The desk sent it: its position leads it.",
        )
    running = await book.find_untold(wish.account_id, order)
    if running is not None:
        raise ConflictError(
            "CANCEL_ON_THE_WAY",
            f"{named} cancel={running}. It is being taken back already; that says what comes of it.",
            cancel_id=str(running),
        )
    return ForeignCancelAsked(
        happened_at=now,
        cancel_id=wish.cancel_id,
        account_id=wish.account_id,
        order=order,
        reason=wish.reason,
        asked_by=wish.asked_by,
        user_id=wish.user_id,
        source_address=wish.source_address,
    )


async def carry_out(asked: UntoldCancel, *, venue: ForeignOrders, now: datetime) -> ForeignCancelTold | None:
    """
    Look at the order, take it back where it still rests, and say what came of it; None where nothing new is known.

    Whoever began it may have died after sending, so the look comes first: beginning and finding again are one path.
    """
    symbol, number = asked.order.symbol, asked.order.exchange_order_id
    try:
        found = await venue.find_resting(account_id=asked.account_id, symbol=symbol, exchange_order_id=number)
        if found is None and now - asked.order.created_at < LAG:
            return None
        if found is None:
            return _told(
                asked, CancelStatus.ENDED, "ORDER_GONE", "The venue has no such order any more.", now=now
            )
        if not found.rests:
            return _ended(asked, found, now=now)
    except (Refused, OperatorNeeded, OutcomeUnknown) as trouble:
        return _unknown(asked, trouble.code, trouble.message, now=now)
    except RetryLater:
        return None
    try:
        taken = await venue.take_back(account_id=asked.account_id, symbol=symbol, exchange_order_id=number)
    except RetryLater:
        return None  # provably nothing happened: it is tried again
    except OutcomeUnknown as trouble:
        return _unknown(asked, trouble.code, trouble.message, now=now)
    except (Refused, OperatorNeeded) as trouble:
        if asked.status is CancelStatus.UNKNOWN:  # an earlier try may have been taken
            return _unknown(asked, trouble.code, trouble.message, now=now)
        return _told(asked, CancelStatus.REFUSED, trouble.code, trouble.message, now=now)
    # None rests there, as it says now: what became of it, the next look says.
    return None if taken is None or taken.rests else _ended(asked, taken, now=now)


def _ended(asked: UntoldCancel, order: ForeignOrder, *, now: datetime) -> ForeignCancelTold:
    status, code, reason = ENDS[order.status]
    return ForeignCancelTold(
        happened_at=now,
        cancel_id=asked.cancel_id,
        account_id=asked.account_id,
        status=status,
        code=code,
        reason=reason,
        filled_quantity=order.filled_quantity,
    )


def _unknown(asked: UntoldCancel, code: str, reason: str, *, now: datetime) -> ForeignCancelTold | None:
    """Say that nobody knows, once for each reason."""
    if (asked.status, asked.code) == (CancelStatus.UNKNOWN, code):
        return None
    return _told(asked, CancelStatus.UNKNOWN, code, reason, now=now)


def _told(
    asked: UntoldCancel, status: CancelStatus, code: str, reason: str, *, now: datetime
) -> ForeignCancelTold:
    return ForeignCancelTold(
        happened_at=now,
        cancel_id=asked.cancel_id,
        account_id=asked.account_id,
        status=status,
        code=code,
        reason=reason,
        filled_quantity=None,
    )
