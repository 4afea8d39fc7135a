"""Many accounts trade one signal at the same time, and nobody waits for anybody."""

import asyncio
from decimal import Decimal

from pregao.domain.venue import OrderAttempt
from tests.builders import configured, instruction
from tests.journeys.conftest import now


class Overlap:
    """Counts how many orders are at the venue at once."""

    def __init__(self, exchange, *, release_at: int) -> None:
        self.peak = 0
        self._at_once = 0
        self._release_at = release_at
        self._released = asyncio.Event()
        exchange.before_each = self._arrive

    async def _arrive(self, _attempt: OrderAttempt) -> None:
        """Nobody is answered before so many are there: waiting for one another they would never be."""
        self._at_once += 1
        self.peak = max(self.peak, self._at_once)
        if self._at_once >= self._release_at:
            self._released.set()
        await asyncio.wait_for(self._released.wait(), timeout=10)
        self._at_once -= 1


class TestFanOut:
    async def test_sends_all_accounts_orders_at_once(self, desk):
        """F044: N accounts at 200 ms each finish in about 200 ms, because all N are there at the same time."""
        await desk.put(configured(accounts=40, now=now()))
        overlap = Overlap(desk.exchange, release_at=40)
        await desk.start_trader(orders_in_flight_max=64)

        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)

        assert overlap.peak == 40
        assert {order["status"] for order in await desk.orders(signal_id)} == {"filled"}

    async def test_never_has_more_orders_in_flight_than_allowed(self, desk):
        """F044: bounded concurrency; the venue's limits and our sockets are finite."""
        await desk.put(configured(accounts=20, now=now()))
        overlap = Overlap(desk.exchange, release_at=5)
        await desk.start_trader(orders_in_flight_max=5)

        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)

        assert overlap.peak == 5

    async def test_a_slow_account_delays_nobody(self, desk):
        """F062: everybody else is filled and booked while one account's venue has not answered."""
        await desk.put(configured(accounts=10, now=now()))
        answered = desk.exchange.hold_next(account_id=3)
        await desk.start_trader()

        signal_id = await desk.signal(instruction(now=now()))
        await desk.until("SELECT count(*) = 9 FROM orders WHERE status = 'filled'")
        slow = [order["account_id"] for order in await desk.orders(signal_id) if order["status"] != "filled"]
        answered.set()
        await desk.settled(signal_id)

        assert slow == [3]
        assert {order["status"] for order in await desk.orders(signal_id)} == {"filled"}

    async def test_one_account_s_failure_leaves_the_others_untouched(self, desk):
        """F044: each failure ends in its own row, with its own reason."""
        await desk.put(configured(accounts=8, now=now()))
        desk.exchange.refuse_next("-2019", account_id=2)
        desk.exchange.refuse_leverage(4)
        desk.exchange.lose_next_answer(account_id=6)
        desk.exchange.lose_next_order(account_id=7)
        desk.exchange.clock.forward(-10)  # what got lost was signed long ago: it is asked about at once
        await desk.start_trader()

        signal_id = await desk.signal(instruction(now=now()))
        await desk.until("SELECT count(*) = 7 FROM orders WHERE status IN ('filled', 'rejected')")
        desk.exchange.clock.forward(10)
        await desk.settled(signal_id)

        rows = {
            order["account_id"]: (order["status"], order["code"]) for order in await desk.orders(signal_id)
        }
        filled = ("filled", None)
        assert rows == {
            **dict.fromkeys((1, 3, 5, 6, 7, 8), filled),
            2: ("rejected", "-2019"),
            4: ("rejected", "LEVERAGE_NOT_SET -4028"),
        }
        assert all(
            desk.exchange.quantity(number, "BTCUSDT") == Decimal("0.005") for number in (1, 3, 5, 6, 7, 8)
        )

    async def test_two_signals_and_one_free_slot_give_one_order(self, desk):
        """F052: two traders plan two signals of one account at the same moment."""
        facts = configured(accounts=1, now=now(), max_concurrent_positions=1)
        await desk.put(facts)
        desk.exchange.list_also("ETHUSDT", price="3000")
        one, _ = await desk.make_trader("trader-1")
        other, _ = await desk.make_trader("trader-2")
        bought = [await desk.signal(instruction(now=now(), symbol=name)) for name in ("BTCUSDT", "ETHUSDT")]

        await asyncio.gather(one.arrivals.decide_batch(), other.arrivals.decide_batch())
        await asyncio.gather(one.arrivals.decide_batch(), other.arrivals.decide_batch())

        rows = [row for signal_id in bought for row in await desk.orders(signal_id)]
        assert sorted((row["status"] == "denied", row["code"]) for row in rows) == [
            (False, None),
            (True, "POSITIONS_AT_LIMIT"),
        ]
        for trader in (one, other):
            await asyncio.gather(*trader.floor._tasks)

    async def test_two_signals_in_one_batch_give_one_position(self, desk):
        """F052: the second of two that wait together sees what the first one has reserved."""
        await desk.put(configured(accounts=3, now=now()))
        twice = [await desk.signal(instruction(now=now())) for _ in range(2)]
        await desk.start_trader()

        await desk.settled(*twice)

        codes = [[order["code"] for order in await desk.orders(signal_id)] for signal_id in twice]
        assert sorted(codes, key=str) == [["SAME_SIDE_OPEN"] * 3, [None] * 3]
        assert len(desk.exchange.submitted) == 3
