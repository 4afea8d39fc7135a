"""Strategies that feed bots: what people see of them, and what the analyzer keeps of its work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.bot import Bot
from pregao.domain.deployment import Deployment
from pregao.edges.postgres.rows import to_value, to_values
from pregao.views.deployments import DeploymentLine

LINES = """
SELECT d.*, coalesce(b.name, '') AS bot_name, k.bar_at, coalesce(k.bars, 0) AS bars, coalesce(k.wanted, '') AS wanted,
       coalesce(k.code, '') AS code, coalesce(k.reason, '') AS reason,
       (SELECT count(*)::int FROM signals AS s
        WHERE s.bot_id = d.bot_id AND s.source = 'strategy' AND s.source_address = d.deployment_id::text) AS signals
FROM deployments AS d LEFT JOIN bots AS b USING (bot_id) LEFT JOIN deployment_bars AS k USING (deployment_id)
"""


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
