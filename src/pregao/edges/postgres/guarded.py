"""What guards each position right now, from the rows of its stop, its line and its watch."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX, UNGUARDED_SECONDS_MAX
from pregao.edges.postgres.rows import to_value, to_values
from pregao.views.guarded import GuardedLine, Watchfulness

HELD = "p.entered_quantity - p.exited_quantity"
LINE_HOLDS = f"""
coalesce(s.line_status = 'accepted' AND (s.line_quantity IS NULL OR s.line_quantity >= {HELD}), false)
"""
WATCHED = f"""
coalesce(l.lease_until > clock_timestamp() AND w.price_at > clock_timestamp() - interval '{PRICE_AGE_SECONDS_MAX} s', false)
"""
JOINED = """
FROM stops AS s JOIN positions AS p USING (position_id)
LEFT JOIN watches AS w ON w.venue = s.venue AND w.symbol = s.symbol
LEFT JOIN leases AS l ON l.name = 'watch:' || s.venue || ':' || s.symbol AND l.worker_id = w.worker_id
"""
GUARDED = f"""
SELECT s.position_id, s.status, s.version, s.is_required, s.initial_stop, s.stop_price, s.line_status, s.line_price,
       jsonb_array_length(s.targets) AS targets, {LINE_HOLDS} AS is_line_effective, {WATCHED} AS is_watched,
       w.price_at AS checked_at, w.bid, w.ask
{JOINED} WHERE s.position_id = ANY($1::bigint[])
"""
WATCHFULNESS = f"""
SELECT count(*) FILTER (
           WHERE s.is_required AND NOT {LINE_HOLDS} AND NOT {WATCHED}
             AND s.held_since < clock_timestamp() - interval '{UNGUARDED_SECONDS_MAX} s')::int AS unguarded,
       count(DISTINCT (s.venue, s.symbol)) FILTER (
           WHERE s.stop_price IS NOT NULL
             AND coalesce(w.price_at, s.held_since) < clock_timestamp() - interval '{PRICE_AGE_SECONDS_MAX} s'
       )::int AS silent,
       (SELECT count(*)::int FROM preflights AS f JOIN accounts AS a USING (account_id)
        WHERE a.is_active AND 'STREAM_AWAY' = ANY(f.light_codes) AND ($1::uuid IS NULL OR a.user_id = $1)) AS streams_away
{JOINED} WHERE s.left_at IS NULL AND {HELD} > 0
  AND ($1::uuid IS NULL OR s.account_id IN (SELECT account_id FROM accounts WHERE user_id = $1))
"""


class PostgresGuarded:
    """The port `views.guarded.Guarded`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def guarded(self, position_ids: Sequence[int]) -> Mapping[int, GuardedLine]:
        rows = await self._pool.fetch(GUARDED, list(position_ids))
        return {line.position_id: line for line in to_values(rows, GuardedLine)}

    async def watchfulness(self, *, owner: UUID | None) -> Watchfulness:
        return to_value(await self._pool.fetchrow(WATCHFULNESS, owner), Watchfulness)
