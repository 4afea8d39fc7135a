"""The run's own server: shared, fresh for each test, and gone with the run."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from pregao.edges.postgres.journal import open_journal
from tests.builders import NOON, arrival, configured, instruction
from tests.fresh_database import SHAPE, Copies
from tests.shared_database import ask, connected, with_database

OWN_NUMBER = "SELECT oid FROM pg_database WHERE datname = current_database()"
RUN = """
import os, time
from tests.shared_database import shared_server, run_folder
print(shared_server(), run_folder(), flush=True)
time.sleep(100)
"""


TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('pregao', 'public') ORDER BY 1"


async def everything_in(database: str) -> dict[str, list]:
    """Give every row of every table, where the sequences stand, and what was counted."""
    connection = await asyncpg.connect(database)
    try:
        tables = [name for (name,) in await connection.fetch(TABLES)]
        rows = {name: await connection.fetch(f"SELECT * FROM {name}") for name in tables}
        sequences = await connection.fetch("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        counted = await connection.fetch(
            "SELECT relname, n_tup_ins, n_tup_upd FROM pg_stat_user_tables ORDER BY 1"
        )
        return {**rows, "sequences": sequences, "counted": counted}
    finally:
        await connection.close()


@pytest.fixture
async def copies(database_server, database_template) -> AsyncIterator[Copies]:
    """Give copies that no other test takes from."""
    copies = Copies(database_server, database_template)
    yield copies
    await copies.close()


CHANGES = (
    "CREATE TABLE pregao.left_over (id int)",
    "ALTER TABLE pregao.orders ADD CHECK (attempt < 7) NOT VALID",
    "ALTER TABLE pregao.journal DISABLE TRIGGER USER",
    "ALTER TABLE pregao.daily_results RENAME COLUMN counted_loss_usd TO mislaid",
    "ALTER TABLE pregao.journal ALTER COLUMN recorded_at SET DEFAULT 'epoch'",
    "ALTER TABLE pregao.orders SET (fillfactor = 50)",
    "ALTER SEQUENCE pregao.journal_seq INCREMENT BY 7",
    "GRANT SELECT ON pregao.orders TO PUBLIC",
    "DROP INDEX pregao.journal_of_signal",
    "DROP VIEW public.signals",
    """CREATE OR REPLACE FUNCTION pregao.lock_trading_states() RETURNS SETOF pregao.trading_states
    LANGUAGE sql AS 'SELECT * FROM pregao.trading_states'""",
    """CREATE TRIGGER left_over BEFORE TRUNCATE ON pregao.orders
    EXECUTE FUNCTION pregao.journal_is_append_only()""",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 7', current_database()); END $$",
    "CREATE SCHEMA left_over",
)


class TestDatabase:
    async def test_is_empty_for_the_first_who_asks(self, database):
        connection = await asyncpg.connect(database)

        await connection.execute("CREATE TABLE left_over (id int)")

        await connection.close()

    async def test_is_empty_for_the_next_one_too(self, database):
        connection = await asyncpg.connect(database)

        await connection.execute("CREATE TABLE left_over (id int)")

        await connection.close()


class TestCopies:
    """One database for test after test; but nobody can tell."""

    async def test_gives_one_that_came_back_as_it_was_in_the_beginning(self, copies, database_server):
        first = await copies.take()
        before = await everything_in(with_database(database_server, first))
        journal = await open_journal(with_database(database_server, first))
        async with journal.transaction() as transaction:
            await transaction.append([*configured(), *arrival(instruction(), now=NOON)])
        await journal.pool.execute("UPDATE desk SET desk_id = gen_random_uuid(), epoch = epoch + 1")
        await journal.pool.close()
        used = await everything_in(with_database(database_server, first))
        await copies.give_back(first)

        second = await copies.take()

        assert await everything_in(with_database(database_server, second)) == before
        assert {name for name in before if used[name] != before[name]} >= {
            "pregao.desk",
            "pregao.bots",
            "pregao.signals",
            "sequences",
            "counted",
        }
        await _drop(database_server, second)

    async def test_takes_the_same_again_under_another_name(self, copies, database_server):
        first = await copies.take()
        number = await ask(with_database(database_server, first), OWN_NUMBER)
        await copies.give_back(first)

        second = await copies.take()

        assert await ask(with_database(database_server, second), OWN_NUMBER) == number
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(with_database(database_server, first))
        await _drop(database_server, second)

    async def test_gives_nobody_one_of_which_more_than_rows_was_changed(self, copies, database_server):
        first = await copies.take()
        number = await ask(with_database(database_server, first), OWN_NUMBER)
        await ask(with_database(database_server, first), CHANGES[0])
        await copies.give_back(first)

        second = await copies.take()

        assert await ask(with_database(database_server, second), OWN_NUMBER) != number
        assert not await ask(database_server, "SELECT 1 FROM pg_database WHERE oid = $1", number)
        await _drop(database_server, second)

    async def test_sees_every_change_of_more_than_rows(self, database):
        async with connected(database) as connection:
            now = await connection.fetchval("SELECT pg_current_xact_id()::xid::text")
            before = await connection.fetchval(SHAPE, now)
            for change in CHANGES:
                async with _undone(connection):
                    await connection.execute(change)

                    assert await connection.fetchval(SHAPE, now) != before, change

            assert await connection.fetchval(SHAPE, now) == before

    async def test_ends_who_is_still_connected_when_one_comes_back(self, copies, database_server):
        first = await copies.take()
        left_over = await asyncpg.connect(with_database(database_server, first))
        await left_over.execute("BEGIN; INSERT INTO pregao.workers VALUES ('late', 'trader', 1, now())")
        await copies.give_back(first)

        second = await copies.take()

        assert left_over.is_closed()
        assert not await ask(with_database(database_server, second), "SELECT count(*) FROM pregao.workers")
        await _drop(database_server, second)


@contextlib.asynccontextmanager
async def _undone(connection):
    transaction = connection.transaction()
    await transaction.start()
    yield
    await transaction.rollback()


async def _drop(server: str, name: str) -> None:
    await ask(server, f"DROP DATABASE {name} WITH (FORCE)")


class TestSharedServer:
    def test_ends_when_the_run_is_killed(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
        for name in ("PYTEST_XDIST_WORKER", "TEST_DATABASE_URL"):
            environment.pop(name, None)
        with subprocess.Popen(
            [sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True
        ) as run:
            folder = Path(run.stdout.readline().split()[1])
            run.send_signal(signal.SIGKILL)

        deadline = time.monotonic() + 20
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.1)

        assert not folder.exists()
