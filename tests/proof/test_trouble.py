"""The exchange's clock is never stepped: what our processes time is told by it."""

import pytest

from pregao.proof.trouble import Clocks


def clocks() -> Clocks:
    stepped = Clocks()
    stepped.stepped(seconds=2.5, at_ms=10_000)
    stepped.stepped(seconds=-2.5, at_ms=20_000)
    return stepped


class TestClocks:
    @pytest.mark.parametrize(
        ("own_ms", "true_ms"),
        [
            (9_000, 9_000),
            (12_500, 10_000),  # the first moment after the clock was put forward
            (17_499, 14_999),
            (22_499, 24_999),  # it came twice: before the clock was put back, and after
            (17_500, 20_000),
            (30_000, 32_500),
        ],
    )
    def test_tell_what_was_timed_by_the_exchanges_clock(self, own_ms, true_ms):
        assert clocks().true_ms(own_ms) == true_ms

    def test_take_a_time_that_a_step_has_left_out_for_that_of_the_step(self):
        assert clocks().true_ms(11_000) == 10_000

    def test_know_what_is_timed_just_now(self):
        assert clocks().true_now_ms(20_000) == 22_500
