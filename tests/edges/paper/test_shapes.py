"""
Our messages against the venue's: every field we send is one of theirs, of the same kind, and none they need is missing.

Ids and times are numbers in one of their answers and strings in another, so a number and its text count as one kind.
"""

import json
from pathlib import Path

import pytest

from tests.edges.paper.signed_client import heard

MESSAGES = Path(__file__).parents[4] / "shared" / "data" / "binance_usdm" / "messages.jsonl"
# Fields that are newer than the samples, or that only other products have.
OPTIONAL = {
    "adlQuantile",
    "priceRate",
    "activatePrice",
    "isRPITrade",
    "code",
    "msg",
    "cumBase",
    "si",
    "ss",
    "AP",
    "cr",
    "W",
    "gtd",
    "pm",
    "er",
}
pytestmark = pytest.mark.skipif(
    not MESSAGES.exists(), reason="the venue's sample messages are not beside the repository"
)


def sample(name):
    for line in MESSAGES.read_text().splitlines():
        message = json.loads(line)
        if message["id"] == name:
            payload = message["payload"]
            return payload["data"] if isinstance(payload, dict) and "data" in payload else payload
    raise AssertionError(f"no sample {name}")


def kind_of(value):
    if isinstance(value, bool) or value in ("true", "false"):
        return "flag"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "number" if value.replace(".", "", 1).lstrip("-").isdigit() or not value else "text"
    return type(value).__name__


def assert_same_shape(ours, theirs, *, path=""):
    """Compare names and kinds, lists by their first element."""
    if isinstance(theirs, list):
        if ours and theirs:
            assert_same_shape(ours[0], theirs[0], path=f"{path}[]")
        return
    if not isinstance(theirs, dict):
        return
    missing = set(theirs) - set(ours) - OPTIONAL
    assert not missing, f"{path}: missing {sorted(missing)}"
    for name in set(ours) & set(theirs) - OPTIONAL:
        mine, other = ours[name], theirs[name]
        if isinstance(other, (dict, list)):
            assert_same_shape(mine, other, path=f"{path}.{name}")
        elif mine is not None and other is not None and other != "None":
            kinds = {kind_of(mine), kind_of(other)}
            assert len(kinds) == 1 or kinds == {"number", "text"}, (
                f"{path}.{name}: {mine!r} against {other!r}"
            )


async def one(paper, method, path, **params):
    return (await paper.ask(method, path, **params))[1]


class TestAnswerShapes:
    @pytest.mark.parametrize(
        ("name", "method", "path", "params"),
        [
            (
                "sdk-rest-new_order",
                "POST",
                "/fapi/v1/order",
                {"side": "BUY", "type": "MARKET", "quantity": "0.01"},
            ),
            ("sdk-rest-query_order", "GET", "/fapi/v1/order", {"origClientOrderId": "rest"}),
            ("sdk-rest-query_current_open_order", "GET", "/fapi/v1/openOrder", {"origClientOrderId": "rest"}),
            ("sdk-rest-current_all_open_orders", "GET", "/fapi/v1/openOrders", {}),
            ("sdk-rest-cancel_order", "DELETE", "/fapi/v1/order", {"origClientOrderId": "rest"}),
            ("sdk-rest-cancel_all_open_orders", "DELETE", "/fapi/v1/allOpenOrders", {}),
            (
                "sdk-rest-new_algo_order",
                "POST",
                "/fapi/v1/algoOrder",
                {
                    "algoType": "CONDITIONAL",
                    "side": "SELL",
                    "type": "TAKE_PROFIT",
                    "quantity": "0.01",
                    "triggerPrice": "95000",
                    "price": "94000",
                },
            ),
            ("sdk-rest-query_algo_order", "GET", "/fapi/v1/algoOrder", {"clientAlgoId": "stop"}),
            ("sdk-rest-current_all_algo_open_orders", "GET", "/fapi/v1/openAlgoOrders", {}),
            ("sdk-rest-cancel_algo_order", "DELETE", "/fapi/v1/algoOrder", {"clientAlgoId": "stop"}),
            ("nt-py-http_futures_account_trades", "GET", "/fapi/v1/userTrades", {}),
            ("ccxt-res-user-trade", "GET", "/fapi/v1/userTrades", {}),
            ("ccxt-res-account-v3", "GET", "/fapi/v3/account", {}),
            ("nt-rs-account_info_v2", "GET", "/fapi/v2/account", {}),
            ("nt-rs-balance", "GET", "/fapi/v2/balance", {}),
            ("sdk-rest-futures_account_balance_v3", "GET", "/fapi/v3/balance", {}),
            ("ccxt-res-position-risk-v3-a", "GET", "/fapi/v3/positionRisk", {}),
            ("sdk-rest-position_information_v2", "GET", "/fapi/v2/positionRisk", {}),
            ("nt-py-http_futures_account_symbol_config", "GET", "/fapi/v1/symbolConfig", {}),
            ("nt-py-http_futures_account_position_side_dual", "GET", "/fapi/v1/positionSide/dual", {}),
            ("sdk-rest-change_initial_leverage", "POST", "/fapi/v1/leverage", {"leverage": "20"}),
            ("sdk-rest-get_income_history", "GET", "/fapi/v1/income", {}),
            ("sdk-rest-user_commission_rate", "GET", "/fapi/v1/commissionRate", {}),
            ("sdk-rest-query_user_rate_limit", "GET", "/fapi/v1/rateLimit/order", {}),
            ("sdk-rest-start_user_data_stream", "POST", "/fapi/v1/listenKey", {}),
            ("nt-py-http_futures_market_exchange_info", "GET", "/fapi/v1/exchangeInfo", {}),
            ("nt-py-http_futures_market_klines", "GET", "/fapi/v1/klines", {"interval": "1m"}),
            ("nt-py-http_futures_market_premium_index", "GET", "/fapi/v1/premiumIndex", {}),
            ("nt-py-http_futures_market_ticker_24hr", "GET", "/fapi/v1/ticker/24hr", {}),
            ("sdk-rest-symbol_price_ticker", "GET", "/fapi/v1/ticker/price", {}),
            ("nt-py-http_futures_market_trades", "GET", "/fapi/v1/trades", {}),
            ("nt-py-http_futures_market_agg_trades", "GET", "/fapi/v1/aggTrades", {}),
            ("nt-py-http_futures_market_funding_rate", "GET", "/fapi/v1/fundingRate", {}),
            ("nt-py-http_futures_market_open_interest", "GET", "/fapi/v1/openInterest", {}),
            ("sdk-rest-rpi_order_book", "GET", "/fapi/v1/depth", {}),
        ],
    )
    async def test_answers_look_like_the_venues(self, paper, name, method, path, params):
        await paper.order()
        await paper.order(price="89000", newClientOrderId="rest")
        await paper.algo(quantity="0.01", clientAlgoId="stop")

        ours = await one(paper, method, path, symbol="BTCUSDT", **params)

        assert_same_shape(ours, sample(name), path=path)

    async def test_a_placed_order_has_no_field_the_venue_took_away(self, paper):
        _, ours = await paper.order()

        assert set(ours) <= set(sample("sdk-rest-new_order"))

    async def test_a_contract_has_every_filter_of_its_kind(self, paper):
        theirs = {
            rule["filterType"]: rule
            for rule in sample("nt-py-http_futures_market_exchange_info")["symbols"][0]["filters"]
        }
        ours = {
            rule["filterType"]: rule
            for rule in (await one(paper, "GET", "/fapi/v1/exchangeInfo"))["symbols"][0]["filters"]
        }

        # MAX_NUM_ALGO_ORDERS is gone since conditional orders have their own endpoint.
        assert set(theirs) - set(ours) == {"MAX_NUM_ALGO_ORDERS"}
        for name, rule in ours.items():
            assert set(rule) == set(theirs[name])


class TestEventShapes:
    async def test_events_look_like_the_venues(self, paper):
        socket = await paper.stream(f"/ws/{await paper.listen_key()}")
        await paper.order()
        await paper.algo(quantity="0.01")
        messages = {message["e"]: message for message in await heard(socket, 5)}
        await socket.close()

        assert_same_shape(messages["TRADE_LITE"], sample("nt-py-ws_futures_trade_lite"))
        assert_same_shape(messages["ALGO_UPDATE"], sample("nt-rs-algo_update_new"))
        assert_same_shape(messages["ORDER_TRADE_UPDATE"], sample("nt-rs-order_update_trade"))
        assert_same_shape(messages["ACCOUNT_UPDATE"], sample("nt-rs-account_update_bnfcr"))

    @pytest.mark.parametrize(
        ("stream", "name"),
        [
            ("btcusdt@aggTrade", "nt-rs-agg_trade_stream"),
            ("btcusdt@trade", "nt-rs-trade_stream"),
            ("btcusdt@bookTicker", "sdk-ws-individual_symbol_book_ticker_streams"),
            ("btcusdt@kline_1m", "sdk-ws-kline_candlestick_streams"),
            ("btcusdt@depth", "sdk-ws-diff_book_depth_streams"),
            ("btcusdt@markPrice@1s", "sdk-ws-mark_price_stream"),
            ("!ticker@arr", "sdk-ws-all_market_tickers_streams"),
            ("!miniTicker@arr", "sdk-ws-all_market_mini_tickers_stream"),
        ],
    )
    async def test_market_messages_look_like_the_venues(self, paper, stream, name):
        socket = await paper.stream(f"/ws/{stream}")

        await paper.control("POST", "/paper/prices", symbol="BTCUSDT", price="90001")
        message = (await heard(socket))[0]
        await socket.close()

        assert_same_shape(message, sample(name), path=stream)
