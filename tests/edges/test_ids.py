"""Ids made at an edge."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from pregao.edges.ids import uuid7

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


class TestUuid7:
    @given(now=INSTANTS)
    def test_is_a_version_seven_of_its_millisecond(self, now):
        made = uuid7(now)

        assert (made.version, made.variant) == (7, RFC_4122)
        assert made.int >> 80 == (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    @given(now=INSTANTS, microseconds=st.integers(1, 10**9))
    def test_sorts_by_the_microsecond(self, now, microseconds):
        assert uuid7(now) < uuid7(now + timedelta(microseconds=microseconds))

    def test_is_never_the_same_twice(self):
        assert len({uuid7(NOON) for _ in range(10_000)}) == 10_000
