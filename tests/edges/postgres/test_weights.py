"""One weight budget per address, drawn in slices by several processes over one database."""

import asyncio
import contextlib

import pytest

from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.weights import BELL, PostgresWeights, SharedWeights

MINUTE = 29_000_000
MAX = 1_000  # of which 950 may be drawn


class Process:
    def __init__(self, pool, egress="office"):
        self.rings = 0
        self.weights = SharedWeights(pool, egress=egress, ring=self.ring)
        self.weight = self.weights.of("paper")
        self.adopted = []
        self.weight.follow(self.adopted.append)

    def ring(self):
        self.rings += 1

    async def draw(self, asked, *, minute=MINUTE, used=0):
        return await self.weight.draw(minute=minute, asked=asked, used=used, weight_max=MAX, limit=950)


@pytest.fixture
async def first(journal):
    return Process(journal.pool)


@pytest.fixture
async def second(journal):
    return Process(journal.pool)


class TestSlices:
    async def test_are_granted_until_the_minute_is_used_up(self, first, second):
        granted = [(await one.draw(400)).granted for one in (first, second, first, second)]

        assert granted == [400, 400, 150, 0]

    async def test_of_many_at_once_never_sum_to_more(self, journal):
        processes = [Process(journal.pool) for _ in range(4)]
        told = await asyncio.gather(*(process.draw(40) for process in processes for _ in range(10)))

        assert sum(one.granted for one in told) == 950
        assert max(one.drawn for one in told) == 950

    async def test_begin_again_with_the_minute(self, first, second):
        await first.draw(950)
        told = await second.draw(40, minute=MINUTE + 1)

        assert (told.granted, told.drawn) == (40, 40)

    async def test_of_a_minute_that_is_over_are_nothing(self, first, second):
        await first.draw(40, minute=MINUTE + 1)
        told = await second.draw(40)

        assert (told.granted, told.minute, told.drawn) == (0, MINUTE + 1, 40)

    async def test_are_corrected_by_what_the_venue_says(self, first, second):
        """Somebody else asks from the same address: what he used is gone."""
        await first.draw(40)
        told = await second.draw(100, used=900)

        assert (told.granted, told.drawn) == (50, 950)

    async def test_in_a_fresh_minute_leave_out_what_the_venue_says(self, first):
        told = await first.draw(100, used=900)

        assert (told.granted, told.drawn) == (50, 950)

    async def test_of_another_address_are_its_own(self, journal, first):
        await first.draw(950)
        told = await Process(journal.pool, egress="cloud").draw(40)

        assert told.granted == 40


class TestPauses:
    async def test_are_seen_by_the_others_within_a_second(self, database, journal, first, second):
        bells = [Doorbell(database) for _ in range(2)]
        bells[1].listen(BELL, second.weights.heard)
        first.weights._ring = lambda: bells[0].ring(BELL)
        for bell in bells:
            await bell.start()
        running = [asyncio.create_task(one.weights.run()) for one in (first, second)]
        try:
            await asyncio.sleep(0.1)
            first.weight.pause(30)
            async with asyncio.timeout(0.9):
                while not any(one.paused_seconds > 28 for one in second.adopted):
                    await asyncio.sleep(0.01)
        finally:
            for task in running:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            for bell in bells:
                await bell.close()

    async def test_never_get_shorter(self, first, second):
        first.weight.pause(120)
        await first.weights.look()
        second.weight.pause(2)
        await second.weights.look()

        assert second.adopted[-1].paused_seconds > 118

    async def test_outlive_the_process_that_was_told(self, journal, first):
        first.weight.pause(120)
        await first.weights.look()
        late = Process(journal.pool)
        told = await late.draw(1)

        assert told.paused_seconds > 118


class TestView:
    async def test_shows_the_present_minute(self, journal, first):
        now = await journal.pool.fetchval("SELECT floor(extract(epoch FROM clock_timestamp()) / 60)::bigint")
        await first.draw(40, minute=now + 1, used=7)
        [line] = await PostgresWeights(journal.pool).weights()

        assert (line.egress, line.service) == ("office", "paper")
        assert (line.used, line.drawn, line.weight_max, line.paused_seconds) == (7, 47, MAX, 0)

    async def test_shows_nothing_used_when_the_minute_is_over(self, journal, first):
        await first.draw(40, used=7)
        [line] = await PostgresWeights(journal.pool).weights()

        assert (line.used, line.drawn) == (0, 0)
