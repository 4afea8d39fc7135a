"""What may be believed, who watches, and when the venue is asked."""

import csv
import gzip
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.guarding import SoftwareLine, is_software_line_effective
from pregao.stops.feed import (
    Feed,
    Source,
    after_price,
    after_question,
    goes_blind_at,
    is_blind,
    question_due_at,
    quote_ticks,
    trade_ticks,
    watcher_of,
)
from tests.builders import NOON
from tests.properties import quick

TICK = Decimal("0.01")
TRX = Path(__file__).resolve().parents[4] / "shared/data/ticks/binance_TRXUSDT_usdm_trades_20250304.csv.gz"


def later(seconds):
    return NOON + timedelta(seconds=seconds)


class TestPrices:
    @pytest.mark.parametrize(
        ("price", "quantity"),
        [
            ("0", "0"),
            ("0.0", "5"),
            ("82.90", "0"),
            ("-1", "1"),
            ("", "1"),
            ("abc", "1"),
            ("NaN", "1"),
            ("Infinity", "1"),
        ],
    )
    def test_of_no_trade_are_none(self, price, quantity):
        assert trade_ticks(price, quantity, tick=TICK) is None

    def test_of_a_trade_are_bid_and_ask(self):
        assert trade_ticks("82.90", "0.5", tick=TICK) == (8290, 8290)

    @pytest.mark.skipif(not TRX.exists(), reason="the recorded tape is not beside this checkout")
    def test_of_the_recorded_row_without_a_price_are_none(self):
        """The real feed sent it among ten thousand trades."""
        with gzip.open(TRX, "rt", encoding="utf-8") as tape:
            rows = list(csv.DictReader(tape))

        unread = [
            row for row in rows if trade_ticks(row["price"], row["qty"], tick=Decimal("0.00001")) is None
        ]

        assert [(row["ts_ms"], row["kind"]) for row in unread] == [("1741047334448", "NA")]

    @pytest.mark.parametrize(("bid", "ask"), [("0", "83"), ("83", "0"), ("83.01", "83.00"), ("x", "83")])
    def test_of_half_a_book_or_a_crossed_one_are_none(self, bid, ask):
        assert quote_ticks(bid, ask, tick=TICK) is None

    def test_of_a_quote_are_its_two_sides(self):
        assert quote_ticks("82.99", "83.00", tick=TICK) == (8299, 8300)
        assert quote_ticks("83.00", "83.00", tick=TICK) == (8300, 8300)


class TestHandOver:
    """F095: a stream silent for more than thirty seconds hands over to asking; its first price takes back."""

    @pytest.mark.parametrize(
        ("silent", "watcher"), [(0, Source.STREAM), (29.9, Source.STREAM), (30, Source.POLL)]
    )
    def test_comes_with_the_silence(self, silent, watcher):
        assert watcher_of(Feed(streamed_at=NOON), now=later(silent)) is watcher

    def test_is_taken_back_by_the_streams_first_price(self):
        feed = after_price(Feed(streamed_at=NOON, polled_at=later(31)), source=Source.STREAM, at=later(32))

        assert watcher_of(feed, now=later(33)) is Source.STREAM

    def test_has_happened_where_no_stream_ever_spoke(self):
        assert watcher_of(Feed(), now=NOON) is Source.POLL
        assert is_blind(Feed(), now=NOON)

    def test_leaves_nobody_blind_while_the_venue_answers(self):
        """Asked after twenty seconds, every five: the price is never thirty seconds old."""
        feed, now = Feed(streamed_at=NOON), NOON
        line = SoftwareLine(is_armed=True, lease_until=later(1_000), price_at=None)

        for _ in range(20):
            now = question_due_at(feed, now=now)
            feed = after_price(
                after_question(feed, at=now), source=Source.POLL, at=now + timedelta(seconds=1)
            )
            at = now + timedelta(seconds=1)
            assert not is_blind(feed, now=at)
            assert is_software_line_effective(
                SoftwareLine(is_armed=True, lease_until=line.lease_until, price_at=feed.price_at), now=at
            )

        assert now == later(20 + 19 * 5)
        assert watcher_of(feed, now=now) is Source.POLL

    def test_is_told_from_when_on_nobody_sees(self):
        assert goes_blind_at(Feed()) is None
        assert goes_blind_at(Feed(streamed_at=NOON, polled_at=later(4))) == later(34)

    def test_asks_at_once_where_a_price_is_in_doubt(self):
        """A symbol that hardly trades: the outlier is confirmed or denied before its next trade."""
        feed = after_price(Feed(), source=Source.STREAM, at=NOON, is_in_doubt=True)

        assert question_due_at(feed, now=NOON) == NOON
        assert question_due_at(after_question(feed, at=NOON), now=NOON) == later(0.2)
        calm = after_price(feed, source=Source.POLL, at=later(0.1))
        assert question_due_at(calm, now=later(0.1)) == later(20)

    @quick
    @given(
        told=st.lists(
            st.tuples(st.sampled_from([Source.STREAM, Source.POLL]), st.integers(min_value=0, max_value=100)),
            max_size=12,
        )
    )
    def test_knows_the_latest_price_whatever_order_it_was_told_in(self, told):
        feed = Feed()

        for source, second in told:
            feed = after_price(feed, source=source, at=later(second))

        assert feed.price_at == max((later(second) for _, second in told), default=None)
