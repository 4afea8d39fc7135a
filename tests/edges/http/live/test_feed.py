"""The feed: one reading for all, nothing lost, nothing twice, and nobody waits for anybody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from pregao.edges.http.live.feed import FULL, LEFT, SLOW, STOPPING, Ended, Feed, Look, Watcher
from pregao.views.live import Place, Told, to_place
from tests.edges.http.live.happenings import ListedHappenings, look

SOON = 20.0


@dataclass(frozen=True)
class Names:
    """Tells the name in each fact; counts how often it was asked to."""

    kind: str = "names"
    asked: list[int] = None

    def __hash__(self) -> int:
        return hash(self.kind)

    @property
    def is_looking(self) -> bool:
        return False

    def told(self, told: Sequence[Told]) -> Sequence[bytes]:
        if self.asked is not None:
            self.asked.append(len(told))
        return [one.fact.set_by.encode() for one in told]

    def looked(self, look: Look, *, before: Look | None) -> Sequence[bytes]:
        return ()


@pytest.fixture
def journal() -> ListedHappenings:
    return ListedHappenings()


@contextlib.asynccontextmanager
async def running(journal: ListedHappenings, **limits: int) -> AsyncIterator[Feed]:
    feed = Feed(journal, look=look, **limits)
    await feed.start()
    yield feed
    await feed.close()


async def names(watcher: Watcher, count: int) -> list[str]:
    """Take until so many have come."""
    found: list[str] = []
    async with asyncio.timeout(SOON):
        while len(found) < count:
            found += [message.decode() for message in (await watcher.take(seconds=1)).messages]
    return found


class TestFeed:
    async def test_tells_from_now_on_and_reads_nothing_while_nobody_watches(self, journal):
        async with running(journal) as feed:
            journal.commit("before")
            await asyncio.sleep(0)
            assert journal.reads == 0
            async with feed.watch(Names()) as watcher:
                journal.commit("a", "b")
                feed.rung("")
                assert await names(watcher, 2) == ["a", "b"]
                assert feed.watchers == 1
        assert journal.forgotten == 1

    async def test_writes_once_for_all_who_see_the_same(self, journal):
        asked: list[int] = []
        async with running(journal) as feed, contextlib.AsyncExitStack() as stack:
            watchers = [await stack.enter_async_context(feed.watch(Names("same", asked))) for _ in range(50)]
            journal.commit("a")
            for watcher in watchers:
                assert await names(watcher, 1) == ["a"]
        assert asked == [1]

    async def test_goes_on_behind_a_place_with_what_comes_meanwhile(self, journal):
        journal.commit("1")
        place = journal.facts[-1].place
        journal.commit("2", "3")
        async with running(journal) as feed, feed.watch(Names("other")):
            journal.commit("4")
            async with feed.watch(Names(), after=place) as watcher:
                journal.commit("5")
                assert await names(watcher, 4) == ["2", "3", "4", "5"]

    async def test_tells_nothing_again_that_was_seen_at_another_process(self, journal):
        """The other process had read further: this one is behind the reader for a moment."""
        async with running(journal) as feed, feed.watch(Names("other")):
            feed._place = Place(1, 100, 0)  # the loop rests: it has not read what is committed now
            journal.commit("1", "2")
            async with feed.watch(Names(), after=journal.facts[-1].place) as watcher:
                journal.commit("3")
                assert await names(watcher, 1) == ["3"]

    @pytest.mark.parametrize("place", [Place(9, 1, 1), Place(1, 900, 1)])
    async def test_says_so_when_the_place_is_none_of_this_database(self, journal, place):
        journal.commit("1")
        async with running(journal) as feed, feed.watch(Names(), after=place) as watcher:
            assert (await watcher.take(seconds=SOON)).is_reset

    async def test_says_so_when_too_much_was_missed(self, journal):
        journal.commit("0")
        place = journal.facts[-1].place
        journal.commit(*(str(number) for number in range(1, 6)))
        async with running(journal, gap_facts_max=5) as feed:
            async with feed.watch(Names(), after=place) as watcher:
                assert await names(watcher, 5) == ["1", "2", "3", "4", "5"]
            journal.commit("6")
            async with feed.watch(Names(), after=place) as watcher:
                taken = await watcher.take(seconds=SOON)
                assert (taken.is_reset, taken.messages) == (True, ())

    async def test_begins_anew_with_an_epoch(self, journal):
        async with running(journal) as feed, feed.watch(Names()) as watcher:
            journal.commit("old")
            journal.epoch, journal.xid = 2, 7  # as after a restore: its transactions are fewer
            journal.commit("new")
            seen, is_reset = [], False
            async with asyncio.timeout(SOON):
                while not is_reset:
                    taken = await watcher.take(seconds=1)
                    seen += taken.messages
                    is_reset = taken.is_reset
            journal.commit("more")
            assert [*seen, *(name.encode() for name in await names(watcher, 1))] == [b"old", b"new", b"more"]

    async def test_drops_who_does_not_take_and_nobody_else(self, journal):
        dropped = []
        async with (
            running(journal, waiting_max=3) as feed,
            feed.watch(Names("slow")) as slow,
            feed.watch(Names("quick")) as quick,
        ):
            slow.drop = lambda: dropped.append(slow)
            for number in range(6):
                journal.commit(str(number))
                feed.rung("")
                assert await names(quick, 1) == [str(number)]
            with pytest.raises(Ended, match=SLOW):
                await slow.take(seconds=SOON)
        assert dropped == [slow]

    async def test_who_has_taken_everything_may_be_given_any_number_at_once(self, journal):
        async with running(journal, waiting_max=3) as feed, feed.watch(Names()) as watcher:
            journal.commit(*"abcdefgh")
            assert await names(watcher, 8) == list("abcdefgh")

    async def test_ends_all_when_the_process_stops(self, journal):
        async with running(journal) as feed:
            async with feed.watch(Names()) as watcher:
                feed.stop()
                with pytest.raises(Ended, match=STOPPING):
                    await watcher.take(seconds=SOON)
            with pytest.raises(Ended, match=STOPPING):
                async with feed.watch(Names()):
                    pass

    async def test_lets_no_more_in_than_it_can_hold(self, journal):
        async with running(journal, watchers_max=1) as feed:
            async with feed.watch(Names()):
                with pytest.raises(Ended, match=FULL):
                    async with feed.watch(Names()):
                        pass
            async with feed.watch(Names()):
                assert feed.watchers == 1

    async def test_goes_on_where_it_was_when_the_database_comes_back(self, journal):
        read = journal.read
        async with running(journal) as feed, feed.watch(Names()) as watcher:
            journal.read = away
            journal.commit("meanwhile")
            await asyncio.sleep(0.3)
            journal.read = read
            assert await names(watcher, 1) == ["meanwhile"]
            watcher.end(LEFT)


async def away(*_given, **_named):
    raise ConnectionRefusedError


class TestPlace:
    def test_is_read_as_it_is_written_and_nothing_else_is_one(self):
        place = Place(3, 2**40, 12)
        assert to_place(str(place)) == place
        assert [to_place(text) for text in ("", "1.2", "0.1.1", "1.2.3.4", "1.-2.3", "a.b.c")] == [None] * 6
