"""Strategies that feed bots: what people see of them, and what the analyzer keeps of its work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.bot import Bot
from pregao.domain.deployment import Deployment
from pregao.domain.traded import (
    DeploymentTraded,
    HeardSignal,
    SignalOrder,
    SignalPosition,
    Standing,
    TradingAccount,
)
from pregao.edges.postgres.rows import to_value, to_values
from pregao.views.deployments import DeploymentLine

LINES = """
SELECT d.*, coalesce(b.name, '') AS bot_name, k.bar_at, coalesce(k.bars, 0) AS bars, coalesce(k.wanted, '') AS wanted,
       coalesce(k.code, '') AS code, coalesce(k.reason, '') AS reason,
       (SELECT count(*)::int FROM signals AS s
        WHERE s.bot_id = d.bot_id AND s.source = 'strategy' AND s.source_address = d.deployment_id::text) AS signals
FROM deployments AS d LEFT JOIN bots AS b USING (bot_id) LEFT JOIN deployment_bars AS k USING (deployment_id)
"""

# The body is as the desk itself wrote it (`signals/own.py`); timenow is the close of the candle.
SIGNALS = """
SELECT s.signal_id, convert_from(s.body, 'UTF8')::jsonb->>'action' AS action, told.closed_at, s.received_at, s.status, s.code,
       s.reason
FROM signals AS s,
     LATERAL (SELECT (convert_from(s.body, 'UTF8')::jsonb->>'timenow')::timestamptz AS closed_at) AS told
WHERE s.bot_id = $1 AND s.source = 'strategy' AND s.source_address = $2::uuid::text AND told.closed_at >= $3
ORDER BY told.closed_at DESC, s.signal_id DESC LIMIT $4
"""
ORDERS = """
SELECT o.* FROM orders AS o JOIN accounts AS a USING (account_id)
WHERE o.signal_id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR a.user_id = $2) ORDER BY o.planned_at, o.order_id
"""
POSITIONS = """
SELECT p.*, s.initial_stop, (s.targets -> 0 ->> 'price')::numeric AS target_price,
       coalesce(s.stop_price IS DISTINCT FROM s.initial_stop, false) AS is_stop_moved
FROM positions AS p JOIN accounts AS a USING (account_id) LEFT JOIN stops AS s USING (position_id)
WHERE p.signal_id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR a.user_id = $2) AND p.opened_at IS NOT NULL
ORDER BY p.opened_at, p.position_id
"""
# The journal tells it, too, and is long; every change is asked of the API.
STANDINGS = """
SELECT happened_at AS at, CASE WHEN method = 'DELETE' THEN 'removed' WHEN path LIKE '%/pause' THEN 'paused' ELSE 'active' END
       AS status
FROM admin_actions
WHERE path IN ($1::text, $1 || '/pause', $1 || '/resume') AND status < 400 ORDER BY action_id
"""
DEPLOYMENT_PATH = "/api/v1/strategies/deployments/{0}"


class PostgresDeployments:
    """The port `views.deployments.Deployments`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def deployments(
        self, *, bot_id: UUID | None, with_removed: bool, after: UUID | None, limit: int
    ) -> Sequence[DeploymentLine]:
        rows = await self._pool.fetch(
            f"""
            {LINES}
            WHERE ($1::uuid IS NULL OR d.bot_id = $1) AND ($2 OR d.status <> 'removed')
              AND ($3::uuid IS NULL OR d.deployment_id > $3)
            ORDER BY d.deployment_id LIMIT $4
            """,
            bot_id,
            with_removed,
            after,
            limit,
        )
        return [_line(row) for row in rows]

    async def find_deployment(self, deployment_id: UUID) -> DeploymentLine | None:
        row = await self._pool.fetchrow(f"{LINES} WHERE d.deployment_id = $1", deployment_id)
        return None if row is None else _line(row)

    async def traded(
        self, deployment_id: UUID, *, owner: UUID | None, since: datetime | None, limit: int
    ) -> DeploymentTraded | None:
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            line = await connection.fetchrow(
                f"SELECT l.*, k.began_at FROM ({LINES}) AS l JOIN deployment_bars AS k USING (deployment_id) "
                "WHERE l.deployment_id = $1",
                deployment_id,
            )
            if line is None or line["began_at"] is None:
                return None
            signals_since = line["began_at"] if since is None else since
            signals = await connection.fetch(SIGNALS, line["bot_id"], deployment_id, signals_since, limit)
            signal_ids = [row["signal_id"] for row in signals]
            orders = await connection.fetch(ORDERS, signal_ids, owner)
            positions = await connection.fetch(POSITIONS, signal_ids, owner)
            accounts = await connection.fetch(
                "SELECT account_id, name FROM accounts WHERE account_id = ANY($1::bigint[]) ORDER BY account_id",
                sorted({row["account_id"] for row in orders}),
            )
            standings = await connection.fetch(STANDINGS, DEPLOYMENT_PATH.format(deployment_id))
        return DeploymentTraded(
            deployment=to_value(line, Deployment),
            began_at=line["began_at"],
            bar_at=line["bar_at"],
            bars=line["bars"],
            standings=tuple(to_values(standings, Standing)),
            accounts=tuple(to_values(accounts, TradingAccount)),
            signals=tuple(to_values(signals[::-1], HeardSignal)),
            orders=tuple(to_values(orders, SignalOrder)),
            positions=tuple(to_values(positions, SignalPosition)),
        )


def _line(row: Any) -> DeploymentLine:
    names = ("bot_name", "bar_at", "bars", "wanted", "code", "reason", "signals", "created_at", "updated_at")
    return DeploymentLine(deployment=to_value(row, Deployment), **{name: row[name] for name in names})


STANDING = """
SELECT d.* FROM deployments AS d JOIN bots AS b USING (bot_id)
WHERE d.status <> 'removed' AND b.status <> 'archived' ORDER BY d.deployment_id
"""
NOTE = """
INSERT INTO deployment_bars AS k (deployment_id, began_at, bar_at, bars, wanted, told_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (deployment_id) DO UPDATE
SET began_at = excluded.began_at, bar_at = excluded.bar_at, bars = excluded.bars, wanted = excluded.wanted,
    code = '', reason = '', told_at = excluded.told_at
"""
NOTE_TROUBLE = """
INSERT INTO deployment_bars AS k (deployment_id, code, reason, told_at) VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (deployment_id) DO UPDATE SET code = excluded.code, reason = excluded.reason, told_at = excluded.told_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """How far a deployment has come; instants are the closes of candles, None where it has judged none."""

    began_at: datetime | None
    bar_at: datetime | None
    bars: int
    wanted: str


class PostgresDeploymentWork:
    """What the analyzer looks up and keeps."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def standing(self) -> Sequence[Deployment]:
        """Give all that watch."""
        return to_values(await self._pool.fetch(STANDING), Deployment)

    async def find_bot(self, bot_id: UUID) -> Bot | None:
        """Give a bot."""
        row = await self._pool.fetchrow("SELECT * FROM bots WHERE bot_id = $1", bot_id)
        return None if row is None else to_value(row, Bot)

    async def find_bars(self, deployment_id: UUID) -> BarRow | None:
        """Give how far a deployment has come."""
        row = await self._pool.fetchrow(
            "SELECT * FROM deployment_bars WHERE deployment_id = $1", deployment_id
        )
        return None if row is None else to_value(row, BarRow)

    async def note_bars(self, deployment_id: UUID, row: BarRow) -> None:
        """Keep how far it has come."""
        await self._pool.execute(NOTE, deployment_id, row.began_at, row.bar_at, row.bars, row.wanted)

    async def note_trouble(self, deployment_id: UUID, *, code: str, reason: str) -> None:
        """Keep why it cannot go on; the next candle that it judges takes that away."""
        await self._pool.execute(NOTE_TROUBLE, deployment_id, code, reason)


async def has_deployments(pool: asyncpg.Pool) -> bool:
    """Say whether any strategy feeds a bot."""
    return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM deployments WHERE status <> 'removed')"))
