"""
Connections that tell whoever used them what ended their work, and nothing of the tidying behind it.

A block that ends rolls its transaction back and gives its connection back. Where the server is frozen or gone that fails, too,
and asyncpg lets its error take the place of what ended the block. In place of a cancellation, that is fatal: a loop that waits
for its database takes it for one more error of a database that is away, and goes on for ever instead of ending.
"""

import asyncio
from types import TracebackType
from typing import Any

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

QUERIES_MAX = 50_000  # of one connection; then another takes its place
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a database that is away raises; the internal one where a connection ends while it is being used."""

log = structlog.get_logger()


class CalmTransaction(Transaction):
    """A transaction that failed says why, whether or not it can still be rolled back: the server does that with the connection."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        reason: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, reason, trace)
        except AWAY as trouble:
            if kind is None:
                raise
            log.debug("postgres.rollback.failed", error=type(trouble).__name__)


class CalmConnection(asyncpg.Connection):
    """A connection whose transactions are calm."""

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> CalmTransaction:
        """Give a transaction, or a savepoint inside of one."""
        return CalmTransaction(self, isolation, readonly, deferrable)


class CalmPool(asyncpg.Pool):
    """A pool that takes connections back without a word: one that cannot be used any more is ended, and nobody waits for it."""

    async def connect_alone(self) -> asyncpg.Connection:
        """Give a connection that is not of the pool: nobody else can be in its user's way, who ends it."""
        return await self._get_new_connection()

    async def release(self, connection: PoolConnectionProxy, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncpg's
        """Take a connection back; whatever happens to it is not its last user's trouble."""
        try:
            await super().release(connection, timeout=timeout)
        except AWAY as trouble:
            log.debug("postgres.release.failed", error=type(trouble).__name__)


async def create_pool(dsn: str, *, min_size: int, max_size: int, **settings: Any) -> CalmPool:
    """Open a calm pool; the settings are asyncpg's."""
    pool = CalmPool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        max_queries=QUERIES_MAX,
        max_inactive_connection_lifetime=settings.pop("max_inactive_connection_lifetime", 300.0),
        loop=asyncio.get_running_loop(),
        connection_class=CalmConnection,
        record_class=asyncpg.Record,
        **settings,
    )
    await pool
    return pool
