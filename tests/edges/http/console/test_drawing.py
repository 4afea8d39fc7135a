"""Lines and bars without a script: every value within the box, 0 always in sight."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.edges.http.console.pages.drawing import HEIGHT, WIDTH, columns_of, curve_of, share_of

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=2, allow_nan=False)


class TestCurve:
    @given(st.lists(amounts, min_size=2, max_size=60))
    def test_stays_within_its_box_and_rises_where_the_value_does(self, values):
        drawn = curve_of(values)

        points = [tuple(Decimal(part) for part in point.split(",")) for point in drawn.points.split()]
        assert len(points) == len(values)
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
        assert 0 <= drawn.zero <= HEIGHT
        for (_, y), value in zip(points, values, strict=True):
            assert (y <= drawn.zero) if value >= 0 else (y >= drawn.zero)

    def test_of_one_value_is_no_line(self):
        assert curve_of([Decimal(1)]) is None

    def test_of_nothing_earned_is_level(self):
        assert curve_of([Decimal(0), Decimal(0)]).points == "0.00,20 100.00,20"


class TestColumns:
    @given(st.lists(amounts, max_size=60))
    def test_stand_side_by_side_and_each_on_its_side_of_nothing(self, values):
        drawn = columns_of(values)

        assert [one.value for one in drawn] == values
        assert all(one.y >= 0 and one.y + one.height <= HEIGHT for one in drawn)
        assert all(one.x + one.width <= WIDTH for one in drawn)
        assert {one.kind for one in drawn if one.value < 0} <= {"bad"}


class TestBars:
    @pytest.mark.parametrize(("part", "whole", "wide"), [(1, 4, 25), (0, 4, 0), (4, 4, 100), (3, 0, 0)])
    def test_are_as_wide_as_the_share(self, part, whole, wide):
        assert share_of(part, whole) == wide
