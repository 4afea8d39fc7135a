"""Operations over HTTP: how large one may be, with the figures of the source's own examples."""

from decimal import Decimal

import pytest

from tests.edges.http.api.own_desk import code_of

OURS, SOURCE = "/api/v1/operations", "/api/operations"
FIRST = {"side": "BUY", "capital": "1000", "entry_price": "90000", "stop_price": "88200"}


class TestCalculateSize:
    @pytest.mark.parametrize(
        "path", [f"{OURS}/calculate-size", f"{SOURCE}/calculate-size/", f"{SOURCE}/calculate-size"]
    )
    async def test_of_the_first_example_risks_one_percent(self, desk, path):
        """F100: 1000 USDT, 90 000, stop 88 200: half the capital's worth of bitcoin, and 10 USDT at risk."""
        answer = await desk.client.post(path, json=FIRST)

        assert answer.status_code == 200, answer.text
        size = answer.json()
        assert size["quantity"] == "0.00555555"  # the source rounds up, and risks a hair more than was asked
        assert round(Decimal(size["position_value"]), 2) == 500
        assert round(Decimal(size["risk_amount"]), 2) == 10
        assert Decimal(size["risk_amount"]) <= 10
        assert (size["is_capped"], size["stop_distance"], size["stop_distance_percent"]) == (
            False,
            "1800",
            "2",
        )

    async def test_of_the_second_example_is_capped(self, desk):
        """F100: stop 89 100; one percent would take the whole capital, half of it is the most: 5 USDT, 0.5 %."""
        answer = await desk.client.post(f"{SOURCE}/calculate-size/", json={**FIRST, "stop_price": 89_100})

        size = answer.json()
        assert (size["quantity"], size["is_capped"]) == ("0.00555555", True)
        assert round(Decimal(size["risk_amount"]), 2) == 5
        assert round(Decimal(size["risk_percent"]), 2) == Decimal("0.5")

    @pytest.mark.parametrize(
        ("side", "stop", "risk"),
        [
            ("buy", "89999.99", "0.01"),
            ("SELL", "91234.56789", "0.77"),
            ("sell", "90900", "100"),
            ("BUY", "3", "1"),
        ],
    )
    async def test_never_risks_more_than_asked(self, desk, side, stop, risk):
        """F100."""
        body = {**FIRST, "side": side, "stop_price": stop, "max_risk_percent": risk}

        size = (await desk.client.post(f"{OURS}/calculate-size", json=body)).json()

        assert 0 < Decimal(size["risk_amount"]) <= 1000 * Decimal(risk) / 100
        assert Decimal(size["position_value"]) <= 500
        assert Decimal(size["risk_percent"]) <= Decimal(risk)

    @pytest.mark.parametrize(
        ("side", "stop"), [("BUY", 90_000), ("BUY", 91_000), ("SELL", 90_000), ("SELL", 88_200)]
    )
    async def test_is_refused_where_the_stop_is_on_the_wrong_side(self, desk, side, stop):
        answer = await desk.client.post(
            f"{SOURCE}/calculate-size/", json={**FIRST, "side": side, "stop_price": stop}
        )

        assert (answer.status_code, code_of(answer)) == (400, "STOP_WRONG_SIDE")

    async def test_is_refused_where_so_little_capital_buys_nothing(self, desk):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, "capital": "0.000001"})

        assert (answer.status_code, code_of(answer)) == (400, "QUANTITY_BELOW_MINIMUM")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"capital": 0},
            {"capital": "NaN"},
            {"entry_price": -1},
            {"max_risk_percent": 101},
            {"side": "HOLD"},
            {"stop": 1},
        ],
    )
    async def test_is_unreadable_where_a_value_means_nothing(self, desk, wrong):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, **wrong})

        assert answer.status_code == 422

    async def test_warns_of_a_stop_that_noise_would_hit(self, desk):
        answer = await desk.client.post(f"{OURS}/calculate-size", json={**FIRST, "stop_price": 89_999})

        assert answer.json()["warnings"] == ["STOP_NEAR"]

    async def test_is_open_to_whoever_may_look_and_to_nobody_else(self, desk):
        viewer = await desk.enroll("vera", role="viewer")
        stranger = await desk.coming_with("")

        answers = [
            (await one.post(f"{OURS}/calculate-size", json=FIRST)).status_code
            for one in (viewer.client, stranger)
        ]

        assert answers == [200, 401]
