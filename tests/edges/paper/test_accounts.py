"""Accounts over HTTP and the control paths beside them."""

from decimal import Decimal

import pytest

from pregao.edges.paper.serve import PaperServer, PaperSettings
from tests.edges.paper.signed_client import KEY, SignedClient, funded

RESTRICTIONS = "/sapi/v1/account/apiRestrictions"


class TestAccounts:
    async def test_show_position_and_margin_in_every_version(self, paper):
        await paper.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=10)
        await paper.order(quantity="0.1")

        risk = await paper.get("/fapi/v3/positionRisk", symbol="BTCUSDT")
        older = await paper.get("/fapi/v2/positionRisk", symbol="BTCUSDT")
        account = await paper.get("/fapi/v3/account")

        assert (risk[0]["positionAmt"], risk[0]["initialMargin"]) == ("0.100", "900")
        assert (older[0]["leverage"], older[0]["marginType"]) == ("10", "cross")
        assert account["availableBalance"] == "9095.50000000"
        assert len(await paper.get("/fapi/v2/positionRisk")) == 12

    async def test_set_margin_type_and_position_mode_once(self, paper):
        first = await paper.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        second = await paper.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        hedge = await paper.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
        again = await paper.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")

        assert [first[1]["code"], second[1]["code"], hedge[1]["code"], again[1]["code"]] == [
            200,
            -4046,
            200,
            -4059,
        ]
        assert await paper.get("/fapi/v1/positionSide/dual") == {"dualSidePosition": True}

    async def test_refuse_a_leverage_nobody_offers(self, paper):
        _, body, _ = await paper.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126)

        assert body == {"code": -4028, "msg": "Leverage 126 is not valid"}

    async def test_write_a_statement_that_adds_up_to_the_wallet(self, paper):
        await paper.order("BUY")
        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="91000")
        await paper.order("SELL")

        income = await paper.get("/fapi/v1/income")
        balance = await paper.get("/fapi/v2/balance")

        assert sum(Decimal(line["income"]) for line in income) == Decimal(balance[0]["balance"])
        assert {line["incomeType"] for line in income} == {"TRANSFER", "COMMISSION", "REALIZED_PNL"}

    @pytest.mark.parametrize(
        "path",
        [
            "/fapi/v1/multiAssetsMargin",
            "/fapi/v1/leverageBracket",
            "/fapi/v1/symbolConfig",
            "/fapi/v1/accountConfig",
            "/fapi/v1/commissionRate",
            "/fapi/v1/apiTradingStatus",
            "/sapi/v1/account/apiRestrictions",
            "/fapi/v1/rateLimit/order",
            "/fapi/v2/account",
            "/fapi/v1/ping",
            "/fapi/v1/time",
            "/fapi/v1/exchangeInfo",
            "/fapi/v1/ticker/price",
            "/fapi/v2/ticker/price",
            "/fapi/v1/ticker/bookTicker",
            "/fapi/v1/ticker/24hr",
            "/fapi/v1/premiumIndex",
            "/fapi/v1/depth",
            "/fapi/v1/klines",
            "/fapi/v1/trades",
            "/fapi/v1/aggTrades",
            "/fapi/v1/fundingRate",
            "/fapi/v1/openInterest",
        ],
    )
    async def test_answer_everything_else(self, paper, path):
        status, body, _ = await paper.ask("GET", path, symbol="BTCUSDT", interval="5m", limit=10)

        assert status == 200, body

    async def test_give_the_same_listen_key_while_it_lives(self, paper):
        first, second = await paper.listen_key(), await paper.listen_key()
        await paper.ask("DELETE", "/fapi/v1/listenKey")
        gone = await paper.ask("PUT", "/fapi/v1/listenKey")

        assert first == second != await paper.listen_key()
        assert gone[1] == {"code": -1125, "msg": "This listenKey does not exist."}


class TestControl:
    async def test_registers_a_key_once_and_keeps_its_books(self, paper):
        await paper.order()

        again = await funded(paper, balance="5")
        other = await paper.control("POST", "/paper/accounts", key=paper.key, secret="another")

        assert (again[0], again[1]["created"], again[1]["wallet_balance"]) == (200, False, "9999.55")
        assert (other[0], other[1]["error"]["code"]) == (409, "SECRET_DIFFERS")

    async def test_gives_its_own_books(self, paper):
        await paper.order(newClientOrderId="p1")

        books = await paper.books()

        assert books["positions"][0]["quantity"] == "0.01"
        assert books["fills"][0] | {"trade_id": 0, "order_id": 0, "traded_ms": 0} == {
            "trade_id": 0,
            "order_id": 0,
            "client_order_id": "p1",
            "symbol": "BTCUSDT",
            "side": "buy",
            "position_side": "both",
            "price": "90000",
            "quantity": "0.01",
            "fee": "0.45",
            "realized_pnl": "0",
            "traded_ms": 0,
        }

    async def test_says_which_market_it_is(self, paper):
        _, health = await paper.control("GET", "/paper/health")

        assert (health["status"], health["market"]) == ("ok", "STILL")

    @pytest.mark.parametrize(
        ("path", "values", "code"),
        [
            ("/paper/accounts", {"key": "a"}, "REQUEST_MALFORMED"),
            ("/paper/prices", {"symbol": "BTCUSDT", "price": "-1"}, "PRICE_MALFORMED"),
            ("/paper/prices", {"symbol": "BTCUSDT", "price": "x"}, "REQUEST_MALFORMED"),
            ("/paper/faults", {"faults": "explode"}, "REQUEST_MALFORMED"),
            ("/paper/rights", {"key": "nobody", "futures": False}, "KEY_UNKNOWN"),
            ("/paper/rights", {"key": KEY, "withdraw": True}, "REQUEST_MALFORMED"),
            ("/paper/rights", {"key": KEY, "addresses": "any"}, "REQUEST_MALFORMED"),
            ("/paper/position-mode", {"key": "nobody", "position_mode": "hedge"}, "KEY_UNKNOWN"),
            ("/paper/position-mode", {"key": KEY, "position_mode": "both"}, "REQUEST_MALFORMED"),
            ("/paper/nothing", {}, "PATH_UNKNOWN"),
        ],
    )
    async def test_refuses_what_it_cannot_read(self, paper, path, values, code):
        _, body = await paper.control("POST", path, **values)

        assert body["error"]["code"] == code

    async def test_strict_refuses_unknown_keys(self):
        server = PaperServer(PaperSettings(still=True, strict=True, accounts=("known:secret:100",)))
        await server.start()
        async with (
            SignedClient(server, key="unknown") as stranger,
            SignedClient(server, key="known", secret="secret") as known,
        ):
            refused = await stranger.ask("GET", "/fapi/v3/balance")
            balance = await known.get("/fapi/v3/balance")
        await server.stop()

        assert (refused[0], refused[1]["code"], balance[0]["balance"]) == (401, -2015, "100.00000000")


class TestRights:
    async def test_a_key_is_told_what_it_may_do(self, paper):
        before = await paper.get(RESTRICTIONS)
        await paper.control("POST", "/paper/rights", key=KEY, withdrawals=True, addresses=["127.0.0.1"])
        after = await paper.get(RESTRICTIONS)

        assert [(one["enableWithdrawals"], one["ipRestrict"]) for one in (before, after)] == [
            (False, False),
            (True, True),
        ]

    async def test_a_key_without_the_right_to_futures_only_learns_its_rights(self, paper):
        await paper.control("POST", "/paper/rights", key=KEY, futures=False)

        refused = await paper.ask("GET", "/fapi/v1/accountConfig")
        stream = await paper.ask("POST", "/fapi/v1/listenKey")
        rights = await paper.get(RESTRICTIONS)

        assert [refused[1]["code"], stream[1]["code"], rights["enableFutures"]] == [-2015, -2015, False]

    @pytest.mark.parametrize("changes", [{"is_revoked": True}, {"addresses": ["192.0.2.1"]}])
    async def test_a_key_that_is_gone_or_used_elsewhere_learns_nothing(self, paper, changes):
        await paper.control("POST", "/paper/rights", key=KEY, **changes)

        status, body, _ = await paper.ask("GET", RESTRICTIONS)

        assert (status, body["code"]) == (401, -2015)

    async def test_an_account_that_may_not_trade_still_reduces(self, paper):
        await paper.order()
        await paper.control("POST", "/paper/rights", key=KEY, may_trade=False)

        entry = await paper.order()
        exit_order = await paper.order("SELL", reduceOnly="true")
        config = await paper.get("/fapi/v1/accountConfig")

        assert (entry[1]["code"], exit_order[0], config["canTrade"]) == (-4088, 200, False)

    async def test_rights_outlive_a_restart(self, tmp_path):
        settings = PaperSettings(still=True, state_dir=tmp_path)
        for expected in (False, True):
            server = PaperServer(settings)
            await server.start()
            async with SignedClient(server) as client:
                await funded(client)
                assert (await client.get(RESTRICTIONS))["enableWithdrawals"] is expected
                await client.control("POST", "/paper/rights", key=KEY, withdrawals=True)
            await server.stop()

    async def test_the_position_mode_is_changed_by_hand_where_nothing_is_open(self, paper):
        changed = await paper.control("POST", "/paper/position-mode", key=KEY, position_mode="hedge")
        await paper.order(positionSide="LONG")
        refused = await paper.control("POST", "/paper/position-mode", key=KEY, position_mode="one_way")

        assert (changed[0], refused[1]["error"]["code"]) == (200, "POSITION_MODE_REFUSED")
