"""Sizes, drawdown and margin health, with the figures of spec D1.3."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.money import is_on_step
from pregao.domain.position import Direction
from pregao.domain.risk import (
    MarginHealth,
    MonthlyState,
    SizeUnusableError,
    StopWarning,
    drawdown_of,
    margin_health,
    month_pnl,
    size_position,
)
from tests.properties import prices, quick, steps

LONG, SHORT = Direction.LONG, Direction.SHORT
NEAREST = Decimal("0.00000001")


def sized(stop, *, direction=LONG, capital=1000, entry=90_000, **rule):
    return size_position(
        direction=direction,
        capital=Decimal(capital),
        entry_price=Decimal(entry),
        stop_price=Decimal(stop),
        **rule,
    )


class TestSize:
    def test_of_the_first_example_is_not_capped(self):
        """F100: 1000 / 90 000 / 88 200; the source rounds 0.0055555... up and risks a hair more than 10."""
        size = sized(88_200)

        assert size.quantity == Decimal("0.00555555")
        assert abs(size.quantity - Decimal("0.00555556")) == NEAREST
        assert round(size.position_value, 2) == 500
        assert round(size.risk_amount, 2) == 10
        assert size.risk_amount <= 10
        assert not size.is_capped
        assert (size.stop_distance, size.stop_distance_percent) == (1800, 2)

    def test_of_the_second_example_is_capped_at_half_of_the_capital(self):
        """F100: stop 89 100; 1 % would be worth 1000."""
        size = sized(89_100)

        assert size.quantity == Decimal("0.00555555")
        assert round(size.risk_amount, 2) == 5
        assert round(size.risk_percent, 2) == Decimal("0.5")
        assert size.is_capped

    def test_of_a_short_is_the_same_mirrored(self):
        assert sized(91_800, direction=SHORT) == sized(88_200)

    @pytest.mark.parametrize(
        ("direction", "stop"), [(LONG, 90_000), (LONG, 90_001), (SHORT, 90_000), (SHORT, 89_999)]
    )
    def test_is_refused_where_the_stop_is_on_the_wrong_side(self, direction, stop):
        side = "below" if direction is LONG else "above"
        with pytest.raises(SizeUnusableError, match=f"STOP_WRONG_SIDE: .* lies {side} its entry") as caught:
            sized(stop, direction=direction)

        assert caught.value.code == "STOP_WRONG_SIDE"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"capital": 0}, {"entry": -1}, {"risk_percent": Decimal(0)}, {"risk_percent": Decimal(101)},
            {"position_percent_max": Decimal(101)}, {"quantity_step": Decimal(0)},
        ],
    )  # fmt: skip
    def test_is_refused_where_a_value_means_nothing(self, wrong):
        with pytest.raises(SizeUnusableError) as caught:
            sized(88_200, **wrong)

        assert caught.value.code == "RISK_UNUSABLE"

    @pytest.mark.parametrize(
        ("stop", "warnings"),
        [
            ("89550", ()),  # 0.5 %
            ("89551", (StopWarning.NEAR,)),
            ("81000", ()),  # 10 %
            ("80999", (StopWarning.FAR,)),
        ],
    )
    def test_warns_of_a_stop_that_is_very_near_or_very_far(self, stop, warnings):
        assert sized(stop).warnings == warnings

    @quick
    @given(
        capital=st.integers(min_value=1, max_value=10**7), entry=prices, step=steps,
        away=st.decimals(min_value="0.01", max_value="99", places=2),
        risk=st.decimals(min_value="0.01", max_value="100", places=2), direction=st.sampled_from(Direction),
    )  # fmt: skip
    def test_never_risks_more_than_asked_nor_binds_more_than_half(
        self, *, capital, entry, step, away, risk, direction
    ):
        """F100."""
        share = 1 - away / 100 if direction is LONG else 1 + away / 100

        size = sized(
            entry * share,
            direction=direction,
            capital=capital,
            entry=entry,
            risk_percent=risk,
            quantity_step=step,
        )

        assert size.risk_amount <= capital * risk / 100
        assert size.position_value <= Decimal(capital) / 2
        assert is_on_step(size.quantity, step=step)
        more = size.quantity + step
        assert (
            more * size.stop_distance > capital * risk / 100 - NEAREST
            or more * entry > Decimal(capital) / 2 - NEAREST
        )


@dataclass(frozen=True)
class Trade:
    """A closed position, as far as the month asks."""

    realized_pnl: Decimal
    closed_at: datetime | None
    user_id: UUID | None


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANA, BRUNO = UUID(int=1), UUID(int=2)


class TestDrawdown:
    @pytest.mark.parametrize(
        ("pnl", "percent", "state"),
        [
            ("-40", "4", MonthlyState.PAUSED),
            ("-39.99999999", "3.999999999", MonthlyState.ACTIVE),
            ("-41", "4.1", MonthlyState.PAUSED),
            ("0", "0", MonthlyState.ACTIVE),
            ("500", "0", MonthlyState.ACTIVE),
        ],
    )
    def test_pauses_at_exactly_four_percent(self, pnl, percent, state):
        """F101."""
        drawdown = drawdown_of(Decimal(pnl), capital=Decimal(1000))

        assert (drawdown.percent, drawdown.state) == (Decimal(percent), state)

    def test_pauses_at_exactly_the_limit_of_a_capital_that_does_not_divide(self):
        capital = Decimal("1234.56789123")

        assert drawdown_of(-capital * 4 / 100, capital=capital).state is MonthlyState.PAUSED

    def test_needs_a_capital(self):
        with pytest.raises(SizeUnusableError, match="RISK_UNUSABLE"):
            drawdown_of(Decimal(-1), capital=Decimal(0))

    def test_counts_the_tenants_own_trades_of_the_month_only(self):
        """F101, D-8: the source adds up everybody's."""
        trades = [
            Trade(Decimal(-30), datetime(2026, 11, 1, tzinfo=UTC), ANA),
            Trade(Decimal(-5), NOW, ANA),
            Trade(Decimal(-900), datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC), ANA),
            Trade(Decimal(-900), datetime(2025, 11, 21, tzinfo=UTC), ANA),
            Trade(Decimal(-900), NOW, BRUNO),
            Trade(Decimal(-900), NOW, None),
            Trade(Decimal(-900), None, ANA),
        ]

        assert month_pnl(trades, user_id=ANA, now=NOW) == -35
        assert month_pnl(trades, user_id=None, now=NOW) == -900


class TestMarginHealth:
    @pytest.mark.parametrize(
        ("level", "health"),
        [
            ("2.0", MarginHealth.SAFE), ("1.99", MarginHealth.CAUTION), ("1.5", MarginHealth.CAUTION),
            ("1.49", MarginHealth.WARNING), ("1.3", MarginHealth.WARNING), ("1.29", MarginHealth.CRITICAL),
            ("1.1", MarginHealth.CRITICAL), ("1.09", MarginHealth.DANGER), ("0", MarginHealth.DANGER),
        ],
    )  # fmt: skip
    def test_has_the_sources_words(self, level, health):
        assert margin_health(Decimal(level)) is health

    def test_is_unknown_where_nothing_is_known(self):
        assert margin_health(None) is MarginHealth.UNKNOWN
