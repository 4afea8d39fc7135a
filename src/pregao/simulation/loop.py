"""
An event loop whose time is counted, not waited for: it stands still while anything runs and jumps when nothing does.

Tasks that are ready at once run in an order drawn from the seed. A process is a name in the context of its tasks: it can be
stopped between any two steps, and let go on, or never again.
"""

import asyncio
import contextvars
import random
import selectors
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

PROCESS: contextvars.ContextVar[str] = contextvars.ContextVar("process", default="")
"""Whose code runs."""

STEP_SECONDS_MAX = 20e-6  # how late a step that is ready may run: by this the order of tasks is drawn

TASKS_KEPT = 1_000  # then those that are done are forgotten

Call = tuple[Callable[..., Any], tuple[Any, ...], contextvars.Context]


class NothingLeftError(RuntimeError):
    """Everything waits, and nothing will ever happen."""


class _NoWaiting(selectors.BaseSelector):
    """Lets time pass where another selector would wait."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        self._pass_time = pass_time
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftError("every task waits, and no timer is set")
        self._pass_time(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop of one history."""

    def __init__(self, seed: object) -> None:
        """Start at second 0; the same seed gives the same order."""
        self._now = 0.0
        self._chance = random.Random(f"{seed}/order")
        self._stopped: defaultdict[str, list[Call]] = defaultdict(list)
        self._is_stopped: set[str] = set()
        self.made: list[asyncio.Task[Any]] = []
        super().__init__(_NoWaiting(self._pass))
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]  # newer Pythons give more names

    def time(self) -> float:
        return self._now

    def stop_process(self, name: str) -> None:
        """Let no step of the process run from here on."""
        self._is_stopped.add(name)

    def continue_process(self, name: str) -> None:
        """Let the process go on where it was stopped; what came due meanwhile is due at once."""
        self._is_stopped.discard(name)
        for callback, args, context in self._stopped.pop(name, []):
            self.call_soon(callback, *args, context=context)

    def continue_all(self) -> None:
        """Let every process go on."""
        for name in sorted(self._is_stopped):
            self.continue_process(name)

    def call_soon(  # type: ignore[override]  # the names of its type variables
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        where = contextvars.copy_context() if context is None else context
        if where.get(PROCESS, "") in self._is_stopped:
            self._stopped[where[PROCESS]].append((callback, args, where))
            handle = asyncio.Handle(callback, args, self, where)
            handle.cancel()
            return handle
        if isinstance(getattr(callback, "__self__", None), asyncio.Task):
            late = self._chance.random() * STEP_SECONDS_MAX
            return self.call_at(self._now + late, self._step, callback, args, where, context=where)
        return super().call_soon(callback, *args, context=where)

    def _step(self, callback: Callable[..., Any], args: tuple[Any, ...], where: contextvars.Context) -> None:
        """Run a task's step, unless its process was stopped while it was ready."""
        if where.get(PROCESS, "") in self._is_stopped:
            self._stopped[where[PROCESS]].append((callback, args, where))
        else:
            callback(*args)

    def _pass(self, seconds: float) -> None:
        self._now += max(0.0, seconds)

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **given: Any
    ) -> asyncio.Task[Any]:
        # A task that is stopped for ever is kept: what would tidy it up is no part of the history.
        task = asyncio.Task(work, loop=loop, **given)
        if len(self.made) >= TASKS_KEPT:
            self.made = [one for one in self.made if not one.done()]
        self.made.append(task)
        return task


def run_in_virtual_time(seed: object, work: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run one history to its end, and give what it gives."""
    loop = VirtualLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work(loop))
    finally:
        _tidy_up(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _tidy_up(loop: VirtualLoop) -> None:
    """End what still runs: it is no part of the history any more."""
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.continue_all()
    for _round in range(20):
        pending = sorted(
            (task for task in asyncio.all_tasks(loop) if not task.done()), key=lambda one: one.get_name()
        )
        if not pending:
            return
        for task in pending:
            task.cancel()
        loop.run_until_complete(_pause())


async def _pause() -> None:
    await asyncio.sleep(1.0)
