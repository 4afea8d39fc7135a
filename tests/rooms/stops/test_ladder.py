"""The ladder in ticks says what the rules in decimals say, at every price."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain.level import Level, Method
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, Target, arm
from pregao.domain.stop_rule import NO_COSTS, Costs, StopRule, Trailing, TrailingMode
from pregao.domain.trailing import adjustment_of, break_even_price, nearer_on_tick
from pregao.stops.ladder import ladder_of
from tests.properties import steps

LONG, SHORT = Direction.LONG, Direction.SHORT
often = settings(max_examples=200, deadline=None)  # corners of integer division hide well
HAND_SPAN = Trailing(mode=TrailingMode.HAND_SPAN)

trailings = st.one_of(
    st.none(),
    st.just(HAND_SPAN),
    st.builds(
        Trailing,
        mode=st.just(TrailingMode.PERCENT),
        percent=st.decimals(min_value="0.1", max_value="50", places=1),
        step_percent=st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.37")]),
    ),
)


@st.composite
def trailing_stops(draw) -> Stop:
    """Give a stop somewhere on its way: entries between ticks, targets taken, already moved."""
    tick = draw(steps)
    direction = draw(st.sampled_from(Direction))
    entry = draw(st.integers(min_value=3, max_value=20_000)) * tick + tick * draw(st.integers(0, 9)) / 10
    sign = 1 if direction is LONG else -1
    away = draw(st.integers(min_value=1, max_value=500))
    first = max(1, int(entry / tick) - sign * away)
    if (first * tick >= entry) if direction is LONG else (first * tick <= entry):
        first = max(1, int(entry / tick) - 1) if direction is LONG else int(entry / tick) + 1
    stop = arm(
        StopRule(
            stop=Level(method=Method.ABSOLUTE, value=first * tick),
            trailing=draw(trailings),
            break_even_after_target=draw(st.booleans()),
            costs=draw(st.sampled_from([Costs(), NO_COSTS])),
        ),
        position_id=1,
        direction=direction,
        entry_price=entry,
        price_tick=tick,
    )
    taken = Target(number=1, price=entry, share=Decimal("0.5"), status=draw(st.sampled_from(StopStatus)))
    stop = replace(stop, targets=(taken,))
    break_even = break_even_price(direction=direction, entry_price=entry, costs=stop.rule.costs)
    moved_to = draw(
        st.one_of(
            st.integers(min_value=0, max_value=600).map(lambda away: max(1, first + sign * away)),
            st.just(int(nearer_on_tick(direction, break_even, tick=tick) / tick)),
        )
    )
    return replace(stop, stop_price=moved_to * tick)


class TestLadder:
    @often
    @given(stop=trailing_stops(), away=st.integers(min_value=-800, max_value=2_000))
    def test_says_what_the_rules_say(self, stop, away):
        sign = 1 if stop.direction is LONG else -1
        level = sign * int(stop.stop_price / stop.price_tick)
        ladder = ladder_of(stop)
        prices = {level + away, level + away // 20}
        if ladder is not None and (next_raise := ladder.next_raise(level)) is not None:
            prices |= {next_raise - 1, next_raise, next_raise + 1}

        for price in prices:
            if sign * price <= 0:
                continue
            adjustment = adjustment_of(stop, price=sign * price * stop.price_tick)
            rung = ladder.rung_at(price, stop=level) if ladder else None
            found = rung and (sign * rung.stop * stop.price_tick, rung.step_index)
            assert found == (adjustment and (adjustment.new_stop, adjustment.step_index))

    @often
    @given(stop=trailing_stops(), away=st.integers(min_value=-800, max_value=2_000))
    def test_names_the_first_price_that_raises(self, stop, away):
        sign = 1 if stop.direction is LONG else -1
        level = sign * int(stop.stop_price / stop.price_tick)
        ladder = ladder_of(stop)
        if ladder is None:
            return
        next_raise = ladder.next_raise(level)

        prices = {level + away} if next_raise is None else {level + away, next_raise - 1, next_raise}

        for price in prices:
            if sign * price > 0:
                is_raised = ladder.rung_at(price, stop=level) is not None
                assert is_raised is (next_raise is not None and price >= next_raise)

    def test_is_none_for_a_stop_that_stays(self):
        rule = StopRule(stop=Level(method=Method.PERCENT, value=Decimal(2)))
        stop = arm(rule, position_id=1, direction=LONG, entry_price=Decimal(100), price_tick=Decimal("0.1"))

        assert ladder_of(stop) is None

    @pytest.mark.parametrize(("price", "found"), [(510_000, (500_750, 1)), (520_000, (510_000, 2))])
    def test_has_the_figures_of_the_source(self, price, found):
        rule = StopRule(stop=Level(method=Method.ABSOLUTE, value=Decimal(49_000)), trailing=HAND_SPAN)
        stop = arm(
            rule, position_id=1, direction=LONG, entry_price=Decimal(50_000), price_tick=Decimal("0.1")
        )

        assert ladder_of(stop).next_raise(490_000) == 510_000
        assert ladder_of(stop).rung_at(price, stop=490_000) == found
