"""
What an exit asks of the database, asked once about nothing: the first real one finds each statement prepared and planned.

Stops fire seldom. A statement that is new to its connection costs as much again as it takes.
"""

from datetime import UTC, datetime

import asyncpg

from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.folds.orders import INSERT_EXITS_OF_CLAIMS, NO_ORDERS
from pregao.edges.postgres.folds.stops import CLAIM, WRITE_STOPS
from pregao.edges.postgres.guards import GUARDS
from pregao.edges.postgres.journal import APPEND
from pregao.edges.postgres.watches import ARMED_OF, STILL_OURS

NOBODY = 0
READY_SECONDS_MAX = (
    30  # a process that begins on a busy machine pauses between two statements, and holds nothing up
)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def get_ready(connection: asyncpg.Connection) -> None:
    """Ask and write nothing, with every statement between a level that is reached and its exit."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{READY_SECONDS_MAX}s'")
        await connection.fetch(STILL_OURS, [], "", 0)
        await connection.fetch(GUARDS, [], [])
        await connection.fetch(ARMED_OF, [])
        books = PostgresBooks(connection)
        await books.lock_positions([NOBODY])
        await books.exit_scene([], since=LONG_AGO)
        await books.attempts_of_claims([NOBODY])
        await connection.execute(CLAIM, "[]", "[]")
        await connection.execute(WRITE_STOPS, "[]")
        await connection.execute(INSERT_EXITS_OF_CLAIMS, *NO_ORDERS, "[]")
        await connection.execute(APPEND, [], [], [], "[]")
