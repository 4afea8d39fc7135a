"""What to stake and how large a position is in money, with the figures of spec E7."""

from decimal import Decimal

import pytest

from pregao.domain.position import Direction
from pregao.domain.risk import SizeUnusableError
from pregao.domain.stake import position_in_money, stake_of, stop_by_range

LONG, SHORT = Direction.LONG, Direction.SHORT


def stake(win_rate, reward_to_risk):
    return stake_of(win_rate=Decimal(win_rate), reward_to_risk=Decimal(reward_to_risk))


class TestStake:
    @pytest.mark.parametrize(
        ("win_rate", "reward_to_risk", "kelly", "percent"),
        [
            ("0.55", "1.5", "0.25", "5"),  # a quarter is 6.25
            ("0.5", "1.2", "0.0833", "2.0833"),
            ("0.42", "1.4", "0.0057", "1"),  # a quarter is 0.14: raised, because it is above 0
            ("0.5", "1", "0", "0"),
            ("0.4", "1.4", "-0.0286", "0"),  # the source traded such an edge with 1 percent
            ("0", "3", "-0.3333", "0"),
            ("1", "0.1", "1", "5"),
        ],
    )
    def test_stakes_a_quarter_of_kelly_and_nothing_on_an_edge_that_loses(
        self, win_rate, reward_to_risk, kelly, percent
    ):
        told = stake(win_rate, reward_to_risk)

        assert round(told.kelly, 4) == Decimal(kelly)
        assert round(told.percent, 4) == Decimal(percent)
        assert told.is_trade == (Decimal(kelly) > 0)

    def test_stakes_two_percent_where_the_odds_are_not_known(self):
        for odds in ((None, None), (Decimal("0.5"), None), (None, Decimal(2))):
            told = stake_of(win_rate=odds[0], reward_to_risk=odds[1])

            assert (told.kelly, told.part, told.percent) == (None, None, Decimal(2))

    @pytest.mark.parametrize(("win_rate", "reward_to_risk"), [("1.01", "1"), ("-0.1", "1"), ("0.5", "0")])
    def test_takes_no_odds_that_cannot_be(self, win_rate, reward_to_risk):
        with pytest.raises(SizeUnusableError, match="ODDS_UNUSABLE"):
            stake(win_rate, reward_to_risk)


class TestPositionInMoney:
    def test_risks_what_was_asked_at_the_stop(self):
        """1 percent of 10,000 is 100; a stop 20 percent away costs that on 500."""
        told = position_in_money(
            direction=LONG, capital=Decimal(10_000), entry_price=Decimal(100), stop_price=Decimal(80), risk_percent=Decimal(1)
        )  # fmt: skip

        assert (told.value, told.risk_amount, told.is_capped) == (Decimal(500), Decimal(100), False)
        assert told.targets == ((Decimal(120), Decimal("0.5")), (Decimal(140), Decimal("0.5")))

    def test_is_at_most_a_tenth_of_the_capital(self):
        told = position_in_money(
            direction=SHORT, capital=Decimal(10_000), entry_price=Decimal(100), stop_price=Decimal(102), risk_percent=Decimal(1)
        )  # fmt: skip

        assert (told.value, told.risk_amount, told.is_capped) == (Decimal(1000), Decimal(20), True)
        assert [price for price, _ in told.targets] == [Decimal(98), Decimal(96)]

    def test_puts_the_stop_two_ranges_away(self):
        assert stop_by_range(direction=LONG, entry_price=Decimal(100), range_now=Decimal(3)) == 94
        assert stop_by_range(direction=SHORT, entry_price=Decimal(100), range_now=Decimal(3)) == 106
        with pytest.raises(SizeUnusableError, match="RANGE_UNUSABLE"):
            stop_by_range(direction=LONG, entry_price=Decimal(100), range_now=Decimal(50))

    @pytest.mark.parametrize(("direction", "stop"), [(LONG, 100), (LONG, 101), (SHORT, 100), (SHORT, 99)])
    def test_takes_no_stop_on_the_wrong_side(self, direction, stop):
        with pytest.raises(SizeUnusableError, match="STOP_WRONG_SIDE"):
            position_in_money(
                direction=direction, capital=Decimal(1), entry_price=Decimal(100), stop_price=Decimal(stop), risk_percent=Decimal(1)
            )  # fmt: skip
