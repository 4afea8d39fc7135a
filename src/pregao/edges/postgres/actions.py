"""What people asked the API to change: written as facts, read as rows."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from pregao.domain.facts import ActionTaken
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.rows import to_value
from pregao.views.actions import ActionLine

ACTIONS = """
SELECT t.*, u.email FROM admin_actions AS t LEFT JOIN users AS u USING (user_id)
WHERE ($1::uuid IS NULL OR t.user_id = $1) AND ($2::text IS NULL OR t.action = $2)
  AND ($3::boolean IS NULL OR (t.status < 400) = $3) AND ($4::uuid IS NULL OR t.action_id < $4)
ORDER BY t.action_id DESC LIMIT $5
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
        self,
        *,
        user_id: UUID | None,
        action: str | None,
        is_success: bool | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[ActionLine]:
        rows = await self._journal.pool.fetch(ACTIONS, user_id, action, is_success, before, limit)
        return [to_value({**row, "targets": msgspec.json.decode(row["targets"])}, ActionLine) for row in rows]
