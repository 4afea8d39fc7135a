"""
Answer what was put to a person: once, and in time.

Gives ApprovalAnswered. Settling it follows in the trader; whoever answers does not wait for that.
"""

from datetime import datetime
from uuid import UUID

from pregao.decisions.ports import ApprovalBook
from pregao.decisions.refusals import ConflictError, UnknownError
from pregao.domain.facts import ApprovalAnswered, DecisionPending

CLOCK = "clock"
"""Who has answered where nobody did."""


async def answer_approval(
    signal_id: UUID, *, is_approved: bool, answered_by: str, reason: str, book: ApprovalBook, now: datetime
) -> ApprovalAnswered:
    """
    Take a person's answer.

    :raises UnknownError: when nobody was asked about this signal.
    :raises ConflictError: when somebody has answered already, or the time is over.
    """
    question = await book.find_question(signal_id)
    if question is None:
        raise UnknownError("APPROVAL_UNKNOWN", f"signal={signal_id}. Nobody was asked about such a signal.")
    asked = question.asked
    if question.answered_at is not None and question.answered_by != CLOCK:
        answered_at = question.answered_at.isoformat(timespec="seconds")
        raise ConflictError(
            "APPROVAL_ANSWERED",
            f"signal={signal_id} answered_by={question.answered_by} answered_at={answered_at} "
            f"answer={'yes' if question.is_approved else 'no'}. One answer counts; its receipt says what came of it.",
            answered_by=question.answered_by,
            answered_at=answered_at,
            is_approved=question.is_approved,
        )
    if question.answered_by == CLOCK or now >= asked.expires_at:
        expires_at = asked.expires_at.isoformat(timespec="seconds")
        raise ConflictError(
            "APPROVAL_EXPIRED",
            f"signal={signal_id} expires_at={expires_at}. The time to answer is over.",
            expires_at=expires_at,
        )
    return to_answer(asked, is_approved=is_approved, answered_by=answered_by, reason=reason, now=now)


def to_answer(
    asked: DecisionPending, *, is_approved: bool, answered_by: str, reason: str, now: datetime
) -> ApprovalAnswered:
    """Give the answer to a question, with all that settling it needs."""
    return ApprovalAnswered(
        happened_at=now,
        signal_id=asked.signal_id,
        bot_id=asked.bot_id,
        instruction=asked.instruction,
        verdicts=asked.verdicts,
        venue=asked.venue,
        price=asked.price,
        expires_at=asked.expires_at,
        is_approved=is_approved,
        answered_by=answered_by,
        reason=reason,
    )
