"""
Send a signal again, as one of its own: to those accounts on which it failed, or to paper accounts to see what it would do.

What is planned here is only whom it is for; it is checked, sized and limited anew when a trader decides it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.signal import AgainKind, Instruction, SentAgain
from pregao.orders.chances import Candidate, candidates_of
from pregao.orders.ports import AgainBook, PaperFollower, SentSignal
from pregao.orders.refusals import ConflictError, UnknownError

DESK = "desk"  # what the source of the desk's own signals is called
DONE = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A signal that is to be sent again: what it asks now, and the key that lets it be sent once."""

    bot_id: UUID
    instruction: Instruction
    dedupe_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """What a retry would do: each subscription that the signal was for, and what stands in the way of all, if anything."""

    signal: SentSignal
    candidates: Sequence[Candidate]
    obstacle: ConflictError | None

    @property
    def chosen(self) -> list[Candidate]:
        """Those that get it again."""
        return [one for one in self.candidates if one.is_in]


async def look_at_retry(signal_id: UUID, *, book: AgainBook, is_locked: bool = False) -> RetryPlan:
    """
    Say what a retry would do.

    :raises UnknownError: when there is no such signal.
    """
    signal = await _find(signal_id, book=book, is_locked=is_locked)
    asked = signal.instruction
    candidates = (
        []
        if asked is None
        else candidates_of(
            await book.legs_of(signal_id), action=asked.action, first_at=_first_at(signal, asked)
        )
    )
    return RetryPlan(signal=signal, candidates=candidates, obstacle=_obstacle(signal, candidates))


async def plan_retry(
    signal_id: UUID, *, book: AgainBook, age_seconds_max: int, now: datetime
) -> Repeat | UUID:
    """
    Give what is sent to those on whose accounts the signal failed; or the retry that was sent already: there is one.

    Its age counts from now. What a retry did not reach is tried again from its own receipt.

    :raises UnknownError: when there is no such signal.
    :raises ConflictError: when it is not over, cannot be repeated, was taken back since, or nobody is left.
    """
    plan = await look_at_retry(signal_id, book=book, is_locked=True)
    if plan.signal.retried_as is not None:
        return plan.signal.retried_as
    if plan.obstacle is not None:
        raise plan.obstacle
    chosen = tuple(one.leg.subscription_id for one in plan.chosen)
    return _repeat(
        plan.signal,
        AgainKind.RETRY,
        chosen,
        key=f"retry:{signal_id}",
        send_before=now + timedelta(seconds=age_seconds_max),
    )


async def plan_replay(
    signal_id: UUID,
    *,
    account_id: int | None,
    key: str,
    book: AgainBook,
    age_seconds_max: int,
    now: datetime,
) -> Repeat | UUID:
    """
    Give what is sent to the paper accounts that follow the signal's bot, or to one of them; or what was sent by this key.

    :raises UnknownError: when there is no such signal.
    :raises ConflictError: when it cannot be repeated, or no such account follows the bot.
    """
    signal = await _find(signal_id, book=book, is_locked=True)
    unrepeatable = _unrepeatable(signal)
    if unrepeatable is not None:
        raise unrepeatable
    dedupe_key = f"replay:{signal_id}:{key}"
    sent = await book.find_by_key(signal.bot_id, dedupe_key=dedupe_key)
    if sent is not None:
        return sent
    chosen = await replayed_on(signal.bot_id, account_id=account_id, book=book)
    if not chosen:
        raise ConflictError(
            "PAPER_FOLLOWER_MISSING",
            f"bot={signal.bot_id} account={account_id or 'any'}. No paper account follows the bot actively; subscribe one.",
        )
    return _repeat(
        signal,
        AgainKind.REPLAY,
        tuple(one.subscription_id for one in chosen),
        key=dedupe_key,
        send_before=now + timedelta(seconds=age_seconds_max),
    )


async def replayed_on(bot_id: UUID, *, account_id: int | None, book: AgainBook) -> list[PaperFollower]:
    """Give the paper accounts that a replay reaches."""
    return [
        one
        for one in await book.paper_followers(bot_id)
        if one.is_active and account_id in (None, one.account_id)
    ]


def can_be_replayed(signal: SentSignal) -> bool:
    """Say whether it asks something that can be asked again."""
    return _unrepeatable(signal) is None


async def _find(signal_id: UUID, *, book: AgainBook, is_locked: bool = False) -> SentSignal:
    signal = await book.find_sent(signal_id, is_locked=is_locked)
    if signal is None:
        raise UnknownError("SIGNAL_UNKNOWN", f"signal={signal_id}. There is no such signal.")
    return signal


def _obstacle(signal: SentSignal, candidates: Sequence[Candidate]) -> ConflictError | None:
    values = f"signal={signal.signal_id} status={signal.status}"
    unrepeatable = _unrepeatable(signal)
    if unrepeatable is not None:
        return unrepeatable
    if signal.settled_at is None:
        return ConflictError(
            "RECEIPT_UNFINISHED",
            f"{values}. Something of it is still on its way; ask again when it has ended.",
        )
    if signal.newer_against is not None:
        return ConflictError(
            "NEWER_SIGNAL",
            f"{values} newer_signal={signal.newer_against}. The bot has gone the other way since; nobody would come to "
            "close what is entered now.",
        )
    if signal.status != DONE or not any(one.is_in for one in candidates):
        return ConflictError(
            "NOTHING_TO_RETRY", f"{values}. On no account has it failed for a reason that may pass."
        )
    return None


def _unrepeatable(signal: SentSignal) -> ConflictError | None:
    values = f"signal={signal.signal_id} source={signal.source} status={signal.status}"
    if signal.instruction is None:
        return ConflictError("SIGNAL_NOT_REPEATABLE", f"{values}. It was not read as something to trade.")
    if signal.source == DESK:
        return ConflictError(
            "SIGNAL_NOT_REPEATABLE", f"{values}. The desk or a person asked it; ask it there once more."
        )
    if signal.instruction.is_replay:
        return ConflictError(
            "SIGNAL_NOT_REPEATABLE", f"{values}. It is a replay; replay the signal that it repeats."
        )
    return None


def _first_at(signal: SentSignal, asked: Instruction) -> datetime:
    return signal.received_at if asked.again is None else asked.again.first_at


def _repeat(
    signal: SentSignal,
    kind: AgainKind,
    subscription_ids: tuple[UUID, ...],
    *,
    key: str,
    send_before: datetime,
) -> Repeat:
    asked = signal.instruction
    assert asked is not None, "what was not read is not repeated"
    before = (signal.signal_id,) if asked.again is None else (*asked.again.before, signal.signal_id)
    again = SentAgain(
        kind=kind, before=before, first_at=_first_at(signal, asked), subscription_ids=subscription_ids
    )
    return Repeat(
        bot_id=signal.bot_id,
        instruction=replace(asked, send_before=send_before, again=again),
        dedupe_key=key,
    )
