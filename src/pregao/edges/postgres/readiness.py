"""
What an exit asks of the database, or an order, asked about nothing: the real one finds each statement prepared.

Stops fire seldom. A statement that is new to its connection costs as much again as it takes, and so does one whose tables were
vacuumed or analyzed since: PostgreSQL throws its plan away, on every connection. And a connection's first row in a table costs
twice and three times what the next ones do: so each trades for nobody once, and takes it back.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.folds.orders import INSERT_EXITS_OF_CLAIMS, NO_ORDERS
from pregao.edges.postgres.folds.stops import CLAIM, WRITE_STOPS
from pregao.edges.postgres.guards import GUARDS
from pregao.edges.postgres.journal import APPEND, Connection
from pregao.edges.postgres.nobody import Nobody, taken_back
from pregao.edges.postgres.watches import ARMED_OF, LOCK_OURS

# A process that begins on a busy machine pauses between two statements, and holds nothing up.
MAY_PAUSE = "SET LOCAL idle_in_transaction_session_timeout = '30s'"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# A table is counted a moment before its plans are thrown away, and a connection may be busy just then.
LOOKS_AFTER_SWEEP = 3
# How often tables were analyzed or vacuumed, by hand and by itself.
SWEPT = """
SELECT sum(pg_stat_get_analyze_count(oid) + pg_stat_get_autoanalyze_count(oid)
           + pg_stat_get_vacuum_count(oid) + pg_stat_get_autovacuum_count(oid))::bigint
FROM pg_class WHERE relnamespace = current_schema::regnamespace AND relkind = 'r'
"""


async def _ask_nothing(_connection: asyncpg.Connection) -> None:
    """Be ready for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What is done for whoever seldom asks and must not wait then: so many connections are kept open, and asked first."""

    connections: int
    ask: Callable[[asyncpg.Connection], Awaitable[None]]
    is_planned_once: bool = False  # whatever its statements are asked with


NOT_READY = Readiness(connections=0, ask=_ask_nothing)


async def get_ready_to_plan(connection: asyncpg.Connection) -> None:
    """
    Write an order of nobody and take it back: the first of a signal does not wait until the types of its columns are known.

    Each connection asks the database for them once, which takes 5 ms.
    """
    async with taken_back(connection) as transaction:
        await connection.execute(MAY_PAUSE)
        await transaction.append([Nobody(connection).enters()])
        await transaction.flush()


async def get_ready_to_exit(connection: asyncpg.Connection) -> None:
    """Trade for nobody with every statement between a level that is reached and its exit, and take it back."""
    nobody = Nobody(connection)
    async with taken_back(connection) as transaction:
        await connection.execute(MAY_PAUSE)
        await _claim_nothing(connection)
        await transaction.append([nobody.enters(), *nobody.holds()])
        held = [nobody.position.position_id]
        books = PostgresBooks(connection)
        await books.lock_positions(held)
        await connection.fetch(ARMED_OF, held)
        await connection.fetch(GUARDS, held, [])
        await books.attempts_of_claims(held)
        await books.exit_scene([nobody.position], since=LONG_AGO)
        await connection.execute(WRITE_STOPS, "[]")
        await transaction.append([nobody.is_stopped()])
        await transaction.append([nobody.exits()])
        await transaction.flush()


class StayReady:
    """Plans again what PostgreSQL has thrown away, on the idle connections of one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Know nothing yet of what was swept."""
        self._pool = pool
        self._swept: int | None = None
        self._looks_due = 0

    async def look(self) -> None:
        """Plan again where a table was analyzed or vacuumed lately; ask one question where none was."""
        swept = await self._pool.fetchval(SWEPT)
        if swept != self._swept:
            self._swept, self._looks_due = swept, LOOKS_AFTER_SWEEP
        if self._looks_due:
            self._looks_due -= 1
            await stay_ready(self._pool)


async def stay_ready(pool: asyncpg.Pool) -> None:
    """
    Ask what a claim asks on the connections that are idle: what has lost its plan makes it now.

    One of them at least is left to whoever comes meanwhile, who would have to wait for a new one; the last one is taken when
    the others are back.
    """
    # Held together: the one given back last is the next to be given, so that another would be the same one again.
    async with AsyncExitStack() as at_last:
        async with AsyncExitStack() as held:
            while pool.get_idle_size() > 1:
                await _make_ready(await held.enter_async_context(pool.acquire()))
            if not pool.get_idle_size():
                return
            last = await at_last.enter_async_context(pool.acquire())
        await _make_ready(last)


async def _make_ready(connection: Connection) -> None:
    async with connection.transaction():
        await _claim_nothing(connection)


async def _claim_nothing(connection: Connection) -> None:
    books = PostgresBooks(connection)
    await connection.fetch(LOCK_OURS, [], [], "", 0)
    await books.exit_scene([], since=LONG_AGO)
    await connection.execute(CLAIM, "[]", "[]")
    await connection.execute(INSERT_EXITS_OF_CLAIMS, *NO_ORDERS, "[]")
    await connection.execute(APPEND, [], [], [], "[]")
