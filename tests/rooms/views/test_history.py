"""Hours, days, weeks and months, and the shares of what happened in them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from pregao.views.history import Bucket, hours_until, spans_until, to_bucket
from pregao.views.trips import TripLine
from tests.builders import NOON


class TestBuckets:
    def test_are_as_many_hours_as_asked_and_end_with_the_present_one(self):
        begins = hours_until(datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC), hours=3)

        assert [f"{one:%d %H:%M}" for one in begins] == ["21 10:00", "21 11:00", "21 12:00", "21 13:00"]

    def test_have_shares_with_two_decimals_and_no_division_by_nothing(self):
        counts = {"received": 3, "approved": 2, "rejected": 1, "forwarded_success": 1}

        bucket = to_bucket(NOON, {**counts, "forwarded_timeout": 1, "forwarded_http_error": 1})

        assert (bucket.approval_rate_pct, bucket.forward_success_pct) == (Decimal("66.67"), Decimal("33.33"))
        assert Bucket(begins_at=NOON).approval_rate_pct == Decimal("0.00")


class TestSpans:
    @pytest.mark.parametrize(
        ("period", "expected"),
        [
            ("day", [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)]),
            ("week", [date(2026, 1, 19), date(2026, 1, 26), date(2026, 2, 2)]),
            ("month", [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]),
        ],
    )
    def test_begin_where_the_calendar_says(self, period, expected):
        assert spans_until(date(2026, 1, 31), period=period, count=2) == expected


class TestDuration:
    @pytest.mark.parametrize(
        ("held", "text", "seconds"),
        [
            (timedelta(hours=25, minutes=59, seconds=59), "25h 59m", 93_599),
            (timedelta(seconds=59), "0h 0m", 59),
            (None, "\N{EM DASH}", 0),
        ],
    )
    def test_is_hours_and_minutes_and_a_dash_while_it_is_held(self, held, text, seconds):
        line = TripLine(
            position_id=1,
            bot="default",
            account_id=1,
            ticker="AAPL",
            status="closed",
            direction="long",
            opened_at=NOON,
            closed_at=held and NOON + held,
            quantity=Decimal(1),
            entry_price=None,
            exit_price=None,
            value=None,
            realized_pnl=Decimal(0),
            close_reason=None,
        )

        assert (line.duration, line.duration_seconds) == (text, seconds)
