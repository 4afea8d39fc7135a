"""Prices reach their books, by the stream or by asking, and nobody is blind while the venue answers."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.level import Level, Method
from pregao.domain.position import Direction
from pregao.domain.stop import arm
from pregao.domain.stop_rule import StopRule
from pregao.domain.weight import Importance
from pregao.stops.book import StopBook
from pregao.stops.feed import Source
from pregao.stops.listen import Hearing, Listening, ListeningSettings
from tests.builders import NOON
from tests.rooms.stops.memory_prices import MemoryPrices, Watching

TICK = Decimal("0.01")


class MovingClock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Room:
    def __init__(self):
        self.clock, self.prices, self.told = MovingClock(), MemoryPrices(), []
        self.listening = Listening(
            self.prices,
            clock=self.clock,
            settings=ListeningSettings(look_seconds=0.0005),
        )

    def follow(self, symbol="BTCUSDT", *, stop="99"):
        book = StopBook(price_tick=TICK)
        rule = StopRule(stop=Level(method=Method.ABSOLUTE, value=Decimal(stop)))
        book.watch(
            arm(rule, position_id=1, direction=Direction.LONG, entry_price=Decimal(100), price_tick=TICK)
        )
        self.listening.follow(symbol, Watching(symbol, book, self.told))
        return book

    async def pass_time(self, seconds, *, step=1.0):
        """Let the clock go on in steps, with a few looks in each."""
        for _ in range(int(seconds / step)):
            self.clock.now += timedelta(seconds=step)
            await self.look()

    async def look(self):
        for _ in range(3):
            await asyncio.sleep(0.001)

    def fired(self):
        return [
            (symbol, [one.position_id for one in happened], source) for symbol, happened, source in self.told
        ]


@pytest.fixture
async def room():
    async with running() as one:
        yield one


@asynccontextmanager
async def running():
    room = Room()
    task = asyncio.create_task(room.listening.run())
    await asyncio.sleep(0)
    yield room
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not room.prices.is_running


class TestListening:
    async def test_tells_at_once_what_a_price_has_reached(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "99.50")

        room.prices.say("BTCUSDT", "99.00")

        assert room.fired() == [("BTCUSDT", [1], Source.STREAM)]

    async def test_hears_nothing_of_what_it_has_left(self, room):
        room.follow()
        room.listening.unfollow("BTCUSDT")
        room.listening.unfollow("BTCUSDT")

        room.prices.say("BTCUSDT", "99.00")

        assert (room.told, list(room.listening.symbols)) == ([], [])

    async def test_asks_twice_about_what_it_follows_anew(self, room):
        """A take-over: the stop that was crossed meanwhile fires with the second answer, on a stream that says nothing."""
        room.prices.say("BTCUSDT", "98.50")

        room.follow()
        await room.look()
        await room.pass_time(1)

        assert room.fired() == [("BTCUSDT", [1], Source.POLL)]

    async def test_asks_as_for_an_exit_only_where_nothing_else_watches(self, room):
        """A quiet market is one of many reads; the weight that exits may use is for what guards."""
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.pass_time(1)
        first = len(room.prices.asked_for)

        await room.pass_time(
            22
        )  # silent for so long that the venue is asked, not yet for so long that asking watches
        quiet = room.prices.asked_for[first:]
        await room.pass_time(15)

        assert room.prices.asked_for[:first] == [Importance.EXITS] * first
        assert quiet == [Importance.BOOKS]
        assert room.prices.asked_for[-1] is Importance.EXITS

    async def test_asks_as_for_an_exit_where_the_price_has_moved_without_a_word(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.pass_time(1)
        room.prices.is_mute = True
        room.prices.say("BTCUSDT", "100.10")

        await room.pass_time(26)

        assert room.prices.asked_for[-2:] == [Importance.BOOKS, Importance.EXITS]

    async def test_asks_at_once_about_a_price_that_is_in_doubt(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        room.prices.say("BTCUSDT", "100")
        await room.look()
        before = len(room.prices.asked)

        room.prices.say("BTCUSDT", "50")
        room.prices.quotes["BTCUSDT"] = (Decimal("99.9"), Decimal("99.91"))
        await room.look()

        assert len(room.prices.asked) == before + 1
        assert room.told == []

    async def test_takes_no_answer_that_the_stream_has_overtaken(self, room):
        """The answer is from before the stop was raised; acting on it would fire it."""
        room.follow()
        for _ in range(3):
            room.prices.say("BTCUSDT", "100")
        await room.look()
        asked = asyncio.Event()
        answers = asyncio.Event()

        async def ask(symbols):
            asked.set()
            await answers.wait()
            return {"BTCUSDT": (9_890, 9_891)}

        room.prices.ask = ask
        await room.pass_time(20)
        await asyncio.wait_for(asked.wait(), 1)
        room.prices.say("BTCUSDT", "99.95")
        answers.set()
        await room.look()

        assert room.told == []


class TestHandOver:
    """F095: silent for more than thirty seconds, asking takes over; the stream's first price takes back."""

    async def test_leaves_a_quiet_market_to_asking_and_opens_nothing_anew(self, room):
        book = room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.look()

        await room.pass_time(60)

        assert room.listening.hearing_of("BTCUSDT") is Hearing.QUIET
        assert room.prices.renewed == []
        feed = room.listening.feed_of("BTCUSDT")
        assert (room.clock.now - feed.price_at).total_seconds() <= 6
        assert book.price == (10_000, 10_000)

    async def test_knows_a_mute_feed_by_its_price_and_opens_it_anew(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.look()
        room.prices.is_mute = True
        room.prices.say("BTCUSDT", "99.80")

        await room.pass_time(24)

        assert room.prices.renewed == ["BTCUSDT"]

    async def test_renews_a_feed_that_never_spoke(self, room):
        room.prices.is_mute = True
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.pass_time(21)

        room.prices.say("BTCUSDT", "99.80")
        await room.pass_time(9)

        assert room.prices.renewed == ["BTCUSDT"]

    async def test_fires_by_asking_while_the_feed_is_mute_and_once(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.look()
        room.prices.is_mute = True
        await room.pass_time(30)
        room.prices.say("BTCUSDT", "98.95")

        await room.pass_time(12)
        room.prices.is_mute = False
        room.prices.say("BTCUSDT", "98.90")
        room.prices.say("BTCUSDT", "98.90")

        assert room.fired() == [("BTCUSDT", [1], Source.POLL)]

    async def test_goes_back_with_the_streams_first_price(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.look()
        room.prices.is_mute = True
        room.prices.say("BTCUSDT", "99.80")
        await room.pass_time(35)
        heard = room.listening.hearing_of("BTCUSDT")

        room.prices.is_mute = False
        room.prices.say("BTCUSDT", "99.70")
        await room.look()

        assert heard is not Hearing.STREAMED
        assert room.listening.hearing_of("BTCUSDT") is Hearing.STREAMED

    async def test_is_blind_where_nobody_answers_and_sees_again(self, room):
        room.follow()
        room.prices.say("BTCUSDT", "100")
        await room.look()
        room.prices.is_mute = room.prices.is_away = True

        await room.pass_time(35)
        blind = room.listening.hearing_of("BTCUSDT")
        room.prices.is_away = False
        await room.pass_time(6)

        assert blind is Hearing.BLIND
        assert room.listening.hearing_of("BTCUSDT") is Hearing.QUIET

    async def test_puts_one_question_for_many_symbols(self, room):
        for number in range(20):
            room.follow(f"S{number}")
            room.prices.say(f"S{number}", "100")
        await room.look()
        room.prices.asked.clear()

        await room.pass_time(21)

        assert room.prices.asked == [sorted(f"S{number}" for number in range(20))]
