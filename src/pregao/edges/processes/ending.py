"""A process that should have ended and has not is cut off, and the log says what each of its tasks waited for."""

import asyncio
import os
from collections.abc import Coroutine, Generator
from contextvars import Context
from threading import Timer
from types import TracebackType
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

SECONDS_MAX = 9.0  # just before the supervisor's kill, so that the log says what hung
TASKS_TOLD = 40

log = structlog.get_logger()


class Ending:
    """The end of one process that is a role's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, seconds: float = SECONDS_MAX) -> None:
        """Let the tasks of ``loop`` have so many seconds."""
        self._loop = loop
        self._seconds = seconds
        self._is_near = False

    def come(self, *, seconds: float | None = None) -> None:
        """Cut the process off if it has not ended when the time is up."""
        if self._is_near:
            return
        self._is_near = True
        timer = Timer(self._seconds if seconds is None else min(seconds, self._seconds), self._cut_off)
        timer.daemon = True
        timer.start()

    def _cut_off(self) -> None:
        # Without a supervisor nobody would kill it, and it would hold the port for ever.
        log.error("processes.role.hung", tasks=self._tasks())
        os._exit(1)

    def _tasks(self) -> list[str]:
        try:
            tasks = asyncio.all_tasks(self._loop)
        except RuntimeError:  # one began or ended while they were counted, in another thread
            return []
        return sorted({waits_for(task) for task in tasks})[:TASKS_TOLD]


_ending: list[Ending] = []  # of this process, if it is a role's own


def watch_over(ending: Ending) -> None:
    """Note whose end `end_soon` brings about."""
    _ending[:] = [ending]


def end_soon(*, seconds: float | None = None) -> None:
    """Have this process end soon, or in so many ``seconds``, whatever its tasks do; nothing where it is no role's own."""
    for ending in _ending:
        ending.come(seconds=seconds)


class Together(asyncio.TaskGroup):
    """
    The tasks of a role: once one of them has failed the process ends soon, whether or not the others do.

    They are canceled then, once. A library that loses a cancellation on its way (asyncpg does, when what it calls on a
    new connection fails) would otherwise keep half a role running for ever, without its lease.
    """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for all of them."""
        if isinstance(error, Exception):
            end_soon()
        await super().__aexit__(kind, error, traceback)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Begin one of them."""
        task = super().create_task(coro, name=name, context=context)
        task.add_done_callback(_end_all)
        return task


def _end_all(done: asyncio.Task[Any]) -> None:
    if not done.cancelled() and done.exception() is not None:
        end_soon()


def waits_for(task: asyncio.Task[Any]) -> str:
    """Give where a task stands: its functions from the outermost to the one that waits."""
    places: list[str] = []
    inner: Any = task.get_coro()
    while isinstance(inner, Coroutine):
        frame = getattr(inner, "cr_frame", None)
        line = "" if frame is None else f":{frame.f_lineno}"
        places.append(f"{getattr(inner, '__qualname__', type(inner).__name__)}{line}")
        inner = getattr(inner, "cr_await", None)
    return " > ".join(places)
