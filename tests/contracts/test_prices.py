"""
The entry exam of a venue's prices for the stops.

Binance's feed sits it over real sockets against the paper exchange, and the venue in memory sits the same.
"""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pregao.domain.level import Level, Method
from pregao.domain.order import Side
from pregao.domain.position import Direction
from pregao.domain.stop import arm
from pregao.domain.stop_rule import StopRule
from pregao.edges.exchanges.binance import ApiKey, BinanceExchange, PriceFeed, VenueAddresses
from pregao.edges.exchanges.wire import Wire
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.simulation.market import Tick
from pregao.simulation.prices import SimulatedPrices
from pregao.simulation.venue import SimulatedVenue
from pregao.stops.book import StopBook
from pregao.stops.feed import Source
from pregao.stops.listen import Hearing, Listening, ListeningSettings
from tests.rooms.stops.memory_prices import Watching

TICK = Decimal("0.1")
START = datetime(2026, 11, 22, tzinfo=UTC)


def now():
    return datetime.now(UTC)


class Stage:
    """One venue, its prices, and what they told."""

    def __init__(self, prices, *, move, mute):
        self.prices, self._move, self.mute, self.told = prices, move, mute, []

    def follow(self, symbol="BTCUSDT", *, price_tick=TICK):
        self.prices.follow(
            symbol, price_tick=price_tick, take=lambda bid, ask: self.told.append((symbol, bid, ask))
        )

    def move(self, price, symbol="BTCUSDT"):
        self._move(symbol, Decimal(price))

    async def until(self, condition, *, seconds=5):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_heard(self, symbol="BTCUSDT", *, price="90000"):
        """Move the market until its stream speaks: a subscription takes a moment."""
        for cents in range(500):
            self.move(Decimal(price) + cents % 5, symbol)
            await asyncio.sleep(0.01)
            if any(told[0] == symbol for told in self.told):
                return
        raise AssertionError(symbol)


@asynccontextmanager
async def over_http():
    server = PaperServer(PaperSettings(still=True))
    await server.start()
    _, hub, broadcast = server._parts

    def mute(is_mute):
        hub.frozen_until_ms = server.venue.now_ms() + 3_600_000 if is_mute else 0

    def move(symbol, price):
        tick = Tick(
            symbol=symbol, price=price, quantity=Decimal(1), taker=Side.BUY, at_ms=server.venue.now_ms()
        )
        broadcast.trade(server.venue.move_price(tick))

    addresses = VenueAddresses.paper(server.url)
    wire = Wire(clock=now)
    exchange = BinanceExchange(
        addresses=addresses, wire=wire, credentials={1: ApiKey("key", "secret")}.__getitem__, clock=now
    )
    try:
        yield Stage(PriceFeed(addresses=addresses, rest=exchange.rest), move=move, mute=mute)
    finally:
        await exchange.close()
        await wire.close()
        await server.stop()


@asynccontextmanager
async def in_memory():
    venue = SimulatedVenue(
        clock=now,
        chance=random.Random(7),
        tell=lambda _: None,
        submitted=lambda _: None,
        cut_streams=lambda: None,
    )
    prices = SimulatedPrices(venue)
    yield Stage(prices, move=venue.move_price, mute=lambda is_mute: setattr(prices, "is_mute", is_mute))


@pytest.fixture(params=[over_http, in_memory], ids=["binance", "memory"])
async def still_stage(request):
    async with request.param() as stage:
        stage.move("90000")
        stage.move("3000", "ETHUSDT")
        yield stage


@pytest.fixture
async def stage(still_stage):
    running = asyncio.create_task(still_stage.prices.run())
    await asyncio.sleep(0)
    yield still_stage
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def desk(still_stage):
    async with watching(still_stage) as desk:
        yield desk


class TestPrices:
    async def test_are_told_in_ticks_as_they_come(self, stage):
        stage.follow()
        await stage.until_heard()
        stage.told.clear()

        stage.move("90123.4")

        def is_there():
            # A trade may come before its quote: then the other side still stands where it was.
            return any(abs(bid - 901_234) <= 2 and 0 <= ask - bid <= 2 for _, bid, ask in stage.told)

        await stage.until(is_there)

    async def test_are_told_of_what_is_followed_and_no_longer(self, stage):
        stage.follow()
        stage.follow("ETHUSDT", price_tick=Decimal("0.01"))
        await stage.until_heard()
        await stage.until_heard("ETHUSDT", price="3000")

        stage.prices.unfollow("BTCUSDT")
        stage.prices.unfollow("BTCUSDT")
        stage.told.clear()
        stage.move("90001")
        stage.move("3001", "ETHUSDT")

        await stage.until(lambda: stage.told)
        await asyncio.sleep(0.05)
        assert {symbol for symbol, *_ in stage.told} == {"ETHUSDT"}

    async def test_go_to_whoever_followed_last(self, stage):
        stage.follow()
        first, stage.told = stage.told, []

        stage.follow()
        await stage.until_heard()

        assert first == []

    async def test_are_told_on_after_they_were_renewed(self, stage):
        stage.follow()
        await stage.until_heard()

        stage.prices.renew("BTCUSDT")
        stage.prices.renew("UNKNOWN")
        await asyncio.sleep(0.3)
        stage.told.clear()

        await stage.until_heard()

    async def test_are_answered_of_what_is_followed(self, stage):
        stage.follow()
        stage.follow("ETHUSDT", price_tick=Decimal("0.01"))

        answers = await stage.prices.ask(["BTCUSDT", "ETHUSDT", "UNKNOWN"])

        assert set(answers) == {"BTCUSDT", "ETHUSDT"}
        bid, ask = answers["BTCUSDT"]
        assert 0 <= ask - bid <= 2
        assert abs(bid - 900_000) <= 2
        assert abs(answers["ETHUSDT"][0] - 300_000) <= 2

    async def test_are_not_asked_for_where_nothing_is_followed(self, stage):
        assert await stage.prices.ask(["BTCUSDT"]) == {}


class TestListening:
    async def test_fires_a_stop_from_the_venues_own_prices(self, desk):
        """Both first prices are asked for; the crossing is streamed."""
        desk.stage.move("89500")
        desk.stage.move("89490")

        await desk.stage.until(lambda: desk.told)
        symbol, happened, source = desk.told[0]
        assert (symbol, [one.position_id for one in happened], source) == ("BTCUSDT", [7], Source.STREAM)
        await asyncio.sleep(0.1)
        assert len(desk.told) == 1

    async def test_hands_over_to_asking_and_back_and_exits_once(self, desk):
        """F095: the connection stands and answers, and no price comes; forty seconds pass in one."""
        desk.stage.mute(True)
        desk.stage.move("89490")
        desk.hurry()

        await desk.stage.until(lambda: desk.told)
        symbol, happened, source = desk.told[0]
        desk.stage.mute(False)
        await desk.until_streamed("89480")

        assert (symbol, [one.position_id for one in happened], source) == ("BTCUSDT", [7], Source.POLL)
        assert len(desk.told) == 1


class Desk:
    """A stop at 89,500 on a stage, and a clock that can be forty times as fast."""

    def __init__(self, stage):
        self.stage, self.told = stage, []
        self._base, self._since, self._speed = START, asyncio.get_running_loop().time(), 1
        self.listening = Listening(
            stage.prices, clock=self.clock, settings=ListeningSettings(look_seconds=0.005)
        )
        self.book = StopBook(price_tick=TICK)
        rule = StopRule(stop=Level(method=Method.ABSOLUTE, value=Decimal(89_500)))
        entry = {"entry_price": Decimal(90_000), "price_tick": TICK}
        self.book.watch(arm(rule, position_id=7, direction=Direction.LONG, **entry))
        self.listening.follow("BTCUSDT", Watching("BTCUSDT", self.book, self.told))

    def clock(self):
        passed = asyncio.get_running_loop().time() - self._since
        return self._base + timedelta(seconds=self._speed * passed)

    def hurry(self):
        self._base, self._since, self._speed = self.clock(), asyncio.get_running_loop().time(), 40

    async def until_streamed(self, price):
        for cents in range(500):
            self.stage.move(Decimal(price) + cents % 3)
            await asyncio.sleep(0.01)
            if self.listening.hearing_of("BTCUSDT") is Hearing.STREAMED and not self.book.is_in_doubt:
                return
        raise AssertionError(price)


@asynccontextmanager
async def watching(stage):
    desk = Desk(stage)
    task = asyncio.create_task(desk.listening.run())
    await desk.until_streamed("90000")
    yield desk
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
