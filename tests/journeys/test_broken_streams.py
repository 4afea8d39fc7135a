"""A stream that breaks again and again costs little: orders are asked about at once, trades now and then."""

import asyncio

from pregao.domain.venue import StreamGap
from tests.builders import configured, instruction
from tests.journeys.conftest import SETTLE_SECONDS_MAX, now


class TestBrokenStream:
    async def test_asks_for_trades_now_and_then_only(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        trader = await desk.start_trader()
        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)
        await asyncio.sleep(0.2)
        desk.exchange.asked.clear()

        for _ in range(40):
            await trader.take(StreamGap(account_id=1, connected_at=now()))
            await asyncio.sleep(0.02)

        assert desk.exchange.asked["trades_since"] == 1

    async def test_asks_again_when_a_later_gap_has_had_its_time(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        trader = await desk.start_trader()
        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)
        desk.exchange.asked.clear()
        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await _asked(desk)
        desk.exchange.asked.clear()

        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await asyncio.sleep(0.3)
        before = desk.exchange.asked["trades_since"]
        desk.exchange.clock.forward(10)
        await _asked(desk)

        assert before == 0


async def _asked(desk) -> None:
    """Wait until the venue is asked for an account's trades."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while not desk.exchange.asked["trades_since"]:
            await asyncio.sleep(0.02)
