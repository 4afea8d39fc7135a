"""What was earned and lost, read from the daily results; and what became of the orders."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.risk_rules import RiskRules
from pregao.edges.postgres.predictions import entries_filtered, find_board
from pregao.edges.postgres.risk import risk_records
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.usage import LIVE, LOST_IN_PART
from pregao.views.performance import (
    RESULTS,
    AccountResults,
    BotPerformance,
    BotResults,
    Chosen,
    Execution,
    Executions,
    ForgivenLine,
    Performance,
    Period,
    ResultLine,
    Results,
    RiskStanding,
    SubscriberLine,
    SubscriptionPerformance,
    to_period,
)
from pregao.views.predictions import FilteredEntry, ModelBoard

TOP_SUBSCRIBERS = 10
ONE_DAY = timedelta(days=1)

SUMS = ", ".join(
    f"coalesce(sum(d.{name}), 0)::{'int' if kind is int else 'numeric'} AS {name}"
    for name, kind in ((name, type(getattr(Results(), name))) for name in RESULTS)
)

SUBSCRIPTION = """
SELECT s.subscription_id, s.bot_id, b.name AS bot_name, s.account_id, a.name AS account_name, s.max_daily_loss_usd
FROM subscriptions AS s JOIN bots AS b USING (bot_id) JOIN accounts AS a USING (account_id)
WHERE s.subscription_id = $1 AND ($2::uuid IS NULL OR a.user_id = $2)
"""

FORGIVEN = """
SELECT day, symbol, forgiven_usd, forgiven_by, forgiven_reason AS reason FROM daily_results
WHERE subscription_id = $1 AND day BETWEEN $2 AND $3 AND forgiven_usd > 0
ORDER BY day, symbol
"""

OPEN_LOSS = (
    f"SELECT {LOST_IN_PART.format(day='$2')} FROM positions AS p WHERE subscription_id = $1 AND {LIVE}"
)

# What is chosen, and when: what is null is not chosen by.
CHOSEN = """
($1::uuid IS NULL OR d.account_id IN (SELECT account_id FROM accounts WHERE user_id = $1))
AND ($2::uuid IS NULL OR d.bot_id = $2) AND ($3::uuid IS NULL OR d.subscription_id = $3)
AND ($4::bigint IS NULL OR d.account_id = $4) AND ($5::text IS NULL OR d.symbol = $5)
"""
IN_THESE_DAYS = f"{CHOSEN} AND d.day BETWEEN $6 AND $7"

# By day, where the symbol is null, and by symbol: both of all rows, not one of each pair.
DAILY = f"""
SELECT d.day, d.symbol, {SUMS} FROM daily_results AS d WHERE {IN_THESE_DAYS} GROUP BY GROUPING SETS ((d.day), (d.symbol))
"""
DAYS = f"SELECT d.day, {SUMS} FROM daily_results AS d WHERE {IN_THESE_DAYS} GROUP BY d.day"
BEFORE = f"SELECT {SUMS} FROM daily_results AS d WHERE {CHOSEN} AND d.day < $6"

# Each subscription's positions of these days once, by the index of what closed; asked by its symbols, they would be read for each.
EXTREMES = f"""
SELECT max(p.realized_pnl) AS best, min(p.realized_pnl) AS worst
FROM (SELECT DISTINCT d.subscription_id FROM daily_results AS d WHERE {IN_THESE_DAYS}) AS d
JOIN positions AS p USING (subscription_id)
WHERE p.status = 'closed' AND p.closed_at >= $8 AND p.closed_at < $9 AND ($5::text IS NULL OR p.symbol = $5)
"""

BY_BOT = f"""
SELECT d.bot_id, coalesce(b.name, '') AS bot_name, {SUMS}
FROM daily_results AS d LEFT JOIN bots AS b USING (bot_id)
WHERE {IN_THESE_DAYS} AND d.closed > 0 GROUP BY d.bot_id, b.name ORDER BY pnl_usd DESC, d.bot_id
"""
BY_ACCOUNT = f"""
SELECT d.account_id, coalesce(a.name, '') AS account_name, {SUMS}
FROM daily_results AS d LEFT JOIN accounts AS a USING (account_id)
WHERE {IN_THESE_DAYS} AND d.closed > 0 GROUP BY d.account_id, a.name ORDER BY pnl_usd DESC, d.account_id
"""
RESULT_LINES = f"""
SELECT d.*, coalesce(b.name, '') AS bot_name, coalesce(a.name, '') AS account_name
FROM daily_results AS d LEFT JOIN bots AS b USING (bot_id) LEFT JOIN accounts AS a USING (account_id)
WHERE {IN_THESE_DAYS} AND d.closed > 0
  AND ($8::date IS NULL OR (d.day, d.subscription_id, d.symbol) > ($8, $9::uuid, $10::text))
ORDER BY d.day, d.subscription_id, d.symbol LIMIT $11
"""

TOP = f"""
SELECT d.subscription_id, d.account_id, coalesce(a.name, '') AS account_name, {SUMS}
FROM daily_results AS d LEFT JOIN accounts AS a USING (account_id)
WHERE d.bot_id = $1 AND d.day BETWEEN $2 AND $3 AND d.closed > 0
GROUP BY d.subscription_id, d.account_id, a.name
ORDER BY pnl_usd DESC, d.subscription_id LIMIT {TOP_SUBSCRIBERS}
"""

SIGNALS = """
SELECT status, count(*)::int AS times FROM signals
WHERE bot_id = $1 AND received_at >= $2 AND received_at < $3
GROUP BY status ORDER BY status
"""

COUNTS = """
count(*)::int AS received, count(*) FILTER (WHERE did = 'success')::int AS executed,
count(*) FILTER (WHERE did = 'failed')::int AS failed, count(*) FILTER (WHERE did = 'skipped')::int AS skipped,
count(*) FILTER (WHERE did = 'pending')::int AS pending
"""

EXECUTIONS = f"SELECT {COUNTS} FROM executions WHERE subscription_id = $1"

EXECUTIONS_OF_BOT = f"""
SELECT {COUNTS}, round(avg(slippage_bps), 2) AS slippage_bps, round(avg(sent_ms))::int AS sent_ms,
       round(avg(acknowledged_ms))::int AS acknowledged_ms, round(avg(booked_ms))::int AS booked_ms
FROM (
    SELECT execution_status(o.status, o.filled_quantity) AS did,
           CASE WHEN o.filled_quantity > 0 THEN
               CASE o.side WHEN 'buy' THEN 10000 ELSE -10000 END
               * (o.filled_notional / o.filled_quantity - o.decision_price) / nullif(o.decision_price, 0) END
               AS slippage_bps,
           CASE WHEN o.filled_quantity > 0 THEN extract(epoch FROM o.sent_at - s.received_at) * 1000 END AS sent_ms,
           CASE WHEN o.filled_quantity > 0 THEN extract(epoch FROM o.acknowledged_at - s.received_at) * 1000 END
               AS acknowledged_ms,
           CASE WHEN o.filled_quantity > 0 THEN extract(epoch FROM o.booked_at - s.received_at) * 1000 END AS booked_ms
    FROM signals AS s JOIN orders AS o USING (signal_id)
    WHERE s.bot_id = $1 AND s.received_at >= $2 AND s.received_at < $3
) AS one
"""


class PostgresPerformances:
    """The port `views.performance.Performances`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_subscription_performance(
        self, subscription_id: UUID, *, owner: UUID | None, first_day: date, last_day: date
    ) -> SubscriptionPerformance | None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            named = await connection.fetchrow(SUBSCRIPTION, subscription_id, owner)
            if named is None:
                return None
            chosen = Chosen(subscription_id=subscription_id)
            period = await _period(connection, chosen, first_day=first_day, last_day=last_day)
            open_loss = await connection.fetchval(OPEN_LOSS, subscription_id, last_day)
            forgiven = await connection.fetch(FORGIVEN, subscription_id, first_day, last_day)
            executions = await connection.fetchrow(EXECUTIONS, subscription_id)
        return SubscriptionPerformance(
            **named,
            open_loss_usd=open_loss,
            period=period,
            forgiven=tuple(to_value(row, ForgivenLine) for row in forgiven),
            executions=to_value(executions, Executions),
        )

    async def risk_of(self, subscription_id: UUID, rules: RiskRules, *, day: date) -> RiskStanding:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            records = await risk_records(connection, {subscription_id: rules}, day=day)
            live = await connection.fetchval(
                f"SELECT count(*)::int FROM positions WHERE subscription_id = $1 AND {LIVE}", subscription_id
            )
            sums = await connection.fetchrow(
                f"SELECT {SUMS} FROM daily_results AS d WHERE d.subscription_id = $1", subscription_id
            )
        return RiskStanding(
            record=records[subscription_id], live_positions=live, all_time=to_value(sums, Results)
        )

    async def find_bot_performance(
        self, bot_id: UUID, *, first_day: date, last_day: date
    ) -> BotPerformance | None:
        days = {"first_day": first_day, "last_day": last_day}
        instants = _instants(**days)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            name = await connection.fetchval("SELECT name FROM bots WHERE bot_id = $1", bot_id)
            if name is None:
                return None
            period = await _period(connection, Chosen(bot_id=bot_id), **days)
            top = await connection.fetch(TOP, bot_id, first_day, last_day)
            signals = await connection.fetch(SIGNALS, bot_id, *instants)
            executions = await connection.fetchrow(EXECUTIONS_OF_BOT, bot_id, *instants)
        return BotPerformance(
            bot_id=bot_id,
            bot_name=name,
            period=period,
            top_subscribers=tuple(_subscriber(row) for row in top),
            signals={row["status"]: row["times"] for row in signals},
            executions=to_value(executions, Executions),
            average=to_value(executions, Execution),
        )

    async def find_model_board(self, bot_id: UUID, *, since: datetime) -> ModelBoard | None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await find_board(connection, bot_id, since=since)

    async def filtered_entries(self, bot_id: UUID, *, since: datetime) -> Sequence[FilteredEntry]:
        async with self._pool.acquire() as connection:
            return await entries_filtered(connection, bot_id, since=since)

    async def performance(self, chosen: Chosen, *, first_day: date, last_day: date) -> Performance:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            period = await _period(connection, chosen, first_day=first_day, last_day=last_day)
            given = (*astuple(chosen), first_day, last_day)
            bots = await connection.fetch(BY_BOT, *given)
            accounts = await connection.fetch(BY_ACCOUNT, *given)
        return Performance(
            period=period,
            bots=_by_bot(bots),
            accounts=tuple(
                AccountResults(
                    account_id=row["account_id"],
                    account_name=row["account_name"],
                    results=to_value(row, Results),
                )
                for row in accounts
            ),
        )

    async def days(self, chosen: Chosen, *, first_day: date, last_day: date) -> Period:
        given = astuple(chosen)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            rows = await connection.fetch(DAYS, *given, first_day, last_day)
            before = await connection.fetchrow(BEFORE, *given, first_day)
        return to_period(
            days=[(row["day"], to_value(row, Results)) for row in rows],
            symbols=(),
            before=to_value(before, Results),
            first_day=first_day,
            last_day=last_day,
            best_pnl_usd=None,
            worst_pnl_usd=None,
        )

    async def bots(self, chosen: Chosen, *, first_day: date, last_day: date) -> Sequence[BotResults]:
        return _by_bot(await self._pool.fetch(BY_BOT, *astuple(chosen), first_day, last_day))

    async def results(
        self, chosen: Chosen, *, first_day: date, last_day: date, after: ResultLine | None, limit: int
    ) -> Sequence[ResultLine]:
        place = (None, None, None) if after is None else (after.day, after.subscription_id, after.symbol)
        rows = await self._pool.fetch(RESULT_LINES, *astuple(chosen), first_day, last_day, *place, limit)
        return to_values(rows, ResultLine)


def _by_bot(rows: Sequence[Any]) -> tuple[BotResults, ...]:
    return tuple(
        BotResults(bot_id=row["bot_id"], bot_name=row["bot_name"], results=to_value(row, Results))
        for row in rows
    )


async def _period(connection: Any, chosen: Chosen, *, first_day: date, last_day: date) -> Period:
    given = astuple(chosen)
    rows: Sequence[Any] = await connection.fetch(DAILY, *given, first_day, last_day)
    before = await connection.fetchrow(BEFORE, *given, first_day)
    instants = _instants(first_day=first_day, last_day=last_day)
    extremes = await connection.fetchrow(EXTREMES, *given, first_day, last_day, *instants)
    told = [(row, to_value(row, Results)) for row in rows]
    return to_period(
        days=[(row["day"], one) for row, one in told if row["symbol"] is None],
        symbols=[(row["symbol"], one) for row, one in told if row["symbol"] is not None],
        before=to_value(before, Results),
        first_day=first_day,
        last_day=last_day,
        best_pnl_usd=extremes["best"],
        worst_pnl_usd=extremes["worst"],
    )


def _instants(*, first_day: date, last_day: date) -> tuple[datetime, datetime]:
    """Give the first instant of the days and the first after them."""
    begin = datetime.combine(first_day, time(), UTC)
    return begin, datetime.combine(last_day, time(), UTC) + ONE_DAY


def _subscriber(row: Any) -> SubscriberLine:
    return SubscriberLine(
        subscription_id=row["subscription_id"],
        account_id=row["account_id"],
        account_name=row["account_name"],
        results=to_value(row, Results),
    )
