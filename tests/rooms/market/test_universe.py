"""The universe: one spelling, each ticker once at its best rank, and what changes between two lists."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.pace import last_minute, seconds_to_wait
from pregao.domain.screener import ticker_of
from pregao.market.pacing import pages_of, seconds_until_next
from pregao.market.universe import change, ranked
from tests.builders import NOON
from tests.properties import quick

tickers = st.lists(st.sampled_from("ABCDEFGH"), max_size=12)
seconds = st.lists(st.floats(0, 300), max_size=40)


class TestTicker:
    @pytest.mark.parametrize(
        ("text", "ticker"),
        [
            (" aapl ", "AAPL"),
            ("NASDAQ:AAPL", "AAPL"),
            ("BRK-B", "BRK.B"),
            ("BRK.B", "BRK.B"),
            ("BF/A", "BF.A"),
            ("btc-usdt", "BTCUSDT"),
            ("BINANCE:BTCUSDT.P", "BTCUSDT"),
            ("BTC/USDT", "BTCUSDT"),
            ("1000PEPEUSDT", "1000PEPEUSDT"),
            ("US30.Cash", "US30.CASH"),
            ("", None),
            ("-", None),
            ("123", None),
            ("AAPL MSFT", None),
            ("<b>AAPL</b>", None),
            ("A" * 41, None),
        ],
    )
    def test_has_one_spelling(self, text, ticker):
        assert ticker_of(text) == ticker

    @quick
    @given(st.text(max_size=20))
    def test_in_its_spelling_stays_as_it_is(self, text):
        ticker = ticker_of(text)

        assert ticker is None or ticker_of(ticker) == ticker


class TestRanked:
    def test_keeps_the_order_drops_repeats_and_what_is_none_then_trims(self):
        given = ["MSFT", " aapl", "-", "AAPL", "NASDAQ:MSFT", "TSLA", "NVDA"]

        assert ranked(given, top_n=3) == ("MSFT", "AAPL", "TSLA")


class TestChange:
    @quick
    @given(before=tickers, after=tickers)
    def test_leads_from_one_list_to_the_other(self, before, after):
        changed = change(before, after)

        assert set(before) - set(changed.left) | set(changed.entered) == set(after)
        assert not set(changed.entered) & set(before)
        assert not set(changed.left) & set(after)

    def test_names_who_entered_by_rank(self):
        assert change(("A", "B"), ("D", "A", "C")).entered == ("D", "C")


class TestPacing:
    def test_lets_the_last_request_of_a_minute_through_and_no_other(self):
        asked = [NOON + timedelta(seconds=one) for one in range(59)]

        assert seconds_to_wait(asked[:58], per_minute_max=59, now=NOON + timedelta(seconds=58)) == 0
        assert seconds_to_wait(asked, per_minute_max=59, now=NOON + timedelta(seconds=59)) == 1

    @quick
    @given(asked=seconds, limit=st.integers(1, 10), at=st.floats(300, 400))
    def test_never_has_more_than_the_limit_in_any_minute(self, asked, limit, at):
        times = [NOON + timedelta(seconds=one) for one in asked]
        now = NOON + timedelta(seconds=at)

        later = now + timedelta(seconds=seconds_to_wait(times, per_minute_max=limit, now=now))

        assert len(last_minute(times, now=later)) < limit

    @pytest.mark.parametrize(("top_n", "pages"), [(1, 1), (20, 1), (21, 2), (100, 5)])
    def test_counts_pages(self, top_n, pages):
        assert pages_of(top_n, rows_per_page=20) == pages

    def test_waits_longer_while_looks_fail_and_never_shorter_than_the_strategy(self):
        waits = [
            seconds_until_next(refresh_seconds=10, failures=failures) for failures in (0, 1, 3, 5, 8, 99)
        ]

        assert waits == [10, 10, 10, 32, 256, 300]
