"""How far a fill was from the price the desk decided on."""

from decimal import Decimal

import pytest

from pregao.views.slippage import average_price, slippage_bps


class TestAveragePrice:
    @pytest.mark.parametrize(
        ("notional", "quantity", "price"),
        [
            ("475.95", "0.005", "95190"),
            ("90.0200", "1", "90.02"),
            ("1", "3", "0.3333333333"),
            ("0.00001234", "1", "0.00001234"),
            ("100", "1", "100"),
        ],
    )
    def test_has_no_more_digits_than_it_needs(self, notional, quantity, price):
        average = average_price(notional=Decimal(notional), quantity=Decimal(quantity))

        assert str(average) == price

    def test_is_none_before_the_first_fill(self):
        assert average_price(notional=Decimal(0), quantity=Decimal(0)) is None


class TestSlippage:
    @pytest.mark.parametrize(
        ("side", "price", "bps"), [("buy", "101", "100"), ("buy", "99", "-100"), ("sell", "99", "100")]
    )
    def test_is_positive_where_it_is_worse_for_the_account(self, side, price, bps):
        assert slippage_bps(side=side, price=Decimal(price), decision_price=Decimal(100)) == Decimal(bps)

    @pytest.mark.parametrize(
        ("side", "price", "decision_price"),
        [(None, Decimal(1), Decimal(1)), ("buy", None, Decimal(1)), ("buy", Decimal(1), None)],
    )
    def test_is_none_where_there_is_nothing_to_compare(self, side, price, decision_price):
        assert slippage_bps(side=side, price=price, decision_price=decision_price) is None
