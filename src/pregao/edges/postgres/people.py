"""Users as admins list them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.user import Role, User
from pregao.edges.postgres.rows import to_value
from pregao.edges.postgres.sorting import fetch_lines
from pregao.views.people import UserLine
from pregao.views.sorting import OLDEST_FIRST, USER_FIELDS, Shape

USERS = """
SELECT u.*,
       (SELECT count(*)::int FROM accounts AS a WHERE a.user_id = u.user_id) AS accounts,
       (SELECT count(*)::int FROM subscriptions AS s JOIN accounts AS a USING (account_id)
        WHERE a.user_id = u.user_id AND s.status = 'active') AS active_subscriptions,
       (SELECT max(created_at) FROM sessions AS l WHERE l.user_id = u.user_id) AS last_login_at,
       (SELECT second_factor_since FROM passwords AS p WHERE p.user_id = u.user_id) AS second_factor_since
FROM users AS u
"""


class PostgresPeople:
    """The port `views.people.People`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def users(
        self,
        *,
        role: Role | None,
        is_active: bool | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[UserLine]:
        rows = await fetch_lines(
            self._pool,
            f"{USERS} WHERE ($1::text IS NULL OR u.role = $1) AND ($2::boolean IS NULL OR u.is_active = $2)",
            role,
            is_active,
            shape=shape,
            fields=USER_FIELDS,
            columns={},
            key="user_id::uuid",
            after=after,
            searched=("name", "email", "role"),
            limit=limit,
        )
        return [_user(row) for row in rows]

    async def find_user(self, user_id: UUID) -> UserLine | None:
        row = await self._pool.fetchrow(f"{USERS} WHERE u.user_id = $1", user_id)
        return None if row is None else _user(row)


def _user(row: Any) -> UserLine:
    return UserLine(
        user=to_value(row, User),
        accounts=row["accounts"],
        active_subscriptions=row["active_subscriptions"],
        last_login_at=row["last_login_at"],
        second_factor_since=row["second_factor_since"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
