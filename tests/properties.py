"""How hard properties are tried: enough to find what hides, quick enough to run at every change."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st

quick = settings(max_examples=40, deadline=None)

steps = st.sampled_from([Decimal(text) for text in ("1", "0.1", "0.01", "0.001", "0.00001", "10", "0.25")])
amounts = st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False, allow_infinity=False)
prices = st.decimals(min_value=Decimal("0.0001"), max_value=10**6, places=4)
quantities = st.integers(min_value=1, max_value=10**6).map(lambda steps_of: steps_of * Decimal("0.001"))
instants = st.integers(min_value=0, max_value=600 * 10**6 * 10**6).map(
    lambda microseconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
