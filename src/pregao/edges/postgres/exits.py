"""What is due of claimed exits, and what the guardrails ask for beside the books."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.domain.user import User
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_value, to_values
from pregao.stops.limits import TenantLimits, limits_of
from pregao.stops.ports import DueExit

# A tenant is a user with all his accounts, or an account that is no user's. The accounts asked for come as rows without
# an instant.
EXECUTIONS = """
WITH asked AS MATERIALIZED (SELECT account_id, user_id FROM accounts WHERE account_id = ANY($1::bigint[]))
SELECT account_id, user_id, NULL::timestamptz AS planned_at FROM asked
UNION ALL
(SELECT a.account_id, a.user_id, o.planned_at FROM accounts AS a JOIN orders AS o USING (account_id)
 WHERE (a.account_id IN (SELECT account_id FROM asked WHERE user_id IS NULL)
        OR a.user_id IN (SELECT user_id FROM asked WHERE user_id IS NOT NULL))
   AND o.execution IS NOT NULL AND o.planned_at >= $2
 ORDER BY o.planned_at)
"""

# What somebody has said of the tenant since then stands: a pause, or that he may go on.
SLIPPED = """
SELECT c.token, c.account_id, c.slippage_percent FROM stop_claims AS c JOIN accounts AS a USING (account_id)
WHERE c.status = 'executed' AND c.slippage_percent > 0 AND c.executed_at > $1 AND NOT EXISTS (
    SELECT FROM trading_states AS t
    WHERE (t.level, t.subject) = (CASE WHEN a.user_id IS NULL THEN 'account' ELSE 'user' END,
                                  coalesce(a.user_id::text, a.account_id::text)) AND t.set_at >= c.executed_at)
ORDER BY c.executed_at
"""

DUE = "status IN ('pending', 'failed', 'blocked') AND again_at <= $1"
PEEK = f"""
SELECT position_id, venue, symbol FROM stop_claims WHERE status <> 'executed' AND {DUE} ORDER BY again_at LIMIT $2
"""
# The position's row first, as everywhere; whoever holds it is busy with it.
LOCK = """
SELECT position_id FROM positions WHERE position_id = ANY($1::bigint[])
ORDER BY position_id FOR NO KEY UPDATE SKIP LOCKED
"""
PUT_OFF = f"UPDATE stop_claims SET again_at = $3 WHERE position_id = ANY($2::bigint[]) AND {DUE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slipped:
    """An exit that filled worse than its level."""

    token: str
    account_id: int
    slippage_percent: Decimal | None  # None: it was estimated, and is too much


async def slipped_since(connection: Connection, *, since: datetime) -> list[Slipped]:
    """Give the exits that have slipped since an instant, and about whose tenant nobody has said anything since."""
    return to_values(await connection.fetch(SLIPPED, since), Slipped)


async def executions(
    connection: Connection, account_ids: Collection[int], *, since: datetime
) -> dict[int, list[datetime]]:
    """Give when exits of claims were planned for the tenants of these accounts since an instant, oldest first."""
    asked: dict[int, UUID | int] = {}
    planned: dict[UUID | int, list[datetime]] = {}
    for row in await connection.fetch(EXECUTIONS, list(account_ids), since):
        tenant = row["user_id"] or row["account_id"]
        if row["planned_at"] is None:
            asked[row["account_id"]] = tenant
        else:
            planned.setdefault(tenant, []).append(row["planned_at"])
    return {account_id: planned[tenant] for account_id, tenant in asked.items() if tenant in planned}


async def tenant_limits(connection: Connection, users: Collection[UUID]) -> dict[UUID, TenantLimits]:
    """Give what the exits of these tenants are held to."""
    rows = await connection.fetch("SELECT * FROM users WHERE user_id = ANY($1::uuid[])", list(users))
    return {row["user_id"]: limits_of(to_value(row, User)) for row in rows}


async def peek_due_exits(connection: Connection, *, now: datetime, limit: int) -> list[DueExit]:
    """Give claimed exits that are to be looked at again, longest due first, without locking them."""
    return to_values(await connection.fetch(PEEK, now, limit), DueExit)


async def lock_due_exits(connection: Connection, position_ids: Collection[int]) -> list[int]:
    """Lock those of the positions that nobody else is busy with."""
    rows = await connection.fetch(LOCK, sorted(set(position_ids)))
    return [row["position_id"] for row in rows]


async def put_off_due_exits(
    connection: Connection, position_ids: Collection[int], *, now: datetime, seconds: float
) -> None:
    """Look at what is still due of these positions no sooner than in so many seconds."""
    await connection.execute(PUT_OFF, now, list(position_ids), now + timedelta(seconds=seconds))
