"""Waiting with an end: for a commit that may not come, and for a signal to settle."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

from pregao.signals.ports import StoreAway

LOOK_SECONDS = 0.25  # behind the bell `receipts`, which may be lost
TICK_SECONDS = 0.1  # how exactly a deadline is kept; one timer for all costs less than one for each


class Deadlines:
    """Ends futures that take longer than all of them may."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._running: deque[tuple[float, asyncio.Future[Any]]] = deque()

    def watch(self, future: asyncio.Future[Any], *, since: float) -> None:
        """End the future with ``StoreAway`` when it is not done in time; ``since`` is the loop's clock."""
        self._running.append((since + self._seconds_max, future))

    async def keep(self) -> None:
        """Run until canceled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = loop.time()
            while self._running and (self._running[0][0] <= now or self._running[0][1].done()):
                _, future = self._running.popleft()
                if not future.done():
                    future.set_exception(StoreAway("DATABASE_SLOW"))


class Settlements:
    """Who waits for which signal to settle: woken by the bell, and by a look behind it."""

    def __init__(self, find_settled: Callable[[Iterable[UUID]], Awaitable[set[UUID]]]) -> None:
        self._find_settled = find_settled
        self._waiting: dict[str, tuple[UUID, list[asyncio.Future[None]]]] = {}
        self._somebody = asyncio.Event()

    def rung(self, words: str) -> None:
        """Wake who waits for one of these signals: the bell `receipts` rang."""
        if self._waiting:
            for word in words.split():
                self._wake(word)

    async def wait(self, signal_id: UUID, *, seconds: float) -> None:
        """Return when the signal has settled, or when the time is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        name = str(signal_id)
        self._waiting.setdefault(name, (signal_id, []))[1].append(future)
        self._somebody.set()
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            self._leave(name, future)

    def _leave(self, name: str, future: asyncio.Future[None]) -> None:
        _, futures = self._waiting.get(name, (None, []))
        if future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[name]

    def _wake(self, name: str) -> None:
        _, futures = self._waiting.pop(name, (None, []))
        for future in futures:
            if not future.done():
                future.set_result(None)

    async def keep(self) -> None:
        """Run until canceled."""
        while True:
            await self._somebody.wait()
            self._somebody.clear()
            while self._waiting:
                await asyncio.sleep(LOOK_SECONDS)
                with contextlib.suppress(StoreAway):
                    for signal_id in await self._find_settled(
                        [signal_id for signal_id, _ in self._waiting.values()]
                    ):
                        self._wake(str(signal_id))
