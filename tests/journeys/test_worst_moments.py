"""What goes wrong at the worst moment: between an answer and its commit, between two traders, in a gap."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pregao.domain.order import OrderStatus, Side
from pregao.domain.signal import Action
from pregao.domain.venue import RetryLater, StreamGap, TradeReport
from tests.builders import configured, instruction
from tests.journeys.conftest import now


async def sent(desk, count: int = 1) -> None:
    """Wait until so many orders have reached the exchange."""
    async with asyncio.timeout(10):
        while len(desk.exchange.submitted) < count or len(desk.exchange.orders) < count:
            await asyncio.sleep(0.005)


class TestAnEndFoundByAsking:
    """The stream is down and the answer is lost: fills and end of an order are told by one question."""

    async def test_leaves_what_filled_open(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.stream_is_down = True
        desk.exchange.lose_next_answer()
        await desk.start_trader()

        bought = await desk.signal(instruction(now=now()))
        await sent(desk)
        desk.exchange.end_last_order(OrderStatus.EXPIRED, filled="0.002")
        await desk.settled(bought)

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["entered_quantity"]) == ("open", Decimal("0.002"))

    async def test_is_followed_by_the_close_that_waited(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.stream_is_down = True
        desk.exchange.lose_next_answer()
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await sent(desk)
        desk.exchange.end_last_order(OrderStatus.EXPIRED, filled="0.002")

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(bought, closed)

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["exited_quantity"]) == ("closed", Decimal("0.002"))
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_settles_an_exit_that_the_venue_cut_to_what_was_left(self, desk):
        """A reduce-only order over more than is held ends as FILLED with less than was asked."""
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)
        desk.exchange.stream_is_down = True
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.002"))
        desk.exchange.lose_next_answer()

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await sent(desk, 2)
        desk.exchange.end_last_order(OrderStatus.FILLED, filled="0.003")

        await desk.settled(closed)


class TestAShareThatIsClosed:
    async def test_stays_a_share_when_its_first_attempt_died(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)
        desk.exchange.busy_next()

        closed = await desk.signal(instruction(Action.CLOSE, share=Decimal("0.4"), now=now()))
        await desk.settled(closed)

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["exited_quantity"]) == ("open", Decimal("0.002"))
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.003")


class TestAFillAfterTheEnd:
    async def test_opens_the_position_that_was_given_up(self, desk):
        """The order was found expired with nothing filled; the venue's books were behind."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.stream_is_down = True
        desk.exchange.lose_next_answer()
        trader = await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await sent(desk)
        [(account_id, trade)] = desk.exchange.trades
        desk.exchange.end_last_order(OrderStatus.EXPIRED, filled="0")
        await desk.settled(bought)

        await trader.take(TradeReport(account_id=account_id, trade=trade))
        await desk.until("SELECT count(*) = 1 FROM fills")

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["entered_quantity"]) == ("open", Decimal("0.005"))
        assert (position["closed_at"], position["close_reason"]) == (None, None)

    async def test_leaves_a_position_that_the_next_close_exits(self, desk):
        """A late fill of the entry opens the closed position again; the exit that is done must not block others."""
        await desk.put(configured(accounts=1, now=now()))
        trader = await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)
        [(account_id, entry)] = desk.exchange.trades
        await desk.settled(await desk.signal(instruction(Action.CLOSE, now=now())))
        late = replace(entry, trade_id="999", quantity=Decimal("0.001"))
        desk.exchange.trades.append((account_id, late))
        await trader.take(TradeReport(account_id=account_id, trade=late))
        await desk.until("SELECT count(*) = 3 FROM fills")

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(closed)

        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["exited_quantity"]) == ("closed", Decimal("0.006"))


class TestAGap:
    """What happened while a stream was away is asked for until it is known."""

    async def bought(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        trader = await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        desk.exchange.stream_is_down = True
        return trader

    async def test_is_not_forgotten_when_the_venue_is_silent_too(self, desk):
        trader = await self.bought(desk)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))
        desk.exchange.stay_silent()
        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await asyncio.sleep(0.1)

        desk.exchange.stay_silent(silent=False)

        await desk.until("SELECT close_reason = 'closed_outside' FROM positions")

    async def test_reaches_back_behind_the_last_fill_that_was_booked(self, desk):
        """Our own order was asked about during the gap: that says nothing about what others traded before it."""
        desk.exchange.clock.forward(-600)
        trader = await self.bought(desk)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.001"))
        desk.exchange.clock.forward(600)
        closed = await desk.signal(instruction(Action.CLOSE, share=Decimal("0.4"), now=now()))
        await desk.settled(closed)

        await trader.take(StreamGap(account_id=1, connected_at=now()))

        await desk.until("SELECT exited_quantity = 0.003 FROM positions")

    async def test_leaves_an_attempt_that_is_dead_its_time(self, desk):
        """The venue asked for silence: a stream that reconnects meanwhile must not use the attempts up."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.fail_next(RetryLater("-1003", "too many requests", retry_after_seconds=3))
        trader = await desk.start_trader()
        await desk.signal(instruction(now=now()))
        await desk.until("SELECT is_dead FROM orders")

        for _ in range(3):
            await trader.take(StreamGap(account_id=1, connected_at=now()))
            await asyncio.sleep(0.05)

        assert len(desk.exchange.submitted) == 1

    async def test_is_made_by_a_fill_whose_fee_has_no_price_yet(self, desk):
        """Sold by hand and paid for in BNB: booked as soon as BNB has a price."""
        trader = await self.bought(desk)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))
        account_id, sold = desk.exchange.trades.pop()
        sold = replace(sold, commission=Decimal("0.0004"), commission_asset="BNB")
        desk.exchange.trades.append((account_id, sold))
        desk.exchange.list_also("BNBUSDT", price="600")

        await trader.take(TradeReport(account_id=account_id, trade=sold))

        await desk.until("SELECT close_reason = 'closed_outside' FROM positions")
        assert [row["fee"] for row in await desk.rows("SELECT fee FROM fills WHERE order_id IS NULL")] == [
            Decimal("0.24")
        ]


class TestAnExit:
    async def test_does_not_wait_behind_entries(self, desk):
        """Every place on the wire is taken by an entry whose venue does not answer."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.list_also("ETHUSDT", price="3000")
        await desk.start_trader(orders_in_flight_max=1)
        await desk.settled(await desk.signal(instruction(now=now())))
        answered = desk.exchange.hold_next()
        waiting = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
        await sent(desk, 1)
        async with asyncio.timeout(5):
            while len(desk.exchange.submitted) < 2:
                await asyncio.sleep(0.005)

        closed = await desk.signal(instruction(Action.CLOSE, now=now()))

        await desk.settled(closed, seconds_max=4)
        answered.set()
        await desk.settled(waiting)


class TestAnAccountOfSomebodyWhoTradesByHand:
    async def test_learns_that_an_order_was_lost(self, desk):
        """What its owner holds never agrees with our books: that must not keep an order in doubt for ever."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.clock.forward(-120)
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.01"))
        desk.exchange.clock.forward(30)
        desk.exchange.lose_next_order()
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now(), send_before=now() - timedelta(seconds=60)))
        await desk.until("SELECT status = 'unresolved' FROM orders")

        desk.exchange.clock.forward(90)

        await desk.settled(bought)
        [order] = await desk.orders(bought)
        assert (order["status"], order["code"]) == ("rejected", "ORDER_NOT_FOUND")

    async def test_sells_while_our_exit_is_lost_and_both_are_learned(self, desk):
        """The order waits until each trade is known; the trade must not wait for the order."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.clock.forward(-10)
        trader = await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        desk.exchange.lose_next_order()
        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.until("SELECT status = 'unresolved' FROM orders WHERE leg = 'exit'")

        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.001"))
        desk.exchange.clock.forward(10)
        await trader.take(StreamGap(account_id=1, connected_at=now()))

        await desk.settled(closed, seconds_max=10)
        [position] = await desk.rows("SELECT * FROM positions")
        assert (position["status"], position["exited_quantity"]) == ("closed", Decimal("0.005"))
        assert desk.exchange.quantity(1, "BTCUSDT") == 0
