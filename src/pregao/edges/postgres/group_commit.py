"""Group commit: what queued up during the last commit is the next batch. No timer, no added latency."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]


class GroupCommit(Generic[Item, Result]):
    """
    Writes items in batches, one transaction each, and answers each caller with its own result.

    A batch that fails is repeated item by item, so one bad item fails alone. Results are given in the order of
    the items, and only after the commit. An item whose future was ended by its caller is not written any more.
    """

    def __init__(
        self,
        write: Write[Item, Result],
        *,
        batch_items_max: int = 512,
        writers: int = 1,
        fails_all: tuple[type[Exception], ...] = (),
    ) -> None:
        """
        ``write`` commits a batch; ``writers`` batches may be under way at once.

        A batch that fails with one of ``fails_all`` is not repeated: no item of it would fare better.
        """
        self._write = write
        self._fails_all = fails_all
        self._batch_items_max = batch_items_max
        self._writers_max = writers
        self._writers = 0
        self._queue: list[tuple[Item, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for the next batch."""
        return len(self._queue)

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Queue an item; the future is done when it is committed, or carries why it could not be."""
        if self._loop is None:
            # Kept: asking for the running loop is a system call each time on Python 3.11.
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.append((item, future))
        if self._writers < self._writers_max:
            self._writers += 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def close(self) -> None:
        """Wait until everything queued is committed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self) -> None:
        try:
            # One turn of the loop lets everything that is ready now join the first batch.
            await asyncio.sleep(0)
            while self._queue:
                batch = self._queue[: self._batch_items_max]
                del self._queue[: len(batch)]
                await self._commit([one for one in batch if not one[1].done()])
        finally:
            self._writers -= 1

    async def _commit(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as failure:
            if len(batch) > 1 and not isinstance(failure, self._fails_all):
                for one in batch:
                    await self._commit([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(failure)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
