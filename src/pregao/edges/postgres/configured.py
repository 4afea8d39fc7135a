"""Bots, subscriptions and accounts as they are listed and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.preflight import Light
from pregao.edges.postgres.rows import to_value
from pregao.edges.postgres.sorting import fetch_lines
from pregao.edges.postgres.usage import LIVE, LOST_IN_PART
from pregao.views.configured import AccountLine, BotLine, SubscriptionLine, Used
from pregao.views.sorting import ACCOUNT_FIELDS, BOT_FIELDS, OLDEST_FIRST, SUBSCRIPTION_FIELDS, Shape

BOTS = """
SELECT b.*,
       (SELECT count(*)::int FROM subscriptions AS s WHERE s.bot_id = b.bot_id AND s.status = 'active')
           AS active_subscriptions,
       (SELECT max(received_at) FROM signals AS g WHERE g.bot_id = b.bot_id) AS last_signal_at
FROM bots AS b
"""

ACCOUNTS = """
SELECT a.*, c.account_id IS NOT NULL AS has_credentials, p.light, coalesce(p.light_codes, '{}') AS light_codes,
       p.checked_at AS light_checked_at
FROM accounts AS a LEFT JOIN credentials AS c USING (account_id) LEFT JOIN preflights AS p USING (account_id)
"""


def _columns(table: str, kind: type) -> str:
    return ", ".join(f"{table}.{field.name} AS {table}_{field.name}" for field in fields(kind))


SUBSCRIPTIONS = f"""
SELECT {_columns("s", Subscription)}, {_columns("b", Bot)}, {_columns("a", Account)}, s.created_at, s.updated_at
FROM subscriptions AS s JOIN bots AS b USING (bot_id) JOIN accounts AS a USING (account_id)
"""


# As planning counts them; what is lost is known when a position closes, what its parts have lost before.
USED = f"""
SELECT subscription_id, sum(positions)::int AS live_positions, sum(loss_usd) AS loss_usd
FROM (
    SELECT subscription_id, count(*) AS positions, {LOST_IN_PART.format(day="$2")} AS loss_usd
    FROM positions AS p WHERE subscription_id = ANY($1::uuid[]) AND {LIVE} GROUP BY subscription_id
    UNION ALL
    SELECT subscription_id, 0, sum(counted_loss_usd) FROM daily_results
    WHERE subscription_id = ANY($1::uuid[]) AND day = $2 GROUP BY subscription_id
) AS counted
GROUP BY subscription_id
"""


class PostgresConfigured:
    """The port `views.configured.Configured`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def bots(
        self,
        *,
        status: str | None,
        market_type: str | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[BotLine]:
        rows = await fetch_lines(
            self._pool,
            f"{BOTS} WHERE ($1::text IS NULL OR b.status = $1) AND ($2::text IS NULL OR b.market_type = $2)",
            status,
            market_type,
            shape=shape,
            fields=BOT_FIELDS,
            columns={},
            key="bot_id::uuid",
            after=after,
            searched=("name", "description", "trading_symbol"),
            limit=limit,
        )
        return [bot_line(row) for row in rows]

    async def find_bot(self, bot_id: UUID) -> BotLine | None:
        row = await self._pool.fetchrow(f"{BOTS} WHERE b.bot_id = $1", bot_id)
        return None if row is None else bot_line(row)

    async def subscriptions(
        self,
        *,
        owner: UUID | None,
        bot_id: UUID | None,
        account_id: int | None,
        status: str | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[SubscriptionLine]:
        rows = await fetch_lines(
            self._pool,
            f"""
            {SUBSCRIPTIONS}
            WHERE ($1::uuid IS NULL OR s.bot_id = $1) AND ($2::bigint IS NULL OR s.account_id = $2)
              AND ($3::text IS NULL OR s.status = $3) AND ($4::uuid IS NULL OR a.user_id = $4)
            """,
            bot_id,
            account_id,
            status,
            owner,
            shape=shape,
            fields=SUBSCRIPTION_FIELDS,
            columns={"account_name": "a_name", "bot_name": "b_name", "status": "s_status"},
            key="s_subscription_id::uuid",
            after=after,
            searched=("a_name", "b_name", "a_venue"),
            limit=limit,
        )
        return [_subscription(row) for row in rows]

    async def find_subscription(
        self, subscription_id: UUID, *, owner: UUID | None
    ) -> SubscriptionLine | None:
        row = await self._pool.fetchrow(
            f"{SUBSCRIPTIONS} WHERE s.subscription_id = $1 AND ($2::uuid IS NULL OR a.user_id = $2)",
            subscription_id,
            owner,
        )
        return None if row is None else _subscription(row)

    async def used(self, subscription_ids: Sequence[UUID], *, day: date) -> Mapping[UUID, Used]:
        counted = {
            row["subscription_id"]: Used(live_positions=row["live_positions"], loss_usd=row["loss_usd"])
            for row in await self._pool.fetch(USED, list(subscription_ids), day)
        }
        return {one: counted.get(one, Used()) for one in subscription_ids}

    async def accounts(
        self,
        *,
        owner: UUID | None,
        is_active: bool | None,
        after: int | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[AccountLine]:
        rows = await fetch_lines(
            self._pool,
            f"{ACCOUNTS} WHERE ($1::boolean IS NULL OR a.is_active = $1) AND ($2::uuid IS NULL OR a.user_id = $2)",
            is_active,
            owner,
            shape=shape,
            fields=ACCOUNT_FIELDS,
            columns={},
            key="account_id::bigint",
            after=after,
            searched=("name", "venue", "light", "array_to_string(light_codes, ' ')"),
            limit=limit,
        )
        return [account_line(row) for row in rows]

    async def find_account(self, account_id: int, *, owner: UUID | None) -> AccountLine | None:
        row = await self._pool.fetchrow(
            f"{ACCOUNTS} WHERE a.account_id = $1 AND ($2::uuid IS NULL OR a.user_id = $2)", account_id, owner
        )
        return None if row is None else account_line(row)


def bot_line(row: Any) -> BotLine:
    """Read what BOTS gives."""
    return BotLine(
        bot=to_value(row, Bot),
        active_subscriptions=row["active_subscriptions"],
        last_signal_at=row["last_signal_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _subscription(row: Any) -> SubscriptionLine:
    return SubscriptionLine(
        subscription=to_value(under("s", row), Subscription),
        bot=to_value(under("b", row), Bot),
        account=to_value(under("a", row), Account),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def account_line(row: Any) -> AccountLine:
    """Read what ACCOUNTS gives."""
    return AccountLine(
        account=to_value(row, Account),
        has_credentials=row["has_credentials"],
        light=None if row["light"] is None else Light(row["light"]),
        light_codes=tuple(row["light_codes"]),
        light_checked_at=row["light_checked_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def under(table: str, row: Any) -> dict[str, Any]:
    """Give the columns of one of several tables, by their own names."""
    return {name[2:]: value for name, value in row.items() if name.startswith(f"{table}_")}
