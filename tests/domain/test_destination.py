"""The sliding minute of a destination (F012): a slot frees exactly sixty seconds after it was taken."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.destination import (
    PER_MINUTE_MAX,
    ForwardLimit,
    Slots,
    after_take,
    last_freed_at,
    seconds_until_free,
)
from tests.builders import NOON

SIXTY = ForwardLimit()


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def taken(*seconds):
    return Slots(taken_at=tuple(after(one) for one in seconds))


class TestSlots:
    def test_let_sixty_go_in_a_minute_and_the_next_when_the_first_is_a_minute_old(self):
        slots = Slots()
        for number in range(60):
            assert seconds_until_free(slots, limit=SIXTY, now=after(number / 10)) == 0
            slots = after_take(slots, has_waited=False, now=after(number / 10))

        assert seconds_until_free(slots, limit=SIXTY, now=after(6)) == 54
        assert seconds_until_free(slots, limit=SIXTY, now=after(59.999)) == pytest.approx(0.001)
        assert seconds_until_free(slots, limit=SIXTY, now=after(60)) == 0

    def test_wait_longer_at_once_when_the_limit_is_lowered_and_less_when_it_is_raised(self):
        slots = taken(0, 10, 20, 30)

        waits = [
            seconds_until_free(slots, limit=ForwardLimit(max_per_minute=most), now=after(40))
            for most in (5, 4, 2, 1)
        ]

        assert waits == [0, 20, 40, 50]

    def test_pass_while_the_limit_is_paused_and_count_when_it_is_resumed(self):
        slots = Slots()
        for number in range(3):
            slots = after_take(slots, has_waited=False, now=after(number))

        paused = seconds_until_free(
            slots, limit=ForwardLimit(max_per_minute=1, is_enabled=False), now=after(3)
        )
        resumed = seconds_until_free(slots, limit=ForwardLimit(max_per_minute=1), now=after(3))

        assert (paused, resumed) == (0, 59)

    def test_remember_no_more_than_the_largest_limit_needs(self):
        slots = Slots()
        for number in range(PER_MINUTE_MAX + 5):
            slots = after_take(slots, has_waited=False, now=after(number / 100))

        assert len(slots.taken_at) == PER_MINUTE_MAX
        assert seconds_until_free(slots, limit=ForwardLimit(max_per_minute=PER_MINUTE_MAX), now=after(4)) > 0

    def test_know_who_waited_and_when_one_came_free(self):
        slots = after_take(taken(0, 5), has_waited=True, now=after(61))

        assert slots.limited == 1
        assert slots.freed_at == after(60)
        assert last_freed_at(slots, now=after(70)) == after(65)

    @given(
        gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60),
        limits=st.lists(st.integers(1, 5), min_size=1, max_size=60),
    )
    def test_never_hold_more_than_the_limit_when_one_is_taken(self, gaps, limits):
        """Whoever takes a slot when he may leaves at most the limit of that moment in any minute up to it."""
        slots, now = Slots(), NOON
        for gap, most in zip(gaps, limits, strict=False):
            now += timedelta(seconds=gap)
            limit = ForwardLimit(max_per_minute=most)
            now += timedelta(seconds=seconds_until_free(slots, limit=limit, now=now))
            if seconds_until_free(slots, limit=limit, now=now) > 0:
                now += timedelta(microseconds=1)  # the float's rounding
            slots = after_take(slots, has_waited=False, now=now)

            assert len(slots.taken_at) <= most
