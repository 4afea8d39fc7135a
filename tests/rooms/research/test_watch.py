"""What the analyzer makes of trades: which candles it has seen whole, and how often the price had gone a strategy's way."""

import asyncio
import time

from pregao import tally
from pregao.domain.account import Venue
from pregao.domain.deployment import ParameterValue
from pregao.domain.strategy import DESCRIPTIONS
from pregao.research.analyzer.watch import Watch, _Follower
from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, LONG, SHORT
from tests.builders import deployment

SECOND_MS = 1_000


def watching(*, past=None, desk=None, heard_since_ms=lambda venue, symbol: 0):
    return Watch(
        past=past,
        desk=desk,
        judges=None,
        venue_now_ms=lambda venue: 0,
        heard_since_ms=heard_since_ms,
        monotonic=time.monotonic,
    )


class SeenOnly:
    """Candles of a second: no venue keeps them, so what is not seen whole is not known."""

    def __init__(self):
        self.kept = []

    def has(self, _series):
        return False

    async def closed(self, _series, *, since_ms, limit):
        return ()

    async def keep(self, _series, candle):
        self.kept.append(candle.opened_at_ms)


class QuietDesk:
    async def find_progress(self, _deployment_id):
        return None

    async def note_progress(self, _deployment_id, _progress):
        pass

    async def note_trouble(self, deployment_id, *, code, reason):
        raise AssertionError(f"{deployment_id} {code}: {reason}")


def judged_of(trades):
    """Give when the candles opened that were judged of such trades: (time, since when all are heard)."""

    async def watched():
        past, heard = SeenOnly(), [0]
        watch = watching(past=past, desk=QuietDesk(), heard_since_ms=lambda venue, symbol: heard[0])
        values = DESCRIPTIONS["ema_cross"].filled({})
        parameters = tuple(ParameterValue(name=name, value=value) for name, value in values.items())
        watch.set([deployment(symbol="ETHUSDT", timeframe="1s", with_history=False, parameters=parameters)])
        for at_ms, since_ms in trades:
            heard[0] = since_ms
            watch.take(Venue.PAPER, "ETHUSDT", at_ms, 100.0, 1.0)
        for _ in range(100):  # nothing here waits for anything but its turn
            await asyncio.sleep(0)
        watch.set([])
        return past.kept

    return asyncio.run(watched())


class TestCandlesSeenWhole:
    def test_the_first_is_where_the_venue_had_said_before_that_it_tells_the_trades(self):
        at_once = [(at * SECOND_MS + 400, SECOND_MS) for at in range(1, 5)]
        a_little_later = [(at_ms, SECOND_MS + 200) for at_ms, _ in at_once]

        assert judged_of(at_once) == [1_000, 2_000, 3_000]
        assert judged_of(a_little_later) == [2_000, 3_000]

    def test_none_is_while_trades_are_missed_nor_the_one_in_which_they_are_heard_again(self):
        lost = [(1_400, 0), (2_400, None), (3_400, None), (6_400, 6_100), (7_400, 6_100), (8_400, 6_100)]

        assert judged_of(lost) == [7_000]


def test_f115_the_accuracy_of_a_strategy_is_the_share_of_its_signals_that_came_right():
    watch = watching()
    follower = _Follower(deployment=deployment(strategy="scored_here"), live=None)
    told = []

    # Long up, short up, flat, long down: the flat one ends the wrong short, and says nothing itself.
    for wanted, price in ((LONG, 100.0), (SHORT, 110.0), (FLAT, 120.0), (LONG, 120.0), (FLAT, 90.0)):
        watch._score(follower, Opinion(wanted=wanted), price=price)
        told.append(tally.OWN.gauges.get(("deriv_bot_model_accuracy", ("scored_here",))))

    assert told == [None, 100.0, 50.0, 50.0, 100 / 3]


def test_f115_ticks_are_counted_however_many_come_between_two_tellings():
    async def watched():
        watch = watching()
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
