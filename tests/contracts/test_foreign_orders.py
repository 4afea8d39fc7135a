"""
The entry exam of a venue whose orders are asked for by its own numbers: what rests there, and taking it back.

Binance's adapter sits it over real sockets against the paper exchange, and the venue in memory sits the same.
"""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.venue import OutcomeUnknown
from pregao.edges.exchanges.binance import ApiKey, BinanceExchange, VenueAddresses
from pregao.edges.exchanges.binance.foreign import BinanceForeignOrders
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.wire import Wire
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.simulation.faults import read_faults
from pregao.simulation.market import Tick
from pregao.simulation.venue import SimulatedVenue

ACCOUNT = 1
KEY = ApiKey("foreign-key", "foreign-secret")
QUANTITY = Decimal("0.01")
RESTING = Decimal(80_000)


def now():
    return datetime.now(UTC)


class Stage:
    """One venue, somebody who places orders past the desk, and what goes wrong."""

    def __init__(self, foreign, *, place, price, lose_answers) -> None:
        self.foreign, self.place, self.price, self.lose_answers = foreign, place, price, lose_answers

    async def resting(self):
        return await self.foreign.resting_orders(account_id=ACCOUNT)

    async def find(self, number, symbol="BTCUSDT"):
        return await self.foreign.find_resting(account_id=ACCOUNT, symbol=symbol, exchange_order_id=number)

    async def take_back(self, number, symbol="BTCUSDT"):
        return await self.foreign.take_back(account_id=ACCOUNT, symbol=symbol, exchange_order_id=number)


@asynccontextmanager
async def over_http():
    server = PaperServer(PaperSettings(still=True, strict=True, accounts=(f"{KEY.key}:{KEY.secret}:100000",)))
    await server.start()
    venue = server.venue
    wire = Wire(clock=now)
    exchange = BinanceExchange(
        addresses=VenueAddresses.paper(server.url),
        wire=wire,
        credentials={ACCOUNT: KEY}.__getitem__,
        clock=now,
    )

    async def place(symbol, side, price):
        asked = {
            "symbol": symbol, "side": side.upper(), "type": "LIMIT", "timeInForce": "GTC", "price": price,
            "quantity": QUANTITY, "newClientOrderId": f"web_{symbol}",
        }  # fmt: skip
        placed = await exchange.rest.read(
            Call(method="POST", path="/fapi/v1/order"), asked, account_id=ACCOUNT, translate=lambda body: body
        )
        return str(placed["orderId"])

    def move(symbol, price):
        venue.move_price(
            Tick(
                symbol=symbol,
                price=Decimal(price),
                quantity=Decimal(1),
                taker=Side.SELL,
                at_ms=venue.now_ms(),
            )
        )

    try:
        yield Stage(
            BinanceForeignOrders(exchange),
            place=place,
            price=move,
            lose_answers=lambda: venue.faults.replace(
                read_faults("unknown:count=1,endpoint=DELETE /fapi/v1/order")
            ),
        )
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
    venue.open_account(ACCOUNT, balance=Decimal(100_000))
    venue.move_price("BTCUSDT", Decimal(90_000))
    venue.move_price("ETHUSDT", Decimal(3_000))

    async def place(symbol, side, price):
        return venue.rest_by_hand(ACCOUNT, symbol=symbol, side=side, price=price, quantity=QUANTITY)

    def lose_answers():
        # It executes an unknown one every second time: of this seed the next.
        venue.manners.lose = 1.0

    yield Stage(
        venue, place=place, price=lambda symbol, price: venue.move_price(symbol, Decimal(price)),
        lose_answers=lose_answers,
    )  # fmt: skip


@pytest.fixture(params=[over_http, in_memory], ids=["binance", "memory"])
async def stage(request):
    async with request.param() as one:
        yield one


class TestForeignOrders:
    async def test_are_told_with_all_that_names_them(self, stage):
        number = await stage.place("BTCUSDT", Side.BUY, RESTING)

        [one] = await stage.resting()

        assert one.rests
        assert (one.exchange_order_id, one.symbol, one.side, one.position_side) == (
            number, "BTCUSDT", Side.BUY, PositionSide.BOTH,
        )  # fmt: skip
        assert (one.kind, one.price, one.quantity, one.filled_quantity) == (
            "limit",
            RESTING,
            QUANTITY,
            Decimal(0),
        )
        assert one.client_order_id.startswith("web_")
        assert await stage.find(number) == one

    async def test_one_is_taken_back_and_the_others_rest(self, stage):
        first = await stage.place("BTCUSDT", Side.BUY, RESTING)
        second = await stage.place("ETHUSDT", Side.BUY, Decimal(2_500))

        ended = await stage.take_back(first)

        assert (ended.exchange_order_id, ended.status, ended.rests) == (first, OrderStatus.CANCELED, False)
        assert [one.exchange_order_id for one in await stage.resting()] == [second]
        assert (await stage.find(first)).status is OrderStatus.CANCELED

    async def test_taken_back_twice_is_once(self, stage):
        number = await stage.place("BTCUSDT", Side.BUY, RESTING)
        await stage.take_back(number)

        assert await stage.take_back(number) is None
        assert (await stage.find(number)).status is OrderStatus.CANCELED

    async def test_a_number_is_one_symbols(self, stage):
        number = await stage.place("BTCUSDT", Side.BUY, RESTING)

        assert await stage.take_back(number, symbol="ETHUSDT") is None
        assert await stage.find(number, symbol="ETHUSDT") is None
        assert await stage.find("404404") is None
        assert (await stage.find(number)).rests

    async def test_one_that_has_filled_is_told_so(self, stage):
        number = await stage.place("BTCUSDT", Side.BUY, RESTING)
        stage.price("BTCUSDT", 79_000)

        assert await stage.take_back(number) is None
        found = await stage.find(number)
        assert (found.status, found.filled_quantity) == (OrderStatus.FILLED, QUANTITY)
        assert await stage.resting() == []

    async def test_a_lost_answer_is_no_refusal(self, stage):
        number = await stage.place("BTCUSDT", Side.BUY, RESTING)
        stage.lose_answers()

        with pytest.raises(OutcomeUnknown):
            await stage.take_back(number)

        assert (await stage.find(number)).status is OrderStatus.CANCELED
