"""
A backup as one file: what PostgreSQL's own tools wrote, and a page that says what it must be.

The file is a ZIP of `database.dump`, which `pg_restore` reads, and `manifest.json` with its size and SHA-256.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pregao.edges.processes.postgres import wheel_binaries
from pregao.edges.processes.state import StartError

DUMP, MANIFEST = "database.dump", "manifest.json"
CHUNK_BYTES = 1 << 20
MANIFEST_BYTES_MAX = 1 << 20
SAID_LINES = 5  # of what a tool said, the last

Told = Callable[[int], None]
"""Is told how many bytes more are done."""


class BackupError(Exception):
    """A backup was not made or put back; the text says why and what to do."""


def write_backup(path: Path, *, dsn: str, snapshot: str, manifest: Mapping[str, Any], told: Told) -> None:
    """
    Write what a snapshot of the database shows; the file is there when it is whole, and its owner's alone.

    :raises BackupError: when there is such a file already, or the tool failed; then there is none.
    """
    if path.exists():
        raise BackupError(f"BACKUP_EXISTS: file={path}. Name another file; a backup is never written over.")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # the dump is compressed already
                page = {**manifest, **_dump(archive, dsn=dsn, snapshot=snapshot, told=told)}
                archive.writestr(MANIFEST, json.dumps(page, indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it writes over nothing
    except FileExistsError:
        raise BackupError(f"BACKUP_EXISTS: file={path}. Name another file.") from None
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_manifest(path: Path, *, told: Told) -> dict[str, Any]:
    """
    Give a backup's page, once every byte of the dump was seen to be what it says.

    :raises BackupError: when it is no backup, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES_MAX:
                raise BackupError(f"BACKUP_UNREADABLE: file={path}. It is no backup of a desk.")
            page: dict[str, Any] = json.loads(archive.read(MANIFEST))
            with archive.open(DUMP) as dump:
                found = _digest(dump, told=told)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BackupError(
            f"BACKUP_UNREADABLE: file={path} reason={type(error).__name__}. It is no backup of a desk, or damaged."
        ) from error
    if found != (page.get("dump_bytes"), page.get("dump_sha256")):
        raise BackupError(f"BACKUP_DAMAGED: file={path}. The dump in it is not the one that was written.")
    return page


def load_dump(path: Path, *, dsn: str, told: Told) -> None:
    """
    Fill an empty database with the dump of a backup.

    :raises BackupError: when the tool failed; what is in the database then is not whole.
    """
    command = [
        tool("pg_restore"),
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        f"--dbname={_without_password(dsn)}",
    ]
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(DUMP) as dump,
        _running(command, dsn=dsn, stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None, "asked for"
        try:
            for chunk in _chunks(dump, told=told):
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and says why


def tool(name: str) -> str:
    """
    Find one of PostgreSQL's tools: the one that came with the desk, else the machine's.

    :raises BackupError: when there is none.
    """
    try:
        beside = wheel_binaries() / name
        if beside.exists():
            return str(beside)
    except StartError:
        pass
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"TOOL_MISSING: tool={name}. Install PostgreSQL's client tools.")
    return found


def _dump(archive: zipfile.ZipFile, *, dsn: str, snapshot: str, told: Told) -> dict[str, Any]:
    command = [
        tool("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}",
        f"--dbname={_without_password(dsn)}",
    ]  # fmt: skip
    digest, size = hashlib.sha256(), 0
    with (
        archive.open(DUMP, "w", force_zip64=True) as dump,
        _running(command, dsn=dsn, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None, "asked for"
        for chunk in _chunks(process.stdout, told=told):
            dump.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return {"dump_bytes": size, "dump_sha256": digest.hexdigest()}


@contextmanager
def _running(
    command: list[str], *, dsn: str, stdin: int | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a tool; the password goes by its environment, which others cannot read."""
    password = urlsplit(dsn).password
    environment = {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, env=environment, stdin=stdin, stdout=stdout, stderr=said) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()[-SAID_LINES:]
            name = Path(command[0]).name
            raise BackupError(f"TOOL_FAILED: tool={name} exit_code={process.returncode}. {' '.join(lines)}")


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}@{place}" if name else place))


def _digest(dump: IO[bytes], *, told: Told) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(dump, told=told):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _chunks(stream: IO[bytes], *, told: Told) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk
        told(len(chunk))
