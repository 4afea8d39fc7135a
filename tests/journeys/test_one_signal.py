"""One signal, every subscribed account trades it once, and the books say so."""

from decimal import Decimal

from pregao.domain.order import Side
from pregao.domain.signal import Action
from tests.builders import configured, instruction
from tests.journeys.conftest import now


class TestOneSignal:
    async def test_buys_on_each_account_with_its_own_size(self, desk):
        await desk.put(configured(accounts=2, now=now(), custom_leverage=10, custom_margin_usd=Decimal(50)))
        await desk.start_trader()

        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)

        orders = await desk.orders(signal_id)
        assert [(o["status"], o["quantity"], o["filled_quantity"]) for o in orders] == [
            ("filled", Decimal("0.005"), Decimal("0.005")),
        ] * 2
        positions = await desk.rows("SELECT * FROM positions ORDER BY account_id")
        assert [(p["status"], p["direction"], p["entered_quantity"]) for p in positions] == [
            ("open", "long", Decimal("0.005")),
        ] * 2
        assert len(desk.exchange.submitted) == 2

    async def test_a_close_exits_what_is_held_and_books_the_result(self, desk):
        await desk.put(configured(accounts=1, now=now(), custom_leverage=10, custom_margin_usd=Decimal(50)))
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)
        desk.exchange.prices["BTCUSDT"] = Decimal("96200.0")

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(closed)

        [position] = await desk.rows("SELECT * FROM positions")
        fees = (Decimal("95200.0") + Decimal("96200.0")) * Decimal("0.005") * Decimal("0.0005")
        assert position["status"] == "closed"
        assert position["close_reason"] == "signal"
        assert position["fees"] == fees
        assert position["realized_pnl"] == Decimal("5.00") - fees
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_a_lost_answer_is_asked_about_and_never_sent_again(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.stream_is_down = True
        desk.exchange.lose_next_answer()
        await desk.start_trader()

        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)

        assert len(desk.exchange.submitted) == 1
        [order] = await desk.orders(signal_id)
        assert order["status"] == "filled"
        assert [f["price"] for f in await desk.rows("SELECT price FROM fills")] == [Decimal("95200.0")]

    async def test_a_sell_opens_a_short(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()

        signal_id = await desk.signal(instruction(side=Side.SELL, now=now()))
        await desk.settled(signal_id)

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["direction"], position["status"]) == ("short", "open")
