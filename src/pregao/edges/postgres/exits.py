"""What is due of claimed exits, and what the guardrails ask for beside the books."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from pregao.domain.account import Account
from pregao.domain.position import Position
from pregao.domain.trading_state import ScopeState, TradingStates
from pregao.domain.user import User
from pregao.edges.postgres.guards import GUARDS, STANDING, Found
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.on_the_way import ON_THE_WAY, to_way
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import OnTheWay
from pregao.stops.limits import TenantLimits, limits_of
from pregao.stops.ports import DueExit, ExitScene

ATTEMPTS_OF_CLAIMS = """
SELECT position_id, order_id, attempt, status IN ('deferred', 'planned', 'unresolved') AS is_open FROM orders
WHERE position_id = ANY($1::bigint[]) AND execution IS NOT NULL
"""

# All that an exit of a position is judged and planned by, in one round trip: the position waits at its level meanwhile. A tenant
# is a user with all his accounts, or an account that is no user's.
SCENE = f"""
{GUARDS}
UNION ALL
SELECT 'way', position_id, to_jsonb(way) FROM ({ON_THE_WAY}) AS way
UNION ALL
SELECT 'attempt', position_id, to_jsonb(made) FROM ({ATTEMPTS_OF_CLAIMS}) AS made
UNION ALL
SELECT 'account', NULL, to_jsonb(a) FROM accounts AS a WHERE account_id = ANY($3::bigint[])
UNION ALL
SELECT 'user', NULL, to_jsonb(u) FROM users AS u
WHERE user_id IN (SELECT user_id FROM accounts WHERE account_id = ANY($3::bigint[]))
UNION ALL
SELECT 'state', NULL, to_jsonb(s) FROM lock_trading_states() AS s
UNION ALL
SELECT 'executions', NULL, jsonb_build_object(
           'account_id', max(a.account_id), 'user_id', a.user_id, 'planned_at', jsonb_agg(o.planned_at))
FROM accounts AS a JOIN orders AS o USING (account_id)
WHERE o.execution IS NOT NULL AND o.planned_at >= $4 AND (
    a.account_id = ANY($3::bigint[])
    OR a.user_id IN (SELECT user_id FROM accounts WHERE account_id = ANY($3::bigint[]) AND user_id IS NOT NULL))
GROUP BY a.user_id, CASE WHEN a.user_id IS NULL THEN a.account_id END
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Executions:
    """When exits of claims were planned for a tenant."""

    account_id: int
    user_id: UUID | None
    planned_at: list[datetime]

    @property
    def tenant(self) -> UUID | int:
        return self.user_id or self.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """An order of a claim."""

    order_id: str
    attempt: int
    is_open: bool

    @property
    def standing(self) -> int | None:
        return self.attempt if self.is_open else None


_made = msgspec.json.Decoder(_Made).decode
_account = msgspec.json.Decoder(Account).decode
_user = msgspec.json.Decoder(User).decode
_state = msgspec.json.Decoder(ScopeState).decode
_executions = msgspec.json.Decoder(_Executions).decode


async def read_exit_scene(
    connection: Connection, positions: Sequence[Position], *, since: datetime
) -> tuple[ExitScene, dict[int, OnTheWay | None], dict[int, dict[str, int | None]]]:
    """
    Give what exits of these positions are judged by, what is on its way of each, and the orders of claims on it.

    Their rows must be locked.
    """
    ids = sorted({one.position_id for one in positions})
    told: defaultdict[str, list[str]] = defaultdict(list)
    found = {number: Found() for number in ids}
    ways: dict[int, OnTheWay | None] = dict.fromkeys(ids)
    attempts: dict[int, dict[str, int | None]] = {number: {} for number in ids}
    for row in await connection.fetch(
        SCENE, ids, STANDING, sorted({one.account_id for one in positions}), since
    ):
        match row["kind"]:
            case "way":
                ways[row["position_id"]] = to_way(row["told"])
            case "attempt":
                made = _made(row["told"])
                attempts[row["position_id"]][made.order_id] = made.standing
            case "account" | "user" | "state" | "executions" as kind:
                told[kind].append(row["told"])
            case kind:
                found[row["position_id"]].add(kind, row["told"])
    accounts = {one.account_id: one for one in map(_account, told["account"])}
    planned = {one.tenant: sorted(one.planned_at) for one in map(_executions, told["executions"])}
    scene = ExitScene(
        guards={number: guard for number, one in found.items() if (guard := one.armed_guard()) is not None},
        accounts=accounts,
        states=TradingStates(map(_state, told["state"])),
        executions={number: planned.get(one.user_id or number, []) for number, one in accounts.items()},
        limits={one.user_id: limits_of(one) for one in map(_user, told["user"])},
    )
    return scene, ways, attempts


async def attempts_of_claims(connection: Connection, position_ids: Sequence[int]) -> dict[str, int | None]:
    """Give the orders of claims on these positions, each with the attempt it stands at; None: not to be tried again."""
    made = to_values(await connection.fetch(ATTEMPTS_OF_CLAIMS, position_ids), _Made)
    return {one.order_id: one.standing for one in made}


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
