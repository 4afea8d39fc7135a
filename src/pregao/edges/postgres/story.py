"""All that happened because of one signal, read from the journal."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from pregao.edges.postgres.rows import to_values
from pregao.views.story import StoryLine

# What closed its positions belongs to it, as far as it is about them: by the orders of other signals there.
STORY = """
WITH later AS (
    SELECT DISTINCT o.signal_id, o.order_id
    FROM orders AS own JOIN orders AS o USING (position_id)
    WHERE own.signal_id = $1 AND own.leg = 'entry' AND own.status <> 'denied' AND o.signal_id <> $1
)
SELECT seq, recorded_at, happened_at, kind, signal_id, account_id, fact::text AS fact
FROM journal WHERE signal_id = $1 AND ($2::bigint IS NULL OR seq > $2)
UNION ALL
SELECT j.seq, j.recorded_at, j.happened_at, j.kind, j.signal_id, j.account_id, j.fact::text
FROM later JOIN journal AS j USING (signal_id)
WHERE j.fact ->> 'order_id' = later.order_id AND ($2::bigint IS NULL OR seq > $2)
ORDER BY seq LIMIT $3
"""


class PostgresStories:
    """The port `views.story.Stories`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_story(self, signal_id: UUID, *, after: int | None, limit: int) -> Sequence[StoryLine]:
        return to_values(await self._pool.fetch(STORY, signal_id, after, limit), StoryLine)
