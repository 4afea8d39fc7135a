"""Both tables of spec D1.4 row by row, its corrections, and what must hold on any path of prices."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.level import Level, Method
from pregao.domain.money import is_on_step
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, arm, claim, target_taken, trigger_of
from pregao.domain.stop_rule import NO_COSTS, Costs, StopRule, TargetRule, Trailing, TrailingMode
from pregao.domain.trailing import (
    Reason,
    adjustment_of,
    break_even_price,
    is_tighter,
    percent_level,
    raised,
    span_level,
    spans_crossed,
)
from tests.properties import quick, steps

LONG, SHORT = Direction.LONG, Direction.SHORT
HAND_SPAN = Trailing(mode=TrailingMode.HAND_SPAN)
PERCENT = Trailing(mode=TrailingMode.PERCENT, percent=Decimal(2), step_percent=Decimal(0))

LONG_TABLE = [
    ("49500", 0, "49000"),
    ("50000", 0, "49000"),
    ("50500", 0, "49000"),
    ("51000", 1, "50075"),
    ("51500", 1, "50075"),
    ("52000", 2, "51000"),
    ("53000", 3, "52000"),
    ("54000", 4, "53000"),
]
SHORT_TABLE = [
    ("3050", 0, "3100"),
    ("3000", 0, "3100"),
    ("2950", 0, "3100"),
    ("2900", 1, "2995.50"),  # 2 995.5067..., to the tick towards the market
    ("2850", 1, "2995.50"),
    ("2800", 2, "2900"),
    ("2700", 3, "2800"),
]


def trailed(
    direction, *, entry, stop, tick="0.01", trailing=HAND_SPAN, costs=None, targets=(), **rule
) -> Stop:
    return arm(
        StopRule(
            stop=Level(method=Method.ABSOLUTE, value=Decimal(stop)),
            trailing=trailing,
            costs=costs or Costs(),
            targets=targets,
            **rule,
        ),
        position_id=7,
        direction=direction,
        entry_price=Decimal(entry),
        price_tick=Decimal(tick),
    )


def after(stop: Stop, *seen: str | Decimal) -> Stop:
    """Let the stop follow these prices, one after the other."""
    for price in seen:
        adjustment = adjustment_of(stop, price=Decimal(price))
        stop = raised(stop, adjustment) if adjustment else stop
    return stop


class TestHandSpan:
    @pytest.mark.parametrize(("price", "steps_crossed", "stop"), LONG_TABLE)
    def test_of_a_long_moves_as_the_table_says(self, price, steps_crossed, stop):
        """F096: entry 50 000, stop 49 000; gaps jump straight to their level."""
        start = trailed(LONG, entry="50000", stop="49000")
        adjustment = adjustment_of(start, price=Decimal(price))

        assert after(start, price).stop_price == Decimal(stop)
        assert self._crossed(start, price) == steps_crossed
        assert (adjustment.step_index if adjustment else 0) == steps_crossed
        assert (adjustment is None) is (steps_crossed == 0)

    @pytest.mark.parametrize(("price", "steps_crossed", "stop"), SHORT_TABLE)
    def test_of_a_short_moves_as_the_table_says(self, price, steps_crossed, stop):
        """F096: entry 3 000, stop 3 100."""
        start = trailed(SHORT, entry="3000", stop="3100")
        adjustment = adjustment_of(start, price=Decimal(price))

        assert after(start, price).stop_price == Decimal(stop)
        assert self._crossed(start, price) == steps_crossed
        assert (adjustment.step_index if adjustment else 0) == steps_crossed

    def _crossed(self, start, price):
        return spans_crossed(
            direction=start.direction, entry_price=start.entry_price, initial_stop=start.initial_stop,
            price=Decimal(price),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("direction", "entry", "stop", "out", "back", "stays"),
        [
            (LONG, "50000", "49000", "54000", "50500", "53000"),
            (SHORT, "3000", "3100", "2700", "2950", "2800"),
        ],
    )
    def test_stays_where_it_is_when_the_price_comes_back(self, *, direction, entry, stop, out, back, stays):
        """F096, the last row of both tables: 4 then 0, 3 then 0."""
        moved_out = after(trailed(direction, entry=entry, stop=stop), out)

        assert after(moved_out, back).stop_price == Decimal(stays)
        assert trigger_of(moved_out, bid=Decimal(back), ask=Decimal(back)) is not None  # it would have fired

    def test_of_a_short_divides_for_its_break_even(self):
        """The source's docstring says times (1 - 0.15 %), its code divides; the code's figure is in the table."""
        exact = break_even_price(direction=SHORT, entry_price=Decimal(3000), costs=Costs())

        assert str(exact).startswith("2995.5067")

    def test_counts_the_exact_boundary(self):
        """D1.4 step 3: 51 000 is one span, 50 999 none."""
        start = trailed(LONG, entry="50000", stop="49000")

        assert self._crossed(start, "51000") == 1
        assert self._crossed(start, "50999") == 0
        assert adjustment_of(start, price=Decimal("50999.99")) is None

    @pytest.mark.parametrize(
        ("direction", "entry", "stop", "price"),
        [(LONG, "50000", "49000", "51000"), (SHORT, "3000", "3100", "2900")],
    )
    def test_without_costs_breaks_even_at_the_entry(self, direction, entry, stop, price):
        """The later variant of the source: initial stop + n spans, so that one span gives exactly the entry."""
        start = trailed(direction, entry=entry, stop=stop, costs=NO_COSTS)

        assert after(start, price).stop_price == Decimal(entry)

    @pytest.mark.parametrize(("price", "steps_crossed", "stop"), [row for row in LONG_TABLE if row[1] >= 2])
    def test_without_costs_is_the_same_from_two_spans_on(self, price, steps_crossed, stop):
        start = trailed(LONG, entry="50000", stop="49000", costs=NO_COSTS)

        assert after(start, price).stop_price == Decimal(stop)
        assert (
            span_level(
                direction=LONG,
                entry_price=Decimal(50000),
                initial_stop=Decimal(49000),
                step_index=steps_crossed,
            )
            == Decimal(49000) + steps_crossed * 1000
        )

    def test_in_separate_runs_goes_on_from_the_first_stop(self):
        """F097: what the source could do once only, because it measured the span by the stop it had moved."""
        stop = trailed(LONG, entry="50000", stop="49000")
        seen = [stop.stop_price]

        for price in ("51000", "52000", "53000"):
            stop = after(stop, price)
            seen.append(stop.stop_price)

        assert seen == [Decimal(text) for text in ("49000", "50075", "51000", "52000")]
        assert (stop.initial_stop, stop.version) == (Decimal(49000), 4)

    def test_never_breaks_even_beyond_the_market(self):
        """F098: 50 000 / 49 999.50 at 50 000.50; break-even at 50 075 would fire at once."""
        start = trailed(LONG, entry="50000", stop="49999.50")

        assert after(start, "50000.50").stop_price == Decimal("49999.50")

    def test_follows_a_small_span_and_takes_break_even_when_it_comes_within_reach(self):
        start = trailed(LONG, entry="50000", stop="49970")  # 0.06 %: two and a half spans earn the costs

        assert after(start, "50030").stop_price == Decimal(49970)  # N = 1: 50 075 is out of reach, kept
        assert after(start, "50060").stop_price == Decimal(50030)  # N = 2
        late = adjustment_of(after(start, "50060"), price=Decimal(50080))
        assert (late.new_stop, late.reason, late.step_index, late.spans_crossed) == (
            Decimal(50075), Reason.BREAK_EVEN, 1, 2,
        )  # fmt: skip
        assert after(start, "50060", "50080", "50089.99").stop_price == Decimal(50075)
        assert after(start, "50060", "50080", "50150").stop_price == Decimal(50120)

    def test_trails_with_a_span_of_less_than_a_tick(self):
        """An average of two fills may lie a hair above its stop; the last level behind the market is taken."""
        start = trailed(LONG, entry="100.03", stop="100.0", tick="0.1", costs=NO_COSTS)

        assert after(start, "100.1").stop_price == Decimal("100.0")
        assert after(start, "100.2", "100.5", "103").stop_price == Decimal("102.9")

    def test_is_recorded_as_the_source_records_it(self):
        """F099, D1.4 step 6; the token names the step, not the hour, so that two workers' moves are one."""
        start = trailed(LONG, entry="50000", stop="49000")

        adjustment = adjustment_of(start, price=Decimal(52500))

        assert adjustment.position_id == 7
        assert (adjustment.old_stop, adjustment.new_stop) == (Decimal(49000), Decimal(51000))
        assert (adjustment.reason, adjustment.step_index, adjustment.spans_crossed) == (Reason.TRAILING, 2, 2)
        assert (adjustment.current_price, adjustment.span) == (Decimal(52500), Decimal(1000))
        assert adjustment.adjustment_token == "7:2"

    def test_moves_nothing_that_has_triggered(self):
        start = trailed(LONG, entry="50000", stop="49000")
        triggered = claim(start, trigger_of(start, bid=Decimal(49000), ask=Decimal(49000))).stop

        assert adjustment_of(triggered, price=Decimal(52000)) is None

    @pytest.mark.parametrize("price", ["0", "-1"])
    def test_moves_nothing_for_a_price_that_is_none(self, price):
        assert adjustment_of(trailed(SHORT, entry="3000", stop="3100"), price=Decimal(price)) is None

    def test_is_not_moved_by_an_old_look_at_it(self):
        start = trailed(LONG, entry="50000", stop="49000")
        old = adjustment_of(start, price=Decimal(51000))

        with pytest.raises(AssertionError):
            raised(after(start, "53000"), old)


class TestPercent:
    @pytest.mark.parametrize(
        ("direction", "stop", "seen", "ends"),
        [
            (LONG, "49000", ("50500", "51000", "50600"), "49980"),
            (SHORT, "51000", ("49500", "49000", "49400"), "49980"),
        ],
    )
    def test_follows_two_percent_behind_the_best_price(self, direction, stop, seen, ends):
        """E7."""
        start = trailed(direction, entry="50000", stop=stop, trailing=PERCENT)

        assert after(start, *seen).stop_price == Decimal(ends)

    def test_moves_in_steps(self):
        """A tenth of a percent of the entry: 50. Every move is a fact, and an order at the venue."""
        start = trailed(
            LONG, entry="50000", stop="49000", trailing=replace(PERCENT, step_percent=Decimal("0.1"))
        )

        assert after(start, "50051.01").stop_price == Decimal(49000)  # 49 049.99
        assert after(start, "50051.02").stop_price == Decimal(49050)
        assert after(start, "50051.02", "50102").stop_price == Decimal(49050)

    @quick
    @given(path=st.lists(st.integers(min_value=4_000, max_value=6_000), min_size=1, max_size=30))
    def test_equals_the_best_price_so_far(self, path):
        start = trailed(LONG, entry="50", stop="49", trailing=PERCENT)

        end = after(start, *[Decimal(price) / 100 for price in path])

        best = percent_level(direction=LONG, price=Decimal(max(path)) / 100, percent=Decimal(2))
        assert abs(end.stop_price - max(Decimal(49), best)) < Decimal("0.01")


class TestBreakEvenAfterTarget:
    TARGETS = tuple(
        TargetRule(level=Level(method=Method.PERCENT, value=Decimal(away)), share=Decimal("0.5"))
        for away in (2, 4)
    )

    def guarded(self, direction=LONG, stop="49000", **rule):
        rule = {"break_even_after_target": True, **rule}
        return trailed(direction, entry="50000", stop=stop, trailing=None, targets=self.TARGETS, **rule)

    def taken(self, stop, price):
        return target_taken(
            claim(stop, trigger_of(stop, bid=Decimal(price), ask=Decimal(price))).stop, number=1
        )

    @pytest.mark.parametrize(
        ("direction", "stop", "price", "ends"),
        [(LONG, "49000", "51000", "50075"), (SHORT, "51000", "49000", "49925.11")],
    )
    def test_moves_the_stop_when_the_first_target_has_filled(self, direction, stop, price, ends):
        start = self.guarded(direction, stop)

        assert after(start, price).stop_price == Decimal(stop)  # reached, not filled
        assert after(self.taken(start, price), price).stop_price == Decimal(ends)

    def test_waits_where_the_market_has_come_back(self):
        start = self.taken(self.guarded(), "51000")

        assert after(start, "50075").stop_price == Decimal(49000)
        assert after(start, "50075", "50075.01").stop_price == Decimal(50075)

    def test_is_asked_for_or_does_not_happen(self):
        start = self.taken(self.guarded(break_even_after_target=False), "51000")

        assert after(start, "51000").stop_price == Decimal(49000)


spans = st.integers(min_value=1, max_value=400)
moves = st.lists(st.integers(min_value=-60, max_value=60), min_size=1, max_size=40)
modes = st.sampled_from([HAND_SPAN, PERCENT, replace(PERCENT, step_percent=Decimal("0.1"))])


class TestAnyPath:
    @quick
    @given(
        direction=st.sampled_from(Direction), trailing=modes, span=spans, path=moves, tick=steps,
        costs=st.sampled_from([Costs(), NO_COSTS]), off_tick=st.integers(min_value=0, max_value=9),
    )  # fmt: skip
    def test_never_loosens_never_touches_the_market_and_takes_no_step_twice(
        self, *, direction, trailing, span, path, tick, costs, off_tick
    ):
        """F096: the properties; entries off the tick, as averages are."""
        entry = (Decimal(10_000) + Decimal(off_tick) / 10) * tick
        sign = 1 if direction is LONG else -1
        first = (10_000 - sign * span if direction is LONG or not off_tick else 10_001 + span) * tick
        stop = trailed(direction, entry=entry, stop=first, tick=tick, trailing=trailing, costs=costs)
        place, tokens = 10_000, set()

        for move in path:
            place += move
            price = place * tick
            adjustment = adjustment_of(stop, price=price)
            if adjustment is None:
                continue
            assert is_tighter(direction, adjustment.new_stop, than=stop.stop_price)
            assert is_on_step(adjustment.new_stop, step=tick)
            assert sign * (price - adjustment.new_stop) >= tick
            assert adjustment.adjustment_token not in tokens
            tokens.add(adjustment.adjustment_token)
            stop = raised(stop, adjustment)
            assert adjustment_of(stop, price=price) is None  # the same price again asks for nothing
            assert (stop.status, stop.initial_stop) == (StopStatus.ARMED, first)
