"""F119: what one process finds dead, the others do not ask; over two processes' memories and one database."""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from pregao.domain.breaker import VENUE, Breakers, BreakerScope, BreakerState
from pregao.edges.postgres.breakers import BELL, PostgresBreakerStates, SharedBreakers
from pregao.edges.postgres.doorbell import Doorbell


class Time:
    seconds = 50.0

    def __call__(self):
        return self.seconds


class Process:
    """One trader's breakers and what keeps them in step."""

    def __init__(self, journal, name):
        self.time = Time()
        self.rings = 0
        self.breakers = Breakers(monotonic=self.time, clock=lambda: datetime.now(UTC))
        self.venue = self.breakers.get("paper", VENUE)
        self.shared = SharedBreakers(journal.pool, self.breakers, told_by=name, ring=self.ring)

    def ring(self):
        self.rings += 1

    def fail(self, times=5):
        for _ in range(times):
            self.venue.fail(self.venue.begin())

    @property
    def symbol(self):
        return self.breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL)


@pytest.fixture
async def first(journal):
    return Process(journal, "trader-1")


@pytest.fixture
async def second(journal):
    return Process(journal, "trader-2")


class TestSharedBreakers:
    async def test_opening_and_closing_reach_the_other_process(self, first, second):
        first.fail()
        await first.shared.look()
        await second.shared.look()
        assert second.venue.state is BreakerState.OPEN
        assert 4 < second.venue.retry_after() <= 5

        for _ in range(2):
            second.venue.succeed(second.venue.begin(is_exit=True))
        await second.shared.look()
        await first.shared.look()

        assert first.venue.state is BreakerState.CLOSED
        assert (first.rings, second.rings) == (1, 1)

    async def test_a_symbol_that_the_other_has_never_traded_is_known_there_too(self, first, second):
        for _ in range(3):
            first.symbol.fail(first.symbol.begin())
        await first.shared.look()
        await second.shared.look()

        assert second.symbol.state is BreakerState.OPEN
        assert second.breakers.outages().keys() == {(BreakerScope.SYMBOL, "paper:BTCUSDT")}

    async def test_what_was_adopted_is_not_told_again(self, first, second):
        told = []
        second.breakers.listen(lambda *change: told.append(change))
        first.fail()
        await first.shared.look()
        await second.shared.look()
        await second.shared.look()

        assert told == []
        assert second.rings == 0

    async def test_one_that_starts_later_asks_no_sooner_than_the_others(self, journal, first):
        first.fail()
        await first.shared.look()
        late = Process(journal, "trader-3")
        await late.shared.look()

        assert late.venue.state is BreakerState.OPEN
        assert 3.5 < late.venue.retry_after() <= 5

    async def test_one_that_closes_while_the_database_is_away_says_so_later(self, journal, first):
        first.fail()
        await first.shared.look()
        pool, first.shared._pool = first.shared._pool, Away()
        for _ in range(2):
            first.venue.succeed(first.venue.begin(is_exit=True))
        with pytest.raises(ConnectionRefusedError):
            await first.shared.look()
        first.shared._pool = pool
        await first.shared.look()

        [line] = await PostgresBreakerStates(journal.pool).breakers()
        assert line.state is BreakerState.CLOSED

    async def test_counts_are_shown_before_anything_opens(self, journal, first):
        first.fail(3)
        await first.shared.look()
        [line] = await PostgresBreakerStates(journal.pool).breakers()

        assert (line.name, line.scope, line.state, line.failure_count) == ("paper", "service", "closed", 3)
        assert line.last_failure_time is not None
        assert line.next_try_at is None
        assert line.told_by == "trader-1"

    async def test_counts_of_one_do_not_undo_what_another_told(self, journal, first, second):
        await first.shared.look()
        second.fail()
        await second.shared.look()
        first.fail(1)
        await first.shared._write()
        [line] = await PostgresBreakerStates(journal.pool).breakers()

        assert (line.state, line.failure_count, line.told_by) == (BreakerState.OPEN, 5, "trader-2")

    async def test_is_heard_within_a_second_by_the_bell(self, database, journal, first, second):
        bells = [Doorbell(database) for _ in range(2)]
        bells[1].listen(BELL, second.shared.heard)
        first.shared._ring = lambda: bells[0].ring(BELL)
        for bell in bells:
            await bell.start()
        running = [asyncio.create_task(one.shared.run()) for one in (first, second)]
        try:
            await asyncio.sleep(0.1)
            first.fail()
            async with asyncio.timeout(0.9):
                while second.venue.state is not BreakerState.OPEN:
                    await asyncio.sleep(0.01)
        finally:
            for task in running:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            for bell in bells:
                await bell.close()


class Away:
    """A database that cannot be reached."""

    async def execute(self, *_):
        raise ConnectionRefusedError

    fetch = execute
