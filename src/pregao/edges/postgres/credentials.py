"""
The sealed credentials: the one table that is no part of the journal, so that they can be forgotten.

What is stored here opens with the master key only, which is never in the database. Nothing is written under a master
key that was retired: a process that has not heard of a rotation must not seal what nobody can open.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from pregao.accounts.sealing import Credentials, KeyRetiredError, SealedCredentials, SealError, Vault
from pregao.edges.postgres.rows import to_value

# Whoever writes shares the lock; whoever retires a key has it alone, and sees every row there is.
WRITING = "SELECT pg_advisory_xact_lock_shared(7234004)"
RETIRING = "SELECT pg_advisory_xact_lock(7234004)"

KEEP = """
INSERT INTO credentials (account_id, sealed, wrapped_key, master_key)
SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM retired_master_keys WHERE master_key = $4)
ON CONFLICT (account_id) DO UPDATE
SET sealed = excluded.sealed, wrapped_key = excluded.wrapped_key, master_key = excluded.master_key,
    sealed_at = excluded.sealed_at
RETURNING account_id
"""
IS_RETIRED = "SELECT EXISTS (SELECT FROM retired_master_keys WHERE master_key = $1)"
RETIRE = """
INSERT INTO retired_master_keys (master_key) SELECT unnest($1::text[]) ON CONFLICT (master_key) DO NOTHING
"""

FIND = (
    "SELECT account_id, sealed, wrapped_key, master_key FROM credentials WHERE account_id = ANY($1::bigint[])"
)

TO_REWRAP = """
SELECT account_id, sealed, wrapped_key, master_key FROM credentials
WHERE master_key <> $1 AND account_id > $2 ORDER BY account_id LIMIT $3 FOR UPDATE
"""

PAGE = """
SELECT account_id, sealed, wrapped_key, master_key FROM credentials
WHERE account_id > $1 ORDER BY account_id LIMIT $2
"""

REWRAP = """
UPDATE credentials SET wrapped_key = new.wrapped_key, master_key = $3
FROM unnest($1::bigint[], $2::bytea[]) AS new (account_id, wrapped_key)
WHERE credentials.account_id = new.account_id
"""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many accounts were rewrapped, and the last one looked at; None when there was none left."""

    rewrapped: int
    last: int | None


def retired(master_key: str) -> KeyRetiredError:
    """Give the refusal to write under a master key that was retired."""
    return KeyRetiredError(
        f"MASTER_KEY_RETIRED: master_key={master_key}. It was forgotten after a rotation; give this process the "
        "present PREGAO_MASTER_KEY."
    )


async def keep(connection: Any, account_id: int, sealed: SealedCredentials) -> None:
    """
    Keep an account's sealed credentials in the connection's open transaction, in place of former ones.

    :raises KeyRetiredError: when they were sealed under a master key that was retired.
    """
    await connection.execute(WRITING)
    kept = await connection.fetchval(KEEP, account_id, sealed.sealed, sealed.wrapped_key, sealed.master_key)
    if kept is None:
        raise retired(sealed.master_key)


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
            await self._write_under_present(connection)
            return (await self._rewrap(connection, after=0, limit=None)).rewrapped

    async def rewrap_some(self, *, after: int, limit: int, leave: Collection[int] = ()) -> "Rewrapped":
        """
        Do it for the next accounts after ``after``, in a transaction of their own.

        :raises SealError: when one cannot be opened that is not to be left as it is.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await self._write_under_present(connection)
            return await self._rewrap(connection, after=after, limit=limit, leave=leave)

    async def retire(self, former: Sequence[str], *, leave: Collection[int] = ()) -> int:
        """
        Rewrap what is still under another master key while nobody else writes, and let nobody seal under ``former``.

        :raises SealError: when one cannot be opened that is not to be left as it is; then nothing is retired.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(RETIRING)
            done = await self._rewrap(connection, after=0, limit=None, leave=leave)
            await connection.execute(RETIRE, [name for name in former if name != self._vault.master_key])
            return done.rewrapped

    async def find_unreadable(self, *, page: int = 1_000) -> list[int]:
        """Try every account's credentials, and give the accounts whose cannot be opened."""
        unreadable, last = [], 0
        while rows := await self._pool.fetch(PAGE, last, page):
            for row in rows:
                try:
                    self._unseal(row)
                except SealError:
                    unreadable.append(row["account_id"])
            last = rows[-1]["account_id"]
        return unreadable

    async def _write_under_present(self, connection: Any) -> None:
        await connection.execute(WRITING)
        if await connection.fetchval(IS_RETIRED, self._vault.master_key):
            raise retired(self._vault.master_key)

    async def _rewrap(
        self, connection: Any, *, after: int, limit: int | None, leave: Collection[int] = ()
    ) -> "Rewrapped":
        present = self._vault.master_key
        rows = await connection.fetch(TO_REWRAP, present, after, limit)
        wrapped = {
            row["account_id"]: self._vault.rewrap(
                to_value(row, SealedCredentials), account_id=row["account_id"]
            ).wrapped_key
            for row in rows
            if row["account_id"] not in leave
        }
        await connection.execute(REWRAP, list(wrapped), list(wrapped.values()), present)
        return Rewrapped(len(wrapped), last=rows[-1]["account_id"] if rows else None)

    def _unseal(self, row: Mapping[str, Any]) -> Credentials:
        return self._vault.unseal(to_value(row, SealedCredentials), account_id=row["account_id"])
