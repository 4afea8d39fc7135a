"""One process that is kept running: started, watched, started again with back-off, stopped in order."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from pregao import rehearsal

PR_SET_NAME = 15  # Linux: what `top` shows
PR_SET_PDEATHSIG = 1  # Linux: the signal a process gets when its parent dies, kill -9 included
BACKOFF_SECONDS = (0.05, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
HEALTHY_SECONDS = 10.0  # alive for so long, the back-off starts from the beginning
LINE_LENGTH_MAX = 4000  # characters of a stray line that are kept

Say = Callable[..., None]
"""Logs an event: its name, then keys."""


class Process(Protocol):
    """A process of ours, started or forked."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        ...

    async def wait(self) -> int:
        """Return its exit code when it has ended."""
        ...

    def send_signal(self, signal: int, /) -> None:
        """Send it a signal."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


def die_with_parent(death_signal: signal.Signals, *, nicer: int = 0) -> Callable[[], None] | None:
    """
    Give a `preexec_fn` that ends the new process when this one dies in whatever way; ``nicer`` lets others go first.

    The process must be started from the main thread: the kernel means the thread, not the process.
    """
    if sys.platform != "linux":
        return partial(os.nice, nicer) if nicer else None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def before_exec() -> None:
        os.nice(nicer)
        _tie(prctl, parent, death_signal)

    return before_exec


def tie_to(parent: int, death_signal: signal.Signals) -> None:
    """End this process when its parent dies in whatever way; where the system cannot, it lives on."""
    if sys.platform == "linux":
        _tie(ctypes.CDLL(None).prctl, parent, death_signal)


def name_process(name: str) -> None:
    """Have lists of processes show this one by another name than its command's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


def _tie(prctl: Callable[..., object], parent: int, death_signal: signal.Signals) -> None:
    prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), death_signal)


async def start_process(
    command: Sequence[str],
    *,
    output: int,
    environment: dict[str, str],
    death_signal: signal.Signals,
    nicer: int = 0,
    **options: Any,
) -> asyncio.subprocess.Process:
    """Start a process in a session of its own, its output on the file descriptor ``output``, bound to our life."""
    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the others in order
        preexec_fn=die_with_parent(death_signal, nicer=nicer),
        **options,
    )


class Lines:
    """A pipe that processes write to, read line by line on the running loop."""

    def __init__(self, line_said: Callable[[str], None]) -> None:
        self._line_said = line_said
        self._reading, self.writing = os.pipe()
        self._rest = b""
        os.set_blocking(self._reading, False)
        asyncio.get_running_loop().add_reader(self._reading, self._read)

    def close(self) -> None:
        os.close(self.writing)
        asyncio.get_running_loop().remove_reader(self._reading)
        self._read()
        os.close(self._reading)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reading, 65536):
                *lines, rest = (self._rest + chunk).split(b"\n")
                self._rest = rest[:LINE_LENGTH_MAX]
                for line in lines:
                    self._line_said(line[:LINE_LENGTH_MAX].decode(errors="replace"))


class Child:
    """A process under supervision. `keep` runs until `stop`."""

    def __init__(
        self,
        role: str,
        start: Callable[[int], Awaitable[Process]],
        *,
        say: Say,
        line_said: Callable[[str], None],
        changed: Callable[[], None],
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
        stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),),
    ) -> None:
        self.role = role
        self.restarts = 0
        self.since: str | None = None
        self.process: Process | None = None
        self._start = start
        self._say = say
        self._lines = Lines(line_said)
        self._changed = changed
        self._backoff_seconds = backoff_seconds
        self._stop_signals = stop_signals
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.returncode is None else None

    def described(self) -> dict[str, Any]:
        return {"role": self.role, "pid": self.pid, "restarts": self.restarts, "since": self.since}

    async def start(self) -> None:
        """Start it for the first time, and keep it from now on. A first start that fails is raised."""
        await self._begin()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.role}")

    async def stop(self) -> None:
        """End it: each stop signal with its grace in seconds, then kill."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.process is not None:
            await self._end(self.process)
        self._lines.close()
        self._changed()

    async def _end(self, process: Process) -> None:
        for stop_signal, grace_seconds in self._stop_signals:
            if process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace_seconds)
        if process.returncode is None:
            self._say("supervisor.stop.killed", role=self.role, pid=process.pid)
            process.kill()
        await process.wait()
        self._say("supervisor.role.stopped", role=self.role, exit_code=process.returncode)

    async def _begin(self) -> None:
        self.process = await self._start(self._lines.writing)
        self.since = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._say("supervisor.role.started", role=self.role, pid=self.pid, restarts=self.restarts)
        self._changed()

    async def _keep(self) -> None:
        while True:
            assert self.process is not None
            began = time.monotonic()
            await self.process.wait()
            self._changed()
            rehearsal.reach("supervisor.role.ended")
            if time.monotonic() - began >= HEALTHY_SECONDS:
                self._failures = 0
            await self._begin_again(exit_code=self.process.returncode)

    async def _begin_again(self, *, exit_code: int | None) -> None:
        while True:
            delay = self._backoff_seconds[min(self._failures, len(self._backoff_seconds) - 1)]
            self._failures += 1
            self._say("supervisor.role.ended", role=self.role, exit_code=exit_code, restart_in_seconds=delay)
            await asyncio.sleep(delay)
            self.restarts += 1
            try:
                await self._begin()
                return
            except Exception as error:
                self._say("supervisor.role.start_failed", role=self.role, reason=str(error))
                exit_code = None
