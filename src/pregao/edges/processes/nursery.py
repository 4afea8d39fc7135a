"""
Where roles are born: one process has loaded what they need, and each is forked from it.

A role that was killed, or has lost its lease, is back in a few hundredths of a second instead of the second of processor time that its
modules take, several of which start at once where PostgreSQL was away; and what they have loaded is in memory once. The nursery
reads no settings, opens no connection and has no loop and no second thread: a fork has nothing to inherit but modules.

Its children end with it, and it ends with the supervisor.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pregao.edges.processes.child import name_process, start_process, tie_to
from pregao.edges.processes.sockets import LISTEN_FD

MODULE = "pregao.edges.processes.nursery"
READY_SECONDS_MAX = 30.0  # to load everything, on a busy machine; then roles are started without it
BORN_SECONDS_MAX = 5.0  # to fork: one that is frozen must not keep a role from starting
MESSAGE_BYTES_MAX = 1 << 17
DESCRIPTORS_MAX = 2


def is_possible() -> bool:
    """Say whether this system can tell of the end of a process that is not its parent's child."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class Newborn:
    """A process that the nursery has forked, as `asyncio.subprocess.Process` is one that was started."""

    def __init__(self, pid: int, *, handle: int) -> None:
        """``handle`` is its pidfd: what is sent to it reaches nobody who has its number later."""
        self.pid = pid
        self.returncode: int | None = None
        self._handle = handle
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Return its exit code when it has ended; negative: the signal that ended it."""
        await self._ended.wait()
        assert self.returncode is not None, "it has ended"
        return self.returncode

    def send_signal(self, number: int) -> None:
        """
        Send it a signal.

        :raises ProcessLookupError: when it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        """Note that it has ended."""
        if self.returncode is None:
            self.returncode = code
            os.close(self._handle)
            self._ended.set()

    def outlive_nursery(self) -> None:
        """Nobody tells its exit code any more; it was told to end with its parent."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self._handle)
            self.end(-signal.SIGTERM)

        loop.add_reader(self._handle, ended)


class Nursery:
    """The supervisor's end of it."""

    def __init__(
        self,
        *,
        roles: Collection[str],
        ready_seconds_max: float = READY_SECONDS_MAX,
        born_seconds_max: float = BORN_SECONDS_MAX,
    ) -> None:
        """Bear these roles, when it is opened."""
        self._roles = sorted(roles)
        self._ready_seconds_max = ready_seconds_max
        self._born_seconds_max = born_seconds_max
        self._line: socket.socket | None = None
        self._is_ready = False
        self._is_decided = asyncio.Event()  # it is ready, or will not be
        self._is_decided.set()  # nobody has opened it
        self._numbers = itertools.count(1)  # of what was asked
        self._expected: dict[int, asyncio.Future[Newborn]] = {}  # by that
        self._born: dict[int, Newborn] = {}

    async def open(self, output: int, *, environment: dict[str, str]) -> asyncio.subprocess.Process:
        """Start the process; it says when it is ready."""
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await start_process(
                [sys.executable, "-m", MODULE, str(theirs.fileno()), *self._roles],
                output=output,
                environment=environment,
                death_signal=signal.SIGTERM,
                pass_fds=(theirs.fileno(),),
            )
        ours.setblocking(False)
        self._line = ours
        self._is_decided.clear()
        asyncio.get_running_loop().add_reader(ours, self._read, ours)
        return process

    async def bear(
        self, role: str, *, output: int, environment: Mapping[str, str], listening: int | None
    ) -> Newborn | None:
        """Give the process of a role, with its socket; None where the nursery cannot."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ready_seconds_max):
                await self._is_decided.wait()
        if not self._is_ready or self._line is None:
            return None
        number = next(self._numbers)
        asked = {"number": number, "role": role, "environment": dict(environment)}
        descriptors = [output] if listening is None else [output, listening]
        born: asyncio.Future[Newborn] = asyncio.get_running_loop().create_future()
        self._expected[number] = born
        try:
            async with asyncio.timeout(self._born_seconds_max):
                socket.send_fds(self._line, [json.dumps(asked).encode()], descriptors)
                return await born
        except (OSError, TimeoutError):
            return None
        finally:
            self._expected.pop(number, None)

    def _read(self, line: socket.socket) -> None:
        try:
            text, descriptors, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, DESCRIPTORS_MAX)
        except BlockingIOError:
            return
        except OSError:
            text, descriptors = b"", []
        if not text:
            self.close()
            return
        told = json.loads(text)
        if "born" in told:
            newborn = Newborn(told["born"], handle=descriptors[0])
            self._born[newborn.pid] = newborn
            if (born := self._expected.get(told["number"])) is not None and not born.done():
                born.set_result(newborn)
            else:
                newborn.kill()  # nobody waits for it any more: another runs in its place
        elif "ended" in told:
            self._born.pop(told["ended"]).end(told["code"])
        else:
            self._is_ready = True
            self._is_decided.set()

    def close(self) -> None:
        """Hear nothing of it any more."""
        if self._line is None:
            return
        asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()
        self._line = None
        self._is_ready = False
        self._is_decided.set()
        for newborn in self._born.values():
            newborn.outlive_nursery()
        self._born.clear()
        for born in self._expected.values():
            if not born.done():
                born.set_exception(ConnectionResetError("the nursery has ended"))


# --- the process itself -----------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Load what the roles need, then fork one for each that is asked for; in the child, run it and give its exit code."""
    from pregao.edges.processes.serving import load_roles, serve  # noqa: PLC0415  # the supervisor loads none of it

    number, *roles = arguments
    line = socket.socket(fileno=int(number))
    load_roles(roles)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, lambda _number, _frame: _tell_ended(line))
    line.send(json.dumps({"ready": True}).encode())
    while True:
        text, descriptors, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, DESCRIPTORS_MAX)
        if not text:
            return 0  # the supervisor has gone
        asked = json.loads(text)
        nursery = os.getpid()
        # It may end before anybody knows that it was born.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _become(asked, line, descriptors, nursery=nursery)
            return serve(asked["role"])
        for descriptor in descriptors:
            os.close(descriptor)
        handle = os.pidfd_open(pid)
        socket.send_fds(line, [json.dumps({"born": pid, "number": asked["number"]}).encode()], [handle])
        os.close(handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _tell_ended(line: socket.socket) -> None:
    """Tell the exit code of each child that has ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            line.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _become(asked: Mapping[str, Any], line: socket.socket, descriptors: list[int], *, nursery: int) -> None:
    """Be a process that nobody could tell from one that was started for its role."""
    os.setsid()  # Ctrl-C reaches the supervisor, which stops the others in order
    tie_to(nursery, signal.SIGTERM)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    line.close()
    output, *listening = descriptors
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    if listening:
        os.environ[LISTEN_FD] = str(listening[0])
    name_process(f"pregao {asked['role']}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
