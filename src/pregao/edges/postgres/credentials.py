"""
The sealed credentials: the one table that is no part of the journal, so that they can be forgotten.

What is stored here opens with the master key only, which is never in the database.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg

from pregao.accounts.sealing import Credentials, SealedCredentials, Vault
from pregao.edges.postgres.rows import to_value

KEEP = """
INSERT INTO credentials (account_id, sealed, wrapped_key, master_key) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE
SET sealed = excluded.sealed, wrapped_key = excluded.wrapped_key, master_key = excluded.master_key,
    sealed_at = excluded.sealed_at
"""

FIND = (
    "SELECT account_id, sealed, wrapped_key, master_key FROM credentials WHERE account_id = ANY($1::bigint[])"
)

TO_REWRAP = """
SELECT account_id, sealed, wrapped_key, master_key FROM credentials
WHERE master_key <> $1 ORDER BY account_id FOR UPDATE
"""

REWRAP = """
UPDATE credentials SET wrapped_key = new.wrapped_key, master_key = $3
FROM unnest($1::bigint[], $2::bytea[]) AS new (account_id, wrapped_key)
WHERE credentials.account_id = new.account_id
"""


class PostgresCredentials:
    """The credentials of the desk's accounts, opened by its vault."""

    def __init__(self, pool: asyncpg.Pool, *, vault: Vault) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool
        self._vault = vault

    async def find_credentials(self, account_id: int) -> Credentials | None:
        """
        Give the account's credentials, opened.

        :raises SealError: when they cannot be opened.
        """
        row = await self._pool.fetchrow(FIND, [account_id])
        return None if row is None else self._unseal(row)

    async def rewrap(self) -> int:
        """
        Put every account's data key under the present master key; say how many were under another. All or none.

        :raises SealError: when one cannot be opened; then none was changed.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(TO_REWRAP, self._vault.master_key)
            wrapped = [
                self._vault.rewrap(to_value(row, SealedCredentials), account_id=row["account_id"]).wrapped_key
                for row in rows
            ]
            await connection.execute(
                REWRAP, [row["account_id"] for row in rows], wrapped, self._vault.master_key
            )
        return len(rows)

    def _unseal(self, row: Mapping[str, Any]) -> Credentials:
        return self._vault.unseal(to_value(row, SealedCredentials), account_id=row["account_id"])
