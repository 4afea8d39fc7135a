"""
What only a rehearsal may do to a process of the desk: end or freeze it at a named point, and step its clock.

Nothing is switched on unless PREGAO_REHEARSAL names a folder and the state folder is marked as a rehearsal's own.
Standard library only: the supervisor has points too.
"""

import mmap
import os
import signal
import struct
from datetime import timedelta
from pathlib import Path

FOLDER = "PREGAO_REHEARSAL"
MARK = "rehearsal"  # the file that marks a state folder as a rehearsal's own

POINTS = {
    "web.signal.received": "a signal is read, and not written",
    "web.signal.committed": "a signal is committed, its sender not answered",
    "trader.signal.claimed": "a trader has claimed signals, and decided nothing",
    "trader.attempts.written": "orders and attempts are written, not committed",
    "trader.attempts.committed": "orders and attempts are committed, none has left",
    "trader.part.written": "a further part of a signal's orders is written, not committed",
    "trader.part.committed": "a further part of a signal's orders is committed, none of it has left",
    "trader.order.leaving": "an order is about to leave",
    "trader.order.answered": "the venue has answered an order, and nothing of that is written",
    "trader.outcome.written": "what became known is written, not committed",
    "trader.fill.told": "a fill is told, and not booked",
    "trader.order.asked": "the venue has said what became of an order, and nothing of that is written",
    "trader.gap.asked": "a trader is about to learn what a gap of a stream hides",
    "stops.claim.written": "claims are written, not committed",
    "stops.claim.committed": "claims are committed, and no exit of theirs has left",
    "stops.place.before_wire": "a protective order is about to leave",
    "stops.place.after_wire": "the venue has answered a protective order, and nothing of that is written",
    "stops.leave.after_cancel": "protective orders of a flat position are taken back, and nothing of that is written",
    "runner.step.taken": "a step has given its facts, and they are not written",
    "supervisor.role.ended": "a role has ended, and is not started again",
}
"""Where a process can be ended or frozen on purpose: the name, and what stands there."""

KILL = "kill"  # the process ends as with kill -9
STOP = "stop"  # the process is stopped until whoever set the trap lets it go on

CLOCK_BYTES = 8  # seconds ahead, as a double
_NOT_AT_ALL = timedelta()


class RehearsalRefusedError(ValueError):
    """The environment asks for a rehearsal on a desk that is none."""


class _Rehearsal:
    """The folder shared with whoever rehearses: what is reached is written there, traps are found there."""

    def __init__(self, folder: Path) -> None:
        self._traps = folder / "traps"
        self._sprung = folder / "sprung"
        self._reached = os.open(folder / "reached", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        descriptor = os.open(folder / "clock", os.O_RDONLY)
        self._clock = mmap.mmap(descriptor, CLOCK_BYTES, access=mmap.ACCESS_READ)
        os.close(descriptor)

    def reach(self, point: str) -> None:
        assert point in POINTS, point
        os.write(self._reached, f"{point}\n".encode())
        sprung = self._sprung / f"{point}.{os.getpid()}"
        try:
            (self._traps / point).rename(sprung)  # of several processes one finds it
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL if sprung.read_text() == KILL else signal.SIGSTOP)

    def seconds_ahead(self) -> float:
        seconds: float = struct.unpack_from("d", self._clock)[0]
        return seconds


_rehearsal: _Rehearsal | None = None


def begin(state_dir: Path) -> None:
    """
    Take part in the rehearsal that the environment names, or in none.

    :raises RehearsalRefusedError: when the state folder is not marked as a rehearsal's own.
    """
    global _rehearsal
    folder = os.environ.get(FOLDER, "")
    if not folder:
        return
    if not (state_dir / MARK).is_file():
        raise RehearsalRefusedError(
            f"REHEARSAL_REFUSED: state_dir={state_dir}. {FOLDER} ends processes on purpose; unset it. "
            "Only `pregao prove` sets it, for a desk of its own."
        )
    _rehearsal = _Rehearsal(Path(folder))


def reach(point: str) -> None:
    """Come to a named point: in normal life nothing happens."""
    if _rehearsal is not None:
        _rehearsal.reach(point)


def ahead() -> timedelta:
    """Give how far the clock of this process has been stepped: in normal life not at all."""
    return _NOT_AT_ALL if _rehearsal is None else timedelta(seconds=_rehearsal.seconds_ahead())


def prepare(folder: Path) -> None:
    """Make the folder that processes share with whoever rehearses."""
    for part in ("traps", "sprung"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "reached").touch(mode=0o600)
    step_clock(folder, seconds=0.0)


def set_trap(folder: Path, point: str, *, act: str) -> None:
    """Let the next process that comes to the point be ended or stopped there."""
    assert point in POINTS, point
    draft = folder / f"{point}.draft"
    draft.write_text(act)
    draft.rename(folder / "traps" / point)


def take_trap(folder: Path, point: str) -> None:
    """Take a trap back that nobody came to."""
    (folder / "traps" / point).unlink(missing_ok=True)


def find_sprung(folder: Path, point: str) -> int | None:
    """Give the process that came to the trap, once, or None while nobody has."""
    for sprung in (folder / "sprung").glob(f"{point}.*"):
        pid = int(sprung.name.rpartition(".")[2])
        sprung.unlink()
        return pid
    return None


def times_reached(folder: Path) -> dict[str, int]:
    """Give how often each point was come to."""
    reached = (folder / "reached").read_text().split()
    return {point: reached.count(point) for point in POINTS}


def step_clock(folder: Path, *, seconds: float) -> None:
    """Let the clock of every process that takes part be so many seconds ahead; negative: behind."""
    descriptor = os.open(folder / "clock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, struct.pack("d", seconds), 0)  # the file stays: processes have it mapped
    finally:
        os.close(descriptor)
