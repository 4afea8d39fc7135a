"""What a backup says of itself, and how one takes the place of the database: beside it first, then by its name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from pregao.edges.postgres.checks import mark_forgotten
from pregao.edges.postgres.journal import COMMAND_SECONDS_MAX
from pregao.edges.postgres.migrate import MIGRATIONS

FORMAT = 1
MAINTENANCE = "postgres"  # the database every server has, to make and rename others from
RESTORING, REPLACED = "_restoring", "_before_restore"
COUNT_SECONDS_MAX = 600.0

TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'pregao'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname
"""
ABOUT = """
SELECT (SELECT desk_id::text FROM desk) AS desk_id, (SELECT epoch FROM desk) AS epoch,
       (SELECT version_num FROM public.alembic_version) AS schema, current_setting('server_version') AS postgres,
       (SELECT max(seq) FROM journal) AS last_seq,
       (SELECT coalesce(jsonb_object_agg(master_key, accounts), '{}')::text
        FROM (SELECT master_key, count(*) AS accounts FROM credentials GROUP BY 1) AS keys) AS master_keys
"""
LIVING = "SELECT worker_id FROM workers WHERE lease_until > clock_timestamp() ORDER BY worker_id"
HOLDS = (
    "SELECT (SELECT count(*)::int FROM accounts) AS accounts, (SELECT count(*)::int FROM signals) AS signals"
)
# What was open when the backup was made is over: workers died, people come in anew.
FORGET_PRESENCE = "DELETE FROM leases; DELETE FROM workers; DELETE FROM sessions; DELETE FROM live_tickets"


class RestoreError(Exception):
    """A backup was not put in the database's place, which is as it was; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The database that is there now."""

    exists: bool
    desk_id: str | None = None
    epoch: int = 0
    accounts: int = 0
    signals: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost when another takes its place."""
        return not (self.accounts or self.signals)


@asynccontextmanager
async def open_snapshot(
    dsn: str, *, version: str, now: datetime
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Give a snapshot's name, good while this is open, and what it shows: whatever is written meanwhile is not in it."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "pregao"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            row = await connection.fetchrow(ABOUT, timeout=COUNT_SECONDS_MAX)
            assert row is not None, "one row"
            page = {"format": FORMAT, "made_at": now.isoformat(), "pregao": version, **row}
            page["master_keys"] = json.loads(page["master_keys"])
            yield snapshot, {**page, "rows": await _rows(connection)}
    finally:
        await connection.close()


def check_format(page: dict[str, Any]) -> None:
    """
    See that this version can read a backup.

    :raises RestoreError: when a later one wrote it.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if page.get("format") != FORMAT or page.get("schema") not in known:
        raise RestoreError(
            f"BACKUP_TOO_NEW: schema={page.get('schema')} version={page.get('pregao')}. Update the desk to that version first."
        )


async def look_at_present(dsn: str) -> Present:
    """
    Look at the database that a backup would replace.

    :raises RestoreError: when somebody works with it.
    """
    try:
        connection = await asyncpg.connect(dsn, server_settings={"search_path": "pregao"})
    except asyncpg.InvalidCatalogNameError:
        return Present(exists=False)
    try:
        if await connection.fetchval("SELECT to_regclass('pregao.desk')") is None:
            return Present(exists=True)
        if living := [row["worker_id"] for row in await connection.fetch(LIVING)]:
            raise RestoreError(
                f"DESK_RUNNING: workers={','.join(living)}. Stop the desk first; whoever died lets go within ten seconds."
            )
        desk = await connection.fetchrow("SELECT desk_id::text, epoch FROM desk")
        return Present(exists=True, **desk, **await connection.fetchrow(HOLDS))
    finally:
        await connection.close()


async def make_beside(dsn: str) -> str:
    """
    Make an empty database beside this one, in place of what a restore that failed has left there; give its address.

    :raises RestoreError: when the role may not.
    """
    name = database_of(dsn)
    async with _administering(dsn) as admin:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}{RESTORING}" WITH (FORCE)')
        try:
            await admin.execute(f'CREATE DATABASE "{name}{RESTORING}" TEMPLATE template0')
        except asyncpg.InsufficientPrivilegeError as denied:
            raise RestoreError(
                "RESTORE_FORBIDDEN: the role may not make a database. `ALTER ROLE … CREATEDB`, then again."
            ) from denied
    return with_database(dsn, f"{name}{RESTORING}")


async def check_rows(beside: str, page: dict[str, Any]) -> None:
    """
    See that what was loaded is what the backup says.

    :raises RestoreError: when it is not.
    """
    connection = await asyncpg.connect(beside, server_settings={"search_path": "pregao"})
    try:
        found = await _rows(connection)
    finally:
        await connection.close()
    wrong = [name for name in {*found, *page["rows"]} if found.get(name) != page["rows"].get(name)]
    if wrong:
        raise RestoreError(f"BACKUP_INCOMPLETE: tables={','.join(sorted(wrong))}. The backup is not whole.")


async def finish(beside: str, *, present: Present) -> int:
    """
    Begin an epoch, and doubt every account until it was compared with its venue; give how many there are.

    The epoch is later than that of the database it replaces, so that no reader takes the one for the other.
    """
    connection = await asyncpg.connect(beside, server_settings={"search_path": "pregao"})
    try:
        async with connection.transaction():
            await connection.execute("UPDATE desk SET epoch = greatest(epoch, $1)", present.epoch)
            await connection.execute("SELECT begin_epoch()")
            await connection.execute(FORGET_PRESENCE)
            return await mark_forgotten(connection)
    finally:
        await connection.close()


async def swap(dsn: str, *, present: Present) -> str | None:
    """
    Give the new database the old one's name, at one stroke; give what the old one is called now.

    :raises RestoreError: when somebody is connected to one of them.
    """
    name = database_of(dsn)
    async with _administering(dsn) as admin:
        if present.exists:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}{REPLACED}" WITH (FORCE)')
        try:
            async with admin.transaction():
                if present.exists:
                    await admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}{REPLACED}"')
                await admin.execute(f'ALTER DATABASE "{name}{RESTORING}" RENAME TO "{name}"')
        except asyncpg.ObjectInUseError as busy:
            raise RestoreError(
                f"DATABASE_BUSY: database={name}. Somebody is connected to it; end that first."
            ) from busy
    return f"{name}{REPLACED}" if present.exists else None


def database_of(dsn: str) -> str:
    """Give the name of the database in an address."""
    return urlsplit(dsn).path.lstrip("/")


def with_database(dsn: str, name: str) -> str:
    """Give the address of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@asynccontextmanager
async def _administering(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(with_database(dsn, MAINTENANCE), command_timeout=COUNT_SECONDS_MAX)
    try:
        yield connection
    finally:
        await connection.close(timeout=COMMAND_SECONDS_MAX)


async def _rows(connection: asyncpg.Connection) -> dict[str, int]:
    return {
        row["relname"]: await connection.fetchval(
            f"SELECT count(*) FROM pregao.{row['relname']}", timeout=COUNT_SECONDS_MAX
        )
        for row in await connection.fetch(TABLES)
    }
