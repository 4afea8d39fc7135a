"""
Clear the database: forget every signal and what came of it, and keep what people set up.

The command looks at the book and gives the fact that follows; the caller appends it in the same transaction.
"""

from datetime import datetime

from pregao.accounts.halt import Asker
from pregao.accounts.ports import ClearBook
from pregao.accounts.refusals import ConflictError, SettingUnusableError
from pregao.domain.clearing import WORD, Standing
from pregao.domain.facts import DatabaseCleared


def check_word(confirm: str) -> None:
    """
    See that somebody has typed what he does.

    :raises SettingUnusableError: when he has not.
    """
    if confirm.strip() != WORD:
        raise SettingUnusableError(
            "DESTRUCTIVE_UNCONFIRMED",
            f"This deletes every signal, order and position, for good. Send `confirm` with the word {WORD}.",
            field="confirm",
        )


def check_drained(standing: Standing, *, is_forced: bool) -> None:
    """
    See that nothing is held and nothing on its way, unless that is to be forgotten too.

    :raises ConflictError: with the numbers, when something is.
    """
    if standing.is_nothing or is_forced:
        return
    raise ConflictError(
        "CLEAR_NOT_DRAINED",
        f"positions={standing.positions} orders={standing.orders} signals={standing.signals} lines={standing.lines}. "
        "Sell out first (`pregao sell-all`), and see that no order is on its way; or force it, and what is held then "
        "stands at its venue as foreign.",
        positions=standing.positions,
        orders=standing.orders,
        signals=standing.signals,
        lines=standing.lines,
    )


async def clear_database(
    *, confirm: str, is_forced: bool, reason: str, by: Asker, book: ClearBook, now: datetime
) -> DatabaseCleared:
    """
    Forget; whatever was forced has every trader and monitor begin anew, with nothing in its memory.

    :raises SettingUnusableError: when nobody has typed what he does.
    :raises ConflictError: when something is held or on its way, and it is not forced.
    """
    check_word(confirm)
    standing = await book.standing()
    check_drained(standing, is_forced=is_forced)
    forgotten = await book.forget()
    if not standing.is_nothing:
        await book.doubt_everything()
    return DatabaseCleared(
        happened_at=now,
        events=forgotten.events,
        positions=forgotten.positions,
        signals=forgotten.signals,
        orders=forgotten.orders,
        fills=forgotten.fills,
        is_forced=not standing.is_nothing,
        reason=reason.strip(),
        cleared_by=by.name,
        user_id=by.user_id,
        source_address=by.source_address,
    )
