"""The venue's line goes where its stop goes, and what happened to it unseen is found out."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.level import TriggerKind
from pregao.domain.protection import ProtectionName, ProtectionStatus, protection_id
from pregao.domain.venue import StreamGap, TradeReport
from pregao.stops.place import order_of_line
from tests.journeys.conftest import now
from tests.journeys.test_line_recovery import LEVEL, RULES, LineStory

RAISED = Decimal("94000.0")
RAISE = "UPDATE stops SET stop_price = 94000, version = version + 1"
WATCH = """
INSERT INTO watches (venue, symbol, worker_id, lease_epoch, source, price_at, bid, ask, told_at)
VALUES ('paper', 'BTCUSDT', 'monitor-1', 1, 'ws', clock_timestamp(), 95200, 95200, clock_timestamp())
"""


@pytest.fixture
async def story(desk) -> LineStory:
    """Give a position that is held, and its line that stands."""
    story = LineStory(desk)
    await story.place(await story.fill_entry())
    return story


async def keep(story) -> None:
    """Do one step of what the loop does each second, and what follows from it."""
    story.trader.lines.go_round(Venue.PAPER)
    [(number, venue, symbol)] = await story.trader.floor.store.peek_misplaced([Venue.PAPER], limit=9)
    await story.trader.lines._keep(number, venue=venue, symbol=symbol)
    await drain(story)


async def drain(story) -> None:
    """Wait until what was spawned is done and written."""
    floor = story.trader.floor
    while floor._tasks:
        await asyncio.wait(set(floor._tasks))
        await asyncio.sleep(0)
    await floor.record([])


class TestMoved:
    async def test_while_the_software_watches_the_old_one_goes_first(self, story):
        await story.desk.rows(RAISE)
        await story.desk.rows(WATCH)

        await keep(story)

        assert await story.standing_lines() == [("canceled", LEVEL), ("accepted", RAISED)]
        assert [(one.trigger_price, one.quantity) for one in story.protections.standing()] == [(RAISED, None)]

    async def test_while_nothing_else_guards_the_new_one_stands_before_the_old_one_goes(self, story):
        await story.desk.rows(RAISE)

        await keep(story)
        assert sorted(story.at_venue()) == [LEVEL, RAISED]
        await keep(story)

        assert [(one.trigger_price, one.quantity) for one in story.protections.standing()] == [
            (RAISED, Decimal("0.005"))
        ]
        assert await story.standing_lines() == [("canceled", LEVEL), ("accepted", RAISED)]

    async def test_one_that_triggered_meanwhile_is_asked_about_and_not_replaced(self, story):
        await story.desk.rows(RAISE)
        await story.desk.rows(WATCH)
        [stands] = story.protections.standing()
        await story.protections.trigger(stands.protection_id)

        await keep(story)

        assert await story.standing_lines() == [("finished", LEVEL)]
        assert len(story.protections.submitted) == 1


class TestItsTrades:
    async def test_that_come_before_its_report_claim_the_exit(self, story):
        """They close the position and disarm its stop: a report after that has nothing to claim any more."""
        [stands] = story.protections.standing()
        hear, later = story.trader.take, []
        story.exchange.stream_is_down = False

        async def trades_first(report) -> None:
            await (hear(report) if isinstance(report, TradeReport) else keep_back(report))

        async def keep_back(report) -> None:
            later.append(report)

        story.exchange.tell = trades_first
        await story.protections.trigger(stands.protection_id)
        await drain(story)
        [claim] = await story.desk.rows("SELECT kind, source, status, exit_price FROM stop_claims")
        for report in later:
            await hear(report)
        await drain(story)

        assert (claim["kind"], claim["source"], claim["status"]) == ("stop", "venue", "executed")
        assert claim["exit_price"] is not None
        assert [type(one).__name__ for one in later].count("ProtectionReport") == 2
        assert await story.standing_lines() == [("finished", LEVEL)]
        assert await story.desk.facts("StopTriggered") == ["StopTriggered"]


class TestSomebodyElses:
    async def test_stop_at_the_venue_gets_ours_beside_it_and_the_position_is_not_closed(self, desk):
        """A venue keeps one order that closes the position; the owner's own is left alone."""
        story = LineStory(desk)
        planned = await story.fill_entry()
        own = replace(order_of_line(planned), protection_id="web-1", trigger_price=Decimal(90_000))
        await story.protections.place_protection(own)

        await story.place(planned)
        await story.desk.rows("UPDATE stops SET line_at = NULL")
        await keep(story)

        assert [(one.protection_id == "web-1", one.quantity) for one in story.protections.standing()] == [
            (True, None),
            (False, Decimal("0.005")),
        ]
        assert await story.standing_lines() == [("rejected", LEVEL), ("accepted", LEVEL)]
        assert await story.desk.facts("StopTriggered") == []


class TestAfterAGap:
    async def test_what_triggered_unseen_is_found(self, story):
        [stands] = story.protections.standing()
        await story.protections.trigger(stands.protection_id)

        await story.trader.lines._look_through(1)

        assert await story.standing_lines() == [("finished", LEVEL)]
        assert await story.desk.facts("StopTriggered") == ["StopTriggered"]

    async def test_what_somebody_took_back_unseen_is_placed_again(self, story):
        [stands] = story.protections.standing()
        await story.protections.cancel_protection(account_id=1, protection_id=stands.protection_id)

        await story.trader.lines._look_through(1)
        await keep(story)

        assert await story.standing_lines() == [("canceled", LEVEL), ("accepted", LEVEL)]

    async def test_a_gap_of_the_stream_is_what_leads_to_that(self, story):
        [stands] = story.protections.standing()
        await story.protections.trigger(stands.protection_id)

        await story.trader.take(StreamGap(account_id=1, connected_at=now()))
        await story.trader.lines.ask_about_due()
        await drain(story)

        assert await story.standing_lines() == [("finished", LEVEL)]


class TestRestored:
    """A backup was put back: it knows the position, and has forgotten its line."""

    async def test_the_line_is_known_again_by_its_name(self, story):
        await story.desk.rows("DELETE FROM protections")
        await story.desk.rows("UPDATE stops SET line_id = NULL, line_status = NULL, line_price = NULL")

        await story.trader.lines._look_through(1)

        assert await story.standing_lines() == [("accepted", LEVEL)]
        assert len(story.protections.submitted) == 1
        assert story.protections.canceled == []

    async def test_a_stale_one_beside_it_is_canceled(self, story):
        first = story.protections.submitted[0]
        [position] = await story.desk.rows("SELECT position_id FROM positions")
        name = ProtectionName(position_id=position["position_id"], kind=TriggerKind.STOP, version=9)
        stale = protection_id(name, desk_id=story.trader.floor.desk.desk_id)
        now_ms = story.exchange.venue_now_ms()
        await story.protections.place_protection(
            replace(first, protection_id=stale, quantity=Decimal("0.005"), signed_at_ms=now_ms)
        )

        await story.trader.lines._look_through(1)

        assert story.protections.canceled == [stale]
        assert [one.status for _, one in story.protections.orders] == [
            ProtectionStatus.ACCEPTED,
            ProtectionStatus.CANCELED,
        ]


class TestUnguarded:
    """Design 5: no open quantity without an effective stop for more than five seconds; who breaks it rings."""

    async def look(self, story, *, seconds: float = 0.0) -> list[str]:
        story.trader.unguarded.go_round(Venue.PAPER)
        story.exchange.clock.forward(seconds)
        await story.trader.unguarded.look_now()
        return await story.desk.facts("PositionUnguarded", "PositionGuarded")

    async def test_is_told_once_while_it_lasts_and_when_it_is_over(self, story):
        [stands] = story.protections.standing()
        await story.protections.cancel_protection(account_id=1, protection_id=stands.protection_id)
        await story.trader.lines._look_through(1)

        assert await self.look(story) == []
        assert await self.look(story, seconds=30.0) == ["PositionUnguarded"]
        assert await self.look(story, seconds=3.0) == ["PositionUnguarded"]
        await keep(story)

        assert await self.look(story) == ["PositionUnguarded", "PositionGuarded"]
        [row] = await story.desk.rows("SELECT fact FROM journal WHERE kind = 'PositionGuarded'")
        assert "seconds" in row["fact"]

    async def test_is_not_told_again_by_the_next_trader_who_tells_its_end(self, story):
        """The one that told it has died, and with it what it knew."""
        [stands] = story.protections.standing()
        await story.protections.cancel_protection(account_id=1, protection_id=stands.protection_id)
        await story.trader.lines._look_through(1)
        assert await self.look(story, seconds=30.0) == ["PositionUnguarded"]
        [told] = await story.desk.rows(
            "SELECT fact ->> 'since' AS since FROM journal WHERE kind = 'PositionUnguarded'"
        )

        story.trader, _ = await story.desk.make_trader("trader-2")
        assert await self.look(story, seconds=1.0) == ["PositionUnguarded"]
        story.trader, _ = await story.desk.make_trader("trader-3")
        await keep(story)

        assert await self.look(story) == ["PositionUnguarded", "PositionGuarded"]
        [over] = await story.desk.rows(
            "SELECT fact ->> 'since' AS since FROM journal WHERE kind = 'PositionGuarded'"
        )
        assert over == told

    async def test_is_not_told_where_the_venue_s_line_stands(self, story):
        assert await self.look(story, seconds=30.0) == []

    async def test_is_not_told_where_a_monitor_watches(self, story):
        await story.desk.rows("UPDATE protections SET status = 'rejected'")
        await story.desk.rows("UPDATE stops SET line_id = NULL, line_status = NULL, line_price = NULL")
        await story.desk.rows(WATCH)

        assert await self.look(story, seconds=30.0) == []


class TestRulesUnknown:
    """A trader that did not plan the entry hears of its fill: it has never asked for the symbol's rules."""

    async def test_they_are_asked_for_before_the_fill_is_booked(self, desk):
        story = LineStory(desk)
        await story.begin(**RULES)
        await story.run_planning()
        [order] = await story.planned()
        await story.execute(order)
        story.trader, _ = await desk.make_trader("trader-2")

        await story.trader.take(TradeReport(account_id=1, trade=(await story.fill()).trade))
        await drain(story)

        assert await story.standing_lines() == [("accepted", LEVEL)]

    async def test_what_was_held_before_is_armed_when_it_is_found(self, story):
        await story.desk.rows("DELETE FROM protections")
        await story.desk.rows("DELETE FROM stops")
        [stands] = story.protections.standing()
        await story.protections.cancel_protection(account_id=1, protection_id=stands.protection_id)
        story.trader, _ = await story.desk.make_trader("trader-2")

        await story.trader.lines._arm_unarmed([Venue.PAPER])
        await drain(story)

        assert await story.standing_lines() == [("accepted", LEVEL)]
