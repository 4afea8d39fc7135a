"""Computing beside one's own work, in a few processes that come with the first question and end with whoever asked."""

import asyncio
import importlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from pregao.edges.processes.child import tie_to
from pregao.edges.redis_store import ClientMissingError, share_what_is_computed
from pregao.environment import Secret

PROCESSES_MAX = 2  # what computes is given of the machine
NO_CACHE = Secret("")

Compute: TypeAlias = Callable[..., Any]

log = structlog.get_logger()


@asynccontextmanager
async def computing(*, cache_url: Secret = NO_CACHE) -> AsyncIterator[Compute]:
    """Give what runs a function with its arguments in another process; ``cache_url`` is the Redis they share, if any."""
    pool: ProcessPoolExecutor | None = None

    async def compute(function: Callable[..., Any], *asked: Any) -> Any:
        nonlocal pool
        if pool is None:
            pool = ProcessPoolExecutor(
                PROCESSES_MAX,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(cache_url.reveal(),),
            )
        mine = pool
        try:
            return await asyncio.wrap_future(mine.submit(function, *asked))
        except BrokenProcessPool:
            # One of them was killed, most likely for its memory: whoever asks next has new ones.
            log.warning("computing.processes.lost")
            if pool is mine:
                pool = None
            raise

    try:
        yield compute
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def find_predictors(folder: Path) -> Any:
    """Give the models of a folder; called in the process that asks them, where their libraries are loaded."""
    return importlib.import_module("pregao.edges.model_files.store").ModelFolder(folder)


def share_computed(cache_url: str) -> None:
    """Share what this process computes; one that cannot computes for itself, and its log says why."""
    try:
        share_what_is_computed(cache_url)
    except ClientMissingError as missing:
        log.warning("lab.cache.unusable", problem=str(missing))


def _begin(cache_url: str) -> None:
    _end_with_whoever_asked()
    share_computed(cache_url)


def _end_with_whoever_asked() -> None:
    """A process that is killed ends nobody; its pool would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None, "it was started by one"
    tie_to(parent.pid or os.getppid(), signal.SIGKILL)
