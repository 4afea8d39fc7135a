"""Stops and targets: from the fill, on the tick, triggered at equality, claimed once."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.execution import (
    EXECUTION_MOVES,
    ExecutionStatus,
)
from pregao.domain.level import Level, Method, StopUnusableError, TriggerKind, check_market_side, level_price
from pregao.domain.money import is_on_step
from pregao.domain.position import Direction
from pregao.domain.stop import (
    STOP_MOVES,
    Claim,
    Lost,
    Stop,
    StopStatus,
    Trigger,
    arm,
    armed_again,
    claim,
    disarmed,
    execution_token,
    moved,
    target_taken,
    trigger_of,
)
from pregao.domain.stop_rule import StopRule, TargetRule, Trailing, TrailingMode
from tests.properties import prices, quick, steps

LONG, SHORT = Direction.LONG, Direction.SHORT
STOP, TARGET = TriggerKind.STOP, TriggerKind.TARGET


def percent(value) -> Level:
    return Level(method=Method.PERCENT, value=Decimal(value))


def absolute(value) -> Level:
    return Level(method=Method.ABSOLUTE, value=Decimal(value))


def ranges(value) -> Level:
    return Level(method=Method.ATR, value=Decimal(value))


def risks(value) -> Level:
    return Level(method=Method.RISK, value=Decimal(value))


TWO_PERCENT = percent(2)
ONE_TARGET = (TargetRule(level=percent(4)),)


def stop_of(
    direction=LONG,
    *,
    entry="90000",
    stop=TWO_PERCENT,
    targets=ONE_TARGET,
    tick="0.1",
    position_id=123,
    atr=None,
    **rule,
) -> Stop:
    return arm(
        StopRule(stop=stop, targets=targets, **rule),
        position_id=position_id,
        direction=direction,
        entry_price=Decimal(entry),
        price_tick=Decimal(tick),
        atr=atr,
    )


class TestLevels:
    @pytest.mark.parametrize(("direction", "price"), [(LONG, "88200"), (SHORT, "91800")])
    def test_come_from_the_percent_of_the_fill(self, direction, price):
        """F082: 90 000 at 2 %."""
        assert stop_of(direction).stop_price == Decimal(price)

    @pytest.mark.parametrize(
        ("direction", "tick", "stop", "target"),
        [
            (LONG, "0.001", "92823.042", "99963.276"),
            (SHORT, "0.001", "97583.198", "90442.964"),
            (LONG, "0.1", "92823.1", "99963.2"),
            (SHORT, "0.1", "97583.1", "90443.0"),
        ],
    )
    def test_of_the_source_are_given_on_the_tick_towards_the_entry(self, direction, tick, stop, target):
        """F050, B1.2: 95 203.12 with 2.5 and 5 %; the tick of a tenth never loses more and never asks for more."""
        armed = stop_of(
            direction,
            entry="95203.12",
            stop=percent("2.5"),
            targets=(TargetRule(level=percent(5)),),
            tick=tick,
        )

        assert (armed.stop_price, armed.targets[0].price) == (Decimal(stop), Decimal(target))

    def test_of_cheap_coins_keep_their_decimals(self):
        """Two decimals whatever the asset, as the source rounds, would put this stop at 0."""
        armed = stop_of(entry="0.00001234", stop=percent("2.5"), targets=(), tick="0.00000001")

        assert armed.stop_price == Decimal("0.00001204")

    @pytest.mark.parametrize(
        ("direction", "level", "price"),
        [
            (LONG, absolute(88000), "88000"),
            (SHORT, absolute(92000), "92000"),
            (LONG, ranges("1.5"), "89250"),
            (SHORT, ranges("1.5"), "90750"),
        ],
    )
    def test_may_be_a_price_or_average_true_ranges(self, direction, level, price):
        """X-6."""
        armed = stop_of(direction, stop=level, targets=(), atr=Decimal(500))

        assert armed.stop_price == Decimal(price)
        assert armed.rule.stop == level

    @pytest.mark.parametrize(
        ("direction", "stop", "targets"),
        [(LONG, "89000.1", ["91999.8", "92999.7"]), (SHORT, "90999.9", ["88000.2", "87000.3"])],
    )
    def test_of_targets_may_be_so_many_times_what_is_risked(self, direction, stop, targets):
        """X-6: measured from where the stop stands on its tick, not from where it would have stood."""
        armed = stop_of(
            direction,
            stop=ranges(2),
            atr=Decimal("499.99"),
            targets=tuple(TargetRule(level=risks(times), share=Decimal("0.5")) for times in (2, 3)),
        )

        assert armed.stop_price == Decimal(stop)
        assert [one.price for one in armed.targets] == [Decimal(one) for one in targets]

    @quick
    @given(
        entry=prices, tick=steps, direction=st.sampled_from(Direction), kind=st.sampled_from(TriggerKind),
        away=st.decimals(min_value="0.01", max_value="50", places=2),
    )  # fmt: skip
    def test_lie_on_the_tick_beside_the_entry_and_never_farther_than_a_tick_from_what_was_asked(
        self, entry, tick, direction, kind, away
    ):
        below = (direction is LONG) is (kind is STOP)
        exact = entry * (1 - away / 100 if below else 1 + away / 100)

        asked = {"kind": kind, "direction": direction, "entry_price": entry, "price_tick": tick}
        if below and entry <= tick:  # no tick between nothing and the entry
            with pytest.raises(StopUnusableError, match="STOP_NOT_POSITIVE"):
                level_price(percent(away), **asked)
            return

        price = level_price(percent(away), **asked)

        assert is_on_step(price, step=tick)
        assert (price < entry) is below
        assert abs(price - exact) < tick
        if abs(entry - exact) > tick:  # there is a tick between: the one towards the entry is taken
            assert abs(entry - price) <= abs(entry - exact)

    @pytest.mark.parametrize(
        ("direction", "stop", "target"), [(LONG, "99.9", "100.1"), (SHORT, "100.1", "99.9")]
    )
    def test_are_a_tick_away_where_they_round_to_the_entry_itself(self, direction, stop, target):
        near = percent("0.001")

        armed = stop_of(direction, entry="100", stop=near, targets=(TargetRule(level=near),))

        assert (armed.stop_price, armed.targets[0].price) == (Decimal(stop), Decimal(target))

    def test_are_the_next_tick_where_the_entry_lies_within_the_same(self):
        armed = stop_of(entry="100.05", stop=percent("0.01"), targets=(TargetRule(level=percent("0.01")),))

        assert (armed.stop_price, armed.targets[0].price) == (Decimal("100.0"), Decimal("100.1"))

    @pytest.mark.parametrize(
        ("direction", "stop", "code"),
        [
            (LONG, absolute(90000), "STOP_WRONG_SIDE"),
            (LONG, absolute(90001), "STOP_WRONG_SIDE"),
            (SHORT, absolute(89999), "STOP_WRONG_SIDE"),
            (LONG, percent(100), "STOP_NOT_POSITIVE"),
            (LONG, ranges(2), "ATR_UNAVAILABLE"),
            (LONG, risks(2), "RISK_UNKNOWN"),
        ],
    )
    def test_that_cannot_stand_are_refused_with_the_numbers(self, direction, stop, code):
        with pytest.raises(StopUnusableError) as caught:
            stop_of(direction, stop=stop)

        assert caught.value.code == code

    def test_of_a_fill_that_slipped_past_an_absolute_stop_cannot_stand(self):
        """Bought at 89 after a stop of 90 was asked for: whoever arms closes at once instead."""
        with pytest.raises(StopUnusableError, match="price=90 entry=89"):
            stop_of(entry="89", stop=absolute(90), targets=())

    def test_do_not_follow_a_percentage_that_is_changed_later(self):
        """F081."""
        armed = stop_of()

        changed = replace(armed, rule=StopRule(stop=percent(10)))

        assert changed.stop_price == armed.stop_price == Decimal(88200)

    def test_may_all_be_missing(self):
        """0 is none at all: neither set is watched for nothing (D1.3)."""
        armed = stop_of(stop=None, targets=())

        assert (armed.stop_price, armed.initial_stop, armed.targets) == (None, None, ())
        assert trigger_of(armed, bid=Decimal(1), ask=Decimal(1)) is None

    def test_of_one_that_trails_by_percent_begin_that_far_behind(self):
        trailing = Trailing(mode=TrailingMode.PERCENT, percent=Decimal(3))

        assert stop_of(stop=None, trailing=trailing).initial_stop == Decimal(87300)

    def test_of_a_hand_span_need_a_stop(self):
        with pytest.raises(StopUnusableError, match="TRAILING_WITHOUT_STOP"):
            stop_of(stop=None, trailing=Trailing(mode=TrailingMode.HAND_SPAN))

    @pytest.mark.parametrize("far", ["0", "100", "-2"])
    def test_of_one_that_trails_by_percent_need_a_percentage(self, far):
        with pytest.raises(StopUnusableError, match="TRAILING_UNUSABLE"):
            stop_of(trailing=Trailing(mode=TrailingMode.PERCENT, percent=Decimal(far)))

    @pytest.mark.parametrize("shares", [("0.5", "0.6"), ("0",), ("-0.1", "0.5")])
    def test_take_parts_of_one_whole(self, shares):
        targets = tuple(
            TargetRule(level=percent(place + 1), share=Decimal(share)) for place, share in enumerate(shares)
        )

        with pytest.raises(StopUnusableError, match="TARGET_SHARES_UNUSABLE"):
            stop_of(targets=targets)

    @pytest.mark.parametrize("direction", Direction)
    def test_are_taken_nearest_first(self, direction):
        half = Decimal("0.5")
        far, near = TargetRule(level=percent(4), share=half), TargetRule(level=percent(2), share=half)

        assert [target.number for target in stop_of(direction, targets=(near, far)).targets] == [1, 2]
        with pytest.raises(StopUnusableError, match="TARGETS_UNORDERED"):
            stop_of(direction, targets=(far, near))


class TestMarketSide:
    @pytest.mark.parametrize(
        ("direction", "levels"),
        [
            (LONG, {"stop_price": Decimal(100)}),
            (LONG, {"target_price": Decimal(100)}),
            (SHORT, {"stop_price": Decimal(101)}),
            (SHORT, {"target_price": Decimal(101)}),
        ],
    )
    def test_refuses_what_would_trigger_at_once(self, direction, levels):
        """D-13: bid 100, ask 101."""
        with pytest.raises(StopUnusableError, match="STOP_AT_MARKET"):
            check_market_side(direction=direction, bid=Decimal(100), ask=Decimal(101), **levels)

    def test_passes_what_lies_a_tick_away(self):
        check_market_side(
            direction=LONG, bid=Decimal(100), ask=Decimal(101), stop_price=Decimal("99.9"),
            target_price=Decimal("100.1"),
        )  # fmt: skip


class TestTriggers:
    @pytest.mark.parametrize(
        ("direction", "bid", "ask", "kind"),
        [
            (LONG, "88200", "88210", STOP),  # equality
            (LONG, "88200.1", "88200.2", None),
            (LONG, "88190", "99999", STOP),
            (LONG, "93600", "93610", TARGET),  # the bid, and equality
            (LONG, "93599.9", "93601", None),  # the ask has passed it, the bid has not
            (SHORT, "91790", "91800", STOP),
            (SHORT, "91800", "91799.9", None),
            (SHORT, "86390", "86400", TARGET),
            (SHORT, "86399", "86400.1", None),
        ],
    )
    def test_watch_the_side_the_position_is_closed_at(self, direction, bid, ask, kind):
        """F084: bid for longs, ask for shorts; exactly there counts."""
        seen = trigger_of(stop_of(direction), bid=Decimal(bid), ask=Decimal(ask))

        assert (seen.kind if seen else None) is kind

    def test_test_the_stop_before_any_target(self):
        both = replace(stop_of(), stop_price=Decimal(100_000))

        seen = trigger_of(both, bid=Decimal(95_000), ask=Decimal(95_000))

        assert (seen.kind, seen.number, seen.version) == (STOP, 0, 1)

    def test_take_the_nearest_target_that_has_not_been_taken(self):
        targets = tuple(TargetRule(level=percent(place), share=Decimal("0.5")) for place in (2, 4))
        armed = stop_of(targets=targets)
        price = Decimal(95_000)

        first = trigger_of(armed, bid=price, ask=price)
        second = trigger_of(claim(armed, first).stop, bid=price, ask=price)

        assert (first.number, second.number) == (1, 2)

    def test_leave_the_targets_of_a_position_that_is_given_up(self):
        armed = stop_of()
        given_up = claim(armed, trigger_of(armed, bid=Decimal(80_000), ask=Decimal(80_000))).stop

        assert trigger_of(given_up, bid=Decimal(95_000), ask=Decimal(95_000)) is None

    def test_watch_the_stop_while_a_share_is_taken(self):
        """The rest would be naked between the target's trigger and its fill."""
        armed = stop_of()
        taking = claim(armed, trigger_of(armed, bid=Decimal(94_000), ask=Decimal(94_000))).stop

        assert trigger_of(taking, bid=Decimal(88_000), ask=Decimal(88_000)).kind is STOP


class TestClaims:
    def seen(self, stop, price="88000") -> Trigger:
        return trigger_of(stop, bid=Decimal(price), ask=Decimal(price))

    def test_print_the_token_of_the_source_with_a_version_for_the_time(self):
        """X-7."""
        assert execution_token(position_id=123, stop_price=Decimal("88200.00"), version=3) == "123:88200:3"

    def test_of_fifty_give_one(self):
        """F087: the lock is the caller's; each sees what the one before left."""
        armed = stop_of()
        triggers = [self.seen(armed)] * 50
        won = []

        for trigger in triggers:
            answer = claim(armed, trigger)
            if isinstance(answer, Claim):
                won.append(answer)
                armed = answer.stop
            else:
                assert answer == "Duplicate execution prevented (idempotency)"

        assert [one.token for one in won] == ["123:88200:1"]
        assert armed.status is StopStatus.TRIGGERED

    def test_on_a_stop_that_was_raised_meanwhile_are_for_its_new_version(self):
        armed = stop_of()

        answer = claim(moved(armed, stop_price=Decimal(89_000)), self.seen(armed))

        assert (answer.token, answer.trigger.version) == ("123:89000:2", 2)

    def test_on_a_stop_that_was_lowered_meanwhile_are_lost(self):
        armed = stop_of()

        assert claim(moved(armed, stop_price=Decimal(80_000)), self.seen(armed)) is Lost.SUPERSEDED

    def test_on_what_is_not_watched_any_more_are_lost(self):
        armed = stop_of()

        assert claim(disarmed(armed), self.seen(armed)) is Lost.DUPLICATE
        assert claim(stop_of(stop=None, targets=()), self.seen(armed)) is Lost.DUPLICATE

    def test_may_be_made_anew_after_the_rest_is_armed_again(self):
        armed = stop_of()
        first = claim(armed, self.seen(armed))

        again = armed_again(first.stop, number=0)
        second = claim(again, self.seen(again))

        assert (first.token, second.token) == ("123:88200:1", "123:88200:2")

    def test_of_a_target_leave_the_stop_armed(self):
        armed = stop_of()

        taken = claim(armed, self.seen(armed, "94000"))

        assert taken.token == "123:93600:1"
        assert (taken.stop.status, taken.stop.targets[0].status) == (StopStatus.ARMED, StopStatus.TRIGGERED)
        after = target_taken(taken.stop, number=1)
        assert (after.targets[0].status, after.version) == (StopStatus.DISARMED, 2)

    def test_on_a_position_that_is_flat_are_none(self):
        flat = disarmed(stop_of())

        assert {flat.status, flat.targets[0].status} == {StopStatus.DISARMED}
        assert flat.version == 2


class TestMoves:
    def test_give_the_next_version_and_leave_entry_and_first_stop(self):
        """F097's ground: what the span is measured by never changes."""
        armed = stop_of()

        after = moved(armed, stop_price=Decimal(89_000))

        assert (after.version, after.stop_price) == (2, Decimal(89_000))
        assert (after.initial_stop, after.entry_price) == (armed.initial_stop, armed.entry_price)

    def test_keep_to_the_tick(self):
        with pytest.raises(StopUnusableError, match="STOP_OFF_TICK"):
            moved(stop_of(), stop_price=Decimal("88200.05"))

    def test_are_not_for_what_has_triggered(self):
        armed = stop_of()
        triggered = claim(armed, trigger_of(armed, bid=Decimal(1), ask=Decimal(1))).stop

        with pytest.raises(StopUnusableError, match="STOP_NOT_ARMED"):
            moved(triggered, stop_price=Decimal(89_000))

    def test_of_an_illegal_kind_are_our_mistake(self):
        with pytest.raises(AssertionError):
            armed_again(stop_of(), number=0)

    @pytest.mark.parametrize("moves", [STOP_MOVES, EXECUTION_MOVES])
    def test_are_in_a_table_that_knows_every_state(self, moves):
        kind = type(next(iter(moves)))

        assert set(moves) == set(kind)
        assert all(status not in following for status, following in moves.items())

    def test_of_an_execution_end_when_it_is_executed(self):
        """F089: failed and blocked are never the end."""
        ends = {status for status, following in EXECUTION_MOVES.items() if not following}

        assert ends == {ExecutionStatus.EXECUTED}
