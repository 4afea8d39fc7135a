"""What effective means, which line goes first, and how long nothing stood."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.guarding import (
    Look,
    SoftwareLine,
    VenueLine,
    Watch,
    after_look,
    exits_from_memory,
    is_guarded,
    is_software_line_effective,
    is_stale,
    is_venue_line_effective,
    longest_unguarded,
    may_still_trade,
    software_may_exit,
)
from pregao.domain.protection import ProtectionStatus
from tests.builders import NOON
from tests.properties import quick

HELD = Decimal("0.5")
VENUE = VenueLine(status=ProtectionStatus.ACCEPTED, quantity=HELD)
WATCHED = SoftwareLine(is_armed=True, lease_until=NOON + timedelta(seconds=10), price_at=NOON)


def later(seconds):
    return NOON + timedelta(seconds=seconds)


class TestVenueLine:
    @pytest.mark.parametrize("status", [None, *ProtectionStatus])
    def test_is_effective_while_the_venue_waits_with_it(self, status):
        """Sent is not acknowledged, and what triggers may be stuck there: only what waits protects."""
        is_effective = is_venue_line_effective(replace(VENUE, status=status), held=HELD)

        assert is_effective is (status is ProtectionStatus.ACCEPTED)

    def test_holds_for_at_least_the_quantity(self):
        assert is_venue_line_effective(VENUE, held=Decimal("0.499"))
        assert not is_venue_line_effective(VENUE, held=Decimal("0.501"))
        assert is_venue_line_effective(replace(VENUE, quantity=None), held=Decimal(100))

    @pytest.mark.parametrize("status", [None, *ProtectionStatus])
    def test_may_still_trade_until_it_is_known_to_have_ended(self, status):
        """No entry beside it (design 4)."""
        ended = {"finished", "canceled", "rejected", "expired"}

        assert may_still_trade(replace(VENUE, status=status)) is (status not in ended)
        assert not may_still_trade(None)


class TestSoftwareLine:
    def test_is_effective_while_armed_leased_and_fed(self):
        assert is_software_line_effective(WATCHED, now=later(9))

    @pytest.mark.parametrize(
        "line",
        [
            None,
            replace(WATCHED, is_armed=False),
            replace(WATCHED, lease_until=None),
            replace(WATCHED, lease_until=later(9)),
            replace(WATCHED, price_at=None),
            replace(WATCHED, price_at=later(-21)),
        ],
    )
    def test_is_not_where_one_of_these_is_missing(self, line):
        assert not is_software_line_effective(line, now=later(9))

    @pytest.mark.parametrize(("age", "stale"), [(0, False), (29.999, False), (30, True)])
    def test_goes_blind_after_thirty_seconds(self, age, stale):
        """F093."""
        assert is_stale(NOON, now=later(age)) is stale

    def test_guards_alone_or_not_at_all(self):
        refused = replace(VENUE, status=ProtectionStatus.REJECTED)

        assert is_guarded(held=HELD, venue=refused, software=WATCHED, now=NOON)
        assert is_guarded(held=HELD, venue=VENUE, software=None, now=NOON)
        assert not is_guarded(held=HELD, venue=refused, software=None, now=NOON)
        assert is_guarded(held=Decimal(0), venue=None, software=None, now=NOON)


class TestLines:
    @pytest.mark.parametrize(("seconds", "may"), [(0, False), (1.499, False), (1.5, True)])
    def test_leave_a_crossed_level_to_the_venue_first(self, seconds, may):
        assert software_may_exit(VENUE, held=HELD, crossed_at=NOON, now=later(seconds)) is may

    @pytest.mark.parametrize("status", [ProtectionStatus.TRIGGERING, ProtectionStatus.TRIGGERED])
    def test_leave_it_the_same_time_once_it_has_triggered(self, status):
        """Stuck there, it is not waited for any longer."""
        venue = replace(VENUE, status=status)

        assert not software_may_exit(venue, held=HELD, crossed_at=NOON, now=later(1.4))
        assert software_may_exit(venue, held=HELD, crossed_at=NOON, now=later(1.5))

    @pytest.mark.parametrize(
        "venue",
        [
            None,
            replace(VENUE, status=None),
            replace(VENUE, status=ProtectionStatus.REJECTED),
            replace(VENUE, quantity=HELD / 2),
        ],
    )
    def test_wait_for_nothing_that_does_not_stand_for_all(self, venue):
        assert software_may_exit(venue, held=HELD, crossed_at=NOON, now=NOON)

    @pytest.mark.parametrize(("since", "may"), [(None, False), (0, False), (-1.999, False), (-2, True)])
    def test_exit_from_memory_when_the_database_has_been_away(self, since, may):
        away = None if since is None else later(since)

        assert exits_from_memory(database_away_since=away, now=NOON) is may


class TestWatch:
    def test_counts_from_the_fills_venue_time(self):
        """Five seconds begin when the venue filled, not when we heard of it."""
        watch = after_look(Watch(), Look(at=later(4), is_guarded=False, held_since=NOON))

        assert watch.seconds(later(4)) == 4
        assert not watch.alarm_due(later(5))
        assert watch.alarm_due(later(5.001))

    def test_counts_what_was_over_before_the_first_look(self):
        assert longest_unguarded([Look(at=later(3), is_guarded=True, held_since=NOON)]) == timedelta(
            seconds=3
        )

    def test_of_a_clock_that_is_behind_the_venues_is_never_negative(self):
        watch = after_look(Watch(), Look(at=NOON, is_guarded=False, held_since=later(1)))

        assert watch.seconds(NOON) == 0

    def test_tells_the_longest_of_several(self):
        looks = [
            Look(at=later(at), is_guarded=guarded)
            for at, guarded in [(0, True), (10, False), (12, True), (20, False), (23, False), (24, True)]
        ]

        assert longest_unguarded(looks) == timedelta(seconds=4)

    @quick
    @given(
        rows=st.lists(
            st.tuples(st.integers(min_value=1, max_value=9), st.booleans()), min_size=1, max_size=30
        )
    )
    def test_equals_the_longest_run_counted_by_hand(self, rows):
        at, looks = 0, []
        for gap, guarded in rows:
            at += gap
            looks.append((at, guarded))
        longest = begun = 0
        for at, guarded in looks:
            begun = begun or at
            longest = max(longest, at - begun) if begun else longest
            begun = 0 if guarded else begun

        found = longest_unguarded([Look(at=later(at), is_guarded=guarded) for at, guarded in looks])

        assert found == timedelta(seconds=longest)
