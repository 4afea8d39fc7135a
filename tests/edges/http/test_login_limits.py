"""How often somebody may fail to log in, and that nobody can lock another out."""

from datetime import timedelta

import pytest

from pregao.edges.http.login_limits import FAILURES_MAX, WINDOW, LoginFailures, network_of
from tests.builders import NOON

HOME, OFFICE = "192.0.2.1", "198.51.100.7"


def fail(failures, times, *, address=HOME, email="ana@desk.test", now=NOON, **options):
    return [failures.begin(address=address, email=email, now=now, **options) for _ in range(times)]


class TestLoginFailures:
    def test_let_ten_through_and_say_when_to_come_again(self):
        failures = LoginFailures()

        waits = fail(failures, FAILURES_MAX + 1)

        assert waits == [0] * FAILURES_MAX + [WINDOW.total_seconds()]

    def test_forget_after_a_quarter_of_an_hour(self):
        failures = LoginFailures()
        fail(failures, FAILURES_MAX)

        just_before, after = NOON + WINDOW - timedelta(seconds=1), NOON + WINDOW

        assert fail(failures, 1, now=just_before) == [1]
        assert fail(failures, 1, now=after) == [0]

    def test_count_an_address_whomever_it_tries(self):
        failures = LoginFailures()
        for number in range(FAILURES_MAX):
            fail(failures, 1, email=f"user{number}@desk.test")

        assert fail(failures, 1, email="another@desk.test") != [0]
        assert fail(failures, 1, email="another@desk.test", address=OFFICE) == [0]

    def test_count_an_email_wherever_it_is_tried(self):
        failures = LoginFailures()
        for number in range(FAILURES_MAX):
            fail(failures, 1, address=f"203.0.113.{number}")

        assert fail(failures, 1, address=OFFICE) != [0]
        assert fail(failures, 1, address=OFFICE, email="bruno@desk.test") == [0]

    def test_let_the_owner_in_from_where_he_is_known_but_no_oftener_than_others(self):
        failures = LoginFailures()
        for number in range(FAILURES_MAX):
            fail(failures, 1, address=f"203.0.113.{number}")

        waits = fail(failures, FAILURES_MAX + 1, address=HOME, is_known=True)

        assert waits[:FAILURES_MAX] == [0] * FAILURES_MAX
        assert waits[FAILURES_MAX] > 0

    def test_forgive_what_succeeded(self):
        failures = LoginFailures()
        for _ in range(3 * FAILURES_MAX):
            assert fail(failures, 1) == [0]
            failures.forgive(address=HOME, email="ana@desk.test", began_at=NOON)

    def test_remember_a_bounded_number(self):
        failures = LoginFailures(keys_max=30)
        for number in range(1_000):
            fail(failures, 1, address=f"10.0.{number // 250}.{number % 250}", email=f"user{number}@desk.test")

        assert len(failures._times) <= 30


class TestNetworkOf:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
            ("local", "local"),
        ],
    )
    def test_takes_one_household_for_one(self, address, network):
        assert network_of(address) == network
