"""
Give the desk a new master key while it runs.

The new key stands in the state folder's file beside the former one before a row is touched, and the former one goes
only after every row was opened without it. So the file opens every row at any moment, and a rotation that was killed
is finished by the next, which makes no other key before.
"""

import base64
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pregao.accounts.sealing import SealError
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.journal import Journal, desk_id
from pregao.edges.postgres.pool import AWAY
from pregao.edges.processes.state import write_settings
from pregao.edges.vault.envelope import KEY_BYTES, EnvelopeVault, MasterKeys, master_key_name
from pregao.edges.vault.key_file import keys_of
from pregao.settings import load_master_keys

PRESENT, FORMER = "PREGAO_MASTER_KEY", "PREGAO_FORMER_MASTER_KEYS"
BATCH = 500  # accounts in one transaction: short enough that nobody waits for it
LIVING = "SELECT worker_id FROM workers WHERE lease_until > clock_timestamp() ORDER BY worker_id"
WORKER = re.compile(r"[a-z]+-(?P<host>.+)-(?P<pid>\d+)")


class RotationError(Exception):
    """The master key was not changed, or not wholly; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What was done; keys by their names."""

    master_key: str
    former: tuple[str, ...]
    is_new: bool  # False: an earlier rotation was finished, and no other key was made
    rewrapped: int
    opened: int  # accounts whose credentials were opened under the new key alone
    unreadable: tuple[int, ...]  # accounts that no key opened before either, left as they were
    is_forgotten: bool


async def rotate_master_key(
    journal: Journal,
    *,
    state_dir: Path,
    keep_former: bool = False,
    leave_unreadable: bool = False,
    file_is_shared: bool = False,
) -> Rotation:
    """
    Make a new master key, put every account's data key under it, and forget the former one.

    :raises RotationError: when the key is not the file's, another rotation runs, or something does not open.
    :raises SettingError: when the file has no usable keys.
    """
    _refuse_environment({name for name, value in os.environ.items() if value})
    async with _alone(journal):
        await _refuse_strangers(journal, file_is_shared=file_is_shared)
        desk = await desk_id(journal)
        keys = keys_of(load_master_keys(state_dir))

        def under(keys: MasterKeys) -> PostgresCredentials:
            vault = EnvelopeVault(keys.present, former_keys=keys.former, desk_id=desk)
            return PostgresCredentials(journal.pool, vault=vault)

        unreadable = await under(keys).find_unreadable()
        if unreadable and not leave_unreadable:
            raise RotationError(
                f"CREDENTIALS_UNREADABLE: accounts={_listed(unreadable)}. No key at hand opens them, so nothing was "
                f"changed. Give their key in {FORMER}, or leave them as they are with --leave-unreadable."
            )
        is_new = not keys.former
        if is_new:
            keys = MasterKeys(os.urandom(KEY_BYTES), former=(keys.present,))
            write_settings(state_dir / "env", _settings_of(keys))
        former = tuple(master_key_name(key) for key in keys.former)
        both, present = under(keys), under(MasterKeys(keys.present))
        with _nothing_lost():
            rewrapped = await _rewrap(both, leave=unreadable)
            if not keep_former:
                rewrapped += await both.retire(former, leave=unreadable)
        still = set(await present.find_unreadable()) - set(unreadable)
        if still:
            raise RotationError(
                f"ROTATION_UNFINISHED: accounts={_listed(sorted(still))} do not open under the new key alone. Both "
                "keys stay in the file, nothing is lost; run it again."
            )
        if not keep_former:
            write_settings(state_dir / "env", _settings_of(MasterKeys(keys.present)))
        accounts: int = await journal.pool.fetchval("SELECT count(*) FROM credentials")
    return Rotation(
        master_key=master_key_name(keys.present),
        former=former,
        is_new=is_new,
        rewrapped=rewrapped,
        opened=accounts - len(unreadable),
        unreadable=tuple(unreadable),
        is_forgotten=not keep_former,
    )


async def _rewrap(credentials: PostgresCredentials, *, leave: Collection[int]) -> int:
    rewrapped, last = 0, 0
    while True:
        done = await credentials.rewrap_some(after=last, limit=BATCH, leave=leave)
        rewrapped += done.rewrapped
        if done.last is None:
            return rewrapped
        last = done.last


@contextlib.contextmanager
def _nothing_lost() -> Iterator[None]:
    try:
        yield
    except SealError as error:
        raise RotationError(f"{error} Both keys stay in the file, nothing is lost; run it again.") from error


def _settings_of(keys: MasterKeys) -> dict[str, str | None]:
    former = ",".join(base64.b64encode(key).decode() for key in keys.former)
    return {PRESENT: base64.b64encode(keys.present).decode(), FORMER: former or None}


@contextlib.asynccontextmanager
async def _alone(journal: Journal) -> AsyncIterator[None]:
    async with journal.pool.acquire() as connection:
        # Of the session: it ends with us, however we end.
        if not await connection.fetchval("SELECT pg_try_advisory_lock(7234005)"):
            raise RotationError("ROTATION_RUNNING: another rotation is at work; wait until it has ended.")
        try:
            yield
        finally:
            with contextlib.suppress(*AWAY):
                await connection.execute("SELECT pg_advisory_unlock(7234005)")


# Who would not follow ------------------------------------------------------------------------------------------


def _refuse_environment(environment: Collection[str], *, whose: str = "this command") -> None:
    given = [name for name in (PRESENT, FORMER) if name in environment]
    if given:
        raise RotationError(
            f"MASTER_KEY_IN_ENVIRONMENT: names={','.join(given)} of={whose}. The environment comes before the file, so "
            "nobody would follow. Rotate by hand, process by process: docs/runbook/rotate-master-key.md."
        )


async def _refuse_strangers(journal: Journal, *, file_is_shared: bool) -> None:
    """Traders must find the new key where they look: in this file, and not in their own environment."""
    for row in await journal.pool.fetch(LIVING):
        worker = WORKER.fullmatch(row["worker_id"])
        if worker is not None and worker["host"] == socket.gethostname():
            _refuse_environment(_environment_of(int(worker["pid"])), whose=row["worker_id"])
        elif not file_is_shared:
            raise RotationError(
                f"MASTER_KEY_ELSEWHERE: worker={row['worker_id']} runs on another machine and has a file of its own. "
                "Rotate by hand (docs/runbook/rotate-master-key.md), or say --file-is-shared if it reads this very file."
            )


def _environment_of(pid: int) -> set[str]:
    # Linux tells what a process was started with; where nobody tells, the process is taken to read the file.
    try:
        told = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return set()
    pairs = (pair.partition(b"=") for pair in told.split(b"\0"))
    return {name.decode(errors="replace") for name, _, value in pairs if value}


def _listed(accounts: Collection[int]) -> str:
    shown = ",".join(str(account) for account in sorted(accounts)[:20])
    return shown if len(accounts) <= 20 else f"{shown},… ({len(accounts)} in all)"
