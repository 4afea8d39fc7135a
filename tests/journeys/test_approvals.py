"""A person is asked, answers or does not, and exactly one answer counts."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from pregao.decisions.answer import answer_approval
from pregao.decisions.refusals import ConflictError
from pregao.domain.bot import Approval, BotStatus
from pregao.domain.facts import BotConfigured
from pregao.domain.signal import Action
from pregao.edges.postgres.approvals import PostgresApprovalBooks
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import bot, configured, instruction
from tests.journeys.conftest import now

MANUAL = bot(approval=Approval.MANUAL, approval_seconds=300)


async def answer(desk, signal_id, *, is_approved=True, answered_by="ana", reason="", at=None):
    books = PostgresApprovalBooks(desk.journal, ring=desk.ring)
    async with books.open() as book:
        fact = await answer_approval(
            signal_id,
            is_approved=is_approved,
            answered_by=answered_by,
            reason=reason,
            book=book,
            now=at or desk.exchange.clock(),
        )
        await book.append([fact])


async def pending(desk, *signal_ids) -> None:
    await desk.until(
        "SELECT count(*) = $2 FROM signals WHERE signal_id = ANY($1::uuid[]) AND status = 'pending'",
        signal_ids,
        len(signal_ids),
    )


async def row(desk, signal_id):
    [found] = await desk.rows("SELECT * FROM signals WHERE signal_id = $1", signal_id)
    return found


@asynccontextmanager
async def asked(desk, *, traders=1, **changes):
    """Run a desk whose bot asks a person; give a signal that waits for one."""
    await desk.put(configured(bots=[bot(**{"approval": Approval.MANUAL, **changes})], now=now()))
    for number in range(traders):
        await desk.start_trader(f"trader-{number}")
    signal_id = await desk.signal(instruction(now=now()))
    await pending(desk, signal_id)
    yield signal_id


class TestAnswers:
    async def test_a_yes_is_traded_and_nothing_is_before(self, desk):
        async with asked(desk) as signal_id:
            before = [await desk.orders(signal_id), list(desk.exchange.submitted)]

            await answer(desk, signal_id)
            await desk.settled(signal_id)

        signal = await row(desk, signal_id)
        assert before == [[], []]
        assert (signal["status"], signal["code"], signal["answered_by"]) == ("settled", None, "ana")
        assert [order["status"] for order in await desk.orders(signal_id)] == ["filled"]

    async def test_a_yes_may_take_longer_than_a_signal_may_be_old(self, desk):
        async with asked(desk) as signal_id:
            desk.exchange.clock.forward(200)

            await answer(desk, signal_id)
            await desk.settled(signal_id)

        assert [order["status"] for order in await desk.orders(signal_id)] == ["filled"]

    async def test_a_no_ends_it_and_says_who_and_why(self, desk):
        async with asked(desk) as signal_id:
            await answer(desk, signal_id, is_approved=False, reason="news at two")
            await desk.settled(signal_id)

        signal = await row(desk, signal_id)
        assert (signal["status"], signal["code"]) == ("declined", "DECLINED_BY_PERSON")
        assert signal["reason"] == "answered_by=ana reason=news at two"
        assert desk.exchange.submitted == []

    async def test_a_yes_at_another_price_is_none(self, desk):
        async with asked(desk) as signal_id:
            desk.exchange.prices["BTCUSDT"] = Decimal("96300.0")

            await answer(desk, signal_id)
            await desk.settled(signal_id)

        assert (await row(desk, signal_id))["code"] == "PRICE_MOVED"
        assert desk.exchange.submitted == []

    async def test_a_yes_to_a_bot_paused_meanwhile_is_none(self, desk):
        async with asked(desk) as signal_id:
            paused = bot(approval=Approval.MANUAL, status=BotStatus.PAUSED)
            await desk.put([BotConfigured(happened_at=now(), bot=paused)])

            await answer(desk, signal_id)
            await desk.settled(signal_id)

        assert (await row(desk, signal_id))["code"] == "BOT_STATUS_DECLINED"

    async def test_a_close_waits_for_nobody(self, desk):
        async with asked(desk) as signal_id:
            await answer(desk, signal_id)
            await desk.settled(signal_id)

            closed = await desk.signal(instruction(Action.CLOSE, now=now()))
            await desk.settled(closed)

        assert [order["status"] for order in await desk.orders(closed)] == ["filled"]
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_of_two_people_at_once_one_counts(self, desk):
        async with asked(desk) as signal_id:
            told = await asyncio.gather(
                *(
                    answer(desk, signal_id, is_approved=number % 2 == 0, answered_by=f"person {number}")
                    for number in range(6)
                ),
                return_exceptions=True,
            )
            await desk.settled(signal_id)

        refused = [one for one in told if one is not None]
        assert [type(one) for one in refused] == [ConflictError] * 5
        assert {one.code for one in refused} == {"APPROVAL_ANSWERED"}
        assert await desk.facts("ApprovalAnswered") == ["ApprovalAnswered"]
        signal = await row(desk, signal_id)
        winner = told.index(None)
        assert signal["answered_by"] == f"person {winner}"
        assert signal["code"] == (None if winner % 2 == 0 else "DECLINED_BY_PERSON")


class TestTheClock:
    async def test_ends_what_nobody_answers_once_whoever_looks(self, desk):
        """Two traders look each second; nobody trades, and it is said once."""
        async with asked(desk, traders=2) as signal_id:
            desk.exchange.clock.forward(301)
            await desk.settled(signal_id)

        signal = await row(desk, signal_id)
        assert (signal["status"], signal["code"]) == ("declined", "APPROVAL_EXPIRED")
        assert (signal["answered_by"], signal["is_approved"]) == ("clock", False)
        assert await desk.facts("ApprovalAnswered", "DecisionDeclined") == [
            "ApprovalAnswered",
            "DecisionDeclined",
        ]
        assert desk.exchange.submitted == []

    async def test_and_a_person_never_both_count(self, desk):
        """The person answers in the last moment, while the traders look whether the time is over."""
        await desk.put(configured(bots=[MANUAL], now=now()))
        trader, _ = await desk.make_trader()
        signals = [await desk.signal(instruction(now=now())) for _ in range(8)]
        await trader.arrivals.decide_batch()
        in_time = desk.exchange.clock()
        desk.exchange.clock.forward(301)

        await asyncio.gather(
            *(answer(desk, signal_id, is_approved=False, at=in_time) for signal_id in signals),
            *(trader.arrivals.expire_batch() for _ in range(4)),
            return_exceptions=True,
        )
        await trader.arrivals.expire_batch()
        await trader.arrivals.decide_batch()

        codes = [(await row(desk, signal_id))["code"] for signal_id in signals]
        assert set(codes) <= {"DECLINED_BY_PERSON", "APPROVAL_EXPIRED"}
        assert len(await desk.facts("ApprovalAnswered")) == len(signals)
        assert len(await desk.facts("DecisionDeclined")) == len(signals)

    async def test_ends_more_than_fit_into_one_batch(self, desk):
        await desk.put(configured(bots=[MANUAL], now=now()))
        trader, _ = await desk.make_trader()
        for _ in range(105):
            await desk.signal(instruction(now=now()))
        while await trader.arrivals.decide_batch():
            pass
        desk.exchange.clock.forward(301)

        batches = [await trader.arrivals.expire_batch() for _ in range(3)]

        assert batches == [100, 5, 0]


class TestRebuild:
    @pytest.mark.parametrize("is_approved", [True, False])
    async def test_folds_questions_and_answers_to_the_same_state(self, desk, is_approved):
        async with asked(desk) as signal_id:
            waiting = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
            await pending(desk, waiting)
            await answer(desk, signal_id, is_approved=is_approved, reason="as planned")
            await desk.settled(signal_id)

        found = await compare_with_journal(desk.journal)

        assert found.differences == ()


class TestOutsiders:
    async def test_see_a_question_as_processing(self, desk):
        async with asked(desk) as signal_id:
            [view] = await desk.rows("SELECT * FROM public.signals WHERE signal_id = $1", signal_id)
            events = await desk.rows("SELECT status FROM public.signal_events ORDER BY event_id")

        assert view["status"] == "processing"
        assert [event["status"] for event in events] == ["received", "processing", "processing"]
