"""The whole desk at a glance."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.domain.clock import to_ms
from pregao.domain.user import User
from pregao.edges.postgres.configured import ACCOUNTS, BOTS, account_line, bot_line, under
from pregao.edges.postgres.rows import to_value
from pregao.views.overview import AccountOverview, BotOverview, DeskStats, WebhookOverview

# The ids of signals are in the order of time, so that today's are found by the primary key.
STATS = """
WITH today AS (SELECT status FROM signals WHERE signal_id >= $1 AND received_at >= $2)
SELECT (SELECT count(*)::int FROM users) AS users,
       (SELECT count(*)::int FROM users WHERE is_active) AS users_active,
       (SELECT count(*)::int FROM bots WHERE status = 'active') AS bots_active,
       (SELECT count(*)::int FROM bots WHERE status = 'paused') AS bots_paused,
       (SELECT count(*)::int FROM bots WHERE status = 'archived') AS bots_archived,
       (SELECT count(*)::int FROM accounts) AS accounts,
       (SELECT count(*)::int FROM accounts WHERE is_active) AS accounts_active,
       lights.*,
       (SELECT count(*)::int FROM subscriptions WHERE status = 'active') AS subscriptions_active,
       (SELECT count(*)::int FROM subscriptions WHERE status = 'paused') AS subscriptions_paused,
       (SELECT count(*)::int FROM today) AS signals_today,
       (SELECT count(*)::int FROM today WHERE status = 'refused') AS signals_refused_today,
       (SELECT count(*)::int FROM today WHERE status = 'declined') AS signals_declined_today,
       (SELECT count(*)::int FROM signals WHERE status = 'accepted') AS signals_waiting,
       (SELECT count(*)::int FROM orders
        WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')) AS orders_live,
       (SELECT count(*)::int FROM orders WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        AND status = 'unresolved') AS orders_unresolved,
       (SELECT count(*)::int FROM positions WHERE closed_at IS NULL) AS positions_live,
       results.*,
       (SELECT count(*)::int FROM workers WHERE lease_until > clock_timestamp()) AS workers
FROM (SELECT coalesce(sum(closed), 0)::int AS positions_closed_today, coalesce(sum(wins), 0)::int AS wins_today,
             coalesce(sum(losses), 0)::int AS losses_today, coalesce(sum(pnl_usd), 0) AS pnl_today
      FROM daily_results WHERE day = $3) AS results,
     (SELECT count(*) FILTER (WHERE light = 'ready')::int AS accounts_ready,
             count(*) FILTER (WHERE light = 'warning')::int AS accounts_warning,
             count(*) FILTER (WHERE light = 'blocked')::int AS accounts_blocked
      FROM preflights JOIN accounts USING (account_id) WHERE is_active) AS lights
"""

BOT_OVERVIEWS = f"""
SELECT b.*, followed.*, (SELECT count(*)::int FROM signals AS g WHERE g.bot_id = b.bot_id) AS signals,
       (SELECT count(*)::int FROM positions AS p WHERE p.bot_id = b.bot_id
        AND p.closed_at IS NULL) AS live_positions
FROM ({BOTS}) AS b,
LATERAL (SELECT count(*)::int AS subscriptions, count(*) FILTER (WHERE status = 'paused')::int AS paused_subscriptions
         FROM subscriptions AS s WHERE s.bot_id = b.bot_id) AS followed
WHERE $1::uuid IS NULL OR b.bot_id > $1
ORDER BY b.bot_id LIMIT $2
"""

USER_COLUMNS = ", ".join(f"u.{field.name} AS u_{field.name}" for field in fields(User))
ACCOUNT_OVERVIEWS = f"""
SELECT a.*, {USER_COLUMNS},
       (SELECT count(*)::int FROM subscriptions AS s WHERE s.account_id = a.account_id AND s.status = 'active')
           AS active_subscriptions,
       (SELECT count(*)::int FROM positions AS p WHERE p.account_id = a.account_id
        AND p.closed_at IS NULL) AS live_positions
FROM ({ACCOUNTS}) AS a LEFT JOIN users AS u ON u.user_id = a.user_id
WHERE $1::bigint IS NULL OR a.account_id > $1
ORDER BY a.account_id LIMIT $2
"""

WEBHOOKS = f"""
WITH knocks AS (
    SELECT webhook_path, count(*)::int AS turned_away, max(happened_at) AS last_turned_away_at
    FROM deliveries_turned_away GROUP BY webhook_path
)
SELECT b.*, came.*, coalesce(k.turned_away, 0) AS turned_away, k.last_turned_away_at,
       (SELECT code FROM signals AS g WHERE g.bot_id = b.bot_id AND g.status = 'refused'
        ORDER BY received_at DESC LIMIT 1) AS last_code
FROM ({BOTS}) AS b LEFT JOIN knocks AS k USING (webhook_path),
LATERAL (SELECT count(*)::int AS signals, coalesce(sum(deliveries), 0)::int AS deliveries,
                count(*) FILTER (WHERE status = 'refused')::int AS refused
         FROM signals AS g WHERE g.bot_id = b.bot_id) AS came
WHERE $1::uuid IS NULL OR b.bot_id > $1
ORDER BY b.bot_id LIMIT $2
"""


def first_id_of(midnight: datetime) -> UUID:
    """Give an id below those of all signals since then: one is made when its signal arrives, or a little before."""
    return UUID(int=to_ms(midnight - timedelta(minutes=1)) << 80)


class PostgresOverview:
    """The port `views.overview.Overview`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def stats(self, *, now: datetime) -> DeskStats:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        row = await self._pool.fetchrow(STATS, first_id_of(midnight), midnight, midnight.date())
        return to_value(row, DeskStats)

    async def bots(self, *, after: UUID | None, limit: int) -> Sequence[BotOverview]:
        return [
            BotOverview(
                line=bot_line(row),
                subscriptions=row["subscriptions"],
                paused_subscriptions=row["paused_subscriptions"],
                signals=row["signals"],
                live_positions=row["live_positions"],
            )
            for row in await self._pool.fetch(BOT_OVERVIEWS, after, limit)
        ]

    async def accounts(self, *, after: int | None, limit: int) -> Sequence[AccountOverview]:
        return [
            AccountOverview(
                line=account_line(row),
                user=None if row["u_user_id"] is None else to_value(under("u", row), User),
                active_subscriptions=row["active_subscriptions"],
                live_positions=row["live_positions"],
            )
            for row in await self._pool.fetch(ACCOUNT_OVERVIEWS, after, limit)
        ]

    async def webhooks(self, *, after: UUID | None, limit: int) -> Sequence[WebhookOverview]:
        return [
            WebhookOverview(
                line=bot_line(row),
                signals=row["signals"],
                deliveries=row["deliveries"],
                refused=row["refused"],
                last_code=row["last_code"],
                turned_away=row["turned_away"],
                last_turned_away_at=row["last_turned_away_at"],
            )
            for row in await self._pool.fetch(WEBHOOKS, after, limit)
        ]
