"""
Sell out: have all that is held at one scope closed, by a job that ends when every account is proven flat.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pregao.accounts.halt import Asker, name_at, said, set_state
from pregao.accounts.ports import FlattenBook
from pregao.accounts.refusals import ConflictError, UnknownError
from pregao.domain.facts import Fact, FlattenEnded, FlattenStarted
from pregao.domain.trading_state import Scope, TradingState


async def start_flatten(
    scope: Scope,
    *,
    flatten_id: UUID,
    account_ids: Sequence[int],
    keep_trading: bool,
    reason: str,
    by: Asker,
    book: FlattenBook,
    now: datetime,
) -> list[Fact]:
    """
    Start the job; unless trading is kept, the scope reduces from now on, if it was active.

    ``account_ids`` are to be proven flat; whoever holds something there later is proven too.

    :raises SettingUnusableError: when nobody says why.
    :raises UnknownError: when there is no such user, account or bot.
    :raises ConflictError: when such a job runs there already.
    """
    name = await name_at(scope, book=book)
    running = await book.find_running(scope)
    if running is not None:
        raise ConflictError(
            "FLATTEN_RUNNING",
            f"flatten={running} level={scope.level} name={name}. It goes on until it is done or stopped.",
            flatten_id=str(running),
        )
    started = FlattenStarted(
        happened_at=now,
        flatten_id=flatten_id,
        level=scope.level,
        subject=scope.subject,
        name=name,
        keep_trading=keep_trading,
        reason=said(reason),
        asked_by=by.name,
        user_id=by.user_id,
        is_by_staff=by.is_staff,
        source_address=by.source_address,
        account_ids=tuple(account_ids),
    )
    if keep_trading or await book.find_state(scope) is not None:
        return [started]
    why = f"selling out: {started.reason}"
    reducing = await set_state(scope, TradingState.REDUCING, reason=why, by=by, book=book, now=now)
    return [*reducing, started]


async def stop_flatten(
    flatten_id: UUID, *, reason: str, by: Asker, book: FlattenBook, now: datetime
) -> list[Fact]:
    """
    Stop the job; what it has asked to close already is still closed, and what may be traded stays as it is.

    :raises SettingUnusableError: when nobody says why.
    :raises UnknownError: when there is no such job.
    :raises ConflictError: when it is over, or a trader would stop what an operator has started.
    """
    job = await book.find_flatten(flatten_id)
    if job is None:
        raise UnknownError("FLATTEN_UNKNOWN", f"flatten={flatten_id}. There is no such job.")
    if job.status != "running":
        raise ConflictError("FLATTEN_ENDED", f"flatten={flatten_id} status={job.status}. It is over.")
    if job.is_by_staff and not by.is_staff:
        raise ConflictError(
            "FLATTEN_BY_OPERATOR",
            f"flatten={flatten_id}. An operator has started it; only an operator stops it.",
        )
    return [
        FlattenEnded(
            happened_at=now, flatten_id=flatten_id, is_done=False, ended_by=by.name, reason=said(reason)
        )
    ]
