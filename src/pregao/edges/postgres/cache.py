"""What is remembered for a while, by all processes: the port `market.ports.Cache`. It may be lost at any time."""

from datetime import timedelta
from typing import Any

import msgspec

from pregao import tally
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import encode_json

PURGED_AT_ONCE = 1_000

PUT = """
INSERT INTO cache_entries (cache_key, cache_value, expires_at)
VALUES ($1, $2::text::jsonb, clock_timestamp() + $3::interval)
ON CONFLICT (cache_key) DO UPDATE
SET cache_value = excluded.cache_value, expires_at = excluded.expires_at, created_at = excluded.created_at
"""


class PostgresCache:
    """Entries by their key, each until its time has come by the database's clock."""

    def __init__(self, connection: Connection) -> None:
        """Keep them there; the search path must be our schema."""
        self._connection = connection

    async def get(self, key: str) -> Any:
        """Give what was put there last and has not expired; None where there is nothing."""
        found = await self._connection.fetchval(
            "SELECT cache_value::text FROM cache_entries WHERE cache_key = $1 AND expires_at > clock_timestamp()",
            key,
        )
        tally.count("deriv_bot_cache_operations_total", "get", "miss" if found is None else "hit")
        return None if found is None else msgspec.json.decode(found)

    async def put(self, key: str, value: Any, *, seconds: float) -> None:
        """Remember a value that JSON can hold; of two at once the later stands, whole."""
        await self._connection.execute(PUT, key, encode_json(value).decode(), timedelta(seconds=seconds))
        tally.count("deriv_bot_cache_operations_total", "set", "ok")

    async def purge(self) -> int:
        """Remove what has expired, some at a time; say how many."""
        removed: list[Any] = await self._connection.fetch(
            """
            DELETE FROM cache_entries WHERE cache_key IN (
                SELECT cache_key FROM cache_entries WHERE expires_at <= clock_timestamp() LIMIT $1
                FOR UPDATE SKIP LOCKED)
            RETURNING cache_key
            """,
            PURGED_AT_ONCE,
        )
        return len(removed)
