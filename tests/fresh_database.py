"""
A database for every test, like the template and nobody else's.

One that comes back is emptied and given to the next test, because to copy the template takes many times as long. Who
changed more than rows has had it to himself: what it is made of is compared, and a changed one is dropped.
"""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.shared_database import connected, with_database

# What this database is made of, whatever rows it holds and wherever they lie: of each catalog how many rows it has, and how many of
# them are younger than the transaction $1. Of classes, which change when a table is emptied too, what matters.
CATALOGS = (
    "pg_namespace", "pg_proc", "pg_type", "pg_trigger", "pg_constraint", "pg_rewrite", "pg_attrdef", "pg_sequence", "pg_index",
    "pg_extension", "pg_attribute",
)  # fmt: skip
SHAPE = f"""
SELECT concat_ws(' ', {
    ", ".join(
        f"(SELECT count(*) || '/' || count(*) FILTER (WHERE age(xmin) < age($1::text::xid)) FROM {name})"
        for name in CATALOGS
    )
}, (
    SELECT md5(string_agg(t::text, '' ORDER BY oid)) FROM (
        SELECT oid, relname, relnamespace, relkind, relowner, relacl, reloptions, relpersistence, relrowsecurity,
            relispartition, relpartbound FROM pg_class WHERE oid >= 16384) AS t
), (
    SELECT string_agg(t::text, '' ORDER BY setrole) FROM pg_db_role_setting AS t
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
))
"""
TABLES_USED = """
SELECT format('%I.%I', nspname, relname) AS name
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid >= 16384 AND relkind = 'r' AND pg_relation_size(pg_class.oid) > 0
"""
# On a server of somebody else's we may not be allowed to pass by the journal's guards.
LOOK = f"""
SELECT ({SHAPE}) AS shape, has_parameter_privilege('session_replication_role', 'SET') AS may_empty,
    ARRAY({TABLES_USED}) AS used
"""
# Statements that bring a table's rows back, and a sequence to where it stands.
ROWS = """
SELECT 'INSERT INTO {0} OVERRIDING SYSTEM VALUE ' || string_agg(format('SELECT (%L::{0}).*', t), ' UNION ALL ') FROM {0} AS t
"""
NUMBER = "SELECT format('SELECT setval(%L, %s, %L)', '{0}', last_value, is_called) FROM {0}"
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


async def let_go() -> None:
    """End the connections that are kept from test to test."""
    for copies in _copies.values():
        await copies.close()


class Copies:
    """The copies of a template that this process has made: those that came back wait to be emptied and taken again."""

    def __init__(self, dsn: str, template: str) -> None:
        self._dsn = dsn
        self._template = template
        self._waiting: list[str] = []
        self._origin: Origin | None = None
        self._admin: Any = None  # kept: to connect takes as long as all that is said over it

    async def take(self) -> str:
        while self._waiting:
            name = self._waiting.pop()
            if await self._empty(name):
                return name
            await (await self._connected()).execute(f"DROP DATABASE {name} WITH (FORCE)")
        name = _new_name()
        await (await self._connected()).execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        if self._origin is None:
            async with connected(with_database(self._dsn, name)) as connection:
                self._origin = await read_origin(connection)
        return name

    async def give_back(self, name: str) -> None:
        """End whoever is still connected; whoever knows only this name finds nothing from now on."""
        later = _new_name()
        admin = await self._connected()
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.fetch(TERMINATE, name)
        await admin.execute(
            f"ALTER DATABASE {name} RENAME TO {later}; ALTER DATABASE {later} ALLOW_CONNECTIONS true"
        )
        self._waiting.append(later)

    async def close(self) -> None:
        if self._admin is not None:
            await self._admin.close()
            self._admin = None

    async def _connected(self) -> Any:
        if self._admin is None or self._admin.is_closed():
            self._admin = await asyncpg.connect(self._dsn)
        return self._admin

    async def _empty(self, name: str) -> bool:
        assert self._origin is not None, "read from the first copy"
        async with connected(with_database(self._dsn, name)) as connection:
            found = await connection.fetchrow(LOOK, self._origin.transaction)
            if found["shape"] != self._origin.shape or not found["may_empty"]:
                return False
            await restore(connection, self._origin, used=found["used"])
            return True


@dataclass(frozen=True)
class Origin:
    """What a copy is like before anybody has used it."""

    transaction: str  # nothing it is made of is younger
    shape: str
    tables: list[str]  # that have rows
    filling: str  # what brings these back, and every sequence to where it was


async def read_origin(connection: Any) -> Origin:
    transaction = await connection.fetchval("SELECT pg_current_xact_id()::xid::text")
    tables = [name for (name,) in await connection.fetch(TABLES_USED)]
    sequences = [
        name for (name,) in await connection.fetch("SELECT seqrelid::regclass::text FROM pg_sequence")
    ]
    filling = [
        *[await connection.fetchval(ROWS.format(table)) for table in tables],
        *[await connection.fetchval(NUMBER.format(sequence)) for sequence in sequences],
    ]
    shape = await connection.fetchval(SHAPE, transaction)
    return Origin(transaction, shape, tables, "; ".join(filling))


async def restore(connection: Any, origin: Origin, *, used: list[str]) -> None:
    """Bring rows, numbers and counters back to what they were; the shape must be the same."""
    await connection.execute(
        f"""
        BEGIN;
        SET LOCAL session_replication_role = replica;  -- the journal's guards sleep
        TRUNCATE {", ".join(sorted({*used, *origin.tables}))} CASCADE;
        {origin.filling};
        COMMIT;
        SELECT pg_stat_force_next_flush();  -- what this restored is counted before
        """
    )
    await connection.execute("SELECT pg_stat_reset()")


def _new_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"
