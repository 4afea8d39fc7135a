"""The doorbell rings after the commit, from a connection of its own, and survives losing it."""

import asyncio

import asyncpg
import pytest

from pregao.edges.postgres import doorbell as doorbell_module
from pregao.edges.postgres.doorbell import PAYLOAD_BYTES_MAX, Doorbell
from tests.builders import NOON, arrival, instruction


@pytest.fixture
async def heard(database):
    """Give a doorbell that keeps what it hears."""
    bell = Doorbell(database)
    words: list[str] = []
    bell.listen("signals", words.append)
    await bell.start()
    yield bell, words
    await bell.close()


async def until(condition, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class TestDoorbell:
    async def test_is_heard_with_its_words(self, heard):
        bell, words = heard

        bell.ring("signals", "a")
        await until(lambda: words)

        assert words == ["a"]

    async def test_rings_once_for_what_waits_together(self, heard):
        """A thousand signals committed together are one notification, not a thousand."""
        bell, words = heard

        for number in range(1_000):
            bell.ring("signals", f"w{number % 50:02}")
        await until(lambda: words)
        await asyncio.sleep(0.1)

        assert words == [" ".join(f"w{number:02}" for number in range(50))]

    async def test_cuts_what_postgresql_would_not_take(self, heard):
        bell, words = heard
        told = {f"{number:036}" for number in range(600)}

        bell.ring("signals", *told)
        await until(lambda: len(words) == 4)

        assert all(len(payload) <= PAYLOAD_BYTES_MAX for payload in words)
        assert {word for payload in words for word in payload.split()} == told

    async def test_is_heard_again_after_its_connection_broke(self, heard, journal):
        bell, words = heard
        ended = await journal.pool.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )

        async with asyncio.timeout(10):
            while not words:
                bell.ring("signals", "again")  # a ring may be lost with its connection
                await asyncio.sleep(0.05)

        assert ended == 1
        assert "again" in words

    async def test_breaks_soon_enough_to_be_polled_past(self):
        """Whoever listens also looks once a second, so losing rings costs at most that."""
        assert doorbell_module.RECONNECT_SECONDS <= 1

    async def test_is_not_rung_inside_the_writing_transaction(self, journal, database):
        """NOTIFY inside it takes a lock that makes all commits wait for one another."""
        heard_by_others: list[str] = []
        listener = await asyncpg.connect(database)
        for bell in ("signals", "receipts"):
            await listener.add_listener(bell, lambda *words: heard_by_others.append(words[-1]))

        async with journal.transaction() as transaction:
            await transaction.append(arrival(instruction(), now=NOON))
            locks = await transaction.connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass "
                "AND pid = pg_backend_pid()"
            )
        await asyncio.sleep(0.2)
        await listener.close()

        assert (locks, heard_by_others) == (0, [])
