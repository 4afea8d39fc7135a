"""The process `jobs`: it looks where the strategy says, and leaves its lease to the next."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from pregao.bootstrap.jobs import ASKED_SECONDS, serve_jobs
from pregao.domain.facts import BotConfigured, StrategyConfigured
from pregao.domain.lab import Topic
from pregao.domain.prediction import ModelFilter
from pregao.domain.screener import Source
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.lab import PostgresLabRuns
from pregao.edges.postgres.screener import PostgresScreener
from pregao.edges.processes.state import is_wanted, set_wanted
from tests.builders import NOON, bot, strategy, told
from tests.edges.screeners.scripted_finviz import scripted_finviz, small_page

SOON = 20.0


@pytest.fixture
async def journal(database):
    journal = await open_journal(database, connections_max=2)
    yield journal
    journal.pool.terminate()


@asynccontextmanager
async def serving(database, state_dir, **settings):
    given = told(database_dsn=database, state_dir=state_dir, **settings)
    task = asyncio.create_task(serve_jobs(given))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def made(journal, **changes):
    """Choose a strategy, and give the list as soon as there is one."""
    async with journal.transaction() as transaction:
        chosen = strategy(is_active=True, **changes)
        await transaction.append([StrategyConfigured(happened_at=NOON, strategy=chosen)])
    async with asyncio.timeout(SOON):
        while not (lines := await PostgresScreener(journal.pool).tickers()):
            await asyncio.sleep(0.02)
    return [one.ticker for one in lines]


async def until(state_dir, role, *, wanted):
    async with asyncio.timeout(30):
        while is_wanted(state_dir, role) is not wanted:
            await asyncio.sleep(0.05)


class TestJobs:
    async def test_read_finviz_and_count_what_they_ask(self, database, journal, tmp_path):
        async with scripted_finviz() as site:
            site.pages = {"1": small_page(["AAPL", "BRK-B"])}
            host = site.address.removeprefix("http://")
            async with serving(database, tmp_path, finviz_hosts=(host,)):
                found = await made(
                    journal, source=Source.FINVIZ, address=f"{site.address}/screener.ashx?v=111"
                )

        asked = await journal.pool.fetchval("SELECT cardinality(asked_at) FROM screener_requests")
        assert (found, asked) == (["AAPL", "BRK.B"], 1)
        assert await journal.pool.fetchval("SELECT count(*) FROM leases") == 0, "the next one need not wait"

    async def test_read_a_file_of_the_state_folder(self, database, journal, tmp_path):
        (tmp_path / "screener").mkdir()
        (tmp_path / "screener" / "mine.txt").write_text("TSLA\nAAPL\n")

        async with serving(database, tmp_path):
            found = await made(journal, source=Source.FILE, address="mine.txt")

        assert found == ["TSLA", "AAPL"]

    async def test_want_the_process_of_models_while_one_filters_a_bots_entries(
        self, database, journal, tmp_path
    ):
        async def until_wanted(*, wanted):
            await until(tmp_path, "models", wanted=wanted)

        filtered = bot(model_filter=ModelFilter(model="btc_1h"))
        async with serving(database, tmp_path):
            assert is_wanted(tmp_path, "models") is False
            async with journal.transaction() as transaction:
                await transaction.append([BotConfigured(happened_at=NOON, bot=filtered)])
            await until_wanted(wanted=True)
            async with journal.transaction() as transaction:
                unfiltered = replace(filtered, model_filter=None)
                await transaction.append([BotConfigured(happened_at=NOON, bot=unfiltered)])
            await until_wanted(wanted=False)

    async def test_want_the_lab_when_somebody_asks_and_a_while_longer(self, database, journal, tmp_path):
        async with serving(database, tmp_path):
            assert is_wanted(tmp_path, "lab") is False
            question = asyncio.create_task(
                PostgresLabRuns(journal.pool).answer(Topic.SIGNALS, {"timeframe": "1h"}, seconds=SOON)
            )
            await until(tmp_path, "lab", wanted=True)
            await journal.pool.execute("UPDATE lab_questions SET answered_at = clock_timestamp()")
            await question
            await asyncio.sleep(3 * ASKED_SECONDS)

            assert is_wanted(tmp_path, "lab") is True

    async def test_want_no_lab_that_was_left_over(self, database, tmp_path):
        """Its desk was killed within the minute: the next one has no work for it."""
        set_wanted(tmp_path, "lab", wanted=True)

        async with serving(database, tmp_path):
            await until(tmp_path, "lab", wanted=False)

    async def test_ask_a_venue_what_is_traded_most(self, database, journal, tmp_path):
        server = PaperServer(PaperSettings(port=0, state_dir=tmp_path / "paper", simulate_seed=7))
        await server.start()
        try:
            async with serving(database, tmp_path, paper_url=f"http://127.0.0.1:{server.port}"):
                found = await made(journal, source=Source.MOST_TRADED, address="paper", top_n=3)
        finally:
            await server.stop()

        assert len(found) == 3
        assert all(ticker.endswith("USDT") for ticker in found)
