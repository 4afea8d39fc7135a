"""What people asked the API to change: written as facts, read as rows."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from pregao.domain.facts import ActionTaken
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.rows import to_value
from pregao.views.actions import ActionCount, ActionFilter, ActionLine

MEANT = """
WHERE ($1::uuid IS NULL OR t.user_id = $1) AND ($2::text IS NULL OR t.action = $2)
  AND ($3::text IS NULL OR action_type_of(t.path) = $3) AND ($4::boolean IS NULL OR (t.status < 400) = $4)
  AND ($5::timestamptz IS NULL OR t.happened_at >= $5)
"""

ACTIONS = f"""
SELECT t.*, action_type_of(t.path) AS action_type, u.email FROM admin_actions AS t LEFT JOIN users AS u USING (user_id)
{MEANT} AND ($6::uuid IS NULL OR t.action_id < $6)
ORDER BY t.action_id DESC LIMIT $7 OFFSET $8
"""

SUMMARY = """
SELECT action_type_of(path) AS action_type, count(*) FILTER (WHERE status < 400)::int AS succeeded,
       count(*) FILTER (WHERE status >= 400)::int AS failed, round(avg(duration_ms))::int AS duration_ms,
       max(happened_at) AS last_at
FROM admin_actions WHERE $1::timestamptz IS NULL OR happened_at >= $1
GROUP BY 1 ORDER BY 1
"""


class PostgresActions:
    """The port `views.actions.Actions`, and where actions are written."""

    def __init__(self, journal: Journal) -> None:
        """Write to ``journal`` and read what it folds."""
        self._journal = journal

    async def record(self, action: ActionTaken) -> None:
        """Commit one action."""
        async with self._journal.transaction() as transaction:
            await transaction.append([action])

    async def actions(
        self, asked: ActionFilter, *, before: UUID | None = None, offset: int = 0, limit: int
    ) -> Sequence[ActionLine]:
        rows = await self._journal.pool.fetch(ACTIONS, *_meant(asked), before, limit, offset)
        return [to_value({**row, "targets": msgspec.json.decode(row["targets"])}, ActionLine) for row in rows]

    async def count_actions(self, asked: ActionFilter) -> int:
        found: int = await self._journal.pool.fetchval(
            f"SELECT count(*) FROM admin_actions AS t {MEANT}", *_meant(asked)
        )
        return found

    async def summary(self, *, since: datetime | None) -> Sequence[ActionCount]:
        return [to_value(row, ActionCount) for row in await self._journal.pool.fetch(SUMMARY, since)]


def _meant(asked: ActionFilter) -> tuple[object, ...]:
    return asked.user_id, asked.action, asked.action_type, asked.is_success, asked.since
