"""User and market streams: addresses, subscriptions, order of events, what goes wrong on purpose."""

import asyncio

import pytest

from pregao.edges.paper.streams import section_of
from tests.edges.paper.signed_client import SignedClient, funded, heard


def kinds(messages):
    return [message.get("data", message)["e"] for message in messages]


class TestUserStream:
    @pytest.mark.parametrize(
        ("address", "is_wrapped"),
        [
            ("/ws/{key}", False),
            ("/private/ws/{key}", False),
            ("/private/ws?listenKey={key}", False),
            ("/stream?streams={key}", True),
            ("/private/stream?listenKey={key}", True),
        ],
    )
    async def test_tells_a_fill_on_every_address(self, paper, address, is_wrapped):
        listen_key = await paper.listen_key()
        socket = await paper.stream(address.format(key=listen_key))

        await paper.order(newClientOrderId="p1")
        messages = await heard(socket, 4)
        await socket.close()

        assert kinds(messages) == ["ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ORDER_TRADE_UPDATE"]
        assert all(("stream" in message) is is_wrapped for message in messages)
        last = messages[-1].get("data", messages[-1])["o"]
        assert (last["x"], last["X"], last["c"], last["L"], last["n"]) == (
            "TRADE",
            "FILLED",
            "p1",
            "90000.0",
            "0.45000000",
        )

    async def test_carries_several_accounts_on_one_connection(self, paper):
        async with SignedClient(paper.server, key="second", secret="other") as second:
            await funded(second)
            keys = [await paper.listen_key(), await second.listen_key()]
            socket = await paper.stream(f"/private/stream?listenKey={keys[0]}&listenKey={keys[1]}")

            await paper.order()
            await second.order()
            messages = await heard(socket, 8)
            await socket.close()

        assert [message["stream"] for message in messages] == [keys[0]] * 4 + [keys[1]] * 4

    async def test_takes_hundreds_of_listen_keys_in_one_address(self, paper):
        others = "&".join(f"listenKey={number:064}" for number in range(500))
        socket = await paper.stream(f"/private/stream?{others}&listenKey={await paper.listen_key()}")

        await paper.order()

        assert len(await heard(socket, 4)) == 4
        await socket.close()

    async def test_takes_listen_keys_by_subscription_and_gives_them_up(self, paper):
        listen_key = await paper.listen_key()
        socket = await paper.stream("/private/stream")
        await socket.send_json({"method": "SUBSCRIBE", "params": [listen_key], "id": 1})
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        subscribed = await heard(socket, 2)

        await paper.order()
        told = await heard(socket, 4)
        await socket.send_json({"method": "UNSUBSCRIBE", "params": [listen_key], "id": 3})
        await heard(socket)
        await paper.order()
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.2)
        await socket.close()

        assert subscribed == [{"result": None, "id": 1}, {"result": [listen_key], "id": 2}]
        assert told[0]["stream"] == listen_key

    async def test_sends_only_the_events_asked_for(self, paper):
        listen_key = await paper.listen_key()
        socket = await paper.stream(f"/private/ws?listenKey={listen_key}&events=ACCOUNT_UPDATE/ALGO_UPDATE")

        await paper.order()
        await paper.algo(quantity="0.01")
        messages = await heard(socket, 2)
        await socket.close()

        assert kinds(messages) == ["ACCOUNT_UPDATE", "ALGO_UPDATE"]

    async def test_tells_leverage_and_conditional_orders(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")

        await paper.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
        await paper.order()
        await paper.algo(trigger="89000", closePosition="true")
        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="88000")
        changed = await heard(socket, event="ACCOUNT_CONFIG_UPDATE")
        algos = await heard(socket, 4, event="ALGO_UPDATE")
        await socket.close()

        assert changed[0]["ac"] == {"s": "BTCUSDT", "l": 5}
        assert [algo["o"]["X"] for algo in algos] == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]

    async def test_tells_margin_calls_liquidations_and_the_end_of_the_key(self, paper):
        async with SignedClient(paper.server, key="small", secret="other") as small:
            await funded(small, balance="500")
            listen_key = await small.listen_key()
            socket = await paper.stream(f"/private/ws/{listen_key}")
            await small.order(quantity="0.1")

            await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="85430")
            called = (await heard(socket, event="MARGIN_CALL"))[0]
            await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="84000")
            closed = await heard(socket, 2, event="ORDER_TRADE_UPDATE")
            paper.server.venue.pass_time(paper.server.venue.now_ms() + 3_700_000)
            ended = (await heard(socket, event="listenKeyExpired"))[0]
            await socket.close()

        assert (called["p"][0]["s"], called["p"][0]["ps"]) == ("BTCUSDT", "BOTH")
        assert [order["o"]["x"] for order in closed] == ["NEW", "CALCULATED"]
        assert closed[0]["o"]["c"].startswith("autoclose-")
        assert ended["listenKey"] == listen_key

    async def test_connects_on_an_unknown_listen_key_and_says_nothing(self, paper):
        socket = await paper.stream("/private/ws/nobody")

        await paper.order()
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.2)
        await socket.close()


class TestMarketStreams:
    async def test_publish_a_price_on_every_stream_of_the_symbol(self, paper):
        names = [
            "aggTrade",
            "trade",
            "bookTicker",
            "kline_1m",
            "depth@100ms",
            "depth5",
            "markPrice@1s",
            "ticker",
        ]
        path = "/".join(f"btcusdt@{name}" for name in names)
        socket = await paper.stream(f"/stream?streams={path}/!bookTicker/!ticker@arr/!miniTicker@arr")

        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="90001", quantity="0.5")
        found = {}
        async with asyncio.timeout(5):
            while len(found) < len(names) + 3:
                message = await socket.receive_json()
                found[message["stream"]] = message["data"]
        await socket.close()

        assert (found["btcusdt@aggTrade"]["p"], found["btcusdt@bookTicker"]["a"]) == ("90001.0", "90001.0")
        assert len(found["btcusdt@depth5"]["b"]) == 5
        assert found["btcusdt@kline_1m"]["k"]["c"] == "90001.0"

    async def test_stay_silent_on_the_other_sections_address(self, paper):
        socket = await paper.stream("/public/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker")

        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="90001")
        message = (await heard(socket))[0]
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.2)
        await socket.close()

        assert message["stream"] == "btcusdt@bookTicker"

    @pytest.mark.parametrize(
        ("stream", "section"),
        [
            ("btcusdt@depth5@100ms", "public"),
            ("btcusdt@bookTicker", "public"),
            ("!bookTicker", "public"),
            ("btcusdt@aggTrade", "market"),
            ("btcusdt@kline_1m", "market"),
            ("!markPrice@arr@1s", "market"),
            ("!ticker@arr", "market"),
        ],
    )
    def test_know_their_section(self, stream, section):
        assert section_of(stream) == section

    async def test_answer_what_they_do_not_understand(self, paper):
        socket = await paper.stream("/market/ws")
        await socket.send_str("hello")
        await socket.send_json({"method": "DANCE", "id": 9})

        answers = await heard(socket, 2)
        await socket.close()

        assert [answer["error"]["code"] for answer in answers] == [3, 2]

    async def test_give_the_same_book_by_differences_as_by_snapshot(self, paper):
        """A local book starts from the snapshot and follows the differences, as the venue's manual asks."""
        socket = await paper.stream("/public/ws/btcusdt@depth@100ms")
        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="90003")
        begun = (await heard(socket))[0]
        snapshot = await paper.get("/fapi/v1/depth", symbol="BTCUSDT", limit=20)
        book = {
            side: {row[0]: row[1] for row in snapshot[name]} for side, name in (("b", "bids"), ("a", "asks"))
        }
        last = begun["u"]

        for price in ("90010", "89990", "90001"):
            await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price=price)
            change = (await heard(socket))[0]
            assert change["pu"] == last
            last = change["u"]
            for side in ("b", "a"):
                book[side] |= {row[0]: row[1] for row in change[side]}
                book[side] = {level: quantity for level, quantity in book[side].items() if float(quantity)}
        after = await paper.get("/fapi/v1/depth", symbol="BTCUSDT", limit=20)
        await socket.close()

        assert book == {
            side: {row[0]: row[1] for row in after[name]} for side, name in (("b", "bids"), ("a", "asks"))
        }
