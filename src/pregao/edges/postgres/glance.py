"""What is at stake and what came of today's signals, from the rows of positions, watches, signals and orders."""

from datetime import datetime
from uuid import UUID

import asyncpg

from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX
from pregao.edges.postgres.overview import first_id_of
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.views import LIVE_STATUSES, MEANT_FOR_SOME
from pregao.views.glance import Exposure, ExposureLine, SignalOutcomes

# Grouped once by symbol, once by account, once in all; a symbol and an account are null where it is not grouped by them.
EXPOSURE = f"""
WITH held AS (
    SELECT p.symbol, p.account_id, a.name, p.direction, p.entered_quantity - p.exited_quantity AS quantity,
           p.entry_notional / p.entered_quantity AS entry,
           CASE p.direction WHEN 'long' THEN w.bid ELSE w.ask END AS price
    FROM positions AS p JOIN accounts AS a USING (account_id)
    LEFT JOIN watches AS w ON w.venue = a.venue AND w.symbol = p.symbol
        AND w.price_at > clock_timestamp() - interval '{PRICE_AGE_SECONDS_MAX} s'
    WHERE p.closed_at IS NULL AND p.entered_quantity > p.exited_quantity AND a.venue <> 'webhook'
      AND ($1::uuid IS NULL OR a.user_id = $1)
), valued AS (
    SELECT *, quantity * coalesce(price, entry) AS usd,
           quantity * (price - entry) * CASE direction WHEN 'long' THEN 1 ELSE -1 END AS earned
    FROM held
)
SELECT symbol, account_id, name AS account_name, count(*)::int AS positions,
       count(*) FILTER (WHERE price IS NULL)::int AS unpriced,
       round(coalesce(sum(usd) FILTER (WHERE direction = 'long'), 0), 8) AS long_usd,
       round(coalesce(sum(usd) FILTER (WHERE direction = 'short'), 0), 8) AS short_usd,
       round(sum(earned), 8) AS unrealized_pnl_usd
FROM valued GROUP BY GROUPING SETS ((symbol), (account_id, name), ())
ORDER BY sum(usd) DESC, symbol, account_id
"""

# What an owner may see of signals is what `views.py` lets him: what his bots were told, and what reached his accounts.
OUTCOMES = f"""
WITH done AS (
    SELECT o.signal_id, count(*) AS orders, count(*) FILTER (WHERE o.status IN ({LIVE_STATUSES})) AS live,
           count(*) FILTER (WHERE o.status = 'unresolved') AS unresolved,
           count(*) FILTER (WHERE execution_status(o.status, o.filled_quantity) = 'success') AS executed,
           count(*) FILTER (WHERE execution_status(o.status, o.filled_quantity) = 'failed') AS failed
    FROM orders AS o
    WHERE o.signal_id >= $2
      AND ($1::uuid IS NULL OR o.account_id IN (SELECT account_id FROM accounts WHERE user_id = $1))
    GROUP BY o.signal_id
), today AS (
    SELECT s.status, s.deliveries, s.planned_at, d.*
    FROM signals AS s LEFT JOIN done AS d USING (signal_id)
    WHERE s.signal_id >= $2 AND s.received_at >= $3
      AND ($1::uuid IS NULL OR d.orders > 0 OR s.source NOT IN ({MEANT_FOR_SOME}) AND EXISTS (
        SELECT FROM subscriptions AS m JOIN accounts AS a USING (account_id)
        WHERE m.bot_id = s.bot_id AND a.user_id = $1 AND m.status <> 'canceled' AND m.created_at <= s.received_at))
), named AS (
    SELECT deliveries, unresolved,
           CASE WHEN status IN ('refused', 'declined') THEN status
                WHEN live > 0 OR status = 'planned' AND $1::uuid IS NULL THEN 'on_the_way'
                WHEN planned_at IS NULL AND status <> 'settled' THEN 'waiting'
                WHEN executed > 0 AND executed = orders THEN 'executed'
                WHEN executed > 0 THEN 'partly_executed'
                WHEN failed > 0 THEN 'failed' ELSE 'skipped' END AS outcome
    FROM today
)
SELECT count(*)::int AS received, coalesce(sum(deliveries - 1), 0)::int AS repeats,
       coalesce(sum(unresolved), 0)::int AS unresolved,
       {{counts}}
FROM named
"""
NAMES = (
    "executed", "partly_executed", "failed", "skipped", "on_the_way", "waiting", "declined", "refused",
)  # fmt: skip
COUNTED = OUTCOMES.format(
    counts=", ".join(f"count(*) FILTER (WHERE outcome = '{name}')::int AS {name}" for name in NAMES)
)


class PostgresGlance:
    """The port `views.glance.Glance`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def exposure(self, *, owner: UUID | None, limit: int) -> Exposure:
        lines = to_values(await self._pool.fetch(EXPOSURE, owner), ExposureLine)
        [total] = (line for line in lines if line.symbol is None and line.account_id is None)
        return Exposure(
            total=total,
            symbols=[line for line in lines if line.symbol is not None][:limit],
            accounts=[line for line in lines if line.account_id is not None][:limit],
        )

    async def outcomes(self, *, owner: UUID | None, now: datetime) -> SignalOutcomes:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        row = await self._pool.fetchrow(COUNTED, owner, first_id_of(midnight), midnight)
        return to_value(row, SignalOutcomes)
