"""Facts are never changed, never lost from view, and fold in the transaction that holds them."""

import asyncio
import random
from uuid import UUID

import asyncpg
import pytest

from pregao.edges.postgres.journal import Cursor, open_journal
from pregao.edges.postgres.pool import AWAY
from tests.builders import BOT_ID, NOON, arrival, configured, instruction


def knocked(number: int) -> list:
    """Give one fact that can be told from the others."""
    return arrival(instruction(), signal_id=UUID(int=number), now=NOON)[:1]


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def numbers_after(journal, cursor):
    told = await journal.tail(cursor)
    return (told[-1][0] if told else cursor), [fact.signal_id.int for _, fact in told]


async def all_numbers_after(journal, cursor, *, count):
    """
    Read on until so many facts have been told.

    The horizon is the server's: a transaction open in another test's database holds it back for a moment.
    """
    told = []
    async with asyncio.timeout(30):
        while len(told) < count:
            cursor, more = await numbers_after(journal, cursor)
            told += more
            await asyncio.sleep(0.02)
    return cursor, told


async def waits(connection, *, count):
    """Wait until so many others wait for the journal."""
    async with asyncio.timeout(30):
        while await connection.fetchval(
            "SELECT count(*) < $1 FROM pg_locks WHERE relation = 'journal'::regclass AND NOT granted", count
        ):
            await asyncio.sleep(0.01)


@pytest.fixture
async def first_of_its_month(database):
    """Give a journal that nobody had opened since its database was migrated."""
    made = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pregao.journal'::regclass"
    connection = await asyncpg.connect(database)
    for (name,) in await connection.fetch(made):
        if name != "pregao.journal_rest":
            await connection.execute(f"DROP TABLE {name}")
    await connection.close()
    opened = await open_journal(database)
    yield opened
    await opened.pool.close()


class TestAppendOnly:
    @pytest.mark.parametrize("statement", ["UPDATE {} SET kind = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
    @pytest.mark.parametrize("where", ["journal", "partition", "journal_rest"])
    async def test_refuses(self, journal, statement, where):
        """The database itself says no, whoever asks and however: parent, the month's partition, and the rest."""
        await put(journal, knocked(1))
        month = await journal.pool.fetchval("SELECT tableoid::regclass::text FROM journal LIMIT 1")
        table = month if where == "partition" else where
        if where == "journal_rest" and not statement.startswith("TRUNCATE"):
            await journal.pool.execute(
                "INSERT INTO journal_rest (epoch, recorded_at, kind, happened_at, fact) "
                "VALUES (1, now() + interval '40 years', 'x', now(), '{}')"
            )

        with pytest.raises(asyncpg.RestrictViolationError, match="JOURNAL_APPEND_ONLY"):
            await journal.pool.execute(statement.format(table))

        assert await journal.pool.fetchval("SELECT count(*) FROM journal WHERE kind = 'SignalReceived'") == 1

    async def test_keeps_the_month_in_a_partition_of_its_own(self, first_of_its_month):
        """Retention detaches months; what lies in the rest could not be detached."""
        pool = first_of_its_month.pool
        await put(first_of_its_month, knocked(1))

        names = await pool.fetch("SELECT DISTINCT tableoid::regclass::text AS name FROM journal")
        month = await pool.fetchval("SELECT 'journal_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')")

        assert [row["name"].removeprefix("pregao.") for row in names] == [month]

    async def test_has_a_partition_for_the_next_month_already(self, first_of_its_month):
        found = await first_of_its_month.pool.fetchval(
            "SELECT to_regclass('pregao.journal_' || "
            "to_char((now() + interval '1 month') AT TIME ZONE 'UTC', 'YYYYMM'))::text"
        )

        assert found is not None

    async def test_makes_a_partition_once(self, journal):
        name = await journal.pool.fetchval("SELECT ensure_journal_month('2031-05-17 00:00+00')")
        again = await journal.pool.fetchval("SELECT ensure_journal_month('2031-05-31 23:59+00')")

        assert name == again == "journal_203105"


class TestTransaction:
    async def test_folds_what_it_appends(self, journal):
        await put(journal, configured())

        assert await journal.pool.fetchval("SELECT bot_id FROM bots") == BOT_ID

    async def test_leaves_no_trace_when_it_fails(self, journal):
        await put(journal, configured())

        async def append_and_fail() -> None:
            async with journal.transaction() as transaction:
                await transaction.append(arrival(instruction(), now=NOON))
                raise RuntimeError("the step after it failed")

        with pytest.raises(RuntimeError):
            await append_and_fail()

        counts = await journal.pool.fetchrow(
            "SELECT (SELECT count(*) FROM signals), (SELECT count(*) FROM deliveries), "
            "(SELECT count(*) FROM journal WHERE kind LIKE 'Signal%')"
        )
        assert tuple(counts) == (0, 0, 0)

    async def test_leaves_no_trace_when_a_fold_fails(self, journal):
        """Fact and state stand or fall together."""
        await put(journal, knocked(1))

        with pytest.raises(asyncpg.UniqueViolationError):
            await put(journal, knocked(1))

        assert await journal.pool.fetchval("SELECT count(*) FROM journal") == 1


class TestIdle:
    async def test_ends_a_transaction_that_says_nothing_and_lets_go_of_what_it_locked(
        self, journal, database
    ):
        """As one does whose process is stopped: others must get to the position it had locked."""
        frozen = await open_journal(database, connections_max=2, idle_seconds_max=0.2)

        async def freeze() -> None:
            async with frozen.transaction() as transaction:
                await transaction.connection.execute("SELECT FROM desk FOR UPDATE")
                async with asyncio.timeout(5):
                    await journal.pool.fetchval("SELECT epoch FROM desk FOR UPDATE")
                await transaction.connection.execute("SELECT 1")

        try:
            with pytest.raises(AWAY):
                await freeze()
            assert await frozen.pool.fetchval("SELECT 1") == 1
        finally:
            await frozen.pool.close()


class TestTail:
    async def test_gives_facts_in_order_and_goes_on_behind_them(self, journal):
        await put(journal, knocked(1) + knocked(2))
        first, told = await all_numbers_after(journal, Cursor(1), count=2)
        await put(journal, knocked(3))

        _, rest = await all_numbers_after(journal, first, count=1)

        assert (told, rest) == ([1, 2], [3])

    async def test_never_skips_a_transaction_that_starts_first_and_commits_last(self, journal):
        """The largest id seen says nothing: a later commit may carry a smaller one."""
        async with journal.transaction() as slow:
            await slow.append(knocked(1))
            await put(journal, knocked(2))
            cursor, early = await numbers_after(journal, Cursor(1))

        _, late = await all_numbers_after(journal, cursor, count=2 - len(early))

        assert sorted(early + late) == [1, 2]

    @pytest.mark.parametrize("seed", range(6))
    async def test_gives_each_fact_once_however_transactions_interleave(self, journal, seed):
        chance = random.Random(seed)
        open_now, told, number = [], [], 0
        cursor = Cursor(1)

        for _ in range(40):
            match chance.choice(["begin", "append", "commit", "tail"]):
                case "begin" if len(open_now) < 4:
                    block = journal.transaction()
                    open_now.append((block, await block.__aenter__()))
                case "append" if open_now:
                    number += 1
                    await chance.choice(open_now)[1].append(knocked(number))
                case "commit" if open_now:
                    block, _ = open_now.pop(chance.randrange(len(open_now)))
                    await block.__aexit__(None, None, None)
                case "tail":
                    cursor, more = await numbers_after(journal, cursor)
                    told += more
        for block, _ in open_now:
            await block.__aexit__(None, None, None)
        _, more = await all_numbers_after(journal, cursor, count=number - len(told))

        assert sorted(told + more) == list(range(1, number + 1))

    async def test_goes_on_into_the_next_epoch_whatever_its_transactions_are_called(self, journal):
        """A restored database may be on another server, where numbers of transactions begin small again."""
        await put(journal, knocked(1))
        async with journal.pool.acquire() as connection:
            await connection.execute(
                """
                INSERT INTO journal (xid, kind, happened_at, signal_id, fact)
                SELECT '99999999', kind, happened_at, signal_id, fact FROM journal
                """
            )
        assert await journal.pool.fetchval("SELECT begin_epoch()") == 2
        await put(journal, knocked(2))

        cursor, told = await all_numbers_after(journal, Cursor(1), count=3)

        assert told == [1, 1, 2]
        assert (cursor.epoch, (await all_numbers_after(journal, Cursor(2), count=1))[1]) == (2, [2])

    @pytest.mark.parametrize("facts", [1, 150])
    async def test_whoever_was_writing_when_an_epoch_began_writes_under_it(self, journal, facts):
        """A process that has been running for days knows nothing of it: its next fact must not be of the old epoch."""
        await put(journal, [fact for number in range(1, 3) for fact in knocked(number)])

        async with journal.pool.acquire() as clearing, clearing.transaction():
            await clearing.execute("SELECT begin_epoch()")
            late = asyncio.create_task(put(journal, [one for n in range(facts) for one in knocked(100 + n)]))
            await waits(clearing, count=1)
        await late

        epochs = await journal.pool.fetch("SELECT epoch, count(*)::int FROM journal GROUP BY 1 ORDER BY 1")
        assert [tuple(row) for row in epochs] == [(1, 2), (2, facts)]
