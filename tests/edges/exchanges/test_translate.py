import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.protection import ProtectionStatus
from pregao.domain.venue import OrderReport, TradeReport
from pregao.edges.exchanges.binance.translate import (
    ExchangeFacts,
    instruments_from,
    order_from,
    position_from,
    protection_from,
    protection_report_from,
    report_from,
    trade_from,
)

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "binance_usdm" / "messages.jsonl"
pytestmark = pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded messages are not beside this repository"
)


@pytest.fixture(scope="session")
def recorded():
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return {line["id"]: line["payload"] for line in lines}


def event(payload):
    return payload.get("data", payload)


class TestRecordedStream:
    def test_reads_a_fill(self, recorded):
        report = report_from(event(recorded["nt-rs-order_update_trade"]), account_id=7)

        assert isinstance(report, TradeReport)
        trade = report.trade
        assert (report.account_id, trade.trade_id, trade.exchange_order_id) == (7, "12345678", "8886774")
        assert (trade.client_order_id, trade.symbol, trade.side) == ("TEST", "BTCUSDT", Side.BUY)
        assert (trade.price, trade.quantity) == (Decimal("7100.50"), Decimal("0.001"))
        assert (trade.commission, trade.commission_asset) == (Decimal("0.01"), "USDT")
        assert (trade.is_maker, trade.position_side) == (True, PositionSide.LONG)
        assert trade.realized_pnl == Decimal("12.34")

    def test_reads_an_order_the_venue_took(self, recorded):
        report = report_from(event(recorded["nt-rs-order_update_new"]), account_id=7)

        assert isinstance(report, OrderReport)
        assert (report.status, report.exchange_order_id) == (OrderStatus.ACCEPTED, "8886774")

    @pytest.mark.parametrize(
        "name",
        [
            "nt-rs-order_update_calculated",
            "nt-rs-order_update_insurance",
            "nt-rs-order_update_delivery",
            "nt-py-ws_futures_order_update_adl",
            "nt-py-ws_futures_order_update_liquidation",
        ],
    )
    def test_takes_an_execution_by_the_venue_for_a_fill(self, recorded, name):
        """A liquidation reduces the position although nobody here sent an order."""
        assert isinstance(report_from(event(recorded[name]), account_id=7), TradeReport)

    @pytest.mark.parametrize(
        ("name", "status", "triggered"),
        [
            ("nt-rs-algo_update_new", ProtectionStatus.ACCEPTED, None),
            ("nt-rs-algo_update_canceled", ProtectionStatus.CANCELED, None),
            ("nt-py-ws_futures_algo_update_finished", ProtectionStatus.FINISHED, "88937381063"),
        ],
    )
    def test_reads_a_conditional_order(self, recorded, name, status, triggered):
        told = event(recorded[name])

        report = protection_report_from(told, account_id=7)

        assert (report.account_id, report.status, report.triggered_order_id) == (7, status, triggered)
        assert (report.protection_id, report.exchange_protection_id) == (
            told["o"]["caid"],
            str(told["o"]["aid"]),
        )

    def test_makes_no_fill_of_nothing(self, recorded):
        empty = event(recorded["nt-py-ws_futures_order_update_liquidation_zero_qty"])

        assert report_from(empty, account_id=7) is None

    def test_reads_every_recorded_order_update(self, recorded):
        updates = [
            event(one) for one in recorded.values()
            if isinstance(one, dict) and event(one).get("e") == "ORDER_TRADE_UPDATE"
        ]  # fmt: skip

        assert len(updates) >= 10
        for update in updates:
            report_from(update, account_id=7)


class TestRecordedAnswers:
    def test_reads_an_order(self, recorded):
        order = order_from(recorded["sdk-rest-query_order"])

        assert (order.client_order_id, order.exchange_order_id) == ("abc", "1573346959")
        assert (order.status, order.quantity) == (OrderStatus.ACCEPTED, Decimal("0.40"))

    def test_reads_a_placed_order_without_average_price(self, recorded):
        placed = recorded["sdk-rest-new_order"]

        assert "avgPrice" not in placed
        assert order_from(placed).client_order_id == "testOrder"

    @pytest.mark.parametrize("name", ["ccxt-res-user-trade", "nt-py-http_futures_account_trades"])
    def test_reads_trades_whose_numbers_are_texts_or_not(self, recorded, name):
        trades = [trade_from(row) for row in recorded[name]]

        assert all(trade.quantity > 0 and trade.commission_asset == "USDT" for trade in trades)
        assert all(trade.client_order_id == "" for trade in trades)

    @pytest.mark.parametrize("name", ["ccxt-res-position-risk-v3-a", "sdk-rest-position_information_v3"])
    def test_reads_positions(self, recorded, name):
        assert all(position_from(row).quantity > 0 for row in recorded[name])

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("sdk-rest-query_algo_order", ProtectionStatus.CANCELED),
            ("sdk-rest-current_all_algo_open_orders", ProtectionStatus.ACCEPTED),
        ],
    )
    def test_reads_conditional_orders(self, recorded, name, status):
        rows = recorded[name]

        found = [protection_from(row) for row in (rows if isinstance(rows, list) else [rows])]

        assert [(one.status, one.side, one.kind, one.quantity) for one in found] == [
            (
                status,
                Side.SELL,
                None,
                Decimal("0.01"),
            )  # TAKE_PROFIT leaves a limit order: the desk places none
        ]
        assert [(one.trigger_price, one.triggered_order_id) for one in found] == [(Decimal(750), None)]

    def test_reads_instruments(self, recorded):
        body = json.dumps(recorded["nt-py-http_futures_market_exchange_info"]).encode()

        instruments = instruments_from(msgspec.json.decode(body, type=ExchangeFacts))

        bitcoin = instruments["BTCUSDT"]
        assert (bitcoin.price_tick, bitcoin.market_quantity_step) == (Decimal("0.10"), Decimal("0.001"))
        assert bitcoin.notional_min == Decimal(10)
