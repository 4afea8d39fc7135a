"""What came of subscriptions' positions, as their risk rules ask for it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from pregao.domain.risk_rules import NO_RECORD, RiskRecord, RiskRules
from pregao.edges.postgres.rows import to_value

# A position that came to 0 changes nothing. Open ones come last; what was closed of them counts as today's.
RECORDS = """
WITH rules AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS r (subscription_id, since)),
own AS (
    SELECT p.subscription_id, p.position_id, p.realized_pnl AS pnl, p.closed_at
    FROM rules AS r JOIN positions AS p USING (subscription_id)
    WHERE p.closed_at IS NOT NULL AND (r.since IS NULL OR p.closed_at >= r.since) AND p.realized_pnl <> 0
    UNION ALL
    SELECT p.subscription_id, p.position_id, p.realized_pnl, NULL
    FROM rules JOIN subscriptions AS s USING (subscription_id)
    JOIN positions AS p ON p.bot_id = s.bot_id AND p.subscription_id = s.subscription_id
    WHERE p.closed_at IS NULL AND p.realized_pnl <> 0
), told AS (
    SELECT *, sum(pnl) OVER (PARTITION BY subscription_id ORDER BY closed_at NULLS LAST, position_id) AS worth,
           count(*) FILTER (WHERE pnl > 0 AND closed_at IS NOT NULL) OVER (
               PARTITION BY subscription_id ORDER BY closed_at DESC NULLS FIRST, position_id DESC) AS wins_from_here
    FROM own
)
SELECT subscription_id,
       count(*) FILTER (WHERE pnl < 0 AND closed_at IS NOT NULL AND wins_from_here = 0)::int AS losses_in_a_row,
       max(closed_at) FILTER (WHERE pnl < 0) AS last_loss_at,
       coalesce(sum(pnl) FILTER (WHERE closed_at IS NULL OR closed_at >= $3), 0) AS pnl_today,
       coalesce(sum(pnl) FILTER (WHERE closed_at IS NULL OR closed_at >= $4), 0) AS pnl_week,
       sum(pnl) AS pnl, greatest(max(worth), 0) AS pnl_peak
FROM told GROUP BY subscription_id
"""


async def risk_records(
    connection: Any, rules: Mapping[UUID, RiskRules], *, day: date
) -> dict[UUID, RiskRecord]:
    """Give the record of each of these subscriptions, with the UTC day and its week."""
    began = datetime.combine(day, time(), UTC)
    rows = await connection.fetch(
        RECORDS,
        list(rules),
        [one.since for one in rules.values()],
        began,
        began - timedelta(days=day.weekday()),
    )
    found = {row["subscription_id"]: to_value(row, RiskRecord) for row in rows}
    return {subscription_id: found.get(subscription_id, NO_RECORD) for subscription_id in rules}
