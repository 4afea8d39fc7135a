"""What is on its way of positions, and what a restored database forgot of them: whoever reads it has locked their rows."""

from collections.abc import Sequence

import msgspec

from pregao.edges.postgres.journal import Connection
from pregao.orders.ports import OnTheWay

# Only where the database was ever put back has a position a past that its orders do not tell.
ON_THE_WAY = """
WITH ahead AS (
    SELECT position_id, bool_or(leg = 'entry' AND status <> 'deferred') AS is_entering,
           bool_or(leg = 'exit') AS is_leaving,
           CASE WHEN NOT coalesce(bool_or(leg = 'exit' AND status = 'deferred' AND share IS NULL), false)
                THEN coalesce(sum(quantity - filled_quantity) FILTER (WHERE leg = 'exit' AND status <> 'deferred'), 0)
           END AS leaving,
           true AS has_orders
    FROM orders
    WHERE position_id = ANY($1::bigint[])
      AND status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled')
    GROUP BY position_id
), past AS (
    SELECT p.position_id, c.is_unsure, array(
               SELECT DISTINCT f.order_id FROM fills AS f
               WHERE f.position_id = p.position_id AND f.order_id IS NOT NULL AND NOT EXISTS (
                   SELECT FROM orders AS o WHERE o.order_id = f.order_id AND o.attempt > 0)) AS forgotten_exits
    FROM account_checks AS c JOIN positions AS p USING (account_id)
    WHERE c.restored_at IS NOT NULL AND p.position_id = ANY($1::bigint[])
)
SELECT position_id, coalesce(is_entering, false) AS is_entering, coalesce(is_leaving, false) AS is_leaving,
       CASE WHEN has_orders THEN leaving ELSE 0 END AS leaving, coalesce(has_orders, false) AS has_orders,
       coalesce(is_unsure, false) AS is_unsure, coalesce(forgotten_exits, '{}') AS forgotten_exits
FROM ahead FULL JOIN past USING (position_id)
"""

to_way = msgspec.json.Decoder(OnTheWay).decode
"""Reads a row of it that came as JSON."""


async def read_on_the_way(connection: Connection, position_ids: Sequence[int]) -> dict[int, OnTheWay]:
    """Give what is on its way of each position that has something."""
    rows = await connection.fetch(
        f"SELECT position_id, to_jsonb(way) AS told FROM ({ON_THE_WAY}) AS way", position_ids
    )
    return {row["position_id"]: to_way(row["told"]) for row in rows}
