"""What has been used of the limits: places and losses, of a subscription, a bot, a user."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from pregao.domain.money import ZERO
from pregao.domain.risk_rules import RiskRules
from pregao.domain.user import User
from pregao.edges.postgres.drawdowns import over_limit
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.risk import risk_records
from pregao.orders.ports import NOTHING_USED, Tally, Usage

K = TypeVar("K")

LIVE = "closed_at IS NULL"  # pending, open or closing: what the indexes of live positions say too

# What is lost is known when a position closes; what its parts have lost counts before, on the days they were closed.
LOST_IN_PART = """
coalesce(sum(-p.realized_pnl) FILTER (WHERE p.realized_pnl < 0 AND p.exited_quantity > 0 AND EXISTS (
    SELECT FROM fills AS f WHERE f.position_id = p.position_id AND f.side = CASE p.direction WHEN 'long' THEN 'sell' ELSE 'buy' END
    AND (f.traded_at AT TIME ZONE 'UTC')::date = {day})), 0)
"""
# An entry that is still on its way would open its position again, however it was closed: it keeps its place until then.
MAY_OPEN_AGAIN = """closed_at IS NOT NULL AND position_id = ANY(ARRAY(
    SELECT x.position_id FROM orders AS x
    WHERE x.leg = 'entry' AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')))"""
# By subscription for those in $4, and of the whole bot, where the subscription is null; by symbol for those in $2.
HERE = "CASE WHEN symbol = ANY($2::text[]) THEN symbol END"
USED = f"""
(SELECT subscription_id, {HERE} AS here, count(*)::int AS positions,
       {LOST_IN_PART.format(day="$3")} AS loss_usd
FROM positions AS p WHERE bot_id = $1 AND {LIVE}
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
UNION ALL
(SELECT subscription_id, {HERE} AS here, count(*)::int AS positions, 0 AS loss_usd
FROM positions WHERE bot_id = $1 AND {MAY_OPEN_AGAIN}
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
UNION ALL
(SELECT subscription_id, {HERE} AS here, 0 AS positions, sum(counted_loss_usd) AS loss_usd
FROM daily_results WHERE bot_id = $1 AND day = $3
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
"""
OF_USERS = f"""
SELECT a.user_id,
       count(p.*)::int + (SELECT count(*)::int FROM positions JOIN accounts AS o USING (account_id)
                          WHERE o.user_id = a.user_id AND {MAY_OPEN_AGAIN}) AS positions,
       {LOST_IN_PART.format(day="$2")}
       + coalesce((SELECT sum(r.counted_loss_usd) FROM daily_results AS r JOIN accounts AS o USING (account_id)
                   WHERE o.user_id = a.user_id AND r.day = $2), 0) AS loss_usd
FROM accounts AS a LEFT JOIN positions AS p ON p.account_id = a.account_id AND p.{LIVE}
WHERE a.user_id = ANY($1::uuid[])
GROUP BY a.user_id
"""


async def read_usage(
    connection: Connection,
    bot_id: UUID,
    *,
    subscription_ids: Sequence[UUID],
    symbols: Collection[str],
    day: date,
    rules: Mapping[UUID, RiskRules] | None,
    is_counted: bool,
    users: Mapping[UUID, User],
) -> Usage:
    """Give what has been used by these subscriptions of a bot, and by these users with limits of their own."""
    asked = bot_id, list(symbols), day, subscription_ids
    rows = await connection.fetch(USED, *asked) if is_counted else []
    of_bot = [row for row in rows if row["subscription_id"] is None]
    own = [row for row in rows if row["subscription_id"] is not None]
    measured = [user.user_id for user in users.values() if user.risk_capital_usd is not None]
    of_users = await connection.fetch(OF_USERS, list(users), day) if users else []
    return Usage(
        of_bot=_total(of_bot),
        of_bot_on=_summed(of_bot, by=_here),
        of_subscriptions=_summed(own, by=itemgetter("subscription_id")),
        of_subscriptions_on=_summed(own, by=_subscription_here),
        of_users={
            row["user_id"]: Tally(positions=row["positions"], loss_usd=row["loss_usd"]) for row in of_users
        },
        limited_users=users,
        months=await over_limit(connection, measured, day=day) if measured else {},
        records=await risk_records(connection, rules, day=day) if rules else {},
    )


def _total(rows: Iterable[Mapping[str, Any]]) -> Tally:
    told = list(rows)
    return Tally(
        positions=sum(row["positions"] for row in told),
        loss_usd=sum((row["loss_usd"] for row in told), ZERO),
    )


def _summed(
    rows: Iterable[Mapping[str, Any]], *, by: Callable[[Mapping[str, Any]], K | None]
) -> dict[K, Tally]:
    """Add up rows by what ``by`` gives; those for which it gives None are left out."""
    tallies: dict[K, Tally] = {}
    for row in rows:
        key = by(row)
        if key is None:
            continue
        before = tallies.get(key, NOTHING_USED)
        tallies[key] = Tally(
            positions=before.positions + row["positions"], loss_usd=before.loss_usd + row["loss_usd"]
        )
    return tallies


def _here(row: Mapping[str, Any]) -> str | None:
    symbol: str | None = row["here"]
    return symbol


def _subscription_here(row: Mapping[str, Any]) -> tuple[UUID, str] | None:
    return None if row["here"] is None else (row["subscription_id"], row["here"])
