"""A database that was put back to an older state is noticed, whatever it says itself."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from pregao.edges.postgres import checks
from pregao.edges.postgres.checks import FORGOTTEN_SECONDS
from pregao.edges.postgres.high_water import (
    NOW,
    DatabaseRestoredError,
    Guard,
    HighWater,
    HighWaterMark,
    is_behind,
)
from pregao.edges.postgres.journal import open_journal
from tests.builders import configured


@pytest.fixture
def path(tmp_path):
    return tmp_path / "high_water.json"


async def accounts_in_doubt(journal):
    rows = await journal.pool.fetch(
        "SELECT account_id FROM account_checks WHERE unreconciled_since IS NOT NULL AND must_compare"
    )
    return sorted(row["account_id"] for row in rows)


async def has_written(journal):
    async with journal.transaction() as transaction:
        await transaction.append(configured(accounts=2))


def put_back(path, **changes):
    """Leave the mark of a database that had come further than the one that is there: it is the same to the reader."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class TestHighWaterMark:
    async def test_a_first_start_and_an_ordinary_one_doubt_nothing(self, journal, path):
        mark = HighWaterMark(journal.pool, path)
        await has_written(journal)

        assert [await mark.check(), await mark.check()] == [False, False]
        assert await accounts_in_doubt(journal) == []

    @pytest.mark.parametrize("changes", [{"lsn": "FFFF/0"}, {"timeline": 9}, {"system_identifier": "7"}])
    async def test_an_older_or_another_database_puts_every_account_in_doubt(self, journal, path, changes):
        mark = HighWaterMark(journal.pool, path)
        await has_written(journal)
        await mark.check()
        put_back(path, **changes)

        assert await mark.check()

        assert await accounts_in_doubt(journal) == [1, 2]
        assert not await mark.check()
        # On another server transactions are numbered anew: what reads and counts by their numbers begins anew, too.
        epoch = await journal.pool.fetchval("SELECT epoch FROM desk")
        assert epoch == (2 if "system_identifier" in changes else 1)

    async def test_one_put_back_under_a_running_process_ends_it(self, journal, path):
        mark = HighWaterMark(journal.pool, path)
        await mark.check()
        watching = asyncio.create_task(mark.watch())
        await asyncio.sleep(0.1)
        put_back(path, lsn="FFFF/0")

        with pytest.raises(DatabaseRestoredError):
            await asyncio.wait_for(watching, timeout=5)

        assert await HighWaterMark(journal.pool, path).check()

    async def test_lets_what_was_begun_before_pass_whoever_has_noticed_it(self, journal, path):
        await has_written(journal)
        await HighWaterMark(journal.pool, path).let_pass()  # nothing was put back: at once
        await checks.mark_forgotten(journal.pool)
        assert FORGOTTEN_SECONDS - 2 < await checks.seconds_to_wait(journal.pool) <= FORGOTTEN_SECONDS
        await journal.pool.execute(
            "UPDATE account_checks SET restored_at = restored_at - $1::interval",
            timedelta(seconds=FORGOTTEN_SECONDS - 1),
        )

        began = time.monotonic()
        await HighWaterMark(journal.pool, path).let_pass()

        assert 0.5 < time.monotonic() - began < 3
        assert await checks.seconds_to_wait(journal.pool) == 0

    async def test_gives_no_position_an_id_that_may_have_been_given_and_forgotten(self, journal):
        before = await journal.pool.fetchval("SELECT nextval('position_ids')")

        await checks.mark_forgotten(journal.pool)

        assert await journal.pool.fetchval("SELECT nextval('position_ids')") > before + 1_000_000

    async def test_half_a_file_is_no_reason_to_doubt(self, journal, path):
        path.write_text('{"lsn"')

        assert not await HighWaterMark(journal.pool, path).check()
        assert json.loads(path.read_text())["timeline"] >= 1


class TestGuard:
    async def test_lets_no_connection_to_an_older_database_be_used(self, database, tmp_path):
        guard = Guard()
        opened = await open_journal(database, on_connect=guard.look)
        try:
            await HighWaterMark(opened.pool, tmp_path / "high_water.json", guard=guard).check()
            await opened.pool.expire_connections()
            assert await opened.pool.fetchval("SELECT 1") == 1

            now = HighWater(**await opened.pool.fetchrow(NOW))
            guard.see(replace(now, lsn="FFFF/0"))
            await opened.pool.expire_connections()

            with pytest.raises(DatabaseRestoredError):
                await opened.pool.fetchval("SELECT 1")
        finally:
            opened.pool.terminate()

    @pytest.mark.parametrize(
        ("now", "seen", "expected"),
        [("0/10", "0/F", False), ("0/F", "0/10", True), ("1/0", "0/FFFFFFFF", False), ("9/A", "10/0", True)],
    )
    def test_compares_numbers_and_not_their_letters(self, now, seen, expected):
        def at(lsn):
            return HighWater(system_identifier="7", timeline=1, lsn=lsn)

        assert is_behind(at(now), at(seen)) is expected
