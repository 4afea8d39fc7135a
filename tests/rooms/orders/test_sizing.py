"""F047: quantity is margin x leverage / the venue's price, floored to the market step."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pregao.domain.money import is_on_step
from pregao.domain.order import Side
from pregao.domain.signal import Risked
from pregao.orders.denial import Denial
from pregao.orders.sizing import size_entry, size_exit, size_risked
from tests.fake_exchange import instrument
from tests.properties import prices, quantities, quick, steps

ANY_SIZE = {"market_quantity_min": Decimal(0), "notional_min": Decimal(0)}
margins = st.decimals(min_value=5, max_value=100_000, places=2)
leverages = st.integers(min_value=1, max_value=125)


def sized(margin_usd, leverage, *, price="95200", step="0.001", **changes):
    rules = replace(instrument(step=step), **changes)
    return size_entry(
        margin_usd=Decimal(margin_usd), leverage=leverage, price=Decimal(price), instrument=rules
    )


class TestSizeEntry:
    @pytest.mark.parametrize(
        ("margin_usd", "leverage", "step", "quantity"),
        [
            (20, 5, "0.00001", "0.00105"),
            (50, 10, "0.00001", "0.00525"),
            (20, 5, "0.001", "0.001"),
            (50, 10, "0.001", "0.005"),
        ],
    )
    def test_gives_the_two_users_of_the_source_text_what_they_expect(
        self, margin_usd, leverage, step, quantity
    ):
        """F047, X-4: the quantities the requirement names, and the floor at the coarser step."""
        assert sized(margin_usd, leverage, step=step) == Decimal(quantity)

    def test_says_which_minimum_quantity_was_missed(self):
        refused = sized(5, 1)

        assert isinstance(refused, Denial)
        assert refused.code == "QUANTITY_BELOW_MINIMUM"
        assert (
            "quantity=0 minimum=0.001 instrument=BTCUSDT margin_usd=5 leverage=1 price=95200"
            in refused.reason
        )

    def test_says_which_minimum_notional_was_missed(self):
        refused = sized(20, 5, notional_min=Decimal(100))

        assert isinstance(refused, Denial)
        assert refused.code == "NOTIONAL_BELOW_MINIMUM"
        assert "notional=95.2 minimum=100" in refused.reason

    def test_says_which_maximum_quantity_was_passed(self):
        refused = sized(100_000, 125, market_quantity_max=Decimal(120))

        assert isinstance(refused, Denial)
        assert refused.code == "QUANTITY_ABOVE_MAXIMUM"
        assert "quantity=131.302 maximum=120" in refused.reason

    def test_uses_the_market_step_and_not_the_limit_one(self):
        """Market orders have a filter of their own at Binance; a quantity off it is refused."""
        assert sized(50, 10, step="0.00001", market_quantity_step=Decimal("0.002")) == Decimal("0.004")

    @quick
    @given(margin_usd=margins, leverage=leverages, price=prices, step=steps)
    def test_never_exceeds_what_the_margin_carries(self, margin_usd, leverage, price, step):
        quantity = sized(margin_usd, leverage, price=price, step=str(step), **ANY_SIZE)
        assume(not isinstance(quantity, Denial))

        assert quantity * price <= margin_usd * leverage
        assert (quantity + step) * price > margin_usd * leverage

    @quick
    @given(margin_usd=margins, leverage=leverages, price=prices, step=steps)
    def test_lands_on_the_market_step_inside_the_limits_or_is_denied(self, margin_usd, leverage, price, step):
        rules = instrument(step=str(step))

        quantity = sized(margin_usd, leverage, price=price, step=str(step))

        if isinstance(quantity, Denial):
            assert quantity.code in (
                "QUANTITY_BELOW_MINIMUM",
                "QUANTITY_ABOVE_MAXIMUM",
                "NOTIONAL_BELOW_MINIMUM",
            )
            return
        assert quantity > 0
        assert is_on_step(quantity, step=step)
        assert rules.market_quantity_min <= quantity <= rules.market_quantity_max
        assert quantity * price >= rules.notional_min


class TestSizeRisked:
    """F100: a trade by hand is sized by the distance of its stop, at the venue's live price."""

    def test_gives_what_the_stop_may_cost_floored_to_the_market_step(self):
        risk = Risked(capital=Decimal(1000), risk_percent=Decimal(1), stop_price=Decimal(88_200))

        fine, coarse = [
            size_risked(risk, side=Side.BUY, price=Decimal(90_000), instrument=instrument(step=step))
            for step in ("0.00001", "0.001")
        ]

        assert (fine, coarse) == (Decimal("0.00555"), Decimal("0.005"))

    @pytest.mark.parametrize(
        ("stop", "code"),
        [("90000", "STOP_WRONG_SIDE"), ("90001", "STOP_WRONG_SIDE"), ("1", "QUANTITY_BELOW_MINIMUM")],
    )
    def test_denies_where_the_price_has_passed_the_stop_or_too_little_is_left_to_buy(self, stop, code):
        risk = Risked(capital=Decimal(1000), risk_percent=Decimal(1), stop_price=Decimal(stop))

        denial = size_risked(risk, side=Side.BUY, price=Decimal(90_000), instrument=instrument(step="0.001"))

        assert denial.code == code
        assert "Raise the capital or the risk" in denial.reason or code == "STOP_WRONG_SIDE"

    @quick
    @given(
        capital=st.integers(min_value=1, max_value=10**7), price=prices, step=steps, side=st.sampled_from(Side),
        away=st.decimals(min_value="0.01", max_value="99", places=2),
        risk=st.decimals(min_value="0.01", max_value="1", places=2),
    )  # fmt: skip
    def test_never_risks_more_than_asked_wherever_the_price_is(
        self, *, capital, price, step, side, away, risk
    ):
        share = 1 - away / 100 if side is Side.BUY else 1 + away / 100
        stop = price * share
        asked = Risked(capital=Decimal(capital), risk_percent=risk, stop_price=stop)
        rules = replace(instrument(step=str(step)), **ANY_SIZE, market_quantity_max=Decimal(10) ** 30)

        size = size_risked(asked, side=side, price=price, instrument=rules)

        assume(not isinstance(size, Denial))
        assert size * abs(price - stop) * 100 <= capital * risk
        assert size * price * 2 <= capital
        assert is_on_step(size, step=step)


class TestSizeExit:
    @pytest.mark.parametrize("share", [None, Decimal(1), Decimal("1.5")])
    def test_closes_all_that_is_held(self, share):
        """Even what is off the step: a rest that cannot be closed would stay for ever."""
        held = Decimal("0.00123")

        assert size_exit(held=held, share=share, instrument=instrument()) == held

    def test_floors_a_share_to_the_step(self):
        assert size_exit(held=Decimal("0.005"), share=Decimal("0.5"), instrument=instrument()) == Decimal(
            "0.002"
        )

    @pytest.mark.parametrize(("held", "closed"), [("0.005", "0.002"), ("7", "3"), ("1.50", "0.75")])
    def test_closes_no_more_than_the_share_where_the_step_is_not_known(self, held, closed):
        quantity = size_exit(held=Decimal(held), share=Decimal("0.5"), instrument=None)

        assert quantity == Decimal(closed)

    def test_says_when_a_share_is_too_small(self):
        refused = size_exit(held=Decimal("0.001"), share=Decimal("0.5"), instrument=instrument())

        assert isinstance(refused, Denial)
        assert refused.code == "QUANTITY_BELOW_MINIMUM"
        assert "held=0.001 share=0.5" in refused.reason

    @quick
    @given(held=quantities, share=st.decimals(min_value=Decimal("0.01"), max_value=1, places=2), step=steps)
    def test_never_closes_more_than_is_held(self, held, share, step):
        """A reduce-only order never flips a position."""
        quantity = size_exit(held=held, share=share, instrument=instrument(step=str(step)))

        if not isinstance(quantity, Denial):
            assert 0 < quantity <= held
            assert quantity == held or is_on_step(quantity, step=step)
