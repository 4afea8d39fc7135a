"""
A database for every test, like the template and nobody else's.

One that comes back is emptied and given to the next test, because to copy the template takes many times as long. Who
changed more than rows has had it to himself: what it is made of is compared, and a changed one is dropped.
"""

import contextlib
import io
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.shared_database import ask, connected, with_database

# Everything that was made in this database, whatever rows it holds and wherever they lie.
SHAPE = """
SELECT md5(string_agg(part, '')) FROM (
    SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_namespace t
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_proc t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_type t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_trigger t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_constraint t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_rewrite t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_attrdef t WHERE oid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY seqrelid) FROM pg_sequence t
    UNION ALL SELECT string_agg(t::text, '' ORDER BY indexrelid) FROM pg_index t WHERE indexrelid >= 16384
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM pg_extension t
    UNION ALL SELECT string_agg(t::text, '' ORDER BY setrole) FROM pg_db_role_setting t
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT string_agg(t::text, '' ORDER BY attrelid, attnum) FROM (
        SELECT attrelid, attnum, attname, atttypid, attnotnull, attisdropped, attacl, attoptions FROM pg_attribute
        WHERE attrelid >= 16384) AS t
    UNION ALL SELECT string_agg(t::text, '' ORDER BY oid) FROM (
        SELECT oid, relname, relnamespace, relkind, relowner, relacl, reloptions, relpersistence, relrowsecurity,
            relispartition, relpartbound FROM pg_class WHERE oid >= 16384) AS t
) AS parts (part)
"""
TABLES_USED = """
SELECT format('%I.%I', nspname, relname) AS name
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid >= 16384 AND relkind = 'r' AND pg_relation_size(pg_class.oid) > 0
"""
# On a server of somebody else's we may not be allowed to pass by the journal's guards.
MAY_EMPTY = "SELECT has_parameter_privilege('session_replication_role', 'SET')"
SET_SEQUENCES = """
SELECT setval(name::regclass, value, is_called)
FROM unnest($1::text[], $2::bigint[], $3::bool[]) AS sequence (name, value, is_called)
"""
TERMINATE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"

_numbers = itertools.count(1)
_copies: dict[tuple[str, str], "Copies"] = {}


@contextlib.asynccontextmanager
async def fresh_database(dsn: str, template: str) -> AsyncIterator[str]:
    """Give the address of a database like the template, under a name that is never used again."""
    copies = _copies.setdefault((dsn, template), Copies(dsn, template))
    name = await copies.take()
    yield with_database(dsn, name)
    await copies.give_back(name)


class Copies:
    """The copies of a template that this process has made: those that came back wait to be emptied and taken again."""

    def __init__(self, dsn: str, template: str) -> None:
        self._dsn = dsn
        self._template = template
        self._waiting: list[str] = []
        self._origin: Origin | None = None

    async def take(self) -> str:
        while self._waiting:
            name = self._waiting.pop()
            if await self._empty(name):
                return name
            await ask(self._dsn, f"DROP DATABASE {name} WITH (FORCE)")
        name = _new_name()
        await ask(self._dsn, f"CREATE DATABASE {name} TEMPLATE {self._template}")
        if self._origin is None:
            async with connected(with_database(self._dsn, name)) as connection:
                self._origin = await read_origin(connection)
        return name

    async def give_back(self, name: str) -> None:
        """End whoever is still connected; whoever knows only this name finds nothing from now on."""
        later = _new_name()
        async with connected(self._dsn) as admin:
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.fetch(TERMINATE, name)
            await admin.execute(f"ALTER DATABASE {name} RENAME TO {later}")
            await admin.execute(f"ALTER DATABASE {later} ALLOW_CONNECTIONS true")
        self._waiting.append(later)

    async def _empty(self, name: str) -> bool:
        assert self._origin is not None, "read from the first copy"
        async with connected(with_database(self._dsn, name)) as connection:
            if await connection.fetchval(SHAPE) != self._origin.shape:
                return False
            if not await connection.fetchval(MAY_EMPTY):
                return False
            await restore(connection, self._origin)
            return True


@dataclass(frozen=True)
class Origin:
    """What a copy is like before anybody has used it."""

    shape: str
    rows: dict[str, bytes]  # of the tables that have some
    sequences: list[tuple[str, int, bool]]  # name, last value, whether it was given


async def read_origin(connection: Any) -> Origin:
    rows = {}
    for table in await connection.fetch(TABLES_USED):
        rows[table["name"]] = await _copied(connection, table["name"])
    names = [row[0] for row in await connection.fetch("SELECT seqrelid::regclass::text FROM pg_sequence")]
    sequences = [
        (name, *await connection.fetchrow(f"SELECT last_value, is_called FROM {name}")) for name in names
    ]
    return Origin(await connection.fetchval(SHAPE), rows, sequences)


async def restore(connection: Any, origin: Origin) -> None:
    """Bring rows, numbers and counters back to what they were; the shape must be the same."""
    used = [table["name"] for table in await connection.fetch(TABLES_USED)]
    emptied = sorted({*used, *origin.rows})
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # the journal's guards sleep
        await connection.execute(f"TRUNCATE {', '.join(emptied)} CASCADE")
        for name, rows in origin.rows.items():
            schema, table = name.split(".")
            await connection.copy_to_table(
                table, schema_name=schema, source=io.BytesIO(rows), format="binary"
            )
        await connection.fetch(SET_SEQUENCES, *zip(*origin.sequences, strict=True))
    await connection.fetchval("SELECT pg_stat_force_next_flush()")  # what this restored is counted before
    await connection.execute("SELECT pg_stat_reset()")


async def _copied(connection: Any, table: str) -> bytes:
    rows = io.BytesIO()
    schema, name = table.split(".")
    await connection.copy_from_table(name, schema_name=schema, output=rows, format="binary")
    return rows.getvalue()


def _new_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"
