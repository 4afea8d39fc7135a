"""Orders over HTTP: signatures, windows, answers, refusals, limits."""

import json
import time

import pytest

from tests.edges.paper.signed_client import SignedClient


class TestSigning:
    async def test_refuses_a_wrong_signature(self, paper):
        liar = SignedClient(paper.server, secret="not the secret")
        async with liar:
            status, body = await liar.order()

        assert (status, body) == (400, {"code": -1022, "msg": "Signature for this request is not valid."})

    async def test_opens_an_account_for_an_unknown_key_and_does_not_verify_it(self, paper):
        async with SignedClient(paper.server, key="stranger") as stranger:
            status, _ = await stranger.order()
            balance = await stranger.get("/fapi/v3/balance")

        assert (status, balance[0]["balance"]) == (200, "9999.55000000")

    async def test_asks_for_a_key_and_a_timestamp(self, paper):
        async with paper.session.get(paper.server.url + "/fapi/v3/account") as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, -2014)
        status, body, _ = await paper.ask("GET", "/fapi/v3/account", timestamp=None)
        assert (status, body["code"]) == (400, -1102)

    @pytest.mark.parametrize(
        ("shift_ms", "words"), [(-6_000, "outside of the recvWindow"), (2_000, "1000ms ahead")]
    )
    async def test_refuses_a_time_outside_the_window(self, paper, shift_ms, words):
        status, body = await paper.order(timestamp=int(time.time() * 1000) + shift_ms)

        assert (status, body["code"]) == (400, -1021)
        assert words in body["msg"]

    async def test_reads_a_form_body_as_well_as_the_query(self, paper):
        """ccxt sends the body, the official SDK the query."""
        import hashlib
        import hmac

        stamp = int(time.time() * 1000)
        form = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&timestamp={stamp}"
        signature = hmac.new(paper.secret.encode(), form.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": paper.key, "Content-Type": "application/x-www-form-urlencoded"}

        async with paper.session.post(
            paper.server.url + "/fapi/v1/order", data=f"{form}&signature={signature}", headers=headers
        ) as answer:
            assert answer.status == 200


class TestOrders:
    async def test_acknowledges_without_saying_the_price(self, paper):
        status, body = await paper.order(newClientOrderId="p1")

        assert (status, body["status"], body["clientOrderId"]) == (200, "NEW", "p1")
        assert not {"avgPrice", "cumQuote"} & set(body)

    async def test_gives_the_result_when_asked_still_without_the_price(self, paper):
        _, body = await paper.order(newOrderRespType="RESULT")

        assert (body["status"], body["executedQty"]) == ("FILLED", "0.010")
        assert not {"avgPrice", "cumQuote"} & set(body)

    async def test_tells_price_and_quantity_when_queried(self, paper):
        await paper.order(newClientOrderId="p1")

        body = await paper.get("/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="p1")

        assert (body["status"], body["avgPrice"], body["cumQuote"]) == ("FILLED", "90000.00000", "900")

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"symbol": "NOPE"}, -1121),
            ({"side": "HOLD"}, -1117),
            ({"type": "ICEBERG"}, -1116),
            ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120),
            ({"quantity": "0.0001"}, -1111),
            ({"quantity": "0"}, -4003),
            ({"quantity": "9999"}, -4005),
            ({"quantity": "0.001"}, -4164),
            ({"quantity": "10"}, -2019),
            ({"quantity": "abc"}, -1102),
            ({"quantity": None}, -1102),
            ({"positionSide": "LONG"}, -4061),
            ({"reduceOnly": "true"}, -2022),
            ({"newClientOrderId": "é"}, -4015),
            ({"recvWindow": "90000"}, -1130),
        ],
    )
    async def test_refuses_by_code(self, paper, params, code):
        asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"} | params

        status, body, _ = await paper.ask("POST", "/fapi/v1/order", **asked)

        assert (status, body["code"]) == (400, code)
        assert (await paper.books())["orders"] == []

    async def test_knows_which_orders_it_does_not_have(self, paper):
        asked = {"symbol": "BTCUSDT", "origClientOrderId": "nobody"}

        queried = await paper.ask("GET", "/fapi/v1/order", **asked)
        canceled = await paper.ask("DELETE", "/fapi/v1/order", **asked)

        assert [queried[1]["code"], canceled[1]["code"]] == [-2013, -2011]

    async def test_lists_modifies_and_cancels_a_resting_order(self, paper):
        await paper.order(price="89000", newClientOrderId="rest")
        asked = {"symbol": "BTCUSDT", "origClientOrderId": "rest"}

        listed = await paper.get("/fapi/v1/openOrders", symbol="BTCUSDT")
        modified = (
            await paper.ask("PUT", "/fapi/v1/order", **asked, side="BUY", quantity="0.02", price="88000")
        )[1]
        canceled = (await paper.ask("DELETE", "/fapi/v1/order", **asked))[1]

        assert [order["clientOrderId"] for order in listed] == ["rest"]
        assert (modified["price"], modified["origQty"], canceled["status"]) == (
            "88000.0",
            "0.020",
            "CANCELED",
        )
        assert await paper.get("/fapi/v1/openOrders") == []

    async def test_places_a_batch_with_each_answer_in_its_place(self, paper):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}

        status, body, _ = await paper.ask(
            "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([order, order | {"quantity": "0"}])
        )

        assert (status, body[0]["status"], body[1]["code"]) == (200, "NEW", -4003)

    async def test_cancels_a_batch_and_everything_of_a_symbol(self, paper):
        for number in range(3):
            await paper.order(price="89000", newClientOrderId=f"rest{number}")

        batch = await paper.ask(
            "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList='["rest0","nobody"]'
        )
        everything = await paper.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")

        assert [batch[1][0]["status"], batch[1][1]["code"], everything[1]["code"]] == ["CANCELED", -2011, 200]
        assert len(await paper.get("/fapi/v1/allOrders", symbol="BTCUSDT")) == 3

    async def test_counts_orders_in_the_headers_and_stops_at_three_hundred(self, paper):
        answers = [
            await paper.ask("POST", "/fapi/v1/order", symbol="NOPE", side="BUY", type="MARKET")
            for _ in range(1)
        ]
        assert {"X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1M"} <= set(answers[0][2])
        limit = paper.server.venue.order_limit(paper.key)
        limit.long.add(1_200, at_ms=int(time.time() * 1000))

        status, body, headers = await paper.ask(
            "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
        )

        assert (status, body["code"], "Retry-After" in headers) == (429, -1015, False)

    async def test_stops_an_address_that_asks_too_much(self, paper):
        limit = paper.server.venue.address_limit("127.0.0.1")
        limit.weight.add(2_400, at_ms=int(time.time() * 1000))

        status, body, headers = await paper.ask("GET", "/fapi/v1/ticker/price", symbol="BTCUSDT")

        assert (status, body["code"], "Retry-After" in headers) == (429, -1003, True)


class TestConditionalOrders:
    async def test_live_apart_from_plain_orders(self, paper):
        await paper.order()
        _, placed = await paper.algo(closePosition="true", clientAlgoId="stop")

        listed = await paper.get("/fapi/v1/openAlgoOrders")
        queried = await paper.get("/fapi/v1/algoOrder", clientAlgoId="stop")

        assert (placed["algoStatus"], listed[0]["algoId"], queried["orderType"]) == (
            "NEW",
            placed["algoId"],
            "STOP_MARKET",
        )
        assert await paper.get("/fapi/v1/openOrders") == []

    async def test_trigger_when_the_price_comes(self, paper):
        await paper.order()
        await paper.algo(trigger="89000", closePosition="true", clientAlgoId="stop")

        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="88999")
        queried = await paper.get("/fapi/v1/algoOrder", clientAlgoId="stop")

        assert (queried["algoStatus"], queried["actualQty"]) == ("FINISHED", "0.010")
        assert (await paper.books())["positions"] == []

    async def test_can_be_canceled_one_by_one_or_all(self, paper):
        _, first = await paper.algo(quantity="0.01", clientAlgoId="one")
        await paper.algo(quantity="0.01")

        one = await paper.ask("DELETE", "/fapi/v1/algoOrder", clientAlgoId="one")
        again = await paper.ask("DELETE", "/fapi/v1/algoOrder", algoId=first["algoId"])
        everything = await paper.ask("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")

        assert [one[1]["code"], again[1]["code"], everything[1]["code"]] == ["200", -2011, 200]
        assert await paper.get("/fapi/v1/openAlgoOrders") == []

    async def test_are_told_of_until_the_venue_forgets_them(self, paper):
        """Ended without a trade, the venue remembers them three days."""
        await paper.algo(quantity="0.01", clientAlgoId="left")
        await paper.ask("DELETE", "/fapi/v1/algoOrder", clientAlgoId="left")
        await paper.algo(quantity="0.01", clientAlgoId="waits")
        listed = await paper.get("/fapi/v1/allAlgoOrders", symbol="BTCUSDT")

        for algo in paper.server.venue.books.accounts[paper.key].algos.values():
            algo.created_ms -= 3 * 86_400_000 + 1
        later = await paper.get("/fapi/v1/allAlgoOrders", symbol="BTCUSDT")
        queried = await paper.get("/fapi/v1/algoOrder", clientAlgoId="left")

        assert [one["clientAlgoId"] for one in listed] == ["left", "waits"]
        assert ([one["clientAlgoId"] for one in later], queried["code"]) == (["waits"], -2013)

    async def test_have_no_batch(self, paper):
        """What a batch of plain orders says to a conditional kind, each at its own place."""
        orders = [
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "STOP_MARKET",
                "quantity": "0.01",
                "stopPrice": "80000",
            }
        ]

        status, answers, _ = await paper.ask("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))

        assert (status, [answer["code"] for answer in answers]) == (200, [-4120])
