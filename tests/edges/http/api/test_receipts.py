"""Receipts and lists over HTTP: what one signal did on every account (F045)."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import (
    DecisionApproved,
    FillBooked,
    OrderAccepted,
    OrderDenied,
    OrderPlanned,
    OrderRejected,
    OrderUnresolved,
    PositionChanged,
    SignalPlanned,
    SignalRefused,
    Verdict,
)
from pregao.domain.order import Leg, PositionSide, Side
from pregao.domain.venue import MarginMode, VenueTrade
from tests.builders import BOT_ID, NOON, armed, arrival, configured, held, instruction, stop_armed
from tests.edges.http.api.own_desk import SUBSCRIPTIONS, code_of

SIGNAL_ID = UUID("01930000-0000-7000-8000-00000000abcd")


def after(milliseconds: int):
    return NOON + timedelta(milliseconds=milliseconds)


def planned(account_id: int, *, side: Side = Side.BUY, leg: Leg = Leg.ENTRY, **changes) -> OrderPlanned:
    given = {
        "happened_at": after(4),
        "order_id": f"p{account_id}",
        "attempt": 1,
        "client_order_id": f"p{account_id}1",
        "signal_id": SIGNAL_ID,
        "bot_id": BOT_ID,
        "subscription_id": UUID(int=account_id),
        "account_id": account_id,
        "venue": Venue.PAPER,
        "leg": leg,
        "position_id": account_id,
        "symbol": "BTCUSDT",
        "side": side,
        "position_side": PositionSide.BOTH,
        "quantity": Decimal("0.005"),
        "reduce_only": leg is Leg.EXIT,
        "leverage": 10,
        "margin_mode": MarginMode.CROSSED,
        "margin_usd": Decimal(50),
        "decision_price": Decimal(95200),
        "send_before": after(60_000),
        "signed_at_ms": 1,
        "recv_window_ms": 5000,
        "owner": "trader-1",
        "lease_epoch": 1,
    }
    return OrderPlanned(**{**given, **changes})


def denied(account_id: int) -> OrderDenied:
    return OrderDenied(
        happened_at=after(4),
        order_id=f"p{account_id}",
        signal_id=SIGNAL_ID,
        bot_id=BOT_ID,
        subscription_id=UUID(int=account_id),
        account_id=account_id,
        leg=Leg.ENTRY,
        symbol="BTCUSDT",
        side=Side.BUY,
        position_id=None,
        code="NOTIONAL_BELOW_MINIMUM",
        reason="notional=3 minimum=5.",
    )


def accepted(account_id: int) -> OrderAccepted:
    return OrderAccepted(
        happened_at=after(31),
        order_id=f"p{account_id}",
        attempt=1,
        exchange_order_id="8389765",
        sent_at=after(5),
        acknowledged_at=after(30),
    )


def filled(account_id: int, *, price: str, quantity: str = "0.005", side: Side = Side.BUY) -> FillBooked:
    trade = VenueTrade(
        trade_id=f"{price}-{quantity}",
        exchange_order_id="8389765",
        client_order_id=f"p{account_id}1",
        symbol="BTCUSDT",
        side=side,
        position_side=PositionSide.BOTH,
        price=Decimal(price),
        quantity=Decimal(quantity),
        commission=Decimal("0.19"),
        commission_asset="USDT",
        is_maker=False,
        realized_pnl=Decimal(0),
        traded_at=after(28),
    )
    return FillBooked(
        happened_at=after(40),
        account_id=account_id,
        trade=trade,
        fee=Decimal("0.19"),
        fee_rate=Decimal(1),
        order_id=f"p{account_id}",
        order_is_filled=True,
        signal_id=SIGNAL_ID,
        position_id=account_id,
    )


def approved(*, accounts: int, orders: int):
    verdict = Verdict(check="SYMBOL", passed=True, numbers={"symbol": "BTCUSDT"})
    asked = instruction()
    return [
        *configured(accounts=accounts),
        *arrival(asked, signal_id=SIGNAL_ID),
        DecisionApproved(
            happened_at=after(3), signal_id=SIGNAL_ID, bot_id=BOT_ID, instruction=asked, verdicts=(verdict,)
        ),
        SignalPlanned(
            happened_at=after(4), signal_id=SIGNAL_ID, bot_id=BOT_ID, accounts=accounts, orders=orders
        ),
    ]


async def receipt_of(desk) -> dict:
    answer = await desk.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestReceipt:
    async def test_has_one_row_per_account_with_what_happened_there(self, desk):
        """F045: success + failed + skipped = subscribers."""
        await desk.append(
            *approved(accounts=6, orders=5),
            *(planned(number) for number in (1, 3, 4, 5, 6)),
            denied(2),
            accepted(1),
            filled(1, price="95300"),
            OrderRejected(
                happened_at=after(30),
                order_id="p3",
                attempt=1,
                signal_id=SIGNAL_ID,
                position_id=3,
                code="-2019",
                reason="Margin is insufficient.",
            ),
            OrderUnresolved(
                happened_at=after(30),
                order_id="p4",
                attempt=1,
                code="TIMEOUT",
                reason="No answer within 10 s.",
                is_dead=False,
                sent_at=after(6),
                ask_at=after(2000),
            ),
            accepted(5),
            filled(5, price="95200", quantity="0.002"),
        )

        receipt = await receipt_of(desk)

        outcomes = {row["account"]: row["outcome"] for row in receipt["rows"]}
        assert outcomes == {
            "account 1": "filled",
            "account 2": "denied",
            "account 3": "rejected",
            "account 4": "unresolved",
            "account 5": "partially_filled",
            "account 6": "pending",
        }
        codes = [row["code"] for row in receipt["rows"]]
        assert codes == [None, "NOTIONAL_BELOW_MINIMUM", "-2019", "TIMEOUT", None, None]
        assert (receipt["is_complete"], receipt["bot_name"]) == (False, "EMA cross")
        assert receipt["verdicts"] == [{"check": "SYMBOL", "passed": True, "numbers": {"symbol": "BTCUSDT"}}]

    async def test_counts_the_milliseconds_from_the_arrival(self, desk):
        await desk.append(*approved(accounts=1, orders=1), planned(1), accepted(1), filled(1, price="95300"))

        receipt = await receipt_of(desk)

        (row,) = receipt["rows"]
        times = [row[f"{step}_ms"] for step in ("decided", "sent", "acknowledged", "filled", "booked")]
        assert times == [3, 5, 30, 28, 40]
        assert (row["quantity"], row["average_price"], row["fees"]) == ("0.005", "95300", "0.19")
        assert (receipt["is_complete"], receipt["status"]) == (True, "settled")

    @pytest.mark.parametrize(
        ("side", "price", "slippage_bps"),
        [
            (Side.BUY, "95300", "10.5"),
            (Side.BUY, "95100", "-10.5"),
            (Side.SELL, "95300", "-10.5"),
            (Side.SELL, "95100", "10.5"),
            (Side.BUY, "95200", "0"),
        ],
    )
    async def test_calls_slippage_positive_where_it_is_worse_for_the_account(
        self, desk, side, price, slippage_bps
    ):
        await desk.append(
            *approved(accounts=1, orders=1), planned(1, side=side), filled(1, price=price, side=side)
        )

        (row,) = (await receipt_of(desk))["rows"]

        assert row["slippage_bps"] == slippage_bps

    @pytest.mark.parametrize(
        ("changes", "stop", "price"),
        [
            ({}, "required", "93296"),
            ({"is_required": False}, "optional", "93296"),
            ({"is_required": False, "stop": {"initial_stop": None, "stop_price": None}}, "none", None),
        ],
    )
    async def test_says_how_an_entry_is_guarded(self, desk, changes, stop, price):
        """Whoever trades without a stop is told so where he reads what was traded."""
        await desk.append(
            *approved(accounts=1, orders=1),
            planned(1),
            filled(1, price="95200"),
            stop_armed(armed(1, **changes)),
        )

        (row,) = (await receipt_of(desk))["rows"]

        assert (row["stop"], row["stop_price"]) == (stop, price)

    async def test_says_nothing_of_a_stop_before_anything_filled(self, desk):
        await desk.append(*approved(accounts=1, orders=1), planned(1))

        (row,) = (await receipt_of(desk))["rows"]

        assert (row["stop"], row["stop_price"]) == (None, None)

    async def test_averages_several_fills(self, desk):
        await desk.append(
            *approved(accounts=1, orders=1),
            planned(1),
            filled(1, price="95200", quantity="0.002"),
            filled(1, price="95300", quantity="0.003"),
        )

        (row,) = (await receipt_of(desk))["rows"]

        assert (row["average_price"], row["filled_quantity"], row["outcome"]) == ("95260", "0.005", "filled")

    async def test_says_why_a_refused_signal_reached_nobody(self, desk):
        received, _ = arrival(instruction(), signal_id=SIGNAL_ID)
        refusal = SignalRefused(
            happened_at=NOON, signal_id=SIGNAL_ID, bot_id=BOT_ID, code="UNSUPPORTED_INTENT", reason="Why."
        )
        await desk.append(*configured(), received, refusal)

        receipt = await receipt_of(desk)

        assert (receipt["status"], receipt["code"], receipt["rows"]) == ("refused", "UNSUPPORTED_INTENT", [])
        assert receipt["is_complete"] is True

    async def test_is_404_for_a_signal_nobody_knows(self, desk):
        answer = await desk.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")

        assert (answer.status_code, code_of(answer)) == (404, "SIGNAL_UNKNOWN")


class TestLists:
    async def test_gives_the_latest_signals_first(self, desk):
        await desk.append(*configured())
        ids = [UUID(f"0193{number:04x}-0000-7000-8000-000000000000") for number in range(3)]
        for signal_id in ids:
            await desk.append(*arrival(instruction(), signal_id=signal_id))

        first = (await desk.client.get("/api/v1/signals", params={"limit": 2})).json()
        second = (await desk.client.get("/api/v1/signals", params={"cursor": first["next_cursor"]})).json()

        assert [one["signal_id"] for one in first["items"] + second["items"]] == [
            str(one) for one in ids[::-1]
        ]
        assert second["next_cursor"] is None

    async def test_gives_orders_in_pages_that_join_without_gap(self, desk):
        await desk.append(*approved(accounts=5, orders=5), *(planned(number) for number in range(1, 6)))

        first = (await desk.client.get("/api/v1/orders", params={"limit": 3})).json()
        second = (
            await desk.client.get("/api/v1/orders", params={"limit": 3, "cursor": first["next_cursor"]})
        ).json()

        assert [one["order_id"] for one in first["items"] + second["items"]] == ["p5", "p4", "p3", "p2", "p1"]

    @pytest.mark.parametrize("cursor", ["x", ".", f"{SIGNAL_ID}.", f"{SIGNAL_ID}.p\x00"])
    async def test_refuses_a_cursor_it_did_not_give(self, desk, cursor):
        answer = await desk.client.get("/api/v1/orders", params={"cursor": cursor})

        assert (answer.status_code, code_of(answer)) == (422, "CURSOR_UNREADABLE")

    async def test_gives_positions_with_their_prices(self, desk):
        await desk.append(
            *approved(accounts=1, orders=1),
            planned(1),
            PositionChanged(happened_at=after(40), position=held("0.005", price="95300")),
        )

        live = (await desk.client.get("/api/v1/positions", params={"live_only": True})).json()["items"]
        closed = (await desk.client.get("/api/v1/positions", params={"status": "closed"})).json()["items"]

        (position,) = live
        assert (position["quantity"], position["entry_price"]) == ("0.005", "95300")
        assert (position["exit_price"], closed) == (None, [])

    async def test_shows_a_subscription_with_its_latest_orders(self, desk):
        """B3."""
        await desk.append(*approved(accounts=2, orders=2), planned(1), planned(2))

        shown = (await desk.client.get(f"{SUBSCRIPTIONS}/{UUID(int=1)}")).json()

        assert [one["order_id"] for one in shown["recent_executions"]] == ["p1"]
