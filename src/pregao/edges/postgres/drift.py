"""Whether each account holds what the books say."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from pregao.edges.postgres.books import LIVE
from pregao.edges.postgres.rows import to_value
from pregao.views.drift import AccountDrift, Difference

ACCOUNTS = """
SELECT a.account_id, a.name AS account, a.venue, c.checked_at, c.agreed_at, c.unreconciled_since
FROM accounts AS a LEFT JOIN account_checks AS c USING (account_id),
LATERAL (SELECT EXISTS (SELECT FROM foreign_positions AS f
                        WHERE f.account_id = a.account_id AND f.quantity <> 0) AS differs) AS stands
WHERE ($1::uuid IS NULL OR a.user_id = $1) AND ($2::bigint IS NULL OR a.account_id > $2)
  AND (stands.differs OR c.unreconciled_since IS NOT NULL OR a.is_active AND NOT $3)
ORDER BY a.account_id LIMIT $4
"""

DIFFERENCES = f"""
SELECT f.account_id, f.symbol, f.position_side, own.quantity AS ours, own.quantity + f.quantity AS venue, f.seen_at
FROM foreign_positions AS f,
LATERAL (SELECT coalesce(sum((entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END), 0)
                AS quantity
         FROM positions AS p WHERE p.account_id = f.account_id AND p.symbol = f.symbol
           AND p.position_side = f.position_side AND {LIVE}) AS own
WHERE f.account_id = ANY($1::bigint[]) AND f.quantity <> 0
ORDER BY f.account_id, f.symbol, f.position_side
"""


class PostgresDrifts:
    """The port `views.drift.Drifts`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def accounts(
        self, *, owner: UUID | None, only_drifting: bool, after: int | None, limit: int
    ) -> Sequence[AccountDrift]:
        rows = await self._pool.fetch(ACCOUNTS, owner, after, only_drifting, limit)
        differences: defaultdict[int, list[Difference]] = defaultdict(list)
        for row in await self._pool.fetch(DIFFERENCES, [row["account_id"] for row in rows]):
            differences[row["account_id"]].append(to_value(row, Difference))
        return [
            AccountDrift(**row, differences=tuple(differences[row["account_id"]])) for row in map(dict, rows)
        ]
