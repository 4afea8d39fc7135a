"""
The entry exam of an exchange adapter: one order's life, told by requests and by the stream.

Binance's adapter sits it over real sockets against the paper exchange.
"""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.venue import MarginMode, OrderAttempt, Refused, StreamGap, TradeReport
from pregao.edges.exchanges.binance import (
    ApiKey,
    BinanceExchange,
    MarketStream,
    StreamSettings,
    UserStreams,
    VenueAddresses,
)
from pregao.edges.exchanges.wire import Wire

paper = pytest.importorskip("pregao.edges.paper.serve", reason="the paper exchange is not built")

KEYS = {number: ApiKey(f"contract-key-{number}", f"contract-secret-{number}") for number in (1, 2, 3)}
QUANTITY = Decimal("0.01")


def now():
    return datetime.now(UTC)


class Stage:
    """The adapter, its streams, and what they told."""

    def __init__(self, exchange, user, market):
        self.exchange, self.user, self.market, self.reports = exchange, user, market, []

    async def hear(self, report):
        self.reports.append(report)

    async def follow(self, *accounts):
        for account in accounts:
            await self.user.follow(account)
        await self.until(lambda: {one.account_id for one in self.of(StreamGap)} >= set(accounts))

    def of(self, kind):
        return [one for one in self.reports if isinstance(one, kind)]

    def filled(self, client_order_id):
        trades = [one.trade for one in self.of(TradeReport) if one.trade.client_order_id == client_order_id]
        return sum((trade.quantity for trade in trades), Decimal(0)), trades

    async def until(self, condition):
        async with asyncio.timeout(8):
            while not condition():
                await asyncio.sleep(0.02)

    def attempt(self, name, **changes):
        given = {
            "client_order_id": f"p{name:a<26}1", "account_id": 1, "symbol": "BTCUSDT", "side": Side.BUY,
            "position_side": PositionSide.BOTH, "quantity": QUANTITY, "reduce_only": False,
            "signed_at_ms": self.exchange.venue_now_ms(), "recv_window_ms": 5_000,
        }  # fmt: skip
        return OrderAttempt(**(given | changes))


@asynccontextmanager
async def on_stage(settings):
    server = paper.PaperServer(settings)
    await server.start()
    addresses = VenueAddresses.paper(server.url)
    wire = Wire(clock=now)
    exchange = BinanceExchange(addresses=addresses, wire=wire, credentials=KEYS.__getitem__, clock=now)
    stage = Stage(exchange, None, MarketStream(addresses=addresses, book=exchange.prices))
    stage.user = UserStreams(
        addresses=addresses, rest=exchange.rest, standing=exchange.standing, sink=stage.hear, clock=now,
        settings=StreamSettings(look_seconds=0.05, gather_seconds=0.2),
    )  # fmt: skip
    running = [asyncio.create_task(stage.user.run()), asyncio.create_task(stage.market.run())]
    try:
        await exchange.start()
        yield stage
    finally:
        await stage.user.close()
        running[1].cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await exchange.close()
        await wire.close()
        await server.stop()


@pytest.fixture
async def stage(tmp_path):
    accounts = tuple(f"{key.key}:{key.secret}:100000" for key in KEYS.values())
    settings = paper.PaperSettings(still=True, strict=True, accounts=accounts, state_dir=tmp_path)
    async with on_stage(settings) as one:
        yield one


class TestOneOrder:
    async def test_lives_from_acknowledgement_to_position_to_close(self, stage):
        exchange = stage.exchange
        await stage.follow(1)
        entry = stage.attempt("entry")

        acknowledged = await exchange.submit(entry)

        await stage.until(lambda: stage.filled(entry.client_order_id)[0] == QUANTITY)
        _, streamed = stage.filled(entry.client_order_id)
        found = await exchange.find_order(
            account_id=1, symbol="BTCUSDT", client_order_id=entry.client_order_id
        )
        trades = await exchange.trades_of(
            account_id=1, symbol="BTCUSDT", exchange_order_id=acknowledged.exchange_order_id
        )
        positions = await exchange.positions(account_id=1)
        assert (found.status, found.filled_quantity) == (OrderStatus.FILLED, QUANTITY)
        assert found.exchange_order_id == acknowledged.exchange_order_id
        assert {trade.trade_id for trade in trades} == {trade.trade_id for trade in streamed}
        assert sum(trade.commission for trade in trades) == sum(trade.commission for trade in streamed) > 0
        assert [(one.symbol, one.quantity) for one in positions] == [("BTCUSDT", QUANTITY)]

        close = stage.attempt("close", side=Side.SELL, reduce_only=True)
        await exchange.submit(close)

        await stage.until(lambda: stage.filled(close.client_order_id)[0] == QUANTITY)
        assert await exchange.positions(account_id=1, symbol="BTCUSDT") == []
        since = await exchange.trades_since(
            account_id=1, symbol="BTCUSDT", since_ms=entry.signed_at_ms - 1_000
        )
        assert {trade.exchange_order_id for trade in since} == {
            acknowledged.exchange_order_id,
            *(trade.exchange_order_id for trade in stage.filled(close.client_order_id)[1]),
        }

    async def test_sends_what_was_prepared_and_never_what_was_planned_before_it(self, stage):
        """A plan that was never committed may have had the same id and another quantity."""
        await stage.follow(1)
        first = stage.attempt("entry", quantity=QUANTITY * 3)
        entry = stage.attempt("entry")
        await stage.exchange.prepare(first)
        await asyncio.sleep(0.05)
        assert await stage.exchange.positions(account_id=1) == []  # nothing leaves ahead

        await stage.exchange.submit(entry)

        await stage.until(lambda: stage.filled(entry.client_order_id)[0] == QUANTITY)
        close = stage.attempt("close", side=Side.SELL, reduce_only=True)
        await stage.exchange.prepare(close)
        await stage.exchange.submit(close)
        await stage.until(lambda: stage.filled(close.client_order_id)[0] == QUANTITY)

    async def test_is_known_by_the_venue_s_id_too(self, stage):
        """A trade in a query names the venue's id only; whose it is, its order says."""
        entry = stage.attempt("entry")
        acknowledged = await stage.exchange.submit(entry)
        known = {"account_id": 1, "symbol": "BTCUSDT"}

        whose = await stage.exchange.client_order_id_of(
            **known, exchange_order_id=acknowledged.exchange_order_id
        )

        assert whose == entry.client_order_id
        assert await stage.exchange.client_order_id_of(**known, exchange_order_id="999999999") is None

    async def test_is_not_found_when_it_was_never_sent(self, stage):
        assert (
            await stage.exchange.find_order(account_id=1, symbol="BTCUSDT", client_order_id="pnever1") is None
        )

    async def test_cannot_reduce_what_is_not_there(self, stage):
        with pytest.raises(Refused) as refusal:
            await stage.exchange.submit(stage.attempt("nothing", side=Side.SELL, reduce_only=True))

        assert refusal.value.code in ("-2022", "-4118")

    async def test_with_a_bound_takes_what_is_there_at_once_and_no_worse_price(self, stage):
        await stage.follow(1)
        await stage.exchange.submit(stage.attempt("entry"))
        last = (await stage.exchange.quote("BTCUSDT")).last_price
        out_of_reach = stage.attempt("far", side=Side.SELL, reduce_only=True, limit_price=last + 500)
        within_reach = stage.attempt("near", side=Side.SELL, reduce_only=True, limit_price=last - 500)

        await stage.exchange.submit(out_of_reach)
        await stage.exchange.submit(within_reach)

        await stage.until(lambda: stage.filled(within_reach.client_order_id)[0] == QUANTITY)
        ended = await stage.exchange.find_order(
            account_id=1, symbol="BTCUSDT", client_order_id=out_of_reach.client_order_id
        )
        assert (ended.status, ended.filled_quantity) == (OrderStatus.EXPIRED, 0)

    async def test_is_refused_off_the_step(self, stage):
        with pytest.raises(Refused):
            await stage.exchange.submit(stage.attempt("odd", quantity=Decimal("0.0000001")))


class TestManyAccounts:
    async def test_are_told_apart_on_one_connection(self, stage):
        await stage.follow(1, 2, 3)

        await asyncio.gather(
            *(
                stage.exchange.submit(stage.attempt(f"many{number}", account_id=number))
                for number in (1, 2, 3)
            )
        )

        await stage.until(lambda: len({one.account_id for one in stage.of(TradeReport)}) == 3)
        assert stage.user.connections == 1
        assert all(
            one.trade.client_order_id.startswith(f"pmany{one.account_id}") for one in stage.of(TradeReport)
        )


class TestSettings:
    async def test_stand_after_they_were_set(self, stage):
        for _ in range(2):
            await stage.exchange.ensure_leverage(
                account_id=1, symbol="BTCUSDT", leverage=7, margin_mode=MarginMode.ISOLATED
            )

        assert await stage.exchange.position_mode(account_id=1) is PositionMode.ONE_WAY
        assert await stage.exchange.balance(account_id=1) == Decimal(100_000)

    async def test_of_an_instrument_can_be_traded_on(self, stage):
        bitcoin = (await stage.exchange.instruments())["BTCUSDT"]

        assert bitcoin.is_trading
        assert min(bitcoin.market_quantity_step, bitcoin.price_tick, bitcoin.notional_min) > 0


class TestPrices:
    async def test_are_asked_for_while_no_stream_tells_them(self, stage):
        quote = await stage.exchange.quote("BTCUSDT")

        assert quote.bid <= quote.ask
        assert quote.last_price > 0

    async def test_come_from_the_stream_when_it_moves(self):
        keys = tuple(f"{key.key}:{key.secret}:100000" for key in KEYS.values())
        async with on_stage(paper.PaperSettings(accounts=keys)) as stage:
            await stage.market.follow({"BTCUSDT"})

            await stage.until(lambda: stage.exchange.prices.quote("BTCUSDT", age_seconds_max=60))
