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

    async def test_count_their_hits(self, paper):
        await with_fault(paper, f"refuse:endpoint={ORDER},code=-2010")
        await paper.order()

        _, shown = await paper.control("GET", "/paper/faults")

        assert [(fault["kind"], fault["hits"]) for fault in shown["faults"]] == [("refuse", 1)]


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
