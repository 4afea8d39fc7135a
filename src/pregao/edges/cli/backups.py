"""How a backup is made while the desk runs, and put back while it does not; `pregao db` has the words."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pregao.edges.postgres.backup import (
    Present,
    check_format,
    check_rows,
    finish,
    look_at_present,
    make_beside,
    open_snapshot,
    swap,
)
from pregao.edges.postgres.migrate import migrate
from pregao.edges.processes.alone import database_alone
from pregao.edges.processes.backup import Told, load_dump, read_manifest, write_backup
from pregao.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back, and where what was there before is."""

    made_at: str
    desk_id: str
    accounts: int  # that are compared before anything opens there
    replaced: str | None  # the database that was there
    is_other_desk: bool  # it was another desk's


async def make_backup(path: Path, *, dsn: str, version: str, now: datetime, told: Told) -> dict[str, Any]:
    """Write the database to a file as one moment shows it, whatever is written meanwhile; give the file's page."""
    async with open_snapshot(dsn, version=version, now=now) as (snapshot, manifest):
        await asyncio.to_thread(write_backup, path, dsn=dsn, snapshot=snapshot, manifest=manifest, told=told)
    return manifest


async def restore_backup(
    path: Path, *, dsn: str, page: dict[str, Any], confirmed: Callable[[Present], None], told: Told
) -> Restored:
    """
    Fill a database beside the one that is there, bring it to this version, and give it the other's name.

    ``confirmed`` is shown what would be replaced, and raises when nobody wants that.
    """
    check_format(page)
    present = await look_at_present(dsn)
    confirmed(present)
    beside = await make_beside(dsn)
    await asyncio.to_thread(load_dump, path, dsn=beside, told=told)
    await check_rows(beside, page)
    await asyncio.to_thread(migrate, beside)  # it runs a loop of its own
    accounts = await finish(beside, present=present)
    replaced = await swap(dsn, present=present)
    return Restored(
        made_at=page["made_at"],
        desk_id=page["desk_id"],
        accounts=accounts,
        replaced=replaced,
        is_other_desk=present.desk_id not in (None, page["desk_id"]),
    )


async def read_backup(path: Path, *, told: Told) -> dict[str, Any]:
    """Give a backup's page, every byte of it seen."""
    return await asyncio.to_thread(read_manifest, path, told=told)


@asynccontextmanager
async def stopped_database(settings: Settings) -> AsyncIterator[str]:
    """Give the address of the database of a desk that is stopped; the embedded one is started for it."""
    if not settings.database_embedded:
        yield settings.database_url
        return
    async with database_alone(settings.state_dir, settings.database_password.reveal()) as dsn:
        yield dsn


def unknown_keys(page: dict[str, Any], *, known: set[str]) -> dict[str, int]:
    """Give the master keys that accounts of the backup are sealed under and this machine has not, with how many."""
    return {name: count for name, count in (page.get("master_keys") or {}).items() if name not in known}
