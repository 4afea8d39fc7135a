import pytest

from pregao.edges.exchanges.binance import BinanceExchange, BinanceSettings, VenueAddresses
from pregao.edges.exchanges.wire import Wire, WireLimits
from tests.edges.exchanges.scripted_venue import (
    ANSWER_SECONDS,
    StandingClock,
    key_of,
    scripted_streams,
    scripted_venue,
)


@pytest.fixture
async def venue():
    async with scripted_venue() as one:
        yield one


@pytest.fixture
async def streams():
    async with scripted_streams() as one:
        yield one


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
async def wire(clock):
    one = Wire(clock=clock, limits=WireLimits(connections_max=20, timeout_seconds=ANSWER_SECONDS))
    yield one
    await one.close()


@pytest.fixture
async def exchange(venue, wire, clock):
    one = BinanceExchange(
        addresses=VenueAddresses.paper(venue.url),
        wire=wire,
        credentials=key_of,
        clock=clock,
        settings=BinanceSettings(connections_warm=2),
    )
    yield one
    await one.close()
