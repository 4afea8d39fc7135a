"""
Sessions and API tokens: no part of the journal, so that they can be forgotten.

Tokens are random and long; their SHA-256 is all that is kept. What ends one is seen by the next request: nothing of
this is remembered by a process.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.accounts.principal import Principal
from pregao.accounts.sessions import ApiToken, Login, Session
from pregao.domain.user import Role, User
from pregao.edges.postgres.rows import to_value, to_values

USE_NOTED_AFTER = timedelta(minutes=1)  # a request a second must not be a write a second
ENDED_KEPT = timedelta(days=30)  # an address somebody logged in from is his for so long

RANKS = "ARRAY[" + ", ".join(f"'{role}'" for role in Role) + "]"
LACKS = f"""
EXISTS (SELECT FROM second_factor_rules AS r WHERE array_position({RANKS}, u.role) >= array_position({RANKS}, r.role))
    AND NOT EXISTS (SELECT FROM passwords AS p WHERE p.user_id = u.user_id AND p.second_factor_since IS NOT NULL)
"""
FIND_PRINCIPAL = f"""
SELECT u.user_id, u.role, s.session_id, NULL::uuid AS token_id, '' AS name, s.last_used_at, {LACKS} AS lacks_second_factor
FROM sessions AS s JOIN users AS u USING (user_id)
WHERE s.token_sha256 = $1 AND s.expires_at > $2 AND u.is_active
UNION ALL
SELECT u.user_id, u.role, NULL, t.token_id, t.name, t.last_used_at, {LACKS}
FROM api_tokens AS t JOIN users AS u USING (user_id)
WHERE t.token_sha256 = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2) AND u.is_active
"""
NOTE_SESSION = "UPDATE sessions SET last_used_at = $2 WHERE session_id = $1 AND last_used_at < $2"
NOTE_PROGRAM = "UPDATE api_tokens SET last_used_at = $2 WHERE token_id = $1"

FIND_LOGIN = """
SELECT u.*, p.password_hash, p.second_factor_since
FROM users AS u JOIN passwords AS p USING (user_id) WHERE u.email = $1 AND u.is_active
"""

# The locks make a login wait for whoever changes the password, the second factor or the user just now, and then see
# it changed.
START_SESSION = """
INSERT INTO sessions (session_id, token_sha256, user_id, created_at, expires_at, last_used_at, source_address, user_agent)
SELECT $1, $2, u.user_id, $4, $5, $4, $6, $7
FROM users AS u JOIN passwords AS p USING (user_id)
WHERE u.user_id = $3 AND u.is_active AND p.password_hash = $8 AND ($9 OR p.second_factor_since IS NULL)
FOR SHARE OF u, p
RETURNING session_id
"""
FORGET_SESSIONS = "DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2"

KEEP = """
INSERT INTO api_tokens (token_id, user_id, name, token_sha256, created_at, expires_at)
SELECT $1, u.user_id, $3, $4, $5, $6 FROM users AS u WHERE u.user_id = $2 AND u.is_active FOR SHARE OF u
RETURNING token_id
"""

ADDRESSES = "SELECT DISTINCT source_address FROM sessions JOIN users USING (user_id) WHERE email = $1"

SESSIONS = "SELECT * FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY session_id DESC"
END_SESSION = """
UPDATE sessions SET expires_at = $3 WHERE session_id = $1 AND user_id = $2 AND expires_at > $3 RETURNING *
"""
END_OTHERS = """
UPDATE sessions SET expires_at = $2
WHERE user_id = $1 AND expires_at > $2 AND session_id IS DISTINCT FROM $3 RETURNING session_id
"""

TOKENS = "SELECT * FROM api_tokens WHERE user_id = $1 ORDER BY token_id DESC"
REVOKE = """
UPDATE api_tokens SET revoked_at = coalesce(revoked_at, $3) WHERE token_id = $1 AND user_id = $2 RETURNING *
"""


class PostgresLogins:
    """The port `accounts.ports.Logins`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_principal(self, token_sha256: str, *, now: datetime) -> Principal | None:
        row = await self._pool.fetchrow(FIND_PRINCIPAL, token_sha256, now)
        if row is None:
            return None
        if row["last_used_at"] is None or row["last_used_at"] < now - USE_NOTED_AFTER:
            if row["session_id"] is not None:
                await self._pool.execute(NOTE_SESSION, row["session_id"], now)
            else:
                await self._pool.execute(NOTE_PROGRAM, row["token_id"], now)
        return Principal(
            role=Role(row["role"]),
            label="session" if row["session_id"] is not None else f"token {row['name']}",
            user_id=row["user_id"],
            session_id=row["session_id"],
            lacks_second_factor=row["lacks_second_factor"],
        )

    async def find_login(self, email: str) -> Login | None:
        row = await self._pool.fetchrow(FIND_LOGIN, email)
        if row is None:
            return None
        return Login(
            user=to_value(row, User),
            password_hash=row["password_hash"],
            second_factor_since=row["second_factor_since"],
        )

    async def addresses_of(self, email: str) -> Sequence[str]:
        return [row["source_address"] for row in await self._pool.fetch(ADDRESSES, email)]

    async def start_session(
        self, session: Session, *, token_sha256: str, password_hash: str, has_code: bool
    ) -> bool:
        started = await self._pool.fetchval(
            START_SESSION,
            session.session_id,
            token_sha256,
            session.user_id,
            session.created_at,
            session.expires_at,
            session.source_address,
            session.user_agent,
            password_hash,
            has_code,
        )
        await self._pool.execute(FORGET_SESSIONS, session.user_id, session.created_at - ENDED_KEPT)
        return started is not None

    async def renew_password(self, user_id: UUID, *, former_hash: str, password_hash: str) -> None:
        await self._pool.execute(
            "UPDATE passwords SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2",
            user_id,
            former_hash,
            password_hash,
        )

    async def sessions(self, user_id: UUID, *, now: datetime) -> Sequence[Session]:
        return to_values(await self._pool.fetch(SESSIONS, user_id, now), Session)

    async def end_session(self, session_id: UUID, *, user_id: UUID, now: datetime) -> Session | None:
        row = await self._pool.fetchrow(END_SESSION, session_id, user_id, now)
        return None if row is None else to_value(row, Session)

    async def end_other_sessions(self, user_id: UUID, *, but: UUID | None, now: datetime) -> int:
        return len(await self._pool.fetch(END_OTHERS, user_id, now, but))

    async def tokens(self, user_id: UUID) -> Sequence[ApiToken]:
        return to_values(await self._pool.fetch(TOKENS, user_id), ApiToken)

    async def keep_token(self, token: ApiToken, *, token_sha256: str) -> bool:
        kept = await self._pool.fetchval(
            KEEP,
            token.token_id,
            token.user_id,
            token.name,
            token_sha256,
            token.created_at,
            token.expires_at,
        )
        return kept is not None

    async def revoke_token(self, token_id: UUID, *, user_id: UUID, now: datetime) -> ApiToken | None:
        row = await self._pool.fetchrow(REVOKE, token_id, user_id, now)
        return None if row is None else to_value(row, ApiToken)
