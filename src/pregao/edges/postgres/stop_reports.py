"""How the exits of stops and targets went, from their claims."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.domain.execution import ExecutionStatus
from pregao.edges.postgres.rows import to_values
from pregao.views.stops import FailedExecution, StopReport

REPORTED = timedelta(hours=24)
FAILED = timedelta(hours=1)
FAILURES_MAX = 1_000

OWN = "JOIN accounts AS a USING (account_id) WHERE ($1::uuid IS NULL OR a.user_id = $1)"
BY_STATUS = (
    f"SELECT status, count(*)::int AS executions FROM stop_claims {OWN} AND seen_at >= $2 GROUP BY status"
)
EXECUTED = f"""
SELECT round(avg(slippage_percent), 4) AS average_slippage_percent, max(slippage_percent) AS max_slippage_percent,
       round(avg(extract(epoch FROM executed_at - seen_at)), 3) AS average_seconds,
       round(max(extract(epoch FROM executed_at - seen_at)), 3) AS max_seconds
FROM stop_claims {OWN} AND seen_at >= $2 AND status = 'executed'
"""
# What failed and has executed since is no failure any more; a block that lasts counts from when it was last said.
FAILURES = f"""
SELECT token AS execution_token, kind, position_id AS operation_id, account_id, symbol, status, code, reason AS error,
       greatest(attempts - 1, 0) AS retry_count, again_at, stop_claims.updated_at AS failed_at
FROM stop_claims {OWN} AND status IN ('failed', 'blocked') AND stop_claims.updated_at >= $2
ORDER BY stop_claims.updated_at DESC LIMIT $3
"""


class PostgresStopReports:
    """The port `views.stops.StopReports`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def report(self, *, owner: UUID | None, now: datetime) -> StopReport:
        since = now - REPORTED
        counted = {
            row["status"]: row["executions"] for row in await self._pool.fetch(BY_STATUS, owner, since)
        }
        executed = await self._pool.fetchrow(EXECUTED, owner, since)
        assert executed is not None, "aggregates always give a row"
        failures = await self._pool.fetch(FAILURES, owner, now - FAILED, FAILURES_MAX)
        return StopReport(
            since=since,
            executions_by_status={status.value: counted.get(status.value, 0) for status in ExecutionStatus},
            failures=to_values(failures, FailedExecution),
            **dict(executed),
        )
