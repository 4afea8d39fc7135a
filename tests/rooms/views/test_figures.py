"""What follows from system A's counters: two decimals, and 0 where there is nothing to divide by."""

from decimal import Decimal

from pregao.views.figures import derived

NOTHING = {
    "signals_received": 0,
    "signals_approved": 0,
    "signals_rejected": 0,
    "signals_forwarded_success": 0,
    "signals_forwarded_error": 0,
}


class TestDerived:
    def test_is_zero_where_nothing_happened(self):
        follows = derived(NOTHING, uptime_seconds=0.0)

        assert (follows.approval_rate, follows.forward_success_rate) == (0, 0)
        assert (follows.error_rate, follows.signals_per_minute) == (0, 0)

    def test_is_what_the_source_says(self):
        counted = NOTHING | {
            "signals_received": 3,
            "signals_approved": 2,
            "signals_forwarded_success": 6,
            "signals_forwarded_error": 1,
        }

        follows = derived(counted, uptime_seconds=90.0)

        assert follows.approval_rate == Decimal("66.67")
        assert follows.forward_success_rate == Decimal("85.71")
        assert follows.error_rate == Decimal("14.29")
        assert follows.signals_per_minute == Decimal("2.00")
