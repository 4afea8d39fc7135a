"""
End a tenant's entries for the rest of a month that has cost too much of his capital, and let him go on after it.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from datetime import datetime
from uuid import UUID

from pregao.accounts.halt import Asker, set_state
from pregao.accounts.ports import TradingStateBook
from pregao.domain.facts import Fact
from pregao.domain.risk import Drawdown, month_told
from pregao.domain.trading_state import TradingState, scope_of_user

SET_BY = "the desk: monthly drawdown"
"""Who has set a state that is this rule's; nobody else's name reads like that."""

DESK = Asker(name=SET_BY, user_id=None, is_staff=True, source_address="local")


async def pause_tenant(
    user_id: UUID, drawdown: Drawdown, *, book: TradingStateBook, now: datetime
) -> list[Fact]:
    """
    Let a tenant enter nothing more; a stricter or equal state of somebody else stands as it is.

    :raises UnknownError: when there is no such user.
    """
    scope = scope_of_user(user_id)
    if await book.find_state(scope) is not None:
        return []
    reason = f"MONTHLY_DRAWDOWN: {month_told(drawdown, month=now.date())}"
    return await set_state(scope, TradingState.REDUCING, reason=reason, by=DESK, book=book, now=now)


async def end_pause(user_id: UUID, *, book: TradingStateBook, now: datetime) -> list[Fact]:
    """
    Let a tenant enter again, now that the month is over; what somebody else has set meanwhile stands.

    :raises UnknownError: when there is no such user.
    """
    scope = scope_of_user(user_id)
    standing = await book.find_state(scope)
    if standing is None or not standing.reason.startswith("MONTHLY_DRAWDOWN: "):
        return []
    reason = f"The month is over: {now:%Y-%m} has begun."
    return await set_state(scope, TradingState.ACTIVE, reason=reason, by=DESK, book=book, now=now)
