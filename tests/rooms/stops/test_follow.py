"""The guard of a position goes with it: armed with its first fill, again for what is left, taken off when it is flat."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.candle import Measure, Timeframe
from pregao.domain.desk import Desk
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import (
    ExecutionMoved,
    PositionChanged,
    PositionLeft,
    ProtectionMoved,
    ProtectionPlanned,
    ProtectionRejected,
    ProtectionReported,
    StopArmed,
    StopChanged,
    StopDisarmed,
    StopTriggered,
    StopUnusable,
)
from pregao.domain.level import Level, Method, TriggerKind
from pregao.domain.order import OrderStatus
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.protection import (
    LineStatus,
    ProtectionName,
    ProtectionReport,
    ProtectionStatus,
    RefusalCause,
    protection_id,
    protection_of,
)
from pregao.domain.stop import Source, StopChange, StopStatus
from pregao.domain.stop_rule import StopRule, TargetRule
from pregao.stops.follow import RANGE_SECONDS_MAX, follow_position
from pregao.stops.ports import Asked, Claimed, Guard, Line
from pregao.stops.refused import REFUSALS_MAX, answer_refusal
from pregao.stops.told import follow_report, with_triggers
from tests.builders import NOON, armed, closed, held, reported
from tests.rooms.fakes import market

DESK = Desk(desk_id=UUID(int=7), owner="trader-1", lease_epoch=1)
TWO_PERCENT = StopRule(stop=Level(method=Method.PERCENT, value=Decimal(2)))
TARGETS = tuple(
    TargetRule(level=Level(method=Method.PERCENT, value=Decimal(distance)), share=Decimal("0.5"))
    for distance in (3, 6)
)
ASKED = Asked(rule=TWO_PERCENT, is_required=True)
NOTHING = Asked(rule=StopRule(), is_required=False)
OURS = "s-1-1"
QUARTERS = Measure(timeframe=Timeframe.MINUTES_15, period=14)


def line(**changes) -> Line:
    given = {
        "protection_id": OURS,
        "position_id": 1,
        "account_id": 1,
        "signal_id": UUID(int=500),
        "venue": Venue.PAPER,
        "symbol": "BTCUSDT",
        "kind": TriggerKind.STOP,
        "number": 0,
        "version": 1,
        "stop_version": 1,
        "trigger_price": Decimal(93296),
        "quantity": None,
        "status": LineStatus.ACCEPTED,
        "signed_at_ms": 0,
        "recv_window_ms": 5_000,
    }
    return Line(**{**given, **changes})


def claimed(**changes) -> Claimed:
    given = {
        "token": "1:93296:1",
        "kind": TriggerKind.STOP,
        "number": 0,
        "position_id": 1,
        "account_id": 1,
        "signal_id": UUID(int=500),
        "version": 1,
        "level": Decimal(93296),
        "source": Source.STREAM,
        "seen_at": NOON,
        "status": ExecutionStatus.SUBMITTED,
        "attempts": 1,
        "order_id": "p1",
    }
    return Claimed(**{**given, **changes})


@dataclass
class FakeGuards:
    """One position's guard, and its lines."""

    guard: Guard = field(default_factory=lambda: Guard(armed=None, asked=ASKED, venue=Venue.PAPER))

    async def guards(self, positions):
        return {one.position_id: self.guard for one in positions}

    async def lines(self, protection_ids):
        return {
            one.protection_id: (one, self.guard.armed)
            for one in self.guard.lines
            if one.protection_id in protection_ids
        }


def guarded(**changes) -> FakeGuards:
    return FakeGuards(Guard(**{"armed": armed(), "asked": ASKED, "venue": Venue.PAPER, **changes}))


async def followed(position, guards=None, *, keeps_lines=(Venue.PAPER,), now=NOON, seen=None):
    return await follow_position(
        [PositionChanged(happened_at=now, position=position)],
        guards=guards or FakeGuards(),
        market=seen or known_market(),
        desk=DESK,
        keeps_lines=keeps_lines,
        now=now,
    )


def replace_guard(guards: FakeGuards, **changes) -> FakeGuards:
    return FakeGuards(replace(guards.guard, **changes))


def known_market():
    seen = market()
    return replace(seen, instruments={pair: view.instrument for pair, view in seen.views.items()})


def of(kind, facts):
    return [fact for fact in facts if isinstance(fact, kind)]


class TestAStopByTheRange:
    """X-6: so many average true ranges from the fill, by candles that were read before it."""

    def asked(self) -> FakeGuards:
        stop = Level(method=Method.ATR, value=Decimal(2), measure=QUARTERS)
        return guarded(armed=None, asked=Asked(rule=StopRule(stop=stop), is_required=True))

    def measured(self):
        return replace(known_market(), ranges={(Venue.PAPER, "BTCUSDT", QUARTERS): Decimal(100)})

    async def test_is_armed_with_all_that_it_was_measured_by(self):
        armed_, _ = await followed(held(), self.asked(), seen=self.measured())

        assert armed_.stop.stop_price == Decimal(95000)
        assert (armed_.stop.atr, armed_.stop.rule.stop.measure) == (Decimal(100), QUARTERS)

    async def test_waits_for_a_range_that_is_not_known_yet(self):
        """Another trader planned the entry: whoever looks for what is not armed reads the candles, and tells again."""
        assert await followed(held(), self.asked()) == []

    async def test_of_another_measure_says_nothing(self):
        hours = Measure(timeframe=Timeframe.HOUR, period=14)
        seen = replace(known_market(), ranges={(Venue.PAPER, "BTCUSDT", hours): Decimal(100)})

        assert await followed(held(), self.asked(), seen=seen) == []

    async def test_that_stays_unknown_gives_the_position_up(self):
        late = NOON + timedelta(seconds=RANGE_SECONDS_MAX)

        told = await followed(held(opened_at=NOON), self.asked(), now=late)

        assert [one.code for one in of(StopUnusable, told)] == ["ATR_UNAVAILABLE"]
        assert len(of(StopTriggered, told)) == 1

    async def test_stays_where_its_range_put_it_when_the_average_is_known(self):
        asked = self.asked()
        [first, *_] = await followed(held(), replace_guard(asked, is_entering=True), seen=self.measured())
        standing = replace(armed(is_anchor_final=False), stop=first.stop)

        [again, *_] = await followed(
            held(price="95300"), replace_guard(asked, armed=standing), seen=known_market()
        )

        assert again.stop.stop_price == Decimal(95100)


class TestAFill:
    async def test_arms_the_stop_where_it_was_filled_and_plans_the_venues_line(self):
        facts = await followed(held("0.005", price="95200"))

        [told], [planned] = of(StopArmed, facts), of(ProtectionPlanned, facts)
        assert told.stop.stop_price == told.stop.initial_stop == Decimal(93296)
        assert (told.is_required, told.is_anchor_final, told.stop.version) == (True, True, 1)
        assert (planned.trigger_price, planned.quantity, planned.side) == (Decimal(93296), None, "sell")
        name = protection_of(planned.protection_id, desk_id=DESK.desk_id)
        assert (name.position_id, name.version, name.kind) == (1, 1, TriggerKind.STOP)

    async def test_of_a_short_arms_it_above(self):
        short = held("0.005", price="95200", direction=Direction.SHORT)

        [told] = of(StopArmed, await followed(short))

        assert told.stop.stop_price == Decimal(97104)

    async def test_at_a_venue_without_such_orders_arms_ours_alone(self):
        facts = await followed(held("0.005"), keeps_lines=())

        assert [type(fact) for fact in facts] == [StopArmed]

    async def test_where_nothing_was_asked_says_so_once_and_watches_nothing(self):
        [told] = await followed(held("0.005"), guarded(armed=None, asked=NOTHING))

        assert (told.stop.stop_price, told.stop.targets, told.is_required) == (None, (), False)

    async def test_of_a_symbol_whose_rules_nobody_told_waits_for_them(self):
        assert await followed(held("0.005"), seen=market()) == []

    async def test_run_twice_arms_once(self):
        [told, planned] = await followed(held("0.005"))
        there = guarded(
            armed=replace(armed(), stop=told.stop), lines=[line(protection_id=planned.protection_id)]
        )

        assert await followed(held("0.005"), there) == []

    async def test_that_is_not_the_last_of_its_entry_arms_and_the_last_arms_at_the_average(self):
        first = await followed(held("0.002", price="95200"), guarded(armed=None, is_entering=True))
        [told] = of(StopArmed, first)
        assert not told.is_anchor_final
        known = replace(armed(), stop=told.stop, is_anchor_final=False)

        [again] = await followed(held("0.005", price="95300"), guarded(armed=known, lines=[line()]))

        assert isinstance(again, StopArmed)
        assert (again.stop.entry_price, again.stop.version) == (Decimal(95_300), 2)
        assert again.stop.stop_price == Decimal("93394.0")
        assert again.is_anchor_final

    async def test_added_later_leaves_the_level_where_it_is(self):
        assert await followed(held("0.010", price="96000"), guarded(lines=[line()])) == []

    async def test_that_nothing_can_guard_as_asked_is_given_up_and_a_person_told(self):
        absolute = StopRule(stop=Level(method=Method.ABSOLUTE, value=Decimal(96_000)))

        facts = await followed(
            held("0.005"), guarded(armed=None, asked=Asked(rule=absolute, is_required=True))
        )

        [unusable], [told], [claim] = of(StopUnusable, facts), of(StopArmed, facts), of(StopTriggered, facts)
        assert unusable.code == "STOP_WRONG_SIDE"
        assert claim.stop.status is StopStatus.TRIGGERED
        assert claim.token == f"1:{told.stop.stop_price}:1"
        assert not of(ProtectionPlanned, facts)


class TestAnExit:
    triggered = replace(armed(), stop=replace(armed().stop, status=StopStatus.TRIGGERED))

    async def test_that_filled_and_left_nothing_ends_its_claim(self):
        filled = claimed(
            order_status=OrderStatus.FILLED,
            filled_quantity=Decimal("0.005"),
            filled_notional=Decimal("466.20"),
        )
        flat = closed(held("0.005"))

        facts = await followed(flat, guarded(armed=self.triggered, claims=[filled], lines=[line()]))

        [moved] = of(ExecutionMoved, facts)
        assert (moved.status, moved.price) == (ExecutionStatus.EXECUTED, Decimal(93_240))
        assert moved.slippage_percent == Decimal("0.0600")
        assert [type(fact) for fact in facts] == [ExecutionMoved, StopDisarmed]

    async def test_that_left_a_rest_is_watched_again_under_the_next_version(self):
        filled = claimed(
            order_status=OrderStatus.FILLED, filled_quantity=Decimal("0.004"), filled_notional=Decimal(373)
        )

        facts = await followed(held("0.001"), guarded(armed=self.triggered, claims=[filled], lines=[line()]))

        [changed] = of(StopChanged, facts)
        assert (changed.code, changed.stop.status, changed.stop.version) == (
            StopChange.ARMED_AGAIN, StopStatus.ARMED, 2,
        )  # fmt: skip

    async def test_that_was_refused_is_tried_again_later_each_time_and_then_a_person_is_called(self):
        waits = []
        for attempt in range(1, 6):
            refused = claimed(attempts=attempt, order_status=OrderStatus.REJECTED)
            [moved] = await followed(
                held("0.005"), guarded(armed=self.triggered, claims=[refused], lines=[line()])
            )
            waits.append((moved.status, (moved.again_at - NOON).total_seconds()))

        failed, blocked = ExecutionStatus.FAILED, ExecutionStatus.BLOCKED
        assert waits == [(failed, 2), (failed, 4), (failed, 8), (failed, 16), (blocked, 60)]

    async def test_on_its_way_changes_nothing(self):
        on_its_way = claimed(order_status=OrderStatus.ACCEPTED)

        assert await followed(held("0.005"), guarded(armed=self.triggered, claims=[on_its_way])) == []

    async def test_of_a_target_takes_it_and_leaves_the_stop(self):
        rule = replace(TWO_PERCENT, targets=TARGETS)
        [told] = of(
            StopArmed,
            await followed(held("0.010"), guarded(armed=None, asked=Asked(rule=rule, is_required=True))),
        )
        stop = replace(
            told.stop,
            targets=(replace(told.stop.targets[0], status=StopStatus.TRIGGERED), told.stop.targets[1]),
        )
        filled = claimed(
            kind=TriggerKind.TARGET,
            number=1,
            level=stop.targets[0].price,
            order_status=OrderStatus.FILLED,
            filled_quantity=Decimal("0.005"),
            filled_notional=Decimal("490.28"),
        )

        facts = await followed(
            held("0.005"), guarded(armed=replace(armed(), stop=stop), claims=[filled], lines=[line()])
        )

        [changed] = of(StopChanged, facts)
        assert changed.code is StopChange.TARGET_TAKEN
        assert [target.status for target in changed.stop.targets] == [StopStatus.DISARMED, StopStatus.ARMED]
        assert changed.stop.status is StopStatus.ARMED

    async def test_of_a_target_that_did_not_come_to_its_bound_is_watched_again(self):
        rule = replace(TWO_PERCENT, targets=TARGETS)
        [told] = of(
            StopArmed,
            await followed(held("0.010"), guarded(armed=None, asked=Asked(rule=rule, is_required=True))),
        )
        stop = replace(
            told.stop,
            targets=(replace(told.stop.targets[0], status=StopStatus.TRIGGERED), told.stop.targets[1]),
        )
        expired = claimed(
            kind=TriggerKind.TARGET, number=1, is_bounded=True, order_status=OrderStatus.EXPIRED
        )

        facts = await followed(
            held("0.010"), guarded(armed=replace(armed(), stop=stop), claims=[expired], lines=[line()])
        )

        [moved], [changed] = of(ExecutionMoved, facts), of(StopChanged, facts)
        assert (moved.status, moved.again_at) == (ExecutionStatus.FAILED, None)
        assert changed.stop.targets[0].status is StopStatus.ARMED


class TestAFlatPosition:
    async def test_is_left_where_the_venue_has_no_line(self):
        facts = await followed(closed(held("0.005")), guarded())

        assert [type(fact) for fact in facts] == [PositionLeft]

    async def test_is_disarmed_where_a_line_may_still_trade(self):
        for status in (LineStatus.PLANNED, LineStatus.UNRESOLVED, LineStatus.ACCEPTED, LineStatus.TRIGGERING):
            facts = await followed(closed(held("0.005")), guarded(lines=[line(status=status)]))

            assert [type(fact) for fact in facts] == [StopDisarmed]

    async def test_that_was_left_gives_nothing_more(self):
        left = replace(armed(), left_at=NOON)

        assert await followed(closed(held("0.005")), guarded(armed=left)) == []

    async def test_that_was_never_filled_makes_room(self):
        never = replace(held("0"), status=PositionStatus.ABANDONED)

        assert [type(fact) for fact in await followed(never, guarded(armed=None))] == [PositionLeft]

    async def test_that_a_late_fill_opens_again_is_guarded_again(self):
        left = replace(
            armed(), left_at=NOON, stop=replace(armed().stop, status=StopStatus.DISARMED, version=4)
        )

        facts = await followed(held("0.001"), guarded(armed=left, lines_made=3))

        [told], [planned] = of(StopArmed, facts), of(ProtectionPlanned, facts)
        assert (told.stop.status, told.stop.version, planned.version) == (StopStatus.ARMED, 5, 4)


class TestTheVenuesLine:
    async def test_that_ended_is_planned_anew_under_its_next_number(self):
        [planned] = await followed(held("0.005"), guarded(lines_made=2))

        assert planned.version == 3

    async def test_that_was_refused_waits_for_its_time(self):
        waiting = replace(armed(), refusals=1, line_at=NOON + timedelta(seconds=2))

        assert await followed(held("0.005"), guarded(armed=waiting, lines_made=1)) == []
        later = NOON + timedelta(seconds=2)
        assert len(await followed(held("0.005"), guarded(armed=waiting, lines_made=1), now=later)) == 1


def report(status=ProtectionStatus.TRIGGERING, **changes) -> ProtectionReported:
    given = {
        "account_id": 1,
        "symbol": "BTCUSDT",
        "protection_id": OURS,
        "exchange_protection_id": "77",
        "status": status,
        "triggered_order_id": None,
        "reason": "",
        "reported_at": NOON,
    }
    return ProtectionReported(happened_at=NOON, report=ProtectionReport(**{**given, **changes}))


class TestFollowReport:
    async def test_gives_the_exit_to_the_venue_for_a_second_and_a_half(self):
        [moved, claim] = await follow_report([report()], guards=guarded(lines=[line()]), now=NOON)

        assert (moved.status, claim.source) == (ProtectionStatus.TRIGGERING, Source.VENUE)
        assert claim.again_at - NOON == timedelta(seconds=1.5)
        assert claim.stop.status is StopStatus.TRIGGERED

    async def test_run_twice_moves_once_whatever_comes_late(self):
        told = [report(), report(), report(ProtectionStatus.TRIGGERED, triggered_order_id="9"), report()]

        facts = await follow_report(told, guards=guarded(lines=[line()]), now=NOON)

        assert [fact.status for fact in of(ProtectionMoved, facts)] == [
            ProtectionStatus.TRIGGERING, ProtectionStatus.TRIGGERED,
        ]  # fmt: skip
        assert len(of(StopTriggered, facts)) == 1

    async def test_gives_a_rejection_at_the_trigger_to_our_exit_at_once(self):
        told = [report(ProtectionStatus.REJECTED, reason="Margin is insufficient")]

        [_, claim] = await follow_report(told, guards=guarded(lines=[line()]), now=NOON)

        assert claim.again_at == NOON

    async def test_claims_what_a_line_has_traded_that_was_refused_when_it_was_asked_for_again(self):
        """A database that was put back asked for the line a second time; the first one closes the position meanwhile."""
        refused = line(status=LineStatus.REJECTED)
        told = report(ProtectionStatus.TRIGGERED, triggered_order_id="9")

        [moved, claim] = await follow_report([told], guards=guarded(lines=[refused]), now=NOON)
        late = await follow_report([report()], guards=guarded(lines=[refused]), now=NOON)

        assert (moved.status, claim.source) == (ProtectionStatus.TRIGGERED, Source.VENUE)
        assert late == []

    async def test_gives_no_second_claim_beside_ours(self):
        ours = replace(armed(), stop=replace(armed().stop, status=StopStatus.TRIGGERED))

        facts = await follow_report([report()], guards=guarded(armed=ours, lines=[line()]), now=NOON)

        assert [type(fact) for fact in facts] == [ProtectionMoved]

    async def test_gives_a_line_that_was_taken_back_outside_no_claim(self):
        told = [report(ProtectionStatus.CANCELED)]

        facts = await follow_report(told, guards=guarded(lines=[line()]), now=NOON)

        assert [type(fact) for fact in facts] == [ProtectionMoved]

    async def test_gives_nothing_for_what_is_not_ours(self):
        told = [report(protection_id="web_9kd")]

        assert await follow_report(told, guards=guarded(lines=[line()]), now=NOON) == []


class TestWithTriggers:
    def test_says_before_a_trade_of_a_line_that_it_has_triggered(self):
        ours = protection_id(
            ProtectionName(position_id=1, kind=TriggerKind.STOP, version=1), desk_id=DESK.desk_id
        )
        fill = reported(client_order_id=ours, exchange_order_id="9")

        [told, same] = with_triggers([fill], desk_id=DESK.desk_id)

        assert same is fill
        assert (told.report.protection_id, told.report.status, told.report.triggered_order_id) == (
            ours, ProtectionStatus.TRIGGERED, "9",
        )  # fmt: skip
        assert told.report.reported_at == fill.trade.traded_at

    @pytest.mark.parametrize("name", ["web_9kd", "", "p" + "a" * 26 + "1"])
    def test_says_nothing_of_other_trades(self, name):
        fill = reported(client_order_id=name)

        assert with_triggers([fill], desk_id=DESK.desk_id) == [fill]


def refusal(cause=RefusalCause.OTHER) -> ProtectionRejected:
    return ProtectionRejected(
        happened_at=NOON,
        protection_id=OURS,
        position_id=1,
        account_id=1,
        signal_id=UUID(int=500),
        code="-2021",
        reason="Order would immediately trigger.",
        cause=cause,
    )


class TestAnswerRefusal:
    async def test_gives_the_exit_where_the_price_has_passed(self):
        guards = guarded(armed=replace(armed(), refusals=1), lines=[line()])

        [claim] = await answer_refusal([refusal(RefusalCause.PRICE_PASSED)], guards=guards, now=NOON)

        assert isinstance(claim, StopTriggered)

    async def test_gives_nothing_while_it_may_be_tried_again(self):
        guards = guarded(armed=replace(armed(), refusals=REFUSALS_MAX - 1), lines=[line()])

        assert await answer_refusal([refusal()], guards=guards, now=NOON) == []

    async def test_gives_the_position_up_after_the_last_refusal_and_calls_a_person(self):
        guards = guarded(armed=replace(armed(), refusals=REFUSALS_MAX), lines=[line()])

        facts = await answer_refusal([refusal()], guards=guards, now=NOON)

        assert [type(fact) for fact in facts] == [StopUnusable, StopTriggered]

    async def test_run_twice_gives_it_up_once(self):
        given_up = replace(
            armed(), refusals=REFUSALS_MAX, stop=replace(armed().stop, status=StopStatus.TRIGGERED)
        )

        assert (
            await answer_refusal([refusal()], guards=guarded(armed=given_up, lines=[line()]), now=NOON) == []
        )

    async def test_gives_up_nothing_that_need_not_be_guarded(self):
        free = replace(armed(), refusals=REFUSALS_MAX, is_required=False)

        assert await answer_refusal([refusal()], guards=guarded(armed=free, lines=[line()]), now=NOON) == []


class TestAMistakeOfOurs:
    async def test_about_one_position_keeps_no_other_from_being_guarded(self):
        """A position without an entry price is impossible; its neighbour is armed all the same."""
        impossible = replace(
            held("0.005", price="0"), position_id=2, entered_quantity=Decimal(0), status=PositionStatus.OPEN
        )
        mistakes = []
        changes = [PositionChanged(happened_at=NOON, position=one) for one in (impossible, held("0.005"))]

        facts = await follow_position(
            changes,
            guards=FakeGuards(),
            market=known_market(),
            desk=DESK,
            keeps_lines=(),
            now=NOON,
            on_mistake=lambda number, mistake: mistakes.append((number, type(mistake))),
        )

        assert [fact.stop.position_id for fact in facts] == [1]
        assert mistakes == [(2, AssertionError)]
