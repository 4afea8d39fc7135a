"""Money never rounds by itself: each rounding says in which direction."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.money import bps_between, ceil_to_step, floor_to_step, is_on_step, to_amount, to_text
from tests.properties import amounts, prices, quick, steps


class TestFloorToStep:
    @quick
    @given(value=amounts, step=steps)
    def test_gives_the_largest_step_that_is_not_above(self, value, step):
        floored = floor_to_step(value, step=step)

        assert is_on_step(floored, step=step)
        assert floored <= value < floored + step

    @quick
    @given(count=st.integers(min_value=0, max_value=10**9), step=steps)
    def test_leaves_what_is_on_the_step(self, count, step):
        assert floor_to_step(count * step, step=step) == count * step

    def test_rounds_towards_zero(self):
        """A short's quantity shrinks too: a floor that grew it would exceed the margin."""
        assert floor_to_step(Decimal("-0.0019"), step=Decimal("0.001")) == Decimal("-0.001")


class TestCeilToStep:
    @quick
    @given(value=amounts, step=steps)
    def test_gives_the_smallest_step_that_is_not_below(self, value, step):
        ceiled = ceil_to_step(value, step=step)

        assert is_on_step(ceiled, step=step)
        assert ceiled - step < value <= ceiled

    @quick
    @given(value=amounts, step=steps)
    def test_differs_from_the_floor_by_one_step_or_none(self, value, step):
        gap = ceil_to_step(value, step=step) - floor_to_step(value, step=step)

        assert gap == (0 if is_on_step(value, step=step) else step)


class TestToAmount:
    @quick
    @given(value=st.decimals(min_value=-(10**9), max_value=10**9, places=12))
    def test_keeps_eight_decimals_and_is_never_further_than_half_of_the_last(self, value):
        amount = to_amount(value)

        assert amount.as_tuple().exponent == -8
        assert abs(amount - value) <= Decimal("0.000000005")

    def test_rounds_halves_to_even(self):
        assert to_amount(Decimal("0.000000005")) == 0
        assert to_amount(Decimal("0.000000015")) == Decimal("0.00000002")


class TestToText:
    @quick
    @given(value=st.decimals(min_value=-(10**12), max_value=10**12, places=8))
    def test_reads_back_as_the_same_number_without_an_exponent(self, value):
        text = to_text(value)

        assert Decimal(text) == value
        assert "E" not in text.upper()
        assert not ("." in text and text.endswith(("0", ".")))


class TestBpsBetween:
    @quick
    @given(price=prices, reference=prices)
    def test_is_positive_exactly_when_the_price_is_visibly_above(self, price, reference):
        bps = bps_between(price, reference=reference)

        assert (bps > 0) <= (price > reference)
        assert (bps < 0) <= (price < reference)

    def test_counts_ten_thousandths(self):
        assert bps_between(Decimal(101), reference=Decimal(100)) == Decimal("100.00")
