"""F123: a database that is away is waited for; one that answers and cannot do what is asked of it is a failure people are told of."""

import asyncio

import asyncpg
import pytest
from structlog.testing import capture_logs

from pregao.bootstrap.failures import is_ours
from pregao.bootstrap.process import again_and_again
from pregao.edges.processes.logs import FAILURES, noted
from pregao.trading.trouble import log_away


@pytest.fixture(autouse=True)
def _untold():
    kept = list(FAILURES)
    FAILURES.clear()
    yield
    FAILURES.clear()
    FAILURES.extend(kept)


def failures_of(said):
    """Give what whoever tells people of failures finds after these lines."""
    for line in said:
        noted(None, line["log_level"], dict(line))
    return [(one.event, one.kinds) for one in FAILURES]


class TestLogAway:
    async def test_tells_of_a_table_that_is_not_there(self, database):
        async def look():
            connection = await asyncpg.connect(database)
            try:
                await connection.fetch("SELECT FROM nothing_of_this_name")
            finally:
                await connection.close()

        with capture_logs() as said:
            work = asyncio.create_task(again_and_again(look))
            async with asyncio.timeout(30):
                while not said:
                    await asyncio.sleep(0.01)
            work.cancel()
            await asyncio.wait([work])

        [(event, (kind,))] = failures_of(said)[:1]
        assert (event, kind) == ("jobs.work.broken", asyncpg.UndefinedTableError)
        assert is_ours(kind)

    @pytest.mark.parametrize(
        "away", [ConnectionResetError(), TimeoutError(), asyncpg.AdminShutdownError("ends")]
    )
    def test_tells_nobody_of_one_that_is_away(self, away):
        with capture_logs() as said:
            log_away("jobs.work.away", away)

        assert [(line["event"], line["log_level"]) for line in said] == [("jobs.work.away", "warning")]
        assert failures_of(said) == []
