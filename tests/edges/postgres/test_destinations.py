"""The slots of forwards: one count for all processes and restarts, and a limit that acts at once."""

import asyncio

from pregao.domain.facts import ForwardLimitSet
from pregao.edges.postgres.destinations import PostgresForwardLimits, PostgresLimiter
from tests.builders import NOON

SOON = 10.0


async def set_limit(journal, most, *, is_enabled=True):
    async with journal.transaction() as transaction:
        await transaction.append(
            [ForwardLimitSet(happened_at=NOON, max_per_minute=most, is_enabled=is_enabled, set_by="test")]
        )


async def pass_by(journal, seconds):
    """Let time pass for what was taken."""
    await journal.pool.execute(
        """
        UPDATE forward_slots
        SET taken_at = ARRAY(SELECT at - make_interval(secs => $1) FROM unnest(taken_at) WITH ORDINALITY AS t (at, n)
                             ORDER BY n)
        """,
        float(seconds),
    )


class TestLimiter:
    async def test_counts_over_all_processes_and_restarts_each_destination_apart(self, journal):
        await set_limit(journal, 3)
        mine, theirs = PostgresLimiter(journal.pool), PostgresLimiter(journal.pool)
        for limiter in (mine, theirs, mine):
            await asyncio.wait_for(limiter.acquire(1), SOON)

        assert (await PostgresLimiter(journal.pool).take(1)).slots == 0
        assert await theirs.take(2) == (1, 0)

    async def test_lets_no_more_through_than_the_limit_however_many_ask_at_once(self, journal):
        await set_limit(journal, 5)
        limiters = [PostgresLimiter(journal.pool) for _ in range(3)]

        waits = await asyncio.gather(*(limiter.take(1) for limiter in limiters * 4))

        assert sorted(taken.slots for taken in waits) == [0] * 7 + [1] * 5
        assert all(59 < taken.wait_seconds <= 60 for taken in waits if not taken.slots)

    async def test_gives_those_who_wait_together_what_is_left_in_their_order(self, journal):
        await set_limit(journal, 3)
        limiter = PostgresLimiter(journal.pool, look_seconds_max=0.02)
        came: list[int] = []

        async def forward(number: int) -> None:
            await limiter.acquire(1)
            came.append(number)

        waiting = [asyncio.create_task(forward(number)) for number in range(5)]
        await asyncio.wait_for(asyncio.gather(*waiting[:3]), SOON)
        waiting[3].cancel()  # whoever is ended while waiting takes no slot
        await set_limit(journal, 4)
        await asyncio.wait_for(waiting[4], SOON)

        [line] = await PostgresForwardLimits(journal.pool).slots()
        assert came == [0, 1, 2, 4]
        assert (line.taken, line.limited) == (4, 1)

    async def test_acts_at_once_when_the_limit_is_lowered_raised_or_paused(self, journal):
        await set_limit(journal, 5)
        limiter = PostgresLimiter(journal.pool, look_seconds_max=0.02)
        for _ in range(3):
            await asyncio.wait_for(limiter.acquire(1), SOON)

        await set_limit(journal, 2)
        waiting = asyncio.create_task(limiter.acquire(1))
        lowered = await limiter.take(1)
        await set_limit(journal, 4)
        await asyncio.wait_for(waiting, SOON)
        full = await limiter.take(1)
        await set_limit(journal, 4, is_enabled=False)
        await asyncio.wait_for(limiter.acquire(1), SOON)

        assert lowered.wait_seconds > 0
        assert full.wait_seconds > 0

    async def test_looks_at_once_when_the_bell_rings(self, journal):
        await set_limit(journal, 1)
        limiter = PostgresLimiter(journal.pool, look_seconds_max=3_600)
        await limiter.acquire(1)
        waiting = asyncio.create_task(limiter.acquire(1))
        await set_limit(journal, 2)

        async with asyncio.timeout(SOON):
            while not waiting.done():  # a ring before it waits is one it does not hear
                limiter.heard()
                await asyncio.sleep(0.01)

    async def test_tells_how_each_destination_stands(self, journal):
        await set_limit(journal, 2)
        limiter = PostgresLimiter(journal.pool)
        for account_id in (1, 1, 2):
            await limiter.acquire(account_id)
        full = {line.account_id: line.is_full for line in await PostgresForwardLimits(journal.pool).slots()}
        await pass_by(journal, 60)
        await limiter.take(1, has_waited=[True])

        limits = PostgresForwardLimits(journal.pool)
        lines = {line.account_id: line for line in await limits.slots()}

        assert full == {1: True, 2: False}
        assert (lines[1].taken, lines[1].left, lines[1].limited, lines[1].is_full) == (1, 1, 1, False)
        assert (lines[2].taken, lines[2].left, lines[2].limited) == (0, 2, 0)
        assert lines[1].freed_at is not None
        assert (await limits.limit()).limit.max_per_minute == 2
