"""What the paper exchange does wrong when it is told to."""

import asyncio
import time

import aiohttp
import pytest

from pregao.simulation.refusals import MESSAGES
from tests.edges.paper.signed_client import heard

ORDER = "POST /fapi/v1/order"


async def with_fault(paper, text):
    status, body = await paper.control("POST", "/paper/faults", faults=text)
    assert status == 200, body


class TestAnswerFaults:
    async def test_lose_executes_and_hangs_up(self, paper):
        await with_fault(paper, f"lose:count=1,endpoint={ORDER}")

        with pytest.raises(aiohttp.ClientError):
            await paper.order(newClientOrderId="p1")

        assert [fill["client_order_id"] for fill in (await paper.books())["fills"]] == ["p1"]

    async def test_vanish_hangs_up_without_executing(self, paper):
        await with_fault(paper, f"vanish:count=1,endpoint={ORDER}")

        with pytest.raises(aiohttp.ClientError):
            await paper.order()

        assert (await paper.books())["fills"] == []

    @pytest.mark.parametrize(("kind", "executed"), [("unknown", 1), ("uncertain", 0)])
    async def test_unknown_and_uncertain_look_the_same(self, paper, kind, executed):
        await with_fault(paper, f"{kind}:count=1,endpoint={ORDER}")

        status, body = await paper.order()

        assert (status, body["msg"]) == (503, "Unknown error, please check your request or try again later.")
        assert len((await paper.books())["fills"]) == executed

    async def test_late_executes_at_once_and_answers_later(self, paper):
        await with_fault(paper, f"late:ms=300,count=1,endpoint={ORDER}")
        begun = time.monotonic()
        asked = asyncio.create_task(paper.order())
        await asyncio.sleep(0.1)

        fills = (await paper.books())["fills"]
        status, _ = await asked

        assert (len(fills), status, time.monotonic() - begun >= 0.3) == (1, 200, True)

    async def test_stall_reaches_the_engine_after_the_window(self, paper):
        """The order passes the check on arrival and waits inside until its window is over."""
        await with_fault(paper, f"stall:ms=300,count=1,endpoint={ORDER}")

        status, body = await paper.order(recvWindow=100)

        assert (status, body["code"]) == (400, -5028)
        assert (await paper.books())["fills"] == []

    @pytest.mark.parametrize("code", MESSAGES)
    async def test_refuse_gives_the_code(self, paper, code):
        await with_fault(paper, f"refuse:code={code},count=1,endpoint={ORDER}")

        assert (await paper.order())[1]["code"] == code

    @pytest.mark.parametrize("status", [429, 418])
    async def test_throttle_says_when_to_come_back(self, paper, status):
        await with_fault(paper, f"throttle:status={status},seconds=7,count=1")

        answered, body, headers = await paper.ask("GET", "/fapi/v1/time")

        assert (answered, body["code"], headers["Retry-After"]) == (status, -1003, "7")

    async def test_down_answers_nobody_for_a_while(self, paper):
        await with_fault(paper, "down:seconds=0.3,count=1")

        during = [await paper.ask("GET", "/fapi/v1/time") for _ in range(2)]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await paper.stream("/market/ws/btcusdt@aggTrade")
        await asyncio.sleep(0.35)
        after = await paper.ask("GET", "/fapi/v1/time")

        assert [(status, text) for status, text, _ in during] == [(503, "Service Unavailable.")] * 2
        assert after[0] == 200

    async def test_lag_shows_the_books_as_they_were(self, paper):
        await paper.order(newClientOrderId="p1")
        await with_fault(paper, "lag:ms=60000")

        _, order, _ = await paper.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="p1")
        trades = await paper.get("/fapi/v1/userTrades", symbol="BTCUSDT")
        positions = await paper.get("/fapi/v3/positionRisk")

        assert (order["code"], trades, positions) == (-2013, [], [])

    async def test_lag_shows_a_stop_as_it_waited(self, paper):
        await paper.order()
        await paper.algo(trigger="89000", closePosition="true", clientAlgoId="stop")
        await asyncio.sleep(0.3)
        await paper.ask("DELETE", "/fapi/v1/algoOrder", clientAlgoId="stop")
        await with_fault(paper, "lag:ms=250")

        queried = await paper.get("/fapi/v1/algoOrder", clientAlgoId="stop")
        listed = await paper.get("/fapi/v1/openAlgoOrders", symbol="BTCUSDT")
        await with_fault(paper, "")

        assert (queried["algoStatus"], [one["algoStatus"] for one in listed]) == ("NEW", ["NEW"])
        assert await paper.get("/fapi/v1/openAlgoOrders") == []

    async def test_count_their_hits(self, paper):
        await with_fault(paper, f"refuse:endpoint={ORDER},code=-2010")
        await paper.order()

        _, shown = await paper.control("GET", "/paper/faults")

        assert [(fault["kind"], fault["hits"]) for fault in shown["faults"]] == [("refuse", 1)]


class TestTriggerFaults:
    """What goes wrong between a conditional order's trigger and its fill."""

    async def triggered(self, paper, fault):
        """Let a closing stop's price come under a fault; give the stop as the venue tells it then."""
        await paper.order()
        await paper.algo(trigger="89000", closePosition="true", clientAlgoId="stop")
        await with_fault(paper, fault)
        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="88999")
        return await paper.get("/fapi/v1/algoOrder", clientAlgoId="stop")

    async def held(self, paper):
        return [position["quantity"] for position in (await paper.books())["positions"]]

    async def test_stick_leaves_it_triggering_and_out_of_reach(self, paper):
        stop = await self.triggered(paper, "stick:seconds=0,endpoint=STOP_MARKET BTC")

        canceled = await paper.ask("DELETE", "/fapi/v1/algoOrder", clientAlgoId="stop")

        assert (stop["algoStatus"], stop["actualOrderId"], canceled[1]["code"]) == ("TRIGGERING", "", -2011)
        assert (await paper.get("/fapi/v1/openAlgoOrders"), await self.held(paper)) == ([], ["0.01"])

    async def test_stick_lets_go_after_its_seconds(self, paper):
        stop = await self.triggered(paper, "stick:seconds=5,count=1")

        venue = paper.server.venue
        venue.pass_time(venue.now_ms() + 5_000)

        assert (stop["algoStatus"], await self.held(paper)) == ("TRIGGERING", [])

    async def test_reject_ends_it_with_the_reason_and_no_order(self, paper):
        socket = await paper.stream(f"/private/ws/{await paper.listen_key()}")

        stop = await self.triggered(paper, "reject")
        told = [message["o"] for message in await heard(socket, 3, event="ALGO_UPDATE")]
        await socket.close()

        assert (stop["algoStatus"], await self.held(paper)) == ("REJECTED", ["0.01"])
        assert [(one["X"], one["ai"], one["rm"]) for one in told] == [
            ("NEW", "", ""),
            ("TRIGGERING", "", ""),
            ("REJECTED", "", "Margin is insufficient."),
        ]

    async def test_unfilled_finishes_it_with_nothing_traded(self, paper):
        stop = await self.triggered(paper, "unfilled")

        order = await paper.get("/fapi/v1/order", symbol="BTCUSDT", orderId=stop["actualOrderId"])

        assert (stop["algoStatus"], stop["actualQty"], order["status"]) == ("FINISHED", "0.000", "EXPIRED")
        assert (order["clientOrderId"], await self.held(paper)) == ("stop", ["0.01"])

    async def test_strike_only_what_they_name_and_count_it(self, paper):
        stop = await self.triggered(
            paper, "stick:endpoint=TAKE_PROFIT;reject:endpoint=ETHUSDT;unfilled:count=0"
        )

        _, shown = await paper.control("GET", "/paper/faults")

        assert (stop["algoStatus"], [fault["hits"] for fault in shown["faults"]]) == ("FINISHED", [0, 0, 0])

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ("drop:endpoint=ALGO_UPDATE,count=1", ["TRIGGERED", "FINISHED"]),
            ("duplicate:endpoint=ALGO_UPDATE,count=1,ms=0", ["TRIGGERING"] * 2 + ["TRIGGERED", "FINISHED"]),
        ],
    )
    async def test_an_event_of_it_may_be_lost_or_come_twice(self, paper, fault, words):
        socket = await paper.stream(f"/private/ws/{await paper.listen_key()}")

        await self.triggered(paper, fault)
        told = await heard(socket, len(words) + 1, event="ALGO_UPDATE")
        await socket.close()

        assert [message["o"]["X"] for message in told] == ["NEW", *words]


class TestStreamFaults:
    async def test_drop_and_duplicate_strike_single_events(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await with_fault(paper, "drop:endpoint=TRADE_LITE;duplicate:endpoint=ACCOUNT_UPDATE,ms=0")

        await paper.order()
        messages = await heard(socket, 4)
        await socket.close()

        assert [message["e"] for message in messages] == [
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
        ]

    async def test_a_duplicate_may_come_later(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await with_fault(paper, "drop:endpoint=TRADE_LITE;duplicate:endpoint=ACCOUNT_UPDATE,ms=100")

        await paper.order()
        messages = await heard(socket, 4)
        await socket.close()

        assert [message["e"] for message in messages] == [
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
        ]

    async def test_defer_sends_an_event_after_what_came_after_it(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await with_fault(paper, "drop:endpoint=TRADE_LITE;defer:endpoint=ORDER_TRADE_UPDATE,ms=60,count=1")

        await paper.order()
        messages = await heard(socket, 3)
        await socket.close()

        assert [(message["e"], message.get("o", {}).get("x")) for message in messages] == [
            ("ACCOUNT_UPDATE", None),
            ("ORDER_TRADE_UPDATE", "TRADE"),
            ("ORDER_TRADE_UPDATE", "NEW"),
        ]

    async def test_freeze_says_nothing_while_pongs_go_on(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await with_fault(paper, "freeze:seconds=0.4,count=1")

        await paper.order(newClientOrderId="lost")
        await socket.ping()
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.2)
        await asyncio.sleep(0.3)
        await paper.order(newClientOrderId="told")
        message = (await heard(socket, event="ORDER_TRADE_UPDATE"))[0]
        await socket.close()

        assert message["o"]["c"] == "told"

    async def test_cut_ends_the_connection(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await with_fault(paper, "cut:count=1")

        await paper.order()
        message = await socket.receive(timeout=2)

        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
