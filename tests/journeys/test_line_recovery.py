"""The quartets of the venue's line: placed once, asked about, taken back; whoever dies on the way is followed by another."""

from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import PositionLeft, ProtectionMoved, ProtectionPlanned, StopDisarmed
from pregao.domain.order import Side
from pregao.domain.venue import OutcomeUnknown
from pregao.edges.postgres import lines
from pregao.edges.postgres.journal import decode
from pregao.stops.leave import take_back
from pregao.stops.place import order_of_line, resolve_protection
from tests.fake_protections import FakeProtections
from tests.journeys.test_recovery import LATE_SECONDS, Died, Story

LEVEL = Decimal("93296.0")  # 2 % below 95,200
RULES = {"default_stop_loss_pct": Decimal(2)}


class LineStory(Story):
    """The story of a position whose stop is planned at the venue, and not placed yet."""

    def __init__(self, desk) -> None:
        super().__init__(desk)
        self.protections = FakeProtections(self.exchange)
        desk.protections = {Venue.PAPER: self.protections}

    async def fill_entry(self) -> ProtectionPlanned:
        await self.begin(**RULES)
        await self.run_planning()
        [order] = await self.planned()
        await self.execute(order)
        await self.advance([await self.fill()])
        return await self.line()

    async def line(self) -> ProtectionPlanned:
        """Give the line that was planned last."""
        rows = await self.desk.rows(
            "SELECT fact::text AS fact FROM journal WHERE kind = 'ProtectionPlanned' ORDER BY seq"
        )
        fact = decode("ProtectionPlanned", rows[-1]["fact"])
        assert isinstance(fact, ProtectionPlanned)
        return fact

    async def place(self, planned: ProtectionPlanned) -> None:
        """Place one line, and return when what the venue said of it is written."""
        await self.trader.lines._place(planned)
        await self.trader.floor.record([])

    async def standing_lines(self) -> list[tuple[str, Decimal]]:
        rows = await self.desk.rows("SELECT status, trigger_price FROM protections ORDER BY version")
        return [(row["status"], row["trigger_price"]) for row in rows]

    async def close_by_hand(self) -> StopDisarmed:
        await self.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))
        await self.advance([await self.fill()])
        [disarmed] = await lines.peek_unleft(self.desk.journal.pool, [Venue.PAPER], limit=9)
        return disarmed

    async def guarded_again(self) -> None:
        """Start another trader, which looks after the venue's lines; return when one stands."""
        await self.desk.kill()
        self.exchange.clock.forward(LATE_SECONDS)
        await self.desk.rows("UPDATE protections SET check_at = clock_timestamp() WHERE check_at IS NOT NULL")
        trader = await self.desk.start_trader("trader-2")
        trader.lines.go_round(Venue.PAPER)
        await self.desk.until("SELECT bool_or(line_status = 'accepted') FROM stops")

    async def left(self) -> None:
        await self.desk.kill()
        self.exchange.clock.forward(LATE_SECONDS)
        trader = await self.desk.start_trader("trader-2")
        trader.lines.go_round(Venue.PAPER)
        await self.desk.until("SELECT bool_and(left_at IS NOT NULL) FROM stops")

    def at_venue(self) -> list[Decimal]:
        return [one.trigger_price for one in self.protections.standing()]


@pytest.fixture
def story(desk) -> LineStory:
    return LineStory(desk)


class TestPlaceProtection:
    async def test_gives_its_fact(self, story):
        await story.place(await story.fill_entry())

        assert await story.desk.facts("ProtectionAccepted") == ["ProtectionAccepted"]
        assert await story.standing_lines() == [("accepted", LEVEL)]
        assert story.at_venue() == [LEVEL]

    async def test_run_twice_places_one(self, story):
        """A sender that wakes up late is told that the id is taken, and what it then says changes nothing."""
        planned = await story.fill_entry()
        await story.place(planned)

        await story.place(planned)

        assert story.at_venue() == [LEVEL]
        assert await story.standing_lines() == [("accepted", LEVEL)]

    async def test_failing_leaves_no_trace(self, story):
        """A mistake of ours on the way to the wire says nothing about the line: it stays planned, and is asked about."""
        planned = await story.fill_entry()
        before = await story.desk.facts()

        story.protections.fail_next(Died())
        await story.place(planned)

        assert await story.desk.facts() == before
        assert await story.standing_lines() == [("planned", LEVEL)]

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        """The venue took it, the trader died before the answer: the next one asks, and places nothing."""
        planned = await story.fill_entry()
        await story.protections.place_protection(order_of_line(planned))

        await story.guarded_again()

        assert len(story.protections.submitted) == 1
        assert await story.standing_lines() == [("accepted", LEVEL)]

    async def test_killed_before_the_wire_another_is_placed_once_it_is_certain(self, story):
        await story.fill_entry()

        await story.guarded_again()

        assert await story.standing_lines() == [("expired", LEVEL), ("accepted", LEVEL)]
        assert story.at_venue() == [LEVEL]


class TestResolveProtection:
    async def unresolved(self, story):
        planned = await story.fill_entry()
        story.protections.lose_next_answer()
        await story.place(planned)
        [line] = await lines.standing(
            story.desk.journal.pool, account_id=None, position_ids=[planned.position_id]
        )
        return line

    async def test_gives_its_fact(self, story):
        line = await self.unresolved(story)

        await story.trader.lines._ask(line)

        assert await story.standing_lines() == [("accepted", LEVEL)]

    async def test_gives_what_has_happened_to_it_meanwhile(self, story):
        """Triggered unseen: the exit is claimed by the venue, and its trade is booked as the stop's."""
        line = await self.unresolved(story)
        story.exchange.prices["BTCUSDT"] = LEVEL
        await story.protections.trigger(line.protection_id)

        await story.trader.lines._ask(line)

        assert await story.desk.facts("ProtectionMoved", "StopTriggered") == [
            "ProtectionMoved",
            "StopTriggered",
        ]

    async def test_run_twice_gives_its_fact_once(self, story):
        line = await self.unresolved(story)
        await story.trader.lines._ask(line)
        once = await story.desk.rows("SELECT * FROM stops")

        await story.trader.lines._ask(line)

        assert await story.standing_lines() == [("accepted", LEVEL)]
        assert await story.desk.rows("SELECT * FROM stops") == once

    async def test_failing_leaves_no_trace(self, story):
        line = await self.unresolved(story)
        before = await story.desk.facts()
        story.protections.stay_silent()

        with pytest.raises(OutcomeUnknown):
            await story.trader.lines._ask(line)

        assert await story.desk.facts() == before

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        """It knew and died before it could say: the next one asks again."""
        line = await self.unresolved(story)
        await resolve_protection(
            line,
            protections=story.protections,
            venue_now_ms=story.exchange.venue_now_ms(),
            clock=story.exchange.clock,
        )

        await story.guarded_again()

        assert len(story.protections.submitted) == 1
        assert await story.standing_lines() == [("accepted", LEVEL)]


class TestTakeBack:
    async def flat(self, story) -> StopDisarmed:
        await story.place(await story.fill_entry())
        return await story.close_by_hand()

    async def test_gives_its_facts(self, story):
        disarmed = await self.flat(story)

        await story.trader.lines._take_back(disarmed)

        assert await story.desk.facts("ProtectionMoved", "PositionLeft") == [
            "ProtectionMoved",
            "PositionLeft",
        ]
        assert story.at_venue() == []

    async def test_gives_nothing_while_a_line_may_still_arrive(self, story):
        """Sent, not answered and not found: it may be on its way, so nothing is left yet."""
        await story.fill_entry()
        disarmed = await story.close_by_hand()

        await story.trader.lines._take_back(disarmed)
        assert await story.desk.facts("PositionLeft") == []
        story.exchange.clock.forward(LATE_SECONDS)
        await story.trader.lines._take_back(disarmed)

        assert await story.desk.facts("ProtectionMoved", "PositionLeft") == [
            "ProtectionMoved",
            "PositionLeft",
        ]

    async def test_run_twice_gives_its_facts_once(self, story):
        disarmed = await self.flat(story)
        await story.trader.lines._take_back(disarmed)

        await story.trader.lines._take_back(disarmed)

        assert await story.desk.facts("PositionLeft") == ["PositionLeft"]

    async def test_failing_leaves_no_trace(self, story):
        disarmed = await self.flat(story)
        before = await story.desk.facts()
        story.protections.stay_silent()

        with pytest.raises(OutcomeUnknown):
            await story.trader.lines._take_back(disarmed)

        assert await story.desk.facts() == before

    async def test_killed_after_its_effect_is_found_and_finished(self, story):
        """Canceled and not written: the next one cancels again, sees that nothing waits, and lets entries in."""
        disarmed = await self.flat(story)
        standing = await lines.standing(
            story.desk.journal.pool, account_id=None, position_ids=[disarmed.position_id]
        )
        done = await take_back(
            disarmed,
            standing,
            protections=story.protections,
            desk_id=story.trader.floor.desk.desk_id,
            venue_now_ms=story.exchange.venue_now_ms(),
            clock=story.exchange.clock,
        )

        await story.left()

        assert [type(fact) for fact in done] == [ProtectionMoved, PositionLeft]
        assert await story.desk.facts("PositionLeft") == ["PositionLeft"]
        assert [status for status, _ in await story.standing_lines()] == ["expired"]
