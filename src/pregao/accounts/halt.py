"""
Say what may be traded: halt or reduce the desk, a user, an account, a bot or a symbol, and resume it.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pregao.accounts.ports import TradingStateBook
from pregao.accounts.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.domain.facts import Fact, TradingStateSet
from pregao.domain.trading_state import Scope, ScopeLevel, TradingState

UNKNOWN = {
    ScopeLevel.USER: "USER_UNKNOWN",
    ScopeLevel.ACCOUNT: "ACCOUNT_UNKNOWN",
    ScopeLevel.BOT: "BOT_UNKNOWN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, as it is kept with what he asked."""

    name: str
    user_id: UUID | None
    is_staff: bool
    source_address: str


async def set_state(
    scope: Scope,
    state: TradingState,
    *,
    reason: str,
    by: Asker,
    book: TradingStateBook,
    now: datetime,
    block_exits: bool = False,
) -> list[Fact]:
    """
    Set what may be traded at a scope; to resume what is active already gives no fact.

    :raises SettingUnusableError: when exits are to be blocked by anything but a halt, or nobody says why.
    :raises UnknownError: when there is no such user, account or bot.
    :raises ConflictError: when a trader would change what an operator has set.
    """
    if block_exits and state is not TradingState.HALTED:
        raise SettingUnusableError(
            "BLOCK_EXITS_UNUSABLE", f"state={state}. Only what is halted may keep its exits back."
        )
    why, name = said(reason), await name_at(scope, book=book)
    before = await book.find_state(scope)
    if before is not None and before.is_by_staff and not by.is_staff:
        raise ConflictError(
            "STATE_SET_BY_OPERATOR",
            f"level={scope.level} name={before.name} state={before.state} reason={before.reason}. "
            "An operator has set it; only an operator changes it.",
        )
    if state is TradingState.ACTIVE and before is None:
        return []
    return [
        TradingStateSet(
            happened_at=now,
            version=await book.next_version(),
            level=scope.level,
            subject=scope.subject,
            name=name,
            state=state,
            block_exits=block_exits,
            reason=why,
            set_by=by.name,
            user_id=by.user_id,
            is_by_staff=by.is_staff,
            source_address=by.source_address,
        )
    ]


def said(reason: str) -> str:
    """
    Give a reason as it is kept.

    :raises SettingUnusableError: when it is none.
    """
    if not reason.strip():
        raise SettingUnusableError("REASON_MISSING", "Say why: it stands in every receipt.", field="reason")
    return reason.strip()


async def name_at(scope: Scope, *, book: TradingStateBook) -> str:
    """
    Give what people call a scope.

    :raises UnknownError: when there is no such user, account or bot.
    """
    name = await book.name_of(scope)
    if name is None:
        raise UnknownError(
            UNKNOWN[scope.level], f"{scope.level}={scope.subject}. There is no such {scope.level}."
        )
    return name
