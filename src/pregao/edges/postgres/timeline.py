"""A signal from its bytes to the exit, from the rows that its facts were folded into: one look however many accounts it had."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from pregao.edges.postgres.rows import to_values
from pregao.views.timeline import STAGES, Stage

# Exits of what it opened are told apart from those of what it closed first, whoever asked for them.
TIMELINE = """
WITH own AS MATERIALIZED (
    SELECT o.* FROM orders AS o
    WHERE o.signal_id = $1 AND ($2::uuid IS NULL OR o.account_id IN (SELECT account_id FROM accounts WHERE user_id = $2))
), opened AS MATERIALIZED (
    SELECT position_id, closed_at FROM positions
    WHERE position_id IN (SELECT position_id FROM own WHERE leg = 'entry' AND filled_quantity > 0)
), left_by AS MATERIALIZED (
    SELECT x.order_id, x.sent_at, x.filled_at FROM opened JOIN orders AS x USING (position_id) WHERE x.leg = 'exit'
), asked AS MATERIALIZED (
    SELECT * FROM own WHERE order_id NOT IN (SELECT order_id FROM left_by)
), told (stage, at) AS (
    SELECT told.* FROM signals AS s, LATERAL (VALUES ('received', s.received_at), ('read', s.read_at),
        ('asked', s.approval_asked_at), ('answered', s.answered_at), ('decided', s.decided_at)) AS told WHERE s.signal_id = $1
    UNION ALL
    SELECT told.* FROM asked AS o, LATERAL (VALUES
        (CASE WHEN o.status <> 'denied' OR o.attempt > 0 THEN 'planned' END, o.planned_at),
        (CASE WHEN o.status IN ('denied', 'rejected') THEN o.status END, o.updated_at), ('sent', o.sent_at),
        ('acknowledged', o.acknowledged_at), ('filled', o.filled_at), ('booked', o.booked_at)) AS told
    UNION ALL SELECT 'armed', t.armed_at FROM opened JOIN stops AS t USING (position_id) WHERE t.initial_stop IS NOT NULL
    UNION ALL SELECT 'line stands', min(p.acknowledged_at) FROM opened JOIN protections AS p USING (position_id) GROUP BY position_id
    UNION ALL SELECT 'stop moved', m.moved_at FROM opened JOIN stop_moves AS m USING (position_id)
    UNION ALL SELECT c.kind || ' reached', c.seen_at FROM opened JOIN stop_claims AS c USING (position_id)
    UNION ALL SELECT 'exit sent', sent_at FROM left_by
    UNION ALL SELECT 'exit filled', filled_at FROM left_by
    UNION ALL SELECT 'closed', closed_at FROM opened
)
SELECT stage, count(*)::int AS times, min(at) AS first_at, percentile_disc(0.5) WITHIN GROUP (ORDER BY at) AS median_at,
       max(at) AS last_at
FROM told WHERE stage IS NOT NULL AND at IS NOT NULL GROUP BY stage
"""


class PostgresTimelines:
    """The port `views.timeline.Timelines`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_timeline(self, signal_id: UUID, *, owner: UUID | None) -> Sequence[Stage]:
        stages = to_values(await self._pool.fetch(TIMELINE, signal_id, owner), Stage)
        return sorted(stages, key=lambda one: STAGES.index(one.stage))
