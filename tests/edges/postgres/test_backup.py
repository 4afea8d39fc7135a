"""A backup of a desk that goes on trading is put back whole, beside what is there, and only then in its place."""

import asyncio
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from pregao.domain.facts import PositionChanged
from pregao.edges.cli.backups import make_backup, read_backup, restore_backup, unknown_keys
from pregao.edges.postgres.backup import RestoreError, database_of, look_at_present, with_database
from pregao.edges.postgres.figures import roll
from pregao.edges.postgres.journal import Cursor, open_journal
from pregao.edges.postgres.rebuild import STATE_TABLES, compare_with_journal
from pregao.edges.processes.backup import BackupError, write_backup
from tests.builders import NOON, arrival, configured, held, instruction
from tests.edges.http.api.test_receipts import SIGNAL_ID, accepted, filled, planned

LATER = UUID(int=77)


@pytest.fixture
async def used(database):
    """A database with two accounts and a position; what a restore leaves beside it is taken away."""
    journal = await open_journal(database)
    async with journal.transaction() as transaction:
        await transaction.append(configured(accounts=2))
        await transaction.append(arrival(instruction(), signal_id=SIGNAL_ID))
        await transaction.append([planned(1), accepted(1), filled(1, price="95200")])
        await transaction.append([PositionChanged(happened_at=NOON, position=held())])
        await transaction.connection.execute(
            "INSERT INTO credentials VALUES (1, 'sealed', 'wrapped', 'abcd1234', now())"
        )
    await journal.pool.close()
    yield database
    admin = await asyncpg.connect(with_database(database, "postgres"))
    for name in ("_restoring", "_before_restore", "_fresh"):
        await admin.execute(f'DROP DATABASE IF EXISTS "{database_of(database)}{name}" WITH (FORCE)')
    await admin.close()


async def rows(dsn):
    journal = await open_journal(dsn, connections_max=1)
    found = {
        table: [tuple(row) for row in await journal.pool.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")]
        for table in STATE_TABLES
    }
    await journal.pool.close()
    return found


async def trade_on(dsn, *, signal_id=LATER):
    journal = await open_journal(dsn, connections_max=1)
    async with journal.transaction() as transaction:
        await transaction.append(arrival(instruction(), signal_id=signal_id, now=NOON + timedelta(minutes=5)))
    await journal.pool.close()


async def signals_received(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(
            "SELECT metric_value FROM public.signal_metrics WHERE metric_name = 'signals_received'"
        )
    finally:
        await connection.close()


async def counted(pool):
    """Count all there is: what a transaction may still come before, of another desk on this server, is counted after that."""
    left = "SELECT count(*) FROM journal AS j, tally_cursors AS k WHERE j.epoch = k.epoch AND j.xid >= k.xid"
    async with asyncio.timeout(60):
        while await roll(pool) or await pool.fetchval(left):
            await asyncio.sleep(0.05)


async def count_for_good(dsn):
    journal = await open_journal(dsn, connections_max=1)
    await counted(journal.pool)
    await journal.pool.close()


async def backed_up(dsn, path):
    await make_backup(path, dsn=dsn, version="1", now=NOON, told=told_nobody)
    return await read_backup(path, told=told_nobody)


async def put_back(dsn, path, *, confirmed=lambda _present: None):
    page = await read_backup(path, told=told_nobody)
    return await restore_backup(path, dsn=dsn, page=page, confirmed=confirmed, told=told_nobody)


def told_nobody(_size):
    """Say nothing."""


class TestBackup:
    async def test_is_put_back_as_it_was_and_begins_an_epoch(self, used, tmp_path):
        """The venue has not forgotten what the backup has (decision 21): nothing is opened before it was asked."""
        path = tmp_path / "desk.backup"
        before = await rows(used)
        page = await backed_up(used, path)
        await trade_on(used)
        later = await asyncpg.connect(used)
        await later.execute("SELECT pregao.begin_epoch(), pregao.begin_epoch()")
        await later.close()

        restored = await put_back(used, path)

        assert (await rows(used), page["rows"]["accounts"]) == (before, 2)
        assert restored.replaced == f"{database_of(used)}_before_restore"
        kept = await rows(with_database(used, restored.replaced))
        assert [row[0] for row in kept["signals"]] == sorted([SIGNAL_ID, LATER])
        journal = await open_journal(used)
        pool = journal.pool
        assert (await compare_with_journal(journal)).differences == ()
        doubted = await pool.fetch("SELECT account_id FROM account_checks WHERE must_compare AND is_unsure")
        assert (restored.accounts, len(doubted)) == (2, 2)
        assert await pool.fetchval("SELECT epoch FROM desk") == 4
        assert await pool.fetchval("SELECT nextval('position_ids')") > 1_000_000
        await trade_on(used)
        async with asyncio.timeout(30):
            while not (told := await journal.tail(Cursor(3, 2**40))):
                await asyncio.sleep(0.02)
        assert [fact.signal_id for _, fact in told] == [LATER, LATER], (
            "readers of before go on with what is new"
        )
        assert (await compare_with_journal(journal)).differences == ()
        await pool.close()

    @pytest.mark.parametrize("counted_to", [None, 2**40], ids=["behind", "of_another_server"])
    async def test_f023_figures_go_on_from_what_the_copy_had_counted_for_good(
        self, used, tmp_path, counted_to
    ):
        """Between the last count for good and the copy a signal came; after the restore it counts, and what comes then."""
        path = tmp_path / "desk.backup"
        journal = await open_journal(used, connections_max=1)
        await counted(journal.pool)
        if counted_to is not None:
            await journal.pool.execute("UPDATE tally_cursors SET xid = $1::text::xid8", str(counted_to))
        await journal.pool.close()
        await trade_on(used)
        before = await signals_received(used)
        await backed_up(used, path)
        await trade_on(used, signal_id=UUID(int=78))

        await put_back(used, path)

        assert await signals_received(used) == before == (2 if counted_to is None else 1)
        await trade_on(used, signal_id=UUID(int=79))
        at_once = await signals_received(used)
        await count_for_good(used)
        assert at_once == await signals_received(used) == before + 1

    async def test_shows_one_moment_of_a_desk_that_writes_meanwhile(self, used, tmp_path):
        """What the page counts and what the dump holds are of the same moment; here it fills a server that has none."""
        path = tmp_path / "desk.backup"
        is_over = asyncio.Event()

        async def write():
            number = 1_000
            while not is_over.is_set():
                number += 1
                await trade_on(used, signal_id=UUID(int=number))
            return number

        writing = asyncio.create_task(write())
        await backed_up(used, path)
        is_over.set()
        assert await writing > 1_000
        fresh = with_database(used, f"{database_of(used)}_fresh")

        restored = await put_back(fresh, path)

        assert restored.replaced is None
        journal = await open_journal(fresh)
        assert (await compare_with_journal(journal)).differences == ()
        await journal.pool.close()

    async def test_names_the_keys_that_are_not_here_and_holds_no_secret(self, used, tmp_path):
        path = tmp_path / "desk.backup"
        page = await backed_up(used, path)

        assert unknown_keys(page, known={"abcd1234"}) == {}
        assert unknown_keys(page, known={"00000000"}) == {"abcd1234": 1}
        password = urlsplit(used).password
        assert password
        assert password not in json.dumps(page)
        assert path.stat().st_mode & 0o077 == 0


class TestRefused:
    async def test_over_a_file_that_is_there(self, used, tmp_path):
        path = tmp_path / "desk.backup"
        path.write_text("precious")

        with pytest.raises(BackupError, match="BACKUP_EXISTS"):
            await backed_up(used, path)

        assert [one.name for one in tmp_path.iterdir()] == ["desk.backup"]
        assert path.read_text() == "precious"

    async def test_when_the_tool_fails_and_leaves_nothing(self, used, tmp_path):
        with pytest.raises(BackupError, match=r"TOOL_FAILED: tool=pg_dump"):
            write_backup(tmp_path / "b", dsn=used, snapshot="none", manifest={}, told=told_nobody)

        assert list(tmp_path.iterdir()) == []

    async def test_when_the_file_is_damaged_or_not_what_its_page_says(self, used, tmp_path):
        path = tmp_path / "desk.backup"
        page = await backed_up(used, path)
        whole = path.read_bytes()
        middle = len(whole) // 2
        another = tmp_path / "another"
        with zipfile.ZipFile(another, "w") as archive:
            archive.writestr("database.dump", b"something else")
            archive.writestr("manifest.json", json.dumps(page))
        damaged = [
            whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            whole[:middle],
            b"not a backup",
            another.read_bytes(),
        ]

        for one in damaged:
            path.write_bytes(one)
            with pytest.raises(BackupError, match=r"BACKUP_(UNREADABLE|DAMAGED)"):
                await read_backup(path, told=told_nobody)

    async def test_while_the_desk_runs_or_somebody_is_connected(self, used, tmp_path):
        path = tmp_path / "desk.backup"
        await backed_up(used, path)
        running = await asyncpg.connect(used, server_settings={"search_path": "pregao"})
        await running.execute(
            "INSERT INTO workers (worker_id, role, lease_epoch, lease_until) "
            "VALUES ('trader-1', 'trader', 1, clock_timestamp() + interval '10 s')"
        )

        with pytest.raises(RestoreError, match=r"DESK_RUNNING: workers=trader-1"):
            await put_back(used, path)
        await running.execute("DELETE FROM workers")
        with pytest.raises(RestoreError, match="DATABASE_BUSY"):
            await put_back(used, path)

        assert len((await rows(used))["signals"]) == 1
        await running.close()
        assert (await put_back(used, path)).replaced is not None

    async def test_when_nobody_confirms_and_when_it_is_of_a_later_version(self, used, tmp_path):
        path = tmp_path / "desk.backup"
        page = await backed_up(used, path)
        asked = []

        def refuse(present):
            asked.append(present)
            raise RestoreError("NOT_CONFIRMED")

        with pytest.raises(RestoreError, match="NOT_CONFIRMED"):
            await put_back(used, path, confirmed=refuse)
        with pytest.raises(RestoreError, match="BACKUP_TOO_NEW"):
            await restore_backup(
                path, dsn=used, page={**page, "schema": "9999"}, confirmed=refuse, told=told_nobody
            )

        present = await look_at_present(used)
        assert asked == [present]
        assert (present.accounts, present.signals, present.is_empty) == (2, 1, False)
        assert replace(present, accounts=0, signals=0).is_empty
