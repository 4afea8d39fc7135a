"""Exits of claims: how much they take, how often they are tried, what they came to."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.execution import (
    EXIT_ATTEMPTS_MAX,
    exit_quantity,
    expected_pnl,
    retry_seconds,
    slippage_percent,
)
from pregao.domain.stop_rule import TargetRule
from tests.domain.test_stop import LONG, SHORT, percent, stop_of
from tests.properties import quick


class TestExits:
    TARGETS = tuple(TargetRule(level=percent(place), share=Decimal("0.4")) for place in (2, 4))

    def quantity(self, *, number, held, entered="1", minimum="0.001", targets=TARGETS, step="0.001"):
        return exit_quantity(
            stop_of(targets=targets),
            number=number,
            entered=Decimal(entered),
            held=Decimal(held),
            quantity_step=Decimal(step),
            quantity_min=Decimal(minimum),
        )

    def test_of_a_stop_take_all_that_is_held(self):
        """D-7: what is left, not what was entered."""
        assert self.quantity(number=0, held="0.7") == Decimal("0.7")

    def test_of_targets_take_their_shares_of_what_was_entered(self):
        assert self.quantity(number=1, held="1") == Decimal("0.4")
        assert self.quantity(number=2, held="0.6") == Decimal("0.4")

    def test_of_a_target_take_what_an_earlier_one_was_too_small_for(self):
        assert self.quantity(number=1, held="0.004", entered="0.004", minimum="0.002") == 0
        assert self.quantity(number=2, held="0.004", entered="0.004", minimum="0.002") == Decimal("0.004")

    def test_leave_nothing_that_could_not_be_closed_later(self):
        assert self.quantity(number=2, held="0.003", entered="0.004", minimum="0.002") == Decimal("0.003")

    def test_after_a_close_by_hand_take_less(self):
        assert self.quantity(number=1, held="0.7") == Decimal("0.1")
        assert self.quantity(number=1, held="0.5") == 0

    @quick
    @given(
        entered=st.integers(min_value=1, max_value=10**6), held=st.integers(min_value=0, max_value=10**6),
        minimum=st.integers(min_value=1, max_value=50), number=st.integers(min_value=0, max_value=2),
    )  # fmt: skip
    def test_never_take_more_than_is_held_nor_leave_a_crumb(self, entered, held, minimum, number):
        held = min(entered, held)

        quantity = self.quantity(
            number=number, held=held, entered=entered, minimum=minimum, step="1", targets=self.TARGETS
        )

        assert 0 <= quantity <= held
        assert quantity == 0 or quantity >= min(minimum, held)
        assert held - quantity == 0 or held - quantity >= minimum or quantity == 0

    def test_that_fail_are_tried_again_after_two_seconds_then_twice_as_long_then_a_person_is_told(self):
        """F089, D2.2."""
        waits = [retry_seconds(attempts) for attempts in range(1, EXIT_ATTEMPTS_MAX + 1)]

        assert waits == [2, 4, 8, 16, None]


class TestFigures:
    @pytest.mark.parametrize(
        ("direction", "price", "worse"),
        [(LONG, "83790", "5.0000"), (LONG, "88300", "-0.1134"), (SHORT, "92610", "5.0000")],
    )
    def test_slippage_is_signed(self, direction, price, worse):
        """D1.3: the source takes the size of it, so that an improvement looks like slippage."""
        stop_price = Decimal(88_200)

        assert slippage_percent(direction=direction, stop_price=stop_price, price=Decimal(price)) == Decimal(
            worse
        )

    def test_the_expected_pnl_of_the_source_needs_a_hundredth(self):
        """The seed's "-20.00 at 88 000" from 90 000 is 0.01; its own quantity of 0.001 gives -2."""
        figures = {"direction": LONG, "entry_price": Decimal(90_000), "price": Decimal(88_000)}

        assert expected_pnl(**figures, quantity=Decimal("0.01")) == -20
        assert expected_pnl(**figures, quantity=Decimal("0.001")) == -2
        assert expected_pnl(**{**figures, "direction": SHORT}, quantity=Decimal("0.01")) == 20
