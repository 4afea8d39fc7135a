"""F024, F029, F031 over PostgreSQL: lists are swapped whole, good ones stay, one process looks, and never too often."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from pregao.domain.facts import StrategyConfigured
from pregao.domain.screener import Source
from pregao.edges.ids import uuid7
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.screener import (
    PostgresPace,
    PostgresScreener,
    PostgresScreenerBooks,
    PostgresScreenerWork,
)
from pregao.edges.postgres.workers import Workers
from pregao.market.ports import ScreenError
from pregao.market.refresh import Refreshing
from pregao.market.screen import activate_strategy, ask_for_look, set_paused
from tests.builders import NOON, strategy

REFUSED = ScreenError("SCREENER_REFUSED", "Too many requests.", is_temporary=True)


@dataclass
class ScriptedScreen:
    """Gives what it is told to, or raises it; may be held up."""

    gives: object = ()
    asked: int = 0
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self):
        self.goes_on.set()

    async def tickers(self, strategy):
        self.asked += 1
        self.has_begun.set()
        await self.goes_on.wait()
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


class Process:
    """One process that does the jobs."""

    def __init__(self, journal, lease, screen):
        self.said, self.warned = [], []
        self.lease = lease
        self.work = PostgresScreenerWork(journal, lease, ring_signals=lambda: None)
        self.refreshing = Refreshing(
            self.work,
            {Source.STATIC: screen},
            new_id=uuid7,
            clock=lambda: datetime.now(UTC),
            say=lambda event, **values: self.said.append((event, values)),
            warn=lambda event, **values: self.warned.append((event, values["code"])),
        )

    async def follow(self):
        self.refreshing.rung()
        following = asyncio.create_task(self.refreshing.follow())
        # It waits up to a second for what is next; a ring ends that.
        while not following.done():
            await asyncio.sleep(0.02)
            self.refreshing.rung()
        await following


class Desk:
    def __init__(self, journal):
        self.journal = journal
        self.pool = journal.pool
        self.books = PostgresScreenerBooks(journal, ring=lambda: None, ring_signals=lambda: None)
        self.views = PostgresScreener(journal.pool)
        self.screen = ScriptedScreen()

    async def append(self, *facts):
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def process(self, name="jobs-1"):
        lease = await Workers(self.pool).enter(worker_id=name, role="jobs")
        return Process(self.journal, lease, self.screen)

    async def look(self, process, *gives):
        """Have a process look now, at a source that gives this."""
        if gives:
            (self.screen.gives,) = gives
        await self.pool.execute("UPDATE screener_looks SET due_at = clock_timestamp()")
        await process.follow()

    async def tickers(self):
        return [one.ticker for one in await self.views.tickers()]

    async def lists(self):
        rows = await self.pool.fetch("SELECT fact FROM journal WHERE kind = 'TickersListed' ORDER BY seq")
        return len(rows)


@pytest.fixture
async def desk(journal):
    desk = Desk(journal)
    await desk.append(StrategyConfigured(happened_at=NOON, strategy=strategy(is_active=True, top_n=3)))
    return desk


class TestSwap:
    async def test_ranks_drops_repeats_and_trims(self, desk):
        process = await desk.process()

        await desk.look(process, ["msft", "AAPL", "MSFT", "TSLA", "NVDA"])

        assert await desk.tickers() == ["MSFT", "AAPL", "TSLA"]

    async def test_says_who_entered_and_who_left(self, desk):
        process = await desk.process()
        await desk.look(process, ["AAPL", "MSFT"])
        await desk.look(process, ["TSLA", "AAPL"])

        status = await desk.views.status()
        kept, new = (await desk.views.tickers())[1], (await desk.views.tickers())[0]

        assert (status.size, status.entered, status.gone) == (2, 1, 1)
        assert (new.ticker, kept.ticker) == ("TSLA", "AAPL")
        assert kept.entered_at < new.entered_at
        assert process.said[-1] == (
            "market.screener.listed",
            {"strategy": "strategy 1", "tickers": 2, "entered": 1, "left": 1},
        )

    async def test_writes_nothing_where_the_list_stands_already(self, desk):
        process = await desk.process()
        for _ in range(3):
            await desk.look(process, ["AAPL", "MSFT"])

        assert (desk.screen.asked, await desk.lists()) == (3, 1)

    async def test_writes_that_only_ranks_moved_once_a_minute(self, desk):
        process = await desk.process()
        await desk.look(process, ["AAPL", "MSFT"])
        await desk.look(process, ["MSFT", "AAPL"])
        young = await desk.tickers()
        await desk.pool.execute("UPDATE screener_lists SET listed_at = listed_at - interval '61 s'")
        await desk.pool.execute("UPDATE screener_strategies SET changed_at = changed_at - interval '1 day'")

        await desk.look(process, ["MSFT", "AAPL"])

        assert (young, await desk.tickers(), await desk.lists()) == (["AAPL", "MSFT"], ["MSFT", "AAPL"], 2)

    async def test_is_never_seen_half(self, desk):
        """The source's update set all inactive and then some active: every entry between was refused."""
        process = await desk.process()
        await desk.look(process, ["A", "B"])
        seen, is_over = set(), asyncio.Event()

        async def read():
            while not is_over.is_set():
                seen.add(tuple(await desk.tickers()))

        readers = [asyncio.create_task(read()) for _ in range(3)]
        for number in range(15):
            await desk.look(process, [["C", "D"], ["A", "B"]][number % 2])
        is_over.set()
        await asyncio.gather(*readers)

        assert seen == {("A", "B"), ("C", "D")}

    async def test_is_the_fold_of_its_facts(self, desk):
        process = await desk.process()
        await desk.look(process, ["A", "B", "C"])
        await desk.look(process, ["C", "D"])
        async with desk.books.open() as book:
            await book.append(await set_paused(True, set_by="ana", book=book, now=NOON))

        assert (await compare_with_journal(desk.journal)).differences == ()


class TestLastGoodList:
    @pytest.mark.parametrize(
        ("trouble", "code"),
        [
            (REFUSED, "SCREENER_REFUSED"),
            ([], "SCREENER_EMPTY"),
            (["-", "no ticker at all"], "SCREENER_EMPTY"),
            (ValueError("a mistake of ours"), "DESK_FAILED"),
        ],
    )
    async def test_stays_when_a_look_fails(self, desk, trouble, code):
        process = await desk.process()
        await desk.look(process, ["AAPL", "MSFT"])
        await desk.look(process, trouble)

        status = await desk.views.status()

        assert await desk.tickers() == ["AAPL", "MSFT"]
        assert (status.code, status.failures) == (code, 1)
        assert status.good_at < status.failed_at
        assert process.warned[-1] == ("market.screener.failed", code)

    async def test_is_asked_for_later_and_later_and_at_once_when_it_is_back(self, desk):
        process, waits = await desk.process(), []
        for _ in range(6):
            await desk.look(process, REFUSED)
            waits.append((await process.work.next_look()).due_seconds)

        await desk.look(process, ["AAPL"])

        assert [round(wait / 2) * 2 for wait in waits] == [10, 10, 10, 16, 32, 64]
        assert (await process.work.next_look()).due_seconds == pytest.approx(10, abs=1)
        assert (await desk.views.status()).failures == 0


class TestPauseAndRefresh:
    async def test_fetches_nothing_while_it_is_paused_but_once_what_somebody_asks_for(self, desk):
        process = await desk.process()
        async with desk.books.open() as book:
            await book.append(await set_paused(True, set_by="ana", book=book, now=NOON))

        await desk.look(process, ["AAPL"])
        before = desk.screen.asked
        async with desk.books.open() as book:
            await ask_for_look(book=book)
        await process.follow()
        await process.follow()

        assert (before, desk.screen.asked, await desk.tickers()) == (0, 1, ["AAPL"])

    async def test_makes_a_refresh_that_failed_no_second_time(self, desk):
        process = await desk.process()
        async with desk.books.open() as book:
            await book.append(await set_paused(True, set_by="ana", book=book, now=NOON))
            await ask_for_look(book=book)

        desk.screen.gives = REFUSED
        await process.follow()
        await process.follow()

        assert desk.screen.asked == 1

    async def test_goes_on_with_another_strategy_at_once(self, desk):
        process, other = await desk.process(), strategy(2)
        await desk.append(StrategyConfigured(happened_at=NOON, strategy=other))
        await desk.look(process, ["AAPL"])
        async with desk.books.open() as book:
            await book.append(await activate_strategy(other.strategy_id, book=book, now=datetime.now(UTC)))

        desk.screen.gives = ["TSLA"]
        await process.follow()

        status = await desk.views.status()
        assert (status.list_of, await desk.tickers()) == ("strategy 2", ["TSLA"])


class TestOneAtATime:
    async def test_only_who_holds_the_lease_looks(self, desk):
        first, second = await desk.process("jobs-1"), await desk.process("jobs-2")

        await desk.look(first, ["AAPL"])
        await desk.look(second)
        held = desk.screen.asked
        await Workers(desk.pool).leave(first.lease)
        await desk.look(second, ["MSFT"])

        assert (held, await desk.tickers()) == (1, ["MSFT"])

    @pytest.mark.parametrize("what", ["lease", "strategy"])
    async def test_throws_away_what_was_fetched_when_it_counts_no_more(self, desk, what):
        """A process that was frozen while it fetched must not put an old list over a new one."""
        process = await desk.process()
        await desk.look(process, ["AAPL"])
        desk.screen.goes_on.clear()
        desk.screen.has_begun.clear()
        looking = asyncio.create_task(desk.look(process, ["OLD"]))
        await desk.screen.has_begun.wait()

        if what == "lease":
            await desk.pool.execute("UPDATE leases SET lease_until = clock_timestamp(), worker_id = 'jobs-2'")
        else:
            changed = strategy(is_active=True, top_n=2, changed_at=datetime.now(UTC))
            await desk.append(StrategyConfigured(happened_at=NOON, strategy=changed))
        desk.screen.gives = ["NEW"] if what == "strategy" else ["OLD"]
        desk.screen.asked = 0
        desk.screen.goes_on.set()
        await looking

        facts = await desk.pool.fetchval("SELECT count(*) FROM journal WHERE kind = 'TickersListed'")
        assert facts == 1


class TestPace:
    async def test_counts_over_all_processes_and_restarts(self, desk):
        mine = PostgresPace(desk.pool, name="finviz:default", per_minute_max=3)
        theirs = PostgresPace(desk.pool, name="finviz:default", per_minute_max=3)
        elsewhere = PostgresPace(desk.pool, name="finviz:other", per_minute_max=3)
        for pace in (mine, theirs, mine):
            await asyncio.wait_for(pace.wait(), 5)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(theirs.wait(), 0.3)
        await asyncio.wait_for(elsewhere.wait(), 5)

    async def test_frees_each_request_a_minute_after_it_was_made(self, desk):
        pace = PostgresPace(desk.pool, name="finviz:default", per_minute_max=1)
        await pace.wait()
        await desk.pool.execute(
            "UPDATE screener_requests SET asked_at = ARRAY[clock_timestamp() - interval '59.7 s']"
        )

        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(pace.wait(), 5)

        assert 0.2 < asyncio.get_running_loop().time() - began < 3
