"""
The quartet of every step on a real PostgreSQL.

A step gives its facts; run twice it gives them once; failing it leaves no trace; killed after its effect it is found
and finished by whoever comes next. A test of the architecture walks the journey and asks for all four.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from pregao.decisions.answer import CLOCK, to_answer
from pregao.domain.account import Venue
from pregao.domain.bot import Approval
from pregao.domain.facts import (
    DecisionPending,
    DriftSettled,
    EntryRequested,
    ExitRequested,
    FillReported,
    ForeignPositionSeen,
    OrderAccepted,
    OrderDenied,
    OrderEnded,
    OrderPlanned,
    OrderRejected,
    OrderUnresolved,
    PositionChanged,
    ProtectionRejected,
    ProtectionReported,
)
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.protection import ProtectionReport, ProtectionStatus, RefusalCause
from pregao.domain.signal import Action
from pregao.edges.postgres.drift import PostgresDriftBooks
from pregao.edges.postgres.guards import to_armed
from pregao.edges.postgres.journal import decode
from pregao.edges.postgres.live_orders import find_live_order
from pregao.edges.postgres.waiting import (
    claim_overdue,
    claim_waiting_signals,
    peek_waiting_entries,
    to_pending,
)
from pregao.orders.enter import request_waiting
from pregao.orders.resolve import resolve_order
from pregao.orders.send import attempt_of
from pregao.positions.refusals import ConflictError
from pregao.positions.settle import Settlement, adopt
from tests.builders import bot, configured, instruction, line_planned
from tests.journeys.conftest import now

LATE_SECONDS = (
    10  # the desk's clock runs behind by more than an answer may take: what is unanswered is due at once
)


class Died(Exception):
    """The process is gone."""


class Story:
    """A desk with one subscribed account, and a trader that only does what it is told."""

    def __init__(self, desk) -> None:
        self.desk = desk
        self.exchange = desk.exchange
        self.signal_id = None
        self.trader = None

    async def begin(self, action: Action = Action.ENTER, **bot_changes) -> None:
        self.exchange.stream_is_down = True
        self.exchange.clock.forward(-LATE_SECONDS)
        await self.desk.put(configured(bots=[bot(**bot_changes)], now=self.exchange.clock()))
        self.trader, _ = await self.desk.make_trader("trader-1")
        if action is Action.CLOSE:
            await self.arrive(Action.ENTER)
            await self.run_planning()
            [order] = await self.planned()
            await self.execute(order)
            await self.advance([await self.fill()])
        await self.arrive(action)

    async def arrive(self, action: Action, **changes) -> None:
        now = self.exchange.clock()
        self.signal_id = await self.desk.signal(instruction(action, now=now, **changes), now=now)

    async def in_transaction(self, facts=(), *, claims: bool = False, dies: type[Exception] | None = None):
        """Take facts through their steps in one transaction, which may die before it commits."""
        await self.trader.floor.market.read({(Venue.PAPER, "BTCUSDT")})
        with contextlib.suppress(Died):
            async with self.desk.journal.transaction() as transaction:
                claimed = (
                    await claim_waiting_signals(transaction.connection, [self.signal_id]) if claims else []
                )
                done = await self.trader.floor.runner.advance_in(transaction, list(facts), standing=claimed)
                if dies is not None:
                    raise dies
                return done
        return []

    async def send(self, order: OrderPlanned) -> None:
        """Send one attempt, and return when what the venue said of it is written."""
        await self.trader.floor.send(order)
        await self.trader.floor.record([])

    async def run_planning(self, **how):
        return await self.in_transaction(claims=True, **how)

    async def advance(self, facts, **how):
        return await self.in_transaction(facts, **how)

    async def planned(self) -> list[OrderPlanned]:
        rows = await self.desk.rows(
            "SELECT fact::text AS fact FROM journal WHERE kind = 'OrderPlanned' AND signal_id = $1 ORDER BY seq",
            self.signal_id,
        )
        return [decode("OrderPlanned", row["fact"]) for row in rows]

    async def answer(self, *, is_approved: bool = True) -> None:
        """Have a person answer, as the API would commit it."""
        asked = await self.question()
        given = to_answer(
            asked, is_approved=is_approved, answered_by="ana", reason="", now=self.exchange.clock()
        )
        await self.desk.put([given])

    async def question(self) -> DecisionPending:
        [row] = await self.desk.rows("SELECT fact::text FROM journal WHERE kind = 'DecisionPending'")
        return to_pending(row["fact"])

    async def execute(self, order: OrderPlanned) -> None:
        """Let the order reach the venue with nobody there to hear the answer."""
        await self.exchange.submit(attempt_of(order))

    async def fill(self) -> FillReported:
        account_id, told = self.exchange.trades[-1]
        return FillReported(happened_at=self.exchange.clock(), account_id=account_id, trade=told)

    async def dead(self, order: OrderPlanned) -> None:
        """Say that the venue provably did not take the attempt."""
        now = self.exchange.clock()
        await self.desk.put(
            [
                OrderUnresolved(
                    happened_at=now, order_id=order.order_id, attempt=order.attempt, code="-1021", reason="late",
                    is_dead=True, sent_at=None, ask_at=now,
                )
            ]
        )  # fmt: skip

    async def finish(self) -> None:
        """Start another trader, which knows nothing but the state, and let it end the story."""
        await self.desk.kill()
        self.exchange.clock.forward(LATE_SECONDS)
        self.exchange.stream_is_down = False
        await self.desk.start_trader("trader-2")
        await self.desk.settled(self.signal_id)

    async def statuses(self) -> list[tuple[str, str]]:
        orders = [row["status"] for row in await self.desk.orders(self.signal_id)]
        positions = [row["status"] for row in await self.desk.rows("SELECT status FROM positions")]
        return list(zip(orders, positions, strict=True))

    def executed(self) -> list[str]:
        return [order.client_order_id[:27] for _, order in self.exchange.orders]


@pytest.fixture
def story(desk) -> Story:
    return Story(desk)


class Quartet:
    """The four, for a step that has no wire: its effect is what its transaction commits."""

    gives: tuple[str, ...]
    ends_as = (("filled", "open"),)
    submitted_in_the_end = 1

    async def arrange(self, story: Story):
        """Bring the desk before the step; give how the step is run."""
        raise NotImplementedError

    async def test_gives_its_facts(self, story):
        run = await self.arrange(story)

        done = [type(fact).__name__ for fact in await run()]

        assert set(self.gives) <= set(done)
        assert set(self.gives) <= set(await story.desk.facts())

    async def test_run_twice_gives_its_facts_once(self, story):
        run = await self.arrange(story)
        await run()
        once, facts = await story.desk.state(), await story.desk.facts(*self.gives)

        with contextlib.suppress(asyncpg.UniqueViolationError):
            await run()

        assert await story.desk.facts(*self.gives) == facts
        assert await story.desk.state() == once

    async def test_failing_leaves_no_trace(self, story):
        run = await self.arrange(story)
        before, facts = await story.desk.state(), await story.desk.facts()

        await run(dies=Died)

        assert await story.desk.facts() == facts
        assert await story.desk.state() == before

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run()

        await story.finish()

        assert tuple(await story.statuses()) == self.ends_as
        assert len(story.executed()) == len(set(story.executed())) == self.submitted_in_the_end

    async def test_killed_before_its_commit_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run(dies=Died)

        await story.finish()

        assert tuple(await story.statuses()) == self.ends_as
        assert len(story.executed()) == len(set(story.executed())) == self.submitted_in_the_end


class TestDecide(Quartet):
    gives = ("DecisionApproved",)

    async def arrange(self, story):
        await story.begin()
        return story.run_planning


class TestDecideByAPerson(Quartet):
    """Put to a person: it waits for the answer, however often the desk dies meanwhile."""

    gives = ("DecisionPending",)

    async def arrange(self, story):
        await story.begin(approval=Approval.MANUAL)
        return story.run_planning

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run()
        await story.answer()

        await story.finish()

        assert await story.statuses() == list(self.ends_as)
        assert len(story.executed()) == 1

    async def test_killed_before_its_commit_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run(dies=Died)

        await story.desk.kill()
        await story.desk.start_trader("trader-2")
        await story.desk.until("SELECT count(*) = 1 FROM signals WHERE status = 'pending'")

        assert await story.desk.facts("DecisionPending") == ["DecisionPending"]
        assert story.executed() == []


class TestSettleApproval(Quartet):
    gives = ("DecisionApproved", "OrderPlanned")

    async def arrange(self, story):
        await story.begin(approval=Approval.MANUAL)
        await story.run_planning()
        await story.answer()
        return story.run_planning


class TestSettleApprovalByTheClock(Quartet):
    """Nobody answered: whoever looks next says so, once, and nothing is traded."""

    gives = ("ApprovalAnswered", "DecisionDeclined")

    async def arrange(self, story):
        await story.begin(approval=Approval.MANUAL, approval_seconds=5)
        await story.run_planning()
        asked = await story.question()
        story.exchange.clock.forward(6)
        expired = to_answer(
            asked, is_approved=False, answered_by=CLOCK, reason="", now=story.exchange.clock()
        )

        async def run(**how):
            async with story.desk.journal.transaction() as transaction:
                overdue = await claim_overdue(transaction.connection, now=story.exchange.clock(), limit=10)
            return await story.advance([expired] if overdue else [], **how)

        return run

    async def settled_once(self, story):
        [signal] = await story.desk.rows("SELECT status, code, answered_by FROM signals")
        assert tuple(signal) == ("declined", "APPROVAL_EXPIRED", "clock")
        assert await story.desk.facts(*self.gives) == list(self.gives)
        assert story.executed() == []

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run()

        await story.finish()

        await self.settled_once(story)

    async def test_killed_before_its_commit_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run(dies=Died)

        await story.finish()

        await self.settled_once(story)


class TestPlanOrders(Quartet):
    gives = ("SignalPlanned", "OrderPlanned")

    async def arrange(self, story):
        await story.begin()
        return story.run_planning


class TestPlanEntryAgain(Quartet):
    gives = ("EntryRequested", "OrderPlanned")

    async def arrange(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        await story.dead(order)
        request = EntryRequested(
            happened_at=order.happened_at,
            signal_id=order.signal_id,
            order_id=order.order_id,
            attempt=2,
            reason="",
        )

        async def run(**how):
            return await story.advance([request], **how)

        return run

    async def test_run_twice_gives_its_facts_once(self, story):
        """The request may be written twice; the attempt that follows it is planned once."""
        run = await self.arrange(story)
        await run()
        once = await story.desk.state()

        await run()

        assert [order.attempt for order in await story.planned()] == [1, 2]
        assert await story.desk.state() == once


class TestPlanExit(Quartet):
    gives = ("ExitRequested", "OrderPlanned")
    ends_as = (("filled", "closed"),)
    submitted_in_the_end = 2

    async def arrange(self, story):
        await story.begin(Action.CLOSE)
        await story.run_planning()
        [order] = await story.planned()
        await story.dead(order)
        request = ExitRequested(
            happened_at=order.happened_at, signal_id=order.signal_id, position_id=order.position_id, attempt=2,
            reason="",
        )  # fmt: skip

        async def run(**how):
            return await story.advance([request], **how)

        return run

    async def test_run_twice_gives_its_facts_once(self, story):
        """The request may be written twice; the attempt that follows it is planned once."""
        run = await self.arrange(story)
        await run()
        once = await story.desk.state()

        await run()

        assert [order.attempt for order in await story.planned()] == [1, 2]
        assert await story.desk.state() == once


class TestRequestWaiting(Quartet):
    """An opposite signal has closed the position; the entry that waited for that is asked for, and planned."""

    gives = ("EntryRequested", "OrderPlanned")
    ends_as = (("filled", "closed"), ("filled", "open"))
    submitted_in_the_end = 3

    async def arrange(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)
        await story.advance([await story.fill()])
        await story.arrive(Action.ENTER, side=Side.SELL)
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)
        await story.advance([await story.fill()])

        async def run(**how):
            waiting = await peek_waiting_entries(story.desk.journal.pool, limit=10)
            requests = await request_waiting([entry for _, entry in waiting], now=story.exchange.clock())
            return await story.advance(requests, **how)

        return run

    async def test_run_twice_by_two_at_once_plans_it_once(self, story):
        run = await self.arrange(story)

        await asyncio.gather(run(), run())

        assert [order.leg for order in await story.planned()] == ["exit", "entry"]


class Released(Quartet):
    """The steps that give back what an order had reserved: nothing was traded."""

    gives = ("PositionChanged",)
    submitted_in_the_end = 0

    async def ending(self, story, order):
        raise NotImplementedError

    async def arrange(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        facts = await self.ending(story, order)

        async def run(**how):
            return await story.advance(facts, **how)

        return run

    async def test_gives_its_facts(self, story):
        run = await self.arrange(story)

        done = await run()

        [changed] = [fact for fact in done if isinstance(fact, PositionChanged)]
        assert changed.position.status == "abandoned"


class TestReleaseDenied(Released):
    ends_as = (("denied", "abandoned"),)

    async def ending(self, story, order):
        await story.dead(order)
        story.exchange.clock.forward(120)  # too late for another attempt
        names = (
            "order_id",
            "signal_id",
            "bot_id",
            "subscription_id",
            "account_id",
            "leg",
            "symbol",
            "side",
            "position_id",
        )
        return [
            OrderDenied(
                happened_at=story.exchange.clock(), code="SIGNAL_EXPIRED", reason="late",
                **{name: getattr(order, name) for name in names},
            )
        ]  # fmt: skip


class TestRelease(Released):
    ends_as = (("rejected", "abandoned"),)

    async def ending(self, story, order):
        story.exchange.refuse_next()  # whoever sends another attempt is refused as this one was
        return [
            OrderRejected(
                happened_at=story.exchange.clock(), order_id=order.order_id, attempt=1, signal_id=order.signal_id,
                position_id=order.position_id, code="-2019", reason="Margin is insufficient.",
            )
        ]  # fmt: skip


class TestReleaseRest(Released):
    ends_as = (("expired", "abandoned"),)
    submitted_in_the_end = 1

    async def ending(self, story, order):
        await story.execute(order)
        story.exchange.end_last_order(OrderStatus.EXPIRED, filled="0")
        now = story.exchange.clock()
        return [
            OrderEnded(
                happened_at=now, order_id=order.order_id, signal_id=order.signal_id, position_id=order.position_id,
                status=OrderStatus.EXPIRED, ended_at=now,
            )
        ]  # fmt: skip


class Booked(Quartet):
    """The steps that follow a fill."""

    async def arrange(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)
        told = await story.fill()

        async def run(**how):
            return await story.advance([told], **how)

        return run


class TestBookFill(Booked):
    gives = ("FillBooked",)

    async def test_run_twice_by_two_at_once_books_it_once(self, story):
        """Stream and query may tell of a fill in the same moment, on two connections."""
        run = await self.arrange(story)

        done = await asyncio.gather(run(), run(), return_exceptions=True)

        assert await story.desk.facts("FillBooked") == ["FillBooked"]
        assert not [one for one in done if isinstance(one, Exception)]


class TestUpdatePosition(Booked):
    gives = ("PositionChanged",)


class TestFollowPosition(Booked):
    gives = ("StopArmed",)


class Guarded(Quartet):
    """What a venue says of its line: where the exit is claimed, it leaves once, whoever is there."""

    async def arrange(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)
        await story.advance([await story.fill()])
        [row] = await story.desk.rows("SELECT * FROM stops")
        planned = line_planned(to_armed(row), now=story.exchange.clock())
        await story.desk.put([planned])
        told = self.told(story, planned)

        async def run(**how):
            return await story.advance([told], **how)

        return run

    def told(self, story, planned):
        raise NotImplementedError

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        run = await self.arrange(story)
        await run()

        await self.exited_once(story)

    async def test_killed_before_its_commit_is_found_and_finished(self, story):
        """Nobody knows of it then; the venue tells it again."""
        run = await self.arrange(story)
        await run(dies=Died)
        await run()

        await self.exited_once(story)

    async def exited_once(self, story):
        await story.finish()
        await story.desk.until("SELECT count(*) = 1 FROM positions WHERE status = 'closed'")
        assert len(story.executed()) == len(set(story.executed())) == 2
        assert await story.desk.facts("StopTriggered") == ["StopTriggered"]
        [position] = await story.desk.rows("SELECT close_reason FROM positions")
        assert position["close_reason"] == "stop_loss"


class TestFollowReport(Guarded):
    gives = ("ProtectionMoved", "StopTriggered")

    def told(self, story, planned):
        report = ProtectionReport(
            account_id=planned.account_id,
            symbol=planned.symbol,
            protection_id=planned.protection_id,
            exchange_protection_id="77",
            status=ProtectionStatus.TRIGGERING,
            triggered_order_id=None,
            reason="",
            reported_at=story.exchange.clock(),
        )
        return ProtectionReported(happened_at=story.exchange.clock(), report=report)


class TestAnswerRefusal(Guarded):
    gives = ("StopTriggered",)

    def told(self, story, planned):
        return ProtectionRejected(
            happened_at=story.exchange.clock(),
            protection_id=planned.protection_id,
            position_id=planned.position_id,
            account_id=planned.account_id,
            signal_id=planned.signal_id,
            code="-2021",
            reason="Order would immediately trigger.",
            cause=RefusalCause.PRICE_PASSED,
        )


class TestSendOrder:
    """On the wire: the attempt is in the journal before, and whatever happens is asked about after."""

    async def planned(self, story) -> OrderPlanned:
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        return order

    async def test_gives_its_fact(self, story):
        order = await self.planned(story)

        await story.send(order)

        assert await story.desk.facts("OrderAccepted") == ["OrderAccepted"]

    async def test_run_twice_trades_once(self, story):
        """A sender that wakes up late is refused by the venue, and what it then says changes nothing."""
        order = await self.planned(story)
        await story.send(order)
        once = await story.desk.state()
        story.exchange.clock.forward(order.recv_window_ms / 1000 + 1)

        await story.send(order)

        assert len(story.executed()) == 1
        assert await story.desk.state() == once

    async def test_failing_leaves_no_trace(self, story):
        """A mistake of ours on the way to the wire says nothing about the order: it stays planned, and is asked about."""
        order = await self.planned(story)
        before, facts = await story.desk.state(), await story.desk.facts()

        async def break_down(_attempt):
            raise Died

        story.exchange.before_each = break_down
        await story.send(order)

        assert await story.desk.facts() == facts
        assert await story.desk.state() == before

    async def test_killed_after_its_effect_is_found_and_finished(self, desk):
        """The venue executed it, the trader died before the answer: the next one asks, and sends nothing."""
        await desk.put(configured(now=desk.exchange.clock()))
        desk.exchange.stream_is_down = True
        desk.exchange.clock.forward(-LATE_SECONDS)
        executed = desk.exchange.hang_after_next()
        await desk.start_trader("trader-1")
        signal_id = await desk.signal(instruction(now=desk.exchange.clock()), now=desk.exchange.clock())
        await asyncio.wait_for(executed.wait(), timeout=10)

        await desk.kill()
        await desk.start_trader("trader-2")
        await desk.settled(signal_id)

        [order] = await desk.orders(signal_id)
        [position] = await desk.rows("SELECT * FROM positions")
        assert (order["status"], order["attempt"], position["status"]) == ("filled", 1, "open")
        assert len(desk.exchange.submitted) == len(await desk.rows("SELECT * FROM fills")) == 1

    async def test_killed_before_the_wire_is_tried_anew_once_it_is_certain(self, desk):
        """Planned and never sent: proven dead when its window has closed, then planned once more."""
        story = Story(desk)
        await self.planned(story)

        await story.finish()

        [order] = await desk.orders(story.signal_id)
        assert (order["status"], order["attempt"]) == ("filled", 2)
        assert len(story.executed()) == 1


class TestResolveOrder:
    """On the wire, reading only: its effect is what it concludes."""

    async def unresolved(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        story.exchange.lose_next_answer()
        await story.send(order)
        return await find_live_order(story.desk.journal.pool, order.order_id)

    async def test_gives_its_facts(self, story):
        asked = await self.unresolved(story)

        await story.trader.questions.ask(asked)

        assert await story.desk.facts("OrderAccepted", "FillBooked", "PositionChanged") == [
            "OrderAccepted",
            "FillBooked",
            "PositionChanged",
        ]

    async def test_run_twice_gives_its_facts_once(self, story):
        """Two traders may ask about one order: what they both find is booked once."""
        asked = await self.unresolved(story)
        await story.trader.questions.ask(asked)
        once = await story.desk.state()

        await story.trader.questions.ask(asked)

        after = await story.desk.state()
        assert [after[name] for name in ("fills", "positions", "signals", "attempts")] == [
            once[name] for name in ("fills", "positions", "signals", "attempts")
        ]
        assert [(row["status"], row["filled_quantity"]) for row in after["orders"]] == [
            ("filled", Decimal("0.005"))
        ]

    async def test_failing_leaves_no_trace(self, story):
        asked = await self.unresolved(story)
        before, facts = await story.desk.state(), await story.desk.facts()
        story.exchange.stay_silent()

        await story.trader.questions.ask(asked)

        assert await story.desk.facts() == facts
        assert await story.desk.state() == before

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        """It knew and died before it could say: the next one asks again."""
        asked = await self.unresolved(story)
        known = await resolve_order(asked, exchange=story.exchange, books=None, clock=story.exchange.clock)

        await story.finish()

        assert [type(fact) for fact in known] == [OrderAccepted, FillReported]
        assert await story.statuses() == [("filled", "open")]
        assert len(story.executed()) == len(story.exchange.submitted) == 1


class TestLateAnswers:
    """While a venue is asked about an attempt, its answer may come after all."""

    async def test_an_order_rejected_meanwhile_is_not_tried_again(self, story):
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        rejected = OrderRejected(
            happened_at=order.happened_at, order_id=order.order_id, attempt=1, signal_id=order.signal_id,
            position_id=order.position_id, code="-2019", reason="",
        )  # fmt: skip
        again = EntryRequested(
            happened_at=order.happened_at,
            signal_id=order.signal_id,
            order_id=order.order_id,
            attempt=2,
            reason="",
        )

        await story.advance([rejected])
        await story.advance([again])

        assert [one.attempt for one in await story.planned()] == [1]
        assert await story.statuses() == [("rejected", "abandoned")]

    async def test_a_rejection_of_an_older_attempt_gives_nothing_back(self, story):
        """The attempt that followed it is on its way, and needs what was reserved."""
        await story.begin()
        await story.run_planning()
        [order] = await story.planned()
        await story.dead(order)
        again = EntryRequested(
            happened_at=order.happened_at,
            signal_id=order.signal_id,
            order_id=order.order_id,
            attempt=2,
            reason="",
        )
        rejected = OrderRejected(
            happened_at=order.happened_at, order_id=order.order_id, attempt=1, signal_id=order.signal_id,
            position_id=order.position_id, code="-2019", reason="",
        )  # fmt: skip

        await story.advance([again])
        await story.advance([rejected])

        assert await story.statuses() == [("planned", "pending")]

    async def test_a_catch_up_never_takes_our_own_fill_for_a_foreign_one(self, story):
        """A query by time does not tell whose order it was; the order itself does, when it is asked about."""
        await story.begin(Action.CLOSE)
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)

        await story.trader.gaps.book_untold(
            1, venue=Venue.PAPER, symbol="BTCUSDT", since_ms=order.signed_at_ms - 60_000
        )
        await story.finish()

        assert await story.statuses() == [("filled", "closed")]
        [position] = await story.desk.rows("SELECT close_reason FROM positions")
        assert position["close_reason"] == "signal"


class TestTwoCloses:
    async def test_of_a_position_still_being_entered_both_settle_and_one_exits(self, story):
        """The second must not take the first one's place: its order would wait for ever."""
        await story.begin()
        await story.run_planning()
        bought = story.signal_id
        closes = []
        for _ in range(2):
            await story.arrive(Action.CLOSE)
            closes.append(story.signal_id)
            await story.run_planning()

        await story.finish()
        await story.desk.settled(bought, *closes)

        codes = [[(o["status"], o["code"]) for o in await story.desk.orders(one)] for one in closes]
        assert codes == [[("filled", None)], [("denied", "EXIT_IN_FLIGHT")]]
        assert story.exchange.quantity(1, "BTCUSDT") == 0


class TestASignalNobodyCanPlan:
    async def test_ends_alone_and_holds_up_nobody(self, desk):
        """One poisoned row must not stop the desk: it ends declined, and its receipt says so."""
        await desk.put(configured(now=desk.exchange.clock()))
        poisoned = await desk.signal(instruction(now=desk.exchange.clock()), bot_id=UUID(int=404))
        good = await desk.signal(instruction(now=desk.exchange.clock()))

        await desk.start_trader()
        await desk.settled(poisoned, good)

        rows = await desk.rows("SELECT status, code FROM signals WHERE signal_id = $1", poisoned)
        assert [tuple(row) for row in rows] == [("declined", "DESK_FAILED")]
        assert [order["status"] for order in await desk.orders(good)] == ["filled"]


class TestARowNobodyCanWrite:
    """The database refuses one account's order: it is denied alone, entries and closes of the others go on."""

    async def refuse(self, desk, leg: str) -> None:
        await desk.rows(
            f"ALTER TABLE orders ADD CHECK (NOT (account_id = 1 AND leg = '{leg}' AND attempt > 0)) NOT VALID"
        )

    async def test_an_entry(self, desk):
        await desk.put(configured(accounts=3, now=now()))
        await self.refuse(desk, "entry")
        await desk.start_trader()

        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)

        assert [(row["status"], row["code"]) for row in await desk.orders(bought)] == [
            ("denied", "DESK_FAILED"),
            ("filled", None),
            ("filled", None),
        ]
        positions = await desk.rows("SELECT account_id, status FROM positions ORDER BY account_id")
        assert [tuple(row) for row in positions] == [(2, "open"), (3, "open")]

    async def test_a_close(self, desk):
        await desk.put(configured(accounts=3, now=now()))
        await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        await self.refuse(desk, "exit")

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(closed)

        assert [(row["status"], row["code"]) for row in await desk.orders(closed)] == [
            ("denied", "DESK_FAILED"),
            ("filled", None),
            ("filled", None),
        ]
        positions = await desk.rows("SELECT status FROM positions ORDER BY account_id")
        assert [row["status"] for row in positions] == ["open", "closed", "closed"]


class TestSettleDrift:
    """An operator adopts what the venue holds: whoever dies meanwhile, it is booked once or not at all."""

    async def arrange(self, story) -> Callable[..., Awaitable[DriftSettled]]:
        await story.desk.put([*configured(now=now()), seen(Decimal("0.5"))])
        books = PostgresDriftBooks(story.desk.journal, clock=now)
        [row] = await story.desk.rows("SELECT subscription_id FROM subscriptions")

        async def run(dies: type[Exception] | None = None) -> DriftSettled:
            with contextlib.suppress(Died):
                async with books.open() as book:
                    settled = await adopt(
                        settlement(), subscription_id=row["subscription_id"], book=book, now=now()
                    )
                    await book.settle(settled)
                    if dies is not None:
                        raise dies
            return settled

        return run

    async def test_gives_its_facts(self, story):
        run = await self.arrange(story)

        await run()

        given = ("DriftSettled", "FillBooked", "ForeignPositionSeen", "PositionChanged")
        assert set(await story.desk.facts(*given)) == set(given)

    async def test_run_twice_books_once(self, story):
        run = await self.arrange(story)
        await run()
        once = await story.desk.state()

        with pytest.raises(ConflictError, match="DRIFT_NONE"):
            await run()

        assert await story.desk.state() == once

    async def test_failing_leaves_no_trace(self, story):
        run = await self.arrange(story)
        before, facts = await story.desk.state(), await story.desk.facts()

        await run(dies=Died)

        assert (await story.desk.state(), await story.desk.facts()) == (before, facts)

    async def test_killed_before_its_commit_it_may_be_asked_for_again(self, story):
        run = await self.arrange(story)
        await run(dies=Died)

        await run()

        [position] = await story.desk.rows("SELECT status, entered_quantity FROM positions")
        assert tuple(position) == ("open", Decimal("0.5"))


def seen(quantity: Decimal) -> ForeignPositionSeen:
    return ForeignPositionSeen(
        happened_at=now(), account_id=1, symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=quantity
    )


def settlement() -> Settlement:
    return Settlement(
        settlement_id=UUID(int=7), account_id=1, symbol="BTCUSDT", position_side=PositionSide.BOTH,
        price=Decimal(60_000), settled_by="ana", reason="bought by hand",
    )  # fmt: skip
