"""
What makes users' codes, and recovery codes: no part of the journal, so that they can be forgotten.

Secrets are sealed in the table of credentials, under numbers of the accounts' own, so that they go with every rotation of
the master key. Whether a second factor counts stands beside the password, in the row that a login locks.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from pregao.accounts.sealing import Credentials, SealedCredentials, Vault
from pregao.accounts.second_factor import WRONG_CODES_MAX, WRONG_CODES_WINDOW
from pregao.accounts.sessions import HalfLogin, SecondFactor, SecondFactorRule
from pregao.domain.facts import SecondFactorDemanded
from pregao.domain.user import Role
from pregao.edges.postgres.credentials import keep
from pregao.edges.postgres.journal import Connection, Journal
from pregao.edges.postgres.rows import to_value

FIND = """
SELECT f.user_id, f.sealed_id, f.begun_at, f.last_step, c.sealed, c.wrapped_key, c.master_key
FROM second_factors AS f JOIN credentials AS c ON c.account_id = f.sealed_id
WHERE f.user_id = $1
"""

# Whoever turns it on or off holds the row that a login shares, so that none begins under what was.
LOCK = "SELECT second_factor_since FROM passwords WHERE user_id = $1 FOR NO KEY UPDATE"
SET_SINCE = "UPDATE passwords SET second_factor_since = $2 WHERE user_id = $1"

BEGIN = """
INSERT INTO second_factors (user_id, sealed_id, begun_at, last_step, tries, tries_since)
VALUES ($1, nextval('account_ids'), $2, 0, 0, $2)
ON CONFLICT (user_id) DO UPDATE SET begun_at = excluded.begun_at, last_step = 0
RETURNING sealed_id
"""
TAKE_FIRST = """
UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND begun_at = $3 RETURNING user_id
"""
# Counted before anybody looks whether the code is right: a hundred at the same moment are a hundred.
TRY = """
UPDATE second_factors SET tries = CASE WHEN tries_since > $2::timestamptz - $4::interval THEN tries + 1 ELSE 1 END,
       tries_since = CASE WHEN tries > 0 AND tries_since > $2::timestamptz - $4::interval THEN tries_since ELSE $2 END
WHERE user_id = $1 AND (tries < $3 OR tries_since <= $2::timestamptz - $4::interval) RETURNING user_id
"""
TRIES_SINCE = "SELECT tries_since FROM second_factors WHERE user_id = $1"
TAKE_STEP = """
UPDATE second_factors SET last_step = $2, tries = greatest(tries - 1, 0) WHERE user_id = $1 AND last_step < $2
RETURNING user_id
"""
TAKE_CODE = """
UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_sha256 = $2 AND used_at IS NULL RETURNING user_id
"""
FORGET_CODES = "DELETE FROM recovery_codes WHERE user_id = $1"
KEEP_CODES = "INSERT INTO recovery_codes (user_id, code_sha256) SELECT $1, unnest($2::text[])"
LEFT = "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL"
FORGET = "DELETE FROM second_factors WHERE user_id = $1 RETURNING sealed_id"
FORGET_SECRET = "DELETE FROM credentials WHERE account_id = $1"  # noqa: S105  # a statement
END_OTHERS = """
UPDATE sessions SET expires_at = $2 WHERE user_id = $1 AND expires_at > $2 AND session_id IS DISTINCT FROM $3
"""

KEEP_HALF = """
WITH forgotten AS (DELETE FROM half_logins WHERE expires_at < $4::timestamptz - interval '1 hour')
INSERT INTO half_logins (ticket_sha256, email, password_hash, expires_at) VALUES ($1, $2, $3, $4)
"""
FIND_HALF = "SELECT * FROM half_logins WHERE ticket_sha256 = $1 AND expires_at > $2"


class PostgresSecondFactors:
    """The port `accounts.ports.SecondFactors`."""

    def __init__(self, pool: asyncpg.Pool, *, vault: Vault) -> None:
        """Use ``pool``, whose search path must be our schema; seal with ``vault``."""
        self._pool = pool
        self._vault = vault

    async def find(self, user_id: UUID) -> SecondFactor | None:
        row = await self._pool.fetchrow(FIND, user_id)
        if row is None:
            return None
        opened = self._vault.unseal(to_value(row, SealedCredentials), account_id=row["sealed_id"])
        return SecondFactor(
            user_id=user_id, secret=opened.secret, begun_at=row["begun_at"], last_step=row["last_step"]
        )

    async def begin(self, user_id: UUID, secret: str, *, now: datetime) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetchrow(LOCK, user_id)
            if locked is None or locked["second_factor_since"] is not None:
                return False
            sealed_id = await connection.fetchval(BEGIN, user_id, now)
            kept = Credentials(key="second factor", secret=secret)
            await keep(connection, sealed_id, self._vault.seal(kept, account_id=sealed_id))
        return True

    async def confirm(
        self,
        factor: SecondFactor,
        *,
        step: int,
        codes_sha256: Collection[str],
        but: UUID | None,
        now: datetime,
    ) -> bool:
        user_id = factor.user_id
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetchrow(LOCK, user_id)
            if locked is None or locked["second_factor_since"] is not None:
                return False
            if await connection.fetchval(TAKE_FIRST, user_id, step, factor.begun_at) is None:
                return False
            await connection.execute(SET_SINCE, user_id, now)
            await _keep_codes(connection, user_id, codes_sha256)
            await connection.execute(END_OTHERS, user_id, now, but)
        return True

    async def try_code(self, user_id: UUID, *, now: datetime) -> datetime | None:
        if await self._pool.fetchval(TRY, user_id, now, WRONG_CODES_MAX, WRONG_CODES_WINDOW) is not None:
            return None
        since: datetime | None = await self._pool.fetchval(TRIES_SINCE, user_id)
        return None if since is None else since + WRONG_CODES_WINDOW

    async def take_step(self, user_id: UUID, step: int) -> bool:
        return await self._pool.fetchval(TAKE_STEP, user_id, step) is not None

    async def take_recovery_code(self, user_id: UUID, code_sha256: str, *, now: datetime) -> bool:
        return await self._pool.fetchval(TAKE_CODE, user_id, code_sha256, now) is not None

    async def renew_recovery_codes(self, user_id: UUID, codes_sha256: Collection[str]) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetchrow(LOCK, user_id)
            if locked is None or locked["second_factor_since"] is None:
                return False
            await _keep_codes(connection, user_id, codes_sha256)
        return True

    async def recovery_codes_left(self, user_id: UUID) -> int:
        left: int = await self._pool.fetchval(LEFT, user_id)
        return left

    async def forget(self, user_id: UUID) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetchrow(LOCK, user_id)
            await connection.execute(SET_SINCE, user_id, None)
            await connection.execute(FORGET_CODES, user_id)
            sealed_id = await connection.fetchval(FORGET, user_id)
            await connection.execute(FORGET_SECRET, sealed_id)
        return locked is not None and locked["second_factor_since"] is not None

    async def keep_half(self, half: HalfLogin) -> None:
        await self._pool.execute(
            KEEP_HALF, half.ticket_sha256, half.email, half.password_hash, half.expires_at
        )

    async def find_half(self, ticket_sha256: str, *, now: datetime) -> HalfLogin | None:
        row = await self._pool.fetchrow(FIND_HALF, ticket_sha256, now)
        return None if row is None else to_value(row, HalfLogin)

    async def end_half(self, ticket_sha256: str) -> None:
        await self._pool.execute("DELETE FROM half_logins WHERE ticket_sha256 = $1", ticket_sha256)


async def _keep_codes(connection: Connection, user_id: UUID, codes_sha256: Collection[str]) -> None:
    await connection.execute(FORGET_CODES, user_id)
    await connection.execute(KEEP_CODES, user_id, list(codes_sha256))


class PostgresSecondFactorRules:
    """The port `accounts.ports.SecondFactorRules`."""

    def __init__(self, journal: Journal) -> None:
        """Write through ``journal``."""
        self._journal = journal

    async def rule(self) -> SecondFactorRule:
        row = await self._journal.pool.fetchrow("SELECT role, set_by, set_at FROM second_factor_rules")
        if row is None:
            return SecondFactorRule(role=None, set_by="", set_at=None)
        role = None if row["role"] is None else Role(row["role"])
        return SecondFactorRule(role=role, set_by=row["set_by"], set_at=row["set_at"])

    async def set_rule(self, role: Role | None, *, set_by: str, reason: str, now: datetime) -> None:
        async with self._journal.transaction() as transaction:
            await transaction.append(
                [SecondFactorDemanded(happened_at=now, role=role, set_by=set_by, reason=reason)]
            )
