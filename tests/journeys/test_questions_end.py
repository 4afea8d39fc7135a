"""What is asked about an order, how often, and what ends the asking."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from pregao.domain.breaker import VENUE, Breakers, BreakerState, Outcome
from pregao.domain.clock import to_ms
from pregao.domain.order import OrderStatus, Side, client_order_id
from pregao.domain.venue import OperatorNeeded, OrderReport, TradeReport
from pregao.edges.postgres.journal import open_journal
from pregao.trading.questions import FORGOTTEN_FOR_EVER_SECONDS, REFUSED_SECONDS_MAX
from tests.builders import configured, instruction
from tests.fake_exchange import FakeExchange
from tests.journeys.conftest import Clock, RunningDesk, now
from tests.rooms.orders.test_send import order as planned

SECONDS_TO_NEXT = "SELECT extract(epoch FROM check_at - clock_timestamp())::float8 FROM orders"


class SlowExchange(FakeExchange):
    """Answers questions about orders only when told to, or refuses to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()
        self.given_up = 0
        self.refusal = None

    async def find_order(self, **what):
        self.was_asked.set()
        if self.refusal is not None:
            raise self.refusal
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().find_order(**what)


@pytest.fixture
async def desk(database: str) -> AsyncIterator[RunningDesk]:
    journal = await open_journal(database)
    exchange = SlowExchange(clock=Clock())
    running = RunningDesk(journal, exchange, database)
    await running.put(configured(accounts=1, now=now()))
    yield running
    exchange.may_answer.set()
    await running.stop()
    await journal.pool.close()


async def unheard_of(desk) -> None:
    """Have an order executed whose answer is lost, and that no stream tells of."""
    desk.exchange.stream_is_down = True
    desk.exchange.lose_next_answer()
    await desk.signal(instruction(now=now()))
    await desk.until("SELECT exists(SELECT FROM orders WHERE status = 'unresolved')")


async def asked_again(desk) -> float:
    """Have it asked about now, and give how long the next question is put off."""
    await desk.rows("UPDATE orders SET check_at = clock_timestamp()")
    desk.exchange.was_asked.clear()
    await asyncio.wait_for(desk.exchange.was_asked.wait(), 5)
    await asyncio.sleep(0.2)
    return await desk.journal.pool.fetchval(SECONDS_TO_NEXT)


class TestQuestion:
    async def test_under_way_is_dropped_when_the_stream_tells_the_end(self, desk):
        trader = await desk.start_trader()
        desk.exchange.may_answer.clear()
        await unheard_of(desk)
        await asyncio.wait_for(desk.exchange.was_asked.wait(), 5)

        account_id, told = desk.exchange.trades[-1]
        await trader.take(TradeReport(account_id=account_id, trade=told))
        await desk.until("SELECT status = 'filled' FROM orders")
        await asyncio.sleep(0.1)

        assert desk.exchange.given_up == 1
        assert await desk.facts("FillBooked", "OrderEnded", "OrderRejected") == ["FillBooked"]

    async def test_that_is_refused_is_asked_ever_more_seldom(self, desk):
        await desk.start_trader()
        desk.exchange.refusal = OperatorNeeded("-2015", "Invalid API-key.")
        await unheard_of(desk)

        waits = []
        for seconds in (0, 200, 1_000, 100_000):
            desk.exchange.clock.forward(seconds)
            waits.append(round(await asked_again(desk), -1))

        assert waits[0] <= 30
        assert waits[1:] == [50, 300, REFUSED_SECONDS_MAX]

    async def test_that_was_refused_is_asked_at_once_when_an_account_has_changed(self, desk):
        """A person has given another key: the order is known within a second, not within ten minutes."""
        await desk.start_trader()
        desk.exchange.refusal = OperatorNeeded("-2015", "Invalid API-key.")
        await unheard_of(desk)
        desk.exchange.clock.forward(100_000)
        await asked_again(desk)
        desk.exchange.clock.forward(-100_000)

        desk.exchange.refusal = None
        for doorbell in desk._doorbells:
            doorbell.ring("accounts")

        await desk.until("SELECT status = 'filled' FROM orders", seconds_max=5)

    async def test_in_doubt_are_asked_at_once_when_the_venue_is_back(self, desk):
        """What filled before it went stands open until somebody knows: it does not wait for its turn."""
        passed = [0.0]
        desk.breakers = Breakers(monotonic=lambda: passed[0], clock=desk.exchange.clock)
        breaker = desk.breakers.get("paper", VENUE)
        await desk.start_trader()
        desk.exchange.refusal = OperatorNeeded("-2015", "Invalid API-key.")
        await unheard_of(desk)
        desk.exchange.clock.forward(100_000)
        await asked_again(desk)
        desk.exchange.clock.forward(-100_000)

        desk.exchange.refusal = None
        while breaker.state is not BreakerState.OPEN:
            breaker.end(breaker.begin(), Outcome.FAILURE)
        passed[0] = 3_600.0
        while breaker.state is not BreakerState.CLOSED:
            breaker.end(breaker.begin(), Outcome.SUCCESS)

        await desk.until("SELECT status = 'filled' FROM orders", seconds_max=5)

    async def test_about_a_forgotten_order_ends_after_three_days(self, desk):
        """The venue acknowledged it, has none such, and holds something else: nobody may guess."""
        await desk.start_trader()
        desk.exchange.stream_is_down = True
        await desk.signal(instruction(now=now()))
        desk.exchange.may_answer.clear()
        await desk.until("SELECT exists(SELECT FROM orders WHERE status = 'accepted')")
        desk.exchange.orders.clear()
        desk.exchange.trades.clear()
        await desk.exchange.trade(
            1, side=desk.exchange.submitted[0].side, quantity=desk.exchange.submitted[0].quantity
        )
        desk.exchange.may_answer.set()

        desk.exchange.clock.forward(4_000)
        hourly = await asked_again(desk)
        desk.exchange.clock.forward(FORGOTTEN_FOR_EVER_SECONDS)
        never = await asked_again(desk)

        assert 900 < hourly < 1_100
        assert never is None
        assert await desk.facts("OrderEnded", "OrderRejected", "FillBooked") == []


async def test_an_order_is_asked_about_as_soon_as_the_database_is_back_that_did_not_take_its_outcome(desk):
    """It was to be asked about when the venue must have answered; it has, and what filled stands unguarded."""
    trader, _ = await desk.make_trader()
    desk.exchange.stream_is_down = True
    order = planned(signed_at_ms=to_ms(now()), send_before=None)
    await desk.put([replace(order, happened_at=now() + timedelta(hours=1))])
    await desk.rows("ALTER TABLE journal RENAME TO journal_away")

    with capture_logs() as logs:
        await trader.floor.send(order)
        async with asyncio.timeout(20):
            while not any(line["event"] == "orders.outcome.unwritten" for line in logs):
                await asyncio.sleep(0.01)
    await desk.rows("ALTER TABLE journal_away RENAME TO journal")

    await desk.until("SELECT check_at <= clock_timestamp() AND status = 'planned' FROM orders")
    assert len(desk.exchange.orders) == 1
    await trader.floor.close()


async def test_a_stream_goes_on_that_tells_of_an_end_while_the_database_cannot_answer(desk):
    """Once its trader ended with it, and every account waited until another one had taken over."""
    trader, _ = await desk.make_trader()
    order = planned(signed_at_ms=to_ms(now()), send_before=None)
    await desk.put([order])
    await desk.rows("ALTER TABLE orders RENAME TO orders_away")

    with capture_logs() as logs:
        await trader.take(
            OrderReport(
                account_id=1,
                client_order_id=order.client_order_id,
                exchange_order_id="1",
                symbol=order.symbol,
                status=OrderStatus.EXPIRED,
                reported_at=now(),
            )
        )
        async with asyncio.timeout(20):
            while not any(line["event"] == "trader.database.broken" for line in logs):
                await asyncio.sleep(0.01)
    await desk.rows("ALTER TABLE orders_away RENAME TO orders")

    assert trader.floor.doubts.take_gaps() == []
    desk.exchange.clock.forward(10)
    assert trader.floor.doubts.take_gaps() == [1]
    await trader.floor.close()


async def test_a_fill_that_waits_for_its_order_keeps_no_trader_from_ending(desk):
    """Nothing is lost: whoever follows the account next asks what it has traded."""
    trader = await desk.start_trader()
    await desk.settled(await desk.signal(instruction(now=now())))
    await desk.until("SELECT count(*) = 1 FROM fills")
    sold = replace(
        desk.exchange.trades[0][1],
        trade_id="900",
        exchange_order_id="900",
        client_order_id=client_order_id("p" + "f" * 26, attempt=1),
        side=Side.SELL,
        traded_at=now(),
    )

    with capture_logs() as logs:
        await trader.take(TradeReport(account_id=1, trade=sold))
        await trader.floor.pause(1.5)
        await trader.floor.close()

    assert [line for line in logs if line["event"].startswith("fills.book")] == []
    assert await desk.journal.pool.fetchval("SELECT count(*) FROM fills") == 1
