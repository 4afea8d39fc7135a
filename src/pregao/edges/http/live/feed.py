"""
The feed of one web process: the journal is read once, written once for each kind of view, and given to all who watch.

Nobody waits for anybody: whoever has not taken what was given to him is dropped when it becomes too much. While
nobody watches nothing is read.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pregao.edges.http.errors import DATABASE_AWAY_ERRORS
from pregao.views.live import Figures, Happenings, Place, Told
from pregao.views.screener import ScreenerLine

LOOK_SECONDS = 0.25  # behind the bells, of which some commits ring none
REST_SECONDS = 0.05  # between two reads, so that what happens together goes out together
CHECK_SECONDS = 5.0  # whether the database is still the one that was read
AWAY_SECONDS = 1.0
FACTS_PER_READ = 1_000
WAITING_MAX = 2_000  # messages given and not taken: ten seconds of 200 a second
WAITING_BYTES_MAX = 4 * 1024 * 1024
GAP_FACTS_MAX = 5_000  # what a reader may have missed; a page with more to catch up on is loaded anew
WATCHERS_MAX = 1_000  # at one process: each may hold some megabytes
CATCHING_UP_MAX = 4  # readers that read what they have missed at once

FIGURES_SECONDS = 5.0  # spec A3.2
FIGURES_REST_SECONDS = 1.0  # after a fact
FIGURES_REST_TIMES = 10  # as long as counting took: a large desk is not counted all the time

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at rather than told."""

    figures: Figures
    screener: ScreenerLine
    sellable: tuple[str, ...]


class View(Protocol):
    """What one kind of watcher is told. Equal views are told the same, so that it is written once."""

    @property
    def is_looking(self) -> bool:
        """Say whether figures are told here: where nobody looks, nothing is counted."""
        ...

    def told(self, told: Sequence[Told]) -> Sequence[bytes]:
        """Give the messages that facts make here."""
        ...

    def looked(self, look: Look, *, before: Look | None) -> Sequence[bytes]:
        """Give the messages that figures make here; ``before`` is what was seen last."""
        ...


class Ended(Exception):
    """There is nothing more to take: ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


SLOW = "TOO_SLOW"
STOPPING = "STOPPING"
FULL = "WATCHERS_FULL"
LEFT = "LEFT"  # the other end did


@dataclass(frozen=True, slots=True)
class Taken:
    """What was given since the last time, and the place behind it; ``is_reset``: more than that was missed."""

    messages: Sequence[bytes]
    place: Place
    is_reset: bool = False


class Watcher:
    """One who watches: takes what the feed gives it."""

    def __init__(self, view: View, *, place: Place, waiting_max: int) -> None:
        self.view = view
        self.drop: Callable[[], None] = lambda: None
        """Ends the connection from the server's side, whatever it is waiting for."""
        self.place = place  # behind all that was given
        self.behind = place  # nothing up to here is given: it was before, or was seen elsewhere
        self._waiting_max = waiting_max
        self._missed: Sequence[bytes] = ()
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._awake = asyncio.Event()
        self._is_reset = False
        self._ended: str | None = None

    def give(self, messages: Sequence[bytes], *, place: Place) -> None:
        """Keep messages until they are taken; too many of them end it."""
        self.place = max(self.place, place)
        if self._ended is not None or not messages:
            return
        self._bytes += sum(map(len, messages))
        # Who has taken everything is not slow, however much comes at once.
        is_much = len(self._messages) + len(messages) > self._waiting_max or self._bytes > WAITING_BYTES_MAX
        if self._messages and is_much:
            log.warning("live.watcher.slow", waiting=len(self._messages))
            self.end(SLOW)
            return
        self._messages.extend(messages)
        self._awake.set()

    def catch_up(self, messages: Sequence[bytes]) -> None:
        """Keep what was missed: it is taken before all that was given meanwhile."""
        self._missed = messages
        self._awake.set()

    def reset(self, place: Place) -> None:
        """Say that what was given is not all that happened."""
        self.place = self.behind = place
        self._is_reset = True
        self._awake.set()

    def end(self, code: str) -> None:
        """Give nothing any more."""
        if self._ended is None:
            self._ended = code
            self._messages.clear()
            self._awake.set()
            if code == SLOW:
                self.drop()

    async def take(self, *, seconds: float) -> Taken:
        """
        Wait so long for something and give it; nothing when nothing came.

        :raises Ended: when there will be nothing more
        """
        if not self._awake.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._awake.wait()
        self._awake.clear()
        if self._ended is not None:
            raise Ended(self._ended)
        taken = Taken((*self._missed, *self._messages), self.place, self._is_reset)
        self._messages.clear()
        self._bytes = 0
        self._missed, self._is_reset = (), False
        return taken


class Feed:
    """`start` before the first watcher, `close` after the last."""

    def __init__(
        self,
        happenings: Happenings,
        *,
        look: Callable[[], Awaitable[Look]],
        waiting_max: int = WAITING_MAX,
        gap_facts_max: int = GAP_FACTS_MAX,
        watchers_max: int = WATCHERS_MAX,
    ) -> None:
        """``look`` counts what is not told."""
        self.happenings = happenings
        self._look = look
        self._waiting_max = waiting_max
        self._gap_facts_max = gap_facts_max
        self._watchers_max = watchers_max
        self._watchers: set[Watcher] = set()
        self._somebody = asyncio.Event()
        self._rung = asyncio.Event()
        self._told = asyncio.Event()
        self._entering = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._catching_up = asyncio.Semaphore(CATCHING_UP_MAX)
        self._place = Place(0, 0, 0)
        self._last_look: tuple[float, Look] | None = None
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def rung(self, _words: str) -> None:
        """Read soon: something was committed."""
        self._rung.set()

    async def start(self) -> None:
        """Begin; nothing is read before somebody watches."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._count())]

    def stop(self) -> None:
        """End every watcher, and let none in any more."""
        self._is_stopping = True
        for watcher in self._watchers:
            watcher.end(STOPPING)

    async def close(self) -> None:
        """End it."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def watch(self, view: View, *, after: Place | None = None) -> AsyncIterator[Watcher]:
        """
        Give who is told what happens from now on, or from behind ``after`` on.

        :raises Ended: when the process is stopping, or too many watch already
        """
        watcher = await self._enter(view)
        try:
            if after is not None:
                await self._catch_up(watcher, after)
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._somebody.clear()

    async def look(self) -> Look:
        """Give the figures, counted within the last second."""
        async with self._looking:
            if self._last_look is None or time.monotonic() - self._last_look[0] > FIGURES_REST_SECONDS:
                self._last_look = (time.monotonic(), await self._look())
            return self._last_look[1]

    async def _enter(self, view: View) -> Watcher:
        async with self._entering:
            if self._is_stopping:
                raise Ended(STOPPING)
            if len(self._watchers) >= self._watchers_max:
                raise Ended(FULL)
            if not self._watchers:
                await self.happenings.forget()
                self._place = await self.happenings.present()
            watcher = Watcher(view, place=self._place, waiting_max=self._waiting_max)
            self._watchers.add(watcher)
            self._somebody.set()
            return watcher

    # What was missed ---------------------------------------------------------------------------------------

    async def _catch_up(self, watcher: Watcher, after: Place) -> None:
        """Give what was missed, before all that comes meanwhile."""
        upto = watcher.behind
        if after.epoch != upto.epoch:
            watcher.reset(upto)
            return
        if after > upto:
            # Another web process had read further, or another database had.
            if after.xid > (await self.happenings.present()).xid:
                watcher.reset(upto)
            watcher.behind = after
            return
        async with self._catching_up:
            missed = await self._missed(after, upto)
        if missed is None:
            watcher.reset(upto)
        else:
            watcher.catch_up(watcher.view.told(missed))

    async def _missed(self, after: Place, upto: Place) -> list[Told] | None:
        missed: list[Told] = []
        read = 0
        while after < upto:
            limit = min(FACTS_PER_READ, self._gap_facts_max - read + 1)
            told, reached = await self.happenings.read(after, limit=limit)
            missed += [one for one in told if one.place <= upto]
            read += len(told)
            if read > self._gap_facts_max:
                return None
            if reached == after:
                break
            after = reached
        return missed

    # What happens now --------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        checked = time.monotonic()
        while True:
            await self._somebody.wait()
            try:
                if time.monotonic() - checked > CHECK_SECONDS:
                    await self._check()
                    checked = time.monotonic()
                is_all = await self._read()
            except DATABASE_AWAY_ERRORS as away:
                log.warning("live.feed.away", error=type(away).__name__)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            except Exception:
                log.exception("live.feed.failed")
                await asyncio.sleep(AWAY_SECONDS)
                continue
            await asyncio.sleep(REST_SECONDS)
            if is_all:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._rung.wait()
            self._rung.clear()

    async def _read(self) -> bool:
        after = self._place
        told, reached = await self.happenings.read(after, limit=FACTS_PER_READ)
        if self._place != after:
            return False  # everybody left meanwhile, and somebody came
        self._place = reached
        if told:
            self._spread(told)
            self._told.set()
        if reached.epoch != after.epoch:
            self._reset(reached)
        return len(told) < FACTS_PER_READ

    async def _check(self) -> None:
        """See whether this is still the database that was read: one that was put back has come less far."""
        present = await self.happenings.present()
        if present.epoch != self._place.epoch:
            self._place = Place(present.epoch, 0, 0)  # what began the epoch is told
            self._reset(self._place)
        elif present.xid < self._place.xid:
            self._place = present
            self._reset(present)

    def _spread(self, told: Sequence[Told]) -> None:
        for view, watchers in self._by_view().items():
            messages = view.told(told)
            for watcher in watchers:
                if watcher.behind < told[0].place:
                    watcher.give(messages, place=told[-1].place)
                else:
                    later = [one for one in told if one.place > watcher.behind]
                    watcher.give(view.told(later), place=told[-1].place)

    def _reset(self, place: Place) -> None:
        for watcher in self._watchers:
            watcher.reset(place)

    def _by_view(self) -> dict[View, list[Watcher]]:
        watchers: dict[View, list[Watcher]] = {}
        for watcher in self._watchers:
            watchers.setdefault(watcher.view, []).append(watcher)
        return watchers

    # What is counted ---------------------------------------------------------------------------------------

    async def _count(self) -> None:
        before: Look | None = None
        while True:
            await self._somebody.wait()
            began = time.monotonic()
            try:
                if any(watcher.view.is_looking for watcher in self._watchers):
                    look = await self.look()
                    self._show(look, before)
                    before = look
            except DATABASE_AWAY_ERRORS as away:
                log.warning("live.figures.away", error=type(away).__name__)
            except Exception:
                log.exception("live.figures.failed")
            self._told.clear()
            took = time.monotonic() - began
            await asyncio.sleep(max(FIGURES_REST_SECONDS, took * FIGURES_REST_TIMES))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIGURES_SECONDS - FIGURES_REST_SECONDS):
                    await self._told.wait()

    def _show(self, look: Look, before: Look | None) -> None:
        for view, watchers in self._by_view().items():
            messages = view.looked(look, before=before)
            for watcher in watchers:
                watcher.give(messages, place=watcher.place)
