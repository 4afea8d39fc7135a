import asyncio
from decimal import Decimal

import pytest

from pregao.edges.exchanges.binance import MarketStream, VenueAddresses
from pregao.edges.exchanges.binance.prices import PriceBook
from tests.edges.exchanges.scripted_venue import NOON, until

BOOK = {
    "e": "bookTicker",
    "u": 1,
    "E": 1,
    "T": 1,
    "s": "BTCUSDT",
    "b": "99.9",
    "B": "3",
    "a": "100.1",
    "A": "4",
}
TRADE = {
    "e": "aggTrade",
    "E": 1,
    "a": 593,
    "s": "BTCUSDT",
    "p": "100.0",
    "q": "0.5",
    "f": 1,
    "l": 2,
    "T": 1,
    "m": True,
}


@pytest.fixture
async def market(streams, clock):
    book = PriceBook(clock)
    heard = []
    stream = MarketStream(
        addresses=VenueAddresses(rest="http://127.0.0.1:9", streams=streams.url),
        book=book,
        on_price=heard.append,
    )
    stream.book, stream.heard = book, heard
    running = asyncio.create_task(stream.run())
    await until(lambda: len(streams.live) == 2)
    yield stream
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def say(streams, path, event):
    socket = next(
        socket for (_, socket), url in zip(streams.sockets, streams.opened, strict=True) if path in url
    )
    await socket.send_json({"stream": "x", "data": event})


class TestMarketStream:
    async def test_subscribes_both_halves(self, market, streams):
        await market.follow({"BTCUSDT"})

        await until(lambda: len(streams.texts) == 2)
        assert sorted(text["params"][0] for text in streams.texts) == [
            "btcusdt@aggTrade",
            "btcusdt@bookTicker",
        ]
        assert {text["method"] for text in streams.texts} == {"SUBSCRIBE"}

    async def test_subscribes_again_after_a_loss(self, market, streams):
        await market.follow({"BTCUSDT"})
        await until(lambda: len(streams.texts) == 2)

        await streams.drop_all()

        await until(lambda: len(streams.texts) == 4)

    async def test_gives_a_quote_of_both_halves(self, market, streams):
        await say(streams, "/public", BOOK)
        await say(streams, "/market", TRADE)

        await until(lambda: len(market.heard) == 2)
        quote = market.book.quote("BTCUSDT", age_seconds_max=1)
        assert (quote.bid, quote.ask, quote.last_price) == (
            Decimal("99.9"),
            Decimal("100.1"),
            Decimal("100.0"),
        )
        assert quote.quoted_at == NOON

    async def test_ignores_prices_of_nothing(self, market, streams):
        await say(streams, "/public", BOOK | {"B": "0", "b": "1"})
        await say(streams, "/market", TRADE | {"q": "0", "p": "1"})
        await say(streams, "/market", TRADE | {"p": "0"})
        await say(streams, "/public", BOOK)
        await say(streams, "/market", TRADE)

        await until(lambda: market.book.quote("BTCUSDT", age_seconds_max=1))
        quote = market.book.quote("BTCUSDT", age_seconds_max=1)
        assert (quote.bid, quote.last_price) == (Decimal("99.9"), Decimal("100.0"))


class TestPriceBook:
    async def test_gives_nothing_old(self, clock):
        book = PriceBook(clock)
        book.note_book("BTCUSDT", bid=Decimal(1), ask=Decimal(2))
        book.note_last("BTCUSDT", price=Decimal(1))

        await asyncio.sleep(0.05)

        assert book.quote("BTCUSDT", age_seconds_max=0.02) is None

    async def test_gives_nothing_half_known(self, clock):
        book = PriceBook(clock)
        book.note_last("BTCUSDT", price=Decimal(1))

        assert book.quote("BTCUSDT", age_seconds_max=1) is None
