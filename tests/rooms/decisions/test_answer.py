"""One answer counts, and only in time."""

from datetime import timedelta
from uuid import UUID

import pytest

from pregao.decisions.answer import CLOCK, answer_approval
from pregao.decisions.ports import Question
from pregao.decisions.refusals import ConflictError, UnknownError
from pregao.domain.account import Venue
from pregao.domain.facts import ApprovalAnswered, DecisionPending
from tests.builders import BOT_ID, NOON, instruction

SIGNAL_ID = UUID(int=500)
ASKED = DecisionPending(
    happened_at=NOON,
    signal_id=SIGNAL_ID,
    bot_id=BOT_ID,
    instruction=instruction(),
    verdicts=(),
    venue=Venue.PAPER,
    price=None,
    expires_at=NOON + timedelta(minutes=5),
)


class Book:
    """Knows one question."""

    def __init__(self, question=None) -> None:
        self.question = question

    async def find_question(self, _signal_id):
        return self.question

    async def append(self, _facts):
        raise AssertionError("the caller appends")


async def answer(question, *, now=NOON, is_approved=True) -> ApprovalAnswered:
    return await answer_approval(
        SIGNAL_ID,
        is_approved=is_approved,
        answered_by="ana",
        reason="as planned",
        book=Book(question),
        now=now,
    )


class TestAnswerApproval:
    @pytest.mark.parametrize("is_approved", [True, False])
    async def test_gives_an_answer_with_all_that_settling_it_needs(self, is_approved):
        at = NOON + timedelta(minutes=5) - timedelta(microseconds=1)

        fact = await answer(
            Question(asked=ASKED, answered_by=None, answered_at=None, is_approved=None),
            now=at,
            is_approved=is_approved,
        )

        names = ("signal_id", "bot_id", "instruction", "verdicts", "venue", "price", "expires_at")
        assert [getattr(fact, name) for name in names] == [getattr(ASKED, name) for name in names]
        assert (fact.happened_at, fact.is_approved) == (at, is_approved)
        assert (fact.answered_by, fact.reason) == ("ana", "as planned")

    @pytest.mark.parametrize(("first", "word"), [(True, "yes"), (False, "no")])
    async def test_refuses_a_second_answer_and_says_who_gave_the_first_and_which(self, first, word):
        given = Question(asked=ASKED, answered_by="bruno", answered_at=NOON, is_approved=first)

        with pytest.raises(
            ConflictError, match=rf"APPROVAL_ANSWERED.*answered_by=bruno .*answer={word}\."
        ) as refusal:
            await answer(given)

        assert refusal.value.details == {
            "answered_by": "bruno",
            "answered_at": "2026-11-21T12:00:00+00:00",
            "is_approved": first,
        }

    async def test_refuses_an_answer_that_comes_too_late(self):
        with pytest.raises(ConflictError, match=r"APPROVAL_EXPIRED.*expires_at=2026-11-21T12:05:00"):
            await answer(
                Question(asked=ASKED, answered_by=None, answered_at=None, is_approved=None),
                now=NOON + timedelta(minutes=5),
            )

    async def test_comes_too_late_after_the_clocks(self):
        """Its code must not depend on whether a trader has looked already; our clocks may differ a little too."""
        over = Question(
            asked=ASKED, answered_by=CLOCK, answered_at=NOON + timedelta(minutes=5), is_approved=False
        )

        with pytest.raises(ConflictError, match=r"APPROVAL_EXPIRED.*expires_at=2026-11-21T12:05:00"):
            await answer(over, now=NOON + timedelta(minutes=4, seconds=59))

    async def test_refuses_to_answer_what_nobody_asked(self):
        with pytest.raises(UnknownError, match="APPROVAL_UNKNOWN"):
            await answer(None)
