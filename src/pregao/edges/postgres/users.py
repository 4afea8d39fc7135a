"""The book of users, as admins and the users themselves change it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg

from pregao.accounts.enroll import email_taken
from pregao.domain.facts import Fact, UserConfigured
from pregao.domain.user import User
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value

KEEP = """
INSERT INTO passwords (user_id, password_hash, changed_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = excluded.changed_at
"""

END_SESSIONS = """
UPDATE sessions SET expires_at = $2
WHERE user_id = $1 AND expires_at > $2 AND ($3::uuid IS NULL OR session_id <> $3)
"""

REVOKE_TOKENS = "UPDATE api_tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL"


class PostgresUserBooks:
    """Opens books over the journal."""

    def __init__(self, journal: Journal) -> None:
        """Write to ``journal``."""
        self._journal = journal

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresUserBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            yield PostgresUserBook(transaction)


class PostgresUserBook:
    """The port `accounts.ports.UserBook`, over one open transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Read under ``transaction`` and append to it."""
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_user(self, user_id: UUID) -> User | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM users WHERE user_id = $1 FOR NO KEY UPDATE", user_id
        )
        return None if row is None else to_value(row, User)

    async def find_user_at(self, email: str) -> User | None:
        row = await self._connection.fetchrow("SELECT * FROM users WHERE email = $1", email)
        return None if row is None else to_value(row, User)

    async def keep_password(self, user_id: UUID, password_hash: str, *, now: datetime) -> None:
        await self._connection.execute(KEEP, user_id, password_hash, now)

    async def end_sessions(self, user_id: UUID, *, now: datetime, but: UUID | None = None) -> None:
        await self._connection.execute(END_SESSIONS, user_id, now, but)

    async def revoke_tokens(self, user_id: UUID, *, now: datetime) -> None:
        await self._connection.execute(REVOKE_TOKENS, user_id, now)

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        try:
            await self._transaction.append(kept)
        except asyncpg.UniqueViolationError as violation:
            emails = [fact.user.email for fact in kept if isinstance(fact, UserConfigured)]
            if violation.constraint_name == "users_email_key" and emails:
                raise email_taken(emails[0]) from violation
            raise
