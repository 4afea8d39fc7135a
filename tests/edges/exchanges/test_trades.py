"""Trades as they come, from the paper exchange's own stream: since when none can have been missed."""

import asyncio
import contextlib

from pregao.edges.exchanges.binance import VenueAddresses
from pregao.edges.exchanges.binance.sockets import SocketLimits
from pregao.edges.exchanges.binance.trades import CLOCK_MS_MAX, TradeStream
from pregao.edges.paper.serve import PaperServer, PaperSettings
from tests.edges.exchanges.scripted_venue import until

NOW_MS = 1_790_000_000_000


@contextlib.asynccontextmanager
async def streaming(server, *, taken=None):
    """Follow the server's trades; whatever comes is put into ``taken``."""
    stream = TradeStream(
        addresses=VenueAddresses.paper(server.url),
        take=lambda *trade: taken.append(trade) if taken is not None else None,
        venue_now_ms=lambda: NOW_MS,
        limits=SocketLimits(backoff_seconds_max=0.1),
    )
    task = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestTradeStream:
    async def test_says_since_when_all_of_a_symbols_trades_are_told_and_that_they_are_not_any_more(self):
        server, taken = PaperServer(PaperSettings()), []
        async with contextlib.AsyncExitStack() as there:
            await server.start()
            there.push_async_callback(server.stop)
            async with streaming(server, taken=taken) as stream:
                before = stream.heard_since_ms("ETHUSDT")
                stream.follow({"ETHUSDT"})
                await until(lambda: stream.heard_since_ms("ETHUSDT") is not None)
                since_ms = stream.heard_since_ms("ETHUSDT")
                await until(lambda: taken)

                stream.follow({"ETHUSDT", "BTCUSDT"})
                await until(lambda: stream.heard_since_ms("BTCUSDT") is not None)
                stream.follow({"BTCUSDT"})
                await until(lambda: stream.heard_since_ms("ETHUSDT") is None)

                await there.aclose()
                await until(lambda: stream.heard_since_ms("BTCUSDT") is None)

        # From the venue's answer on, by a clock that is known to a part of a round trip.
        assert (before, since_ms) == (None, NOW_MS + CLOCK_MS_MAX)
        assert {symbol for symbol, *_ in taken} <= {"ETHUSDT", "BTCUSDT"}
