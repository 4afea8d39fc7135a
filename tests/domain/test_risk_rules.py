"""What came of earlier positions, and how it stands to what may be lost (spec E7)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pregao.domain.risk_rules import Result, RiskRules, looked_at, record_of

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
DAY = datetime(2026, 11, 18, tzinfo=UTC)
WEEK = datetime(2026, 11, 16, tzinfo=UTC)
RULES = RiskRules(
    capital_usd=Decimal(1000),
    consecutive_losses_max=3,
    daily_loss_pct_max=Decimal(5),
    weekly_loss_pct_max=Decimal(10),
    drawdown_pct_max=Decimal(15),
)


def record(*results):
    """Give the record of (days ago, result); a result without days is of an open position."""
    return record_of(
        [Result(Decimal(pnl), None if days is None else NOW - timedelta(days=days)) for days, pnl in results],
        day=DAY,
        week=WEEK,
    )


def broken(*results, rules=RULES, now=NOW):
    return [one.code for one in looked_at(rules, record(*results), now=now) if one.is_broken]


class TestRecord:
    def test_adds_up_the_day_the_week_and_the_highest(self):
        told = record((9, 100), (2, -30), (1, 20), (0, -5), (None, -1))

        assert (told.pnl_today, told.pnl_week, told.pnl, told.pnl_peak) == (-6, -16, 84, 100)
        assert (told.losses_in_a_row, told.last_loss_at) == (1, NOW)

    def test_counts_what_came_to_nothing_neither_way(self):
        assert record((0, 5), (0, -1), (0, 0), (0, -1)).losses_in_a_row == 2
        assert record((0, -1), (0, 1)).losses_in_a_row == 0

    def test_knows_nothing_of_no_positions(self):
        assert record() == record_of([], day=DAY, week=WEEK)
        assert broken() == []


class TestRules:
    @pytest.mark.parametrize(
        ("results", "codes"),
        [
            ([(0, -1), (0, -1)], []),
            ([(0, -1), (0, -1), (0, -1)], ["LOSSES_IN_A_ROW"]),
            ([(2, -1), (1, -1), (0, -1)], ["LOSSES_IN_A_ROW"]),
            ([(3, -1), (2, -1), (1, -1)], []),  # the day of the last is over
            ([(0, "-49.99")], []),
            ([(0, -50)], ["DAILY_LOSS_PCT"]),
            ([(0, -60), (0, 20)], []),
            ([(2, -60), (1, -40)], ["WEEKLY_LOSS_PCT"]),
            ([(9, -100)], []),
            ([(9, -149)], []),
            ([(9, -150)], ["DRAWDOWN_PCT"]),
            ([(9, 1000), (8, -299)], []),  # 15 percent of 2,000 is 300
            ([(9, 1000), (8, -300)], ["DRAWDOWN_PCT"]),
            ([(0, -100), (0, -100), (0, -100)], ["LOSSES_IN_A_ROW", "DAILY_LOSS_PCT", "WEEKLY_LOSS_PCT", "DRAWDOWN_PCT"]),
        ],
    )  # fmt: skip
    def test_a_limit_that_is_reached_is_broken_in_the_order_of_e7(self, results, codes):
        assert broken(*results) == codes

    def test_no_rule_is_never_broken(self):
        assert broken((0, -900), (0, -90), (0, -9), rules=RiskRules()) == []
