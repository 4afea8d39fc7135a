"""`pregao journal`: said by an operator on the machine of the database."""

import pytest

from pregao.edges.cli import app
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.workers import Workers
from tests.builders import configured
from tests.edges.cli.own_shell import Shell


@pytest.fixture
async def journal(database):
    opened = await open_journal(database)
    async with opened.transaction() as transaction:
        await transaction.append(configured(accounts=2))
    yield opened
    await opened.pool.close()


@pytest.fixture
def shell(database, tmp_path):
    return Shell({"DATABASE_URL": database, "PREGAO_STATE_DIR": str(tmp_path)})


class TestRestored:
    async def test_puts_every_account_in_doubt(self, journal, shell):
        ended = await shell.run(app, "journal", "restored")

        assert (ended.exit_code, ended.stdout.split()[0]) == (0, "2")
        marked = await journal.pool.fetch("SELECT * FROM account_checks WHERE is_unsure AND must_compare")
        assert len(marked) == 2
        assert await journal.pool.fetchval("SELECT epoch FROM desk") == 2

    async def test_wants_the_traders_to_end_first(self, journal, shell):
        await Workers(journal.pool).enter(worker_id="trader-1", role="trader")

        ended = await shell.run(app, "journal", "restored")

        assert (ended.exit_code, ended.stderr.split(".")[0]) == (1, "TRADERS_RUNNING: trader-1")
        assert await journal.pool.fetch("SELECT * FROM account_checks") == []
