"""The state folder as processes share it: its lock, its small files, what runs."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LOCK_TRIES = 5  # `run.py --status-only` looks at the lock by taking it for an instant
LOCK_RETRY_SECONDS = 0.1


class StartError(Exception):
    """The desk cannot start; the text says which stage failed, why, and what to do."""


@contextlib.contextmanager
def lock_state(state_dir: Path) -> Iterator[None]:
    """
    Hold the state folder as its only supervisor, and leave the process id in `supervisor.pid`.

    The lock belongs to the process and not to the file, so a kill -9 frees it.

    :raises StartError: when another supervisor holds it.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "supervisor.pid", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, state_dir)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state_dir: Path) -> None:
    for left in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if left == 0:
                pid = os.pread(descriptor, 20, 0).decode().strip()
                raise StartError(
                    f"ALREADY_RUNNING: state_dir={state_dir} pid={pid}. Stop it first with `python run.py --stop`."
                ) from None
            time.sleep(LOCK_RETRY_SECONDS)


def find_number(path: Path) -> int | None:
    """Give the number a small file holds, or None when there is no such file."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new one, never half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o600)
    draft.replace(path)


def write_settings(path: Path, values: Mapping[str, str | None]) -> None:
    """
    Write settings into the file `env`, or take out those whose value is None; every other line stays as it is.

    Whoever reads, and whatever power cut comes, finds the old file or the new one. It stays its owner's alone.
    """
    path = path.resolve()  # a link to a file kept elsewhere stays one
    owner = path.stat()
    left = dict(values)
    lines = []
    for line in path.read_text().splitlines():
        name = line.partition("=")[0].strip().removeprefix("export ").strip()
        if name not in values:
            lines.append(line)
        elif (value := left.pop(name, None)) is not None:
            lines.append(f"{name}={value}")
    lines += [f"{name}={value}" for name, value in left.items() if value is not None]
    draft = path.with_name(
        ".env.new"
    )  # run.py's name too: what a killed writer left is overwritten by the next
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fsync(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_processes(
    state_dir: Path, *, stage: str, host: str, port: int, processes: Sequence[dict[str, Any]]
) -> None:
    """Say in `processes.json` how far the start came, where we listen and what runs; `run.py` reads it."""
    page = {
        "stage": stage,
        "supervisor": os.getpid(),
        "host": host,
        "port": port,
        "processes": list(processes),
    }
    replace_text(state_dir / "processes.json", json.dumps(page, indent=1) + "\n")


def find_listening(state_dir: Path) -> tuple[str, int] | None:
    """Give the host and port where this folder's desk said last that it listens, or None."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        page = json.loads((state_dir / "processes.json").read_text())
        return str(page["host"]), int(page["port"])
    return None


def is_wanted(state_dir: Path, role: str) -> bool:
    """Say whether somebody wants a role that is not always there."""
    return (state_dir / "wanted" / role).exists()


def set_wanted(state_dir: Path, role: str, *, wanted: bool) -> None:
    """Say whether a role that is not always there is wanted; the supervisor looks four times a second."""
    path = state_dir / "wanted" / role
    if wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    else:
        path.unlink(missing_ok=True)
