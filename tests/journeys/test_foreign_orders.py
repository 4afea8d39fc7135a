"""An order that somebody placed past the desk is seen at the venue and taken back there, whatever becomes of the answer."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pregao.edges.exchanges.binance import ApiKey, BinanceExchange, VenueAddresses
from pregao.edges.exchanges.binance.foreign import BinanceForeignOrders
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.wire import Wire
from pregao.edges.paper.serve import PaperSettings
from pregao.simulation.faults import read_faults
from tests.journeys.whole_desk import running_desk

pytestmark = pytest.mark.long

KEY = ApiKey("hand-key-that-is-long-enough", "hand-secret-that-is-long-enough")
PAPER = PaperSettings(still=True, accounts=(f"{KEY.key}:{KEY.secret}:100000",))


@asynccontextmanager
async def by_hand(desk):
    """Give the account's owner his own program, over HTTP: he places an order past the desk, and sees what rests."""
    wire = Wire(clock=lambda: datetime.now(UTC))
    exchange = BinanceExchange(
        addresses=VenueAddresses.paper(desk.paper.url), wire=wire, credentials={0: KEY}.__getitem__,
        clock=lambda: datetime.now(UTC),
    )  # fmt: skip

    async def place(price: str) -> str:
        asked = {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": Decimal(price),
            "quantity": Decimal("0.01"), "newClientOrderId": f"web_{price}",
        }  # fmt: skip
        call = Call(method="POST", path="/fapi/v1/order")
        placed = await exchange.rest.read(call, asked, account_id=0, translate=lambda body: body)
        return str(placed["orderId"])

    async def resting() -> list[str]:
        found = await BinanceForeignOrders(exchange).resting_orders(account_id=0)
        return [one.exchange_order_id for one in found]

    try:
        yield place, resting
    finally:
        await exchange.close()
        await wire.close()


async def looked(desk, account_id: int) -> list[dict]:
    """Have the venue asked, until what is asked for is there."""
    async with asyncio.timeout(60):
        while (seen := await desk.ask("POST", f"/api/v1/drift/{account_id}/orders/look"))["is_pending"]:
            await asyncio.sleep(0.1)
    assert seen["code"] is None, seen
    return seen["orders"]


async def told(desk, cancel_id: str) -> dict:
    async with asyncio.timeout(60):
        while True:
            cancel = await desk.ask("GET", f"/api/v1/drift/cancels/{cancel_id}")
            if cancel["status"] not in ("asked", "unknown"):
                return cancel
            await asyncio.sleep(0.1)


class TestForeignOrders:
    async def test_one_is_seen_and_taken_back_and_the_others_rest(self, database, tmp_path):
        async with (
            running_desk(database, tmp_path, paper=PAPER, is_watched=False) as desk,
            by_hand(desk) as (place, resting),
        ):
            account_id = await desk.open_account("by hand", api_key=KEY.key, secret_key=KEY.secret)
            numbers = [await place(price) for price in ("80000", "81000", "82000")]

            seen = await looked(desk, account_id)
            path = f"/api/v1/drift/{account_id}/orders/cancel"
            body = {"symbol": "BTCUSDT", "reason": "left from May"}
            first = await desk.ask("POST", path, json={**body, "exchange_order_id": numbers[0]})
            ended = await told(desk, first["cancel_id"])

            assert [one["exchange_order_id"] for one in seen] == numbers
            assert (ended["status"], ended["code"], ended["filled_quantity"]) == ("canceled", None, "0")
            assert await resting() == numbers[1:]

            # Executed, and the answer says that nobody knows: it is asked about, and never told wrongly.
            desk.paper.venue.faults.replace(read_faults("unknown:count=1,endpoint=DELETE /fapi/v1/order"))
            second = await desk.ask("POST", path, json={**body, "exchange_order_id": numbers[1]})
            ended = await told(desk, second["cancel_id"])

            assert ended["status"] == "canceled"
            assert await resting() == numbers[2:]
            assert [one["exchange_order_id"] for one in await looked(desk, account_id)] == numbers[2:]
