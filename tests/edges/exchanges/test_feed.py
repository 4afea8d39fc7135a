"""The stops' prices, on a websocket venue that does what a test asks for."""

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace

import pytest

from pregao.domain.venue import VenueError
from pregao.edges.exchanges.binance import VenueAddresses
from pregao.edges.exchanges.binance.feed import PriceFeed
from pregao.edges.exchanges.binance.sockets import SocketLimits
from tests.edges.exchanges.scripted_venue import http, until

BEST = "/fapi/v1/ticker/bookTicker"
QUICK = SocketLimits(backoff_seconds_max=0.05, overlap_seconds=0.1)
TICK = Decimal("0.1")
BTC = {
    "symbol": "BTCUSDT",
    "bidPrice": "99.9",
    "bidQty": "1",
    "askPrice": "100.1",
    "askQty": "2",
    "time": 1,
}


def quote(bid="99.9", ask="100.1", *, at=1_000, number=1, symbol="BTCUSDT", **more):
    return {
        "e": "bookTicker", "u": number, "E": at, "T": at, "s": symbol,
        "b": bid, "B": "3.000", "a": ask, "A": "4.000", "ps": symbol, "st": 1,
    } | more  # fmt: skip


def trade(price, *, at=1_001, quantity="0.500", symbol="BTCUSDT"):
    return {
        "e": "aggTrade", "E": at, "a": 593, "s": symbol, "p": price, "q": quantity,
        "f": 1, "l": 2, "T": at, "m": True, "st": 1,
    }  # fmt: skip


@asynccontextmanager
async def listening(streams, exchange, *, limits=QUICK, **symbols):
    feed = PriceFeed(
        addresses=VenueAddresses(rest="http://127.0.0.1:9", streams=streams.url),
        rest=exchange.rest,
        limits=limits,
    )
    feed.told = []
    for symbol, tick in (symbols or {"BTCUSDT": TICK}).items():
        follow(feed, symbol, tick=tick)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def follow(feed, symbol, *, tick=TICK):
    feed.follow(symbol, price_tick=tick, take=lambda bid, ask: feed.told.append((symbol, bid, ask)))


@pytest.fixture
async def feed(streams, exchange):
    async with listening(streams, exchange) as one:
        await until(lambda: len(streams.texts) == 2)
        yield one


async def say(streams, path, event):
    for (_, socket), url in zip(streams.sockets, streams.opened, strict=True):
        if path in url and not socket.closed:
            await socket.send_json(event)


def names(streams, method="SUBSCRIBE"):
    return sorted(name for text in streams.texts if text["method"] == method for name in text["params"])


class TestSubscriptions:
    async def test_ask_for_quotes_and_trades_each_at_its_own_address(self, feed, streams):
        assert names(streams) == ["btcusdt@aggTrade", "btcusdt@bookTicker"]
        assert sorted(streams.opened) == ["/market/ws", "/public/ws"]

    async def test_change_while_it_runs(self, feed, streams):
        follow(feed, "ETHUSDT")
        feed.unfollow("BTCUSDT")
        feed.unfollow("BTCUSDT")

        await until(lambda: names(streams, "UNSUBSCRIBE") and "ethusdt@aggTrade" in names(streams))
        await until(lambda: "ethusdt@bookTicker" in names(streams))
        assert len(streams.live) == 2

    async def test_are_made_again_after_a_loss(self, feed, streams):
        await streams.drop_all()

        await until(lambda: len(streams.texts) == 4)
        await say(streams, "/public", quote())
        await until(lambda: feed.told)

    async def test_end_with_the_last_symbol_and_begin_with_the_next(self, feed, streams):
        feed.unfollow("BTCUSDT")
        await until(lambda: not streams.live)

        follow(feed, "ETHUSDT")

        await until(lambda: len(streams.live) == 2)
        assert feed.connections == 2

    async def test_keep_within_what_one_connection_may_carry(self, streams, exchange):
        async with listening(streams, exchange, **{f"S{number}USDT": TICK for number in range(250)}) as feed:
            await until(lambda: len(names(streams)) == 500)

            assert feed.connections == len(streams.live) == 4
            assert max(len(text["params"]) for text in streams.texts) <= 100

    async def test_are_made_beside_the_old_ones_where_a_feed_is_mute(self, feed, streams):
        feed.renew("BTCUSDT")

        await until(lambda: len(streams.texts) == 4)
        assert streams.live_before == [0, 1, 2, 3]
        await until(lambda: len(streams.live) == 2)
        await say(streams, "/public", quote())
        await until(lambda: feed.told)

    async def test_keep_the_pace_of_the_venue(self, streams, exchange):
        """Ten messages a second end the connection; a change of heart is told once."""
        async with listening(streams, exchange) as feed:
            await until(lambda: len(streams.texts) == 2)
            began = asyncio.get_running_loop().time()
            for number in range(300):
                follow(feed, "ETHUSDT")
                if number % 2:
                    feed.unfollow("ETHUSDT")
            follow(feed, "SOLUSDT")
            await until(lambda: {"solusdt@aggTrade", "solusdt@bookTicker"} <= set(names(streams)))

            took = asyncio.get_running_loop().time() - began
            assert len(streams.texts) - 2 <= 2 * (took / 0.25 + 1)
            assert "ethusdt@bookTicker" not in names(streams)

    async def test_move_to_a_new_connection_before_the_old_one_ends(self, streams, exchange):
        """The venue ends every connection after a day; the next one is open and subscribed by then."""
        limits = SocketLimits(lifetime_seconds=0.4, overlap_seconds=0.2, backoff_seconds_max=0.05)
        async with listening(streams, exchange, limits=limits) as feed:
            await until(lambda: len(streams.texts) == 4)

            assert streams.live_before[:4] == [0, 1, 2, 3]
            await until(lambda: len(streams.live) == 2)
            await say(streams, "/public", quote())
            await until(lambda: feed.told)

    async def test_leave_a_connection_that_answers_no_ping(self, exchange):
        """Half open: nothing comes, and nothing says so."""
        limits = SocketLimits(silence_seconds_max=0.3, backoff_seconds_max=0.05)
        async with raw_venue() as venue, listening(venue, exchange, limits=limits):
            await until(lambda: len(venue.opened) >= 4)

    async def test_answer_the_venues_pings(self, exchange):
        async with raw_venue() as venue, listening(venue, exchange):
            await until(lambda: len(venue.opened) == 2)

            venue.opened[0].write(b"\x89\x04beat")

            await until(lambda: b"\x8a\x84" in venue.heard)


@asynccontextmanager
async def raw_venue():
    """A venue that opens connections and does nothing by itself, not even answer a ping."""
    venue = SimpleNamespace(opened=[], heard=b"")

    async def accept(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        proof = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(proof)
            + b"\r\n\r\n"
        )
        venue.opened.append(writer)
        while more := await reader.read(4096):
            venue.heard += more

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    venue.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield venue
    finally:
        server.close()
        for writer in venue.opened:
            writer.close()
        await asyncio.sleep(0.01)


class TestPrices:
    async def test_of_a_quote_are_told_in_ticks(self, feed, streams):
        await say(streams, "/public", quote("99.9", "100.10"))

        await until(lambda: feed.told)
        assert feed.told == [("BTCUSDT", 999, 1_001)]

    @pytest.mark.parametrize(
        "nothing",
        [
            {"b": "0", "B": "0"},
            {"B": "0.000"},
            {"A": "0"},
            {"a": "0.00"},
            {"a": "99.8"},  # crossed
            {"b": "NaN"},
            {"b": ""},
            {"s": "OTHER"},
            {"s": None},  # not what it promised
        ],
    )
    async def test_that_are_none_are_left_out(self, feed, streams, nothing):
        await say(streams, "/public", quote() | nothing)
        await say(streams, "/public", quote("50.0", "50.1"))

        await until(lambda: feed.told)
        assert feed.told == [("BTCUSDT", 500, 501)]

    async def test_of_trades_of_nothing_are_left_out(self, feed, streams):
        """The venue sends them: price 0, quantity 0."""
        await say(streams, "/market", trade("0", quantity="0"))
        await say(streams, "/market", trade("100.0", quantity="0"))
        await say(streams, "/market", trade("0.0"))
        await say(streams, "/market", trade("100.0"))

        await until(lambda: feed.told)
        assert feed.told == [("BTCUSDT", 1_000, 1_000)]

    @pytest.mark.parametrize(
        ("price", "at", "told"),
        [
            ("99.5", 2_001, [(995, 1_001)]),  # below the bid: that one is old
            ("100.5", 2_001, [(999, 1_005)]),
            ("100.0", 2_001, [(999, 1_001)]),
            ("99.5", 2_000, []),  # older than the quote
            ("99.5", 1_900, []),
            ("99.5", 7_001, [(995, 995)]),  # no quote has come for five seconds
        ],
    )
    async def test_of_a_trade_count_where_it_is_younger_than_the_quote(self, feed, streams, price, at, told):
        await say(streams, "/public", quote(at=2_000))
        await until(lambda: feed.told)
        feed.told.clear()

        await say(streams, "/market", trade(price, at=at))
        await say(streams, "/market", trade("1.0", at=90_000))

        await until(lambda: feed.told[-1:] == [("BTCUSDT", 10, 10)])
        assert [one[1:] for one in feed.told[:-1]] == told

    async def test_of_an_older_quote_come_too_late(self, feed, streams):
        """Around a replacement the old connection says once more what the new one has said."""
        await say(streams, "/public", quote(number=7))
        await say(streams, "/public", quote("90.0", "90.1", number=6))
        await say(streams, "/public", quote("99.8", "99.9", number=8))

        await until(lambda: len(feed.told) == 2)
        assert feed.told == [("BTCUSDT", 999, 1_001), ("BTCUSDT", 998, 999)]

    async def test_begin_anew_with_a_connection(self, feed, streams):
        """A venue that was started again counts from one."""
        await say(streams, "/public", quote(number=7_000))
        await until(lambda: feed.told)
        await streams.drop_all()
        await until(lambda: len(streams.texts) == 4)

        await say(streams, "/public", quote("99.8", "99.9", number=1))

        await until(lambda: len(feed.told) == 2)

    async def test_are_told_on_though_somebody_fails_to_take_one(self, feed, streams):
        def fail(bid, ask):
            raise RuntimeError(bid, ask)

        feed.follow("BTCUSDT", price_tick=TICK, take=fail)
        await say(streams, "/public", quote())
        await asyncio.sleep(0.05)
        follow(feed, "BTCUSDT")
        await say(streams, "/public", quote(number=2))

        await until(lambda: feed.told)
        assert len(streams.opened) == 2

    async def test_of_a_torn_message_are_put_together(self, feed, streams):
        text = b'{"e":"bookTicker","u":1,"T":5,"s":"BTCUSDT","b":"99.9","B":"1","a":"100.1","A":"1"}'
        writer = next(
            socket._writer
            for (_, socket), url in zip(streams.sockets, streams.opened, strict=True)
            if "public" in url
        )
        for first, part in ((0x01, text[:30]), (0x80, text[30:])):
            writer.transport.write(bytes([first, len(part)]) + part)

        await until(lambda: feed.told)
        assert feed.told == [("BTCUSDT", 999, 1_001)]

    async def test_between_two_ticks_are_the_lower_bid_and_the_higher_ask(self, feed, streams):
        await say(streams, "/public", quote("99.95", "100.05"))

        await until(lambda: feed.told)
        assert feed.told == [("BTCUSDT", 999, 1_001)]


class TestQuestions:
    @pytest.fixture
    def feed(self, streams, exchange):
        feed = PriceFeed(addresses=VenueAddresses.paper("http://127.0.0.1:9"), rest=exchange.rest)
        for number in range(5):
            feed.follow(f"S{number}USDT", price_tick=TICK, take=lambda *_: None)
        feed.follow("BTCUSDT", price_tick=TICK, take=lambda *_: None)
        return feed

    async def test_of_two_are_put_one_by_one(self, feed, venue, exchange):
        venue.answers["GET", BEST] = BTC

        assert await feed.ask(["BTCUSDT", "UNKNOWN"]) == {"BTCUSDT": (999, 1_001)}

        assert [one.query for one in venue.asked(BEST)] == [{"symbol": "BTCUSDT"}]
        assert exchange.usage.weight_used == 2

    async def test_of_many_are_one_for_all(self, feed, venue, exchange):
        venue.answers["GET", BEST] = [
            BTC,
            BTC | {"symbol": "S1USDT", "bidQty": "0.0"},
            BTC | {"symbol": "S2USDT", "askPrice": "0"},
            BTC | {"symbol": "S3USDT"},
            BTC | {"symbol": "NOT_ASKED"},
        ]

        told = await feed.ask(["BTCUSDT", "S0USDT", "S1USDT", "S2USDT"])

        assert told == {"BTCUSDT": (999, 1_001)}
        assert [one.query for one in venue.asked(BEST)] == [{}]
        assert exchange.usage.weight_used == 5

    async def test_raise_what_the_venue_did_where_nothing_came_of_them(self, feed, venue):
        venue.answers["GET", BEST] = http(503, {"code": -1008, "msg": "busy"})

        with pytest.raises(VenueError):
            await feed.ask(["BTCUSDT", "S0USDT"])
