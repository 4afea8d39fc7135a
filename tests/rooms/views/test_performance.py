"""Figures of what closed: each is what its formula says, by hand."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.views.performance import Results, sum_of, to_period
from tests.properties import quick

MONDAY = date(2026, 11, 16)
amounts = st.decimals(min_value=-1000, max_value=1000, places=8)


def results(pnl: str | Decimal, *, fees: str = "0", notional: str = "100") -> Results:
    """Give the results of one closed position."""
    earned = Decimal(pnl)
    lost = max(-earned, Decimal(0))
    return Results(
        closed=1,
        wins=int(earned > 0),
        losses=int(earned < 0),
        pnl_usd=earned,
        gross_pnl_usd=earned + Decimal(fees),
        fees_usd=Decimal(fees),
        loss_usd=lost,
        notional_usd=Decimal(notional),
        counted_loss_usd=lost,
    )


def period(*rows, days: int = 5, before: Results | None = None):
    return to_period(
        days=[(on, one) for on, _, one in rows],
        symbols=[(symbol, one) for _, symbol, one in rows],
        before=before or Results(),
        first_day=MONDAY,
        last_day=MONDAY + timedelta(days=days - 1),
        best_pnl_usd=None,
        worst_pnl_usd=None,
    )


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


class TestResults:
    def test_count_0_as_neither_win_nor_loss(self):
        """F056."""
        both = results("2") + results("0") + results("-1") + results("0")

        assert (both.closed, both.wins, both.losses, both.win_rate_pct) == (4, 1, 1, Decimal("50.00"))

    @pytest.mark.parametrize(
        ("wins", "losses", "rate"),
        [(0, 0, None), (0, 3, "0.00"), (2, 1, "66.67"), (1, 31, "3.13"), (5, 0, "100.00")],
    )
    def test_give_the_win_rate_of_wins_and_losses(self, wins, losses, rate):
        found = Results(closed=wins + losses, wins=wins, losses=losses).win_rate_pct

        assert found == (None if rate is None else Decimal(rate))

    def test_give_shares_of_what_was_bought(self):
        both = results("3", notional="200") + results("-1", notional="100")

        assert (both.pnl_pct, both.average_pnl_usd, both.profit_factor) == (
            Decimal("0.6667"),
            Decimal("1.00000000"),
            Decimal("3.0000"),
        )

    def test_have_no_shares_of_nothing(self):
        nothing = Results()

        assert (nothing.pnl_pct, nothing.average_pnl_usd, nothing.profit_factor) == (None, None, None)

    def test_have_no_profit_factor_without_a_loss(self):
        assert results("3").profit_factor is None

    @quick
    @given(st.lists(amounts, max_size=8), st.randoms())
    def test_add_up_to_the_same_in_any_order(self, pnls, chance):
        one_by_one = [results(pnl) for pnl in pnls]
        shuffled = chance.sample(one_by_one, len(one_by_one))

        assert sum_of(one_by_one) == sum_of(shuffled)
        assert sum_of(one_by_one).pnl_usd == sum(pnls)


class TestPeriod:
    def test_lists_every_day_with_what_came_before(self):
        found = period(
            (day(1), "BTCUSDT", results("5")),
            (day(1), "ETHUSDT", results("-2")),
            (day(4), "BTCUSDT", results("-4")),
            before=results("10"),
        )

        assert [line.day for line in found.daily] == [day(number) for number in range(5)]
        assert [line.results.pnl_usd for line in found.daily] == [0, 3, 0, 0, -4]
        assert [line.cumulative.pnl_usd for line in found.daily] == [10, 13, 13, 13, 9]
        assert (found.results.closed, found.all_time.closed, found.today.closed) == (3, 4, 1)
        assert [(line.symbol, line.results.pnl_usd) for line in found.symbols] == [
            ("BTCUSDT", 1),
            ("ETHUSDT", -2),
        ]

    @pytest.mark.parametrize(
        ("pnls", "before", "drawdown"),
        [
            ([], "0", 0),
            ([3, 2, 1], "0", 0),
            ([-3], "0", 3),  # it fell below where it stood before
            ([5, -2, 4, -6, 1], "0", 6),
            ([5, -2, 1, -6, 9], "0", 7),  # a small rise on the way does not end the fall
            ([-1], "100", 1),
        ],
    )
    def test_gives_the_deepest_fall_of_the_cumulative_pnl(self, pnls, before, drawdown):
        rows = [(day(number), "BTCUSDT", results(str(pnl))) for number, pnl in enumerate(pnls)]

        assert period(*rows, before=results(before)).drawdown_max_usd == drawdown

    @quick
    @given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["A", "B"]), amounts), max_size=12))
    def test_comes_to_the_same_by_day_and_by_symbol(self, told):
        found = period(*((day(number), symbol, results(pnl)) for number, symbol, pnl in told))

        assert found.results == sum_of(line.results for line in found.symbols)
        assert found.daily[-1].cumulative == found.all_time == found.results
        falls = [
            earlier.cumulative.pnl_usd - later.cumulative.pnl_usd
            for number, later in enumerate(found.daily)
            for earlier in found.daily[:number]
        ]
        below_start = [-line.cumulative.pnl_usd for line in found.daily]
        assert found.drawdown_max_usd == max([*falls, *below_start, Decimal(0)])
