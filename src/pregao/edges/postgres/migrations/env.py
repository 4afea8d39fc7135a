"""Alembic's entry: one connection, one transaction, limits on waiting."""

import asyncio

from alembic import context
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK_TIMEOUT_MS = 5_000  # a migration that waits for a lock stops the desk behind it: give up, try again
STATEMENT_TIMEOUT_MS = 60_000


def _run(connection: Connection) -> None:
    context.configure(connection=connection, version_table="alembic_version", transactional_ddl=True)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
        # Two starters at once: the second waits here and then finds nothing to do.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7234001)")
        context.run_migrations()


async def _migrate() -> None:
    engine = create_async_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_migrate())
