"""What the analyzer tells of its strategies: how often the price had gone their way."""

import asyncio
import time

from pregao import tally
from pregao.domain.account import Venue
from pregao.research.analyzer.watch import Watch, _Follower
from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, LONG, SHORT
from tests.builders import deployment


def test_f115_the_accuracy_of_a_strategy_is_the_share_of_its_signals_that_came_right():
    watch = Watch(past=None, desk=None, judges=None, venue_now_ms=lambda venue: 0, monotonic=time.monotonic)
    follower = _Follower(deployment=deployment(strategy="scored_here"), live=None)
    told = []

    # Long up, short up, flat, long down: the flat one ends the wrong short, and says nothing itself.
    for wanted, price in ((LONG, 100.0), (SHORT, 110.0), (FLAT, 120.0), (LONG, 120.0), (FLAT, 90.0)):
        watch._score(follower, Opinion(wanted=wanted), price=price)
        told.append(tally.OWN.gauges.get(("deriv_bot_model_accuracy", ("scored_here",))))

    assert told == [None, 100.0, 50.0, 50.0, 100 / 3]


def test_f115_ticks_are_counted_however_many_come_between_two_tellings():
    async def watched():
        watch = Watch(
            past=None, desk=None, judges=None, venue_now_ms=lambda venue: 0, monotonic=time.monotonic
        )
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(0)
        for _ in range(1_000):
            watch.take(Venue.PAPER, "COUNTED1USDT", 1, 100.0, 1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def timed():
        return tally.OWN.sums["deriv_bot_tick_processing_milliseconds_count", ()]

    before = timed()
    asyncio.run(watched())

    assert tally.OWN.sums["deriv_bot_ticks_processed_total", ("COUNTED1USDT",)] == 1_000
    assert timed() - before == 1_000
