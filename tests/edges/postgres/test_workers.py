"""Who acts is settled by leases: what has run out ends whoever held it."""

import asyncio
import itertools

import pytest

from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.workers import FROZEN_SECONDS, RENEW_SECONDS, Lease, Workers
from pregao.views.health import LEASE_SECONDS


async def expire(journal, table: str) -> None:
    await journal.pool.execute(f"UPDATE {table} SET lease_until = clock_timestamp() - interval '1 ms'")


class TestWorkers:
    async def test_renew_a_lease_that_stands(self, journal):
        workers = Workers(journal.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")

        assert await workers.renew(lease) is True

    async def test_refuse_to_renew_what_has_run_out(self, journal):
        """Whoever was frozen beyond his lease must stop acting, even if nobody took his place."""
        workers = Workers(journal.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")
        await expire(journal, "workers")

        assert await workers.renew(lease) is False

    async def test_tell_who_was_frozen_that_his_lease_is_lost_though_his_pool_hangs(self, journal, database):
        """Asked over the pool he would wait for connections that are not given back, and act on meanwhile."""
        own = await open_journal(database, connections_max=1)
        workers = Workers(own.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")
        held = await own.pool.acquire()
        await expire(journal, "workers")

        async with asyncio.timeout(30):
            await workers.renew_until_lost(lease)

        await own.pool.release(held)
        await own.pool.close()

    async def test_tell_who_was_frozen_that_his_lease_is_lost_though_nobody_answers(self, journal):
        """A step that took as long as no step takes: its lease has run out, whatever the database would say."""
        workers = Workers(journal.pool, monotonic=itertools.count(step=LEASE_SECONDS).__next__)
        lease = await workers.enter(worker_id="trader-1", role="trader")

        async with asyncio.timeout(30):
            await workers.renew_until_lost(lease)

        assert await workers.renew(lease) is True  # nobody was asked

    async def test_let_nobody_go_because_the_database_is_away(self):
        """Whoever guards from memory meanwhile stays on duty: each step took no longer than it may."""
        asked = []

        class Away:
            async def connect_alone(self):
                asked.append(1)
                raise ConnectionRefusedError

        workers = Workers(Away(), monotonic=itertools.count(step=FROZEN_SECONDS).__next__)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS + 2.0):
                await workers.renew_until_lost(Lease(worker_id="monitor-1", lease_epoch=1))
        assert len(asked) * 2 * FROZEN_SECONDS > LEASE_SECONDS

    async def test_refuse_to_renew_an_older_life_of_the_same_name(self, journal):
        workers = Workers(journal.pool)
        first = await workers.enter(worker_id="trader-1", role="trader")
        second = await workers.enter(worker_id="trader-1", role="trader")

        assert (await workers.renew(first), await workers.renew(second)) == (False, True)
        assert second.lease_epoch > first.lease_epoch

    async def test_pass_a_named_lease_on_only_when_it_has_run_out(self, journal):
        workers = Workers(journal.pool)
        one = await workers.enter(worker_id="trader-1", role="trader")
        other = await workers.enter(worker_id="trader-2", role="trader")

        held_by_one = [await workers.hold("stream-1", one), await workers.hold("stream-1", other)]
        await expire(journal, "leases")
        taken_over = [await workers.hold("stream-1", other), await workers.hold("stream-1", one)]

        assert held_by_one == [True, False]
        assert taken_over == [True, False]

    async def test_give_everything_up_on_the_way_out(self, journal):
        workers = Workers(journal.pool)
        one = await workers.enter(worker_id="trader-1", role="trader")
        other = await workers.enter(worker_id="trader-2", role="trader")
        await workers.hold("stream-1", one)

        await workers.leave(one)

        assert await workers.hold("stream-1", other) is True
        assert await workers.renew(one) is False
