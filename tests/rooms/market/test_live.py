"""Prices are read once for everybody, and one that is too old sizes nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.market.live import PRICE_AGE_SECONDS_MAX, LiveMarket
from tests.fake_exchange import FakeExchange
from tests.rooms.fakes import MovingClock

BTC = (Venue.PAPER, "BTCUSDT")


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def exchange(clock):
    return FakeExchange(clock=clock)


@pytest.fixture
def market(exchange, clock):
    return LiveMarket({Venue.PAPER: exchange}, clock=clock)


class TestLiveMarket:
    async def test_shows_what_was_read(self, market):
        troubles = await market.read([BTC])

        assert troubles == []
        assert market.seen().views[BTC].quote.last_price == Decimal("95200.0")

    async def test_shows_nothing_before_it_was_read_but_every_venue_s_clock(self, market):
        seen = market.seen()

        assert dict(seen.views) == {}
        assert set(seen.venue_now_ms) == {Venue.PAPER}

    async def test_forgets_a_price_that_is_too_old(self, market, clock):
        await market.read([BTC])

        clock.forward(PRICE_AGE_SECONDS_MAX + 0.001)

        assert BTC not in market.seen().views
        assert market.seen().instruments[BTC].symbol == "BTCUSDT"

    async def test_says_which_price_could_not_be_read_and_why(self, market, exchange):
        exchange.stay_silent()

        [(pair, trouble)] = await market.read([BTC])

        assert pair == BTC
        assert trouble.startswith("TIMEOUT")
        assert BTC not in market.seen().views

    async def test_leaves_out_a_symbol_the_venue_does_not_have(self, market):
        troubles = await market.read([(Venue.PAPER, "NOSUCHUSDT")])

        assert troubles == []
        assert market.seen().views == {}

    async def test_a_newer_price_replaces_the_older(self, market, exchange, clock):
        await market.read([BTC])
        exchange.prices["BTCUSDT"] = Decimal("96000.0")
        clock.now += timedelta(seconds=1)

        await market.read([BTC])

        assert market.seen().views[BTC].quote.last_price == Decimal("96000.0")
