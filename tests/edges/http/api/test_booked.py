"""Positions that are booked by hand: what the body may say of the price."""

import pytest

POSITIONS = "/api/v1/positions"


class TestPrice:
    @pytest.mark.parametrize(
        ("price", "status"), [(None, 404), ("1.5", 404), (0, 422), ("-1", 422), ("NaN", 422)]
    )
    async def test_may_be_unknown_and_is_above_zero(self, desk, price, status):
        body = {"price": price, "reason": "sold elsewhere"}

        answer = await desk.client.post(f"{POSITIONS}/7/close-in-books", json=body)

        assert answer.status_code == status
