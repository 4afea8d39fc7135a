"""A database that freezes keeps nobody from ending: a cancellation stays one, and what failed says what failed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from pregao.edges.postgres.pool import AWAY, create_pool

PATIENCE = 0.3  # of a statement, and of its being called off
SOON = 15.0


@pytest.fixture
async def pool(database):
    pool = await create_pool(
        database, min_size=1, max_size=2, command_timeout=PATIENCE, server_settings={"jit": "off"}
    )
    yield pool
    pool.terminate()


@asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def ask(pool: asyncpg.Pool, told: asyncio.Future[int]) -> None:
    """Do as a loop does: one statement after the other, over whatever trouble the database makes."""
    while True:
        try:
            async with pool.acquire() as connection, connection.transaction():
                if not told.done():
                    told.set_result(await connection.fetchval("SELECT pg_backend_pid()"))
                await connection.execute("SELECT pg_sleep(0.1)")
        except AWAY:
            await asyncio.sleep(0)


async def end_server(connection: asyncpg.Connection) -> None:
    """End the server's process of this connection, and wait until it is seen here."""
    os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGTERM)
    with contextlib.suppress(
        asyncpg.InterfaceError
    ):  # it was taken back as soon as it was seen to have ended
        async with asyncio.timeout(SOON):
            while not connection.is_closed():
                await asyncio.sleep(0.01)


class TestPool:
    async def test_a_loop_ends_when_it_is_canceled_while_the_database_is_frozen(self, pool):
        told = asyncio.get_running_loop().create_future()
        loop = asyncio.create_task(ask(pool, told))
        async with frozen(await told):
            await asyncio.sleep(0.05)
            loop.cancel()
            await asyncio.wait([loop], timeout=SOON)

        assert loop.cancelled()

    async def test_a_failure_is_told_as_it_was_and_not_as_what_came_of_it(self, pool):
        async def fail() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await end_server(connection)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

    async def test_a_commit_that_fails_is_told(self, pool):
        async def write() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await end_server(connection)

        with pytest.raises(AWAY):
            await write()

    async def test_goes_on_with_another_connection(self, pool):
        with contextlib.suppress(*AWAY):
            async with pool.acquire() as connection:
                await end_server(connection)
                await connection.execute("SELECT 1")

        assert await pool.fetchval("SELECT 1") == 1
