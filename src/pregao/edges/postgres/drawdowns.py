"""What a month has cost each tenant, from booked trades, and whom the desk has paused for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from pregao.accounts.drawdown import SET_BY
from pregao.domain.risk import Drawdown, MonthlyState, drawdown_of
from pregao.domain.trading_state import ScopeLevel
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_values

# Closed positions count on the UTC day they closed on; of what is open, the parts that were closed this month.
RESULT = """
coalesce((SELECT sum(r.pnl_usd) FROM daily_results AS r JOIN accounts AS a USING (account_id)
          WHERE a.user_id IS NOT DISTINCT FROM {user} AND r.day >= {first} AND r.day < {next}), 0)
+ coalesce((SELECT sum(p.realized_pnl) FROM positions AS p JOIN accounts AS a USING (account_id)
            WHERE a.user_id IS NOT DISTINCT FROM {user} AND p.closed_at IS NULL AND p.exited_quantity > 0
              AND EXISTS (SELECT FROM fills AS f WHERE f.position_id = p.position_id
                          AND f.side = CASE p.direction WHEN 'long' THEN 'sell' ELSE 'buy' END
                          AND (f.traded_at AT TIME ZONE 'UTC')::date >= {first})), 0)
"""
RESULT_OF = f"SELECT {RESULT.format(user='$1::uuid', first='$2::date', next='$3::date')} AS pnl"
MEASURED = f"""
SELECT u.user_id, u.risk_capital_usd AS capital, u.monthly_drawdown_pct AS limit_percent,
       {RESULT.format(user="u.user_id", first="$1::date", next="$2::date")} AS pnl,
       EXISTS (SELECT FROM trading_states AS s WHERE s.level = 'user' AND s.subject = u.user_id::text
               AND s.state <> 'active') AS is_stopped
FROM users AS u WHERE u.risk_capital_usd IS NOT NULL AND ($3::uuid[] IS NULL OR u.user_id = ANY($3)) ORDER BY u.user_id
"""
WAS_PAUSED = """
SELECT EXISTS (SELECT FROM journal
               WHERE kind = 'TradingStateSet' AND happened_at >= $2
               AND fact ->> 'level' = 'user' AND fact ->> 'subject' = $1 AND fact ->> 'set_by' = $3)
"""
PAUSED = "SELECT subject, set_at FROM trading_states WHERE level = $1 AND state <> 'active' AND set_by = $2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A tenant whose months are measured, and what this one has earned so far."""

    user_id: UUID
    capital: Decimal
    limit_percent: Decimal
    pnl: Decimal
    is_stopped: bool  # by whatever state stands there


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A tenant whom the desk has paused, and when."""

    user_id: UUID
    set_at: datetime


def month_of(now: datetime) -> date:
    """Give the first day of the UTC month."""
    return now.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    """Give the first day of the next month."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


async def measured(
    connection: Connection, *, now: datetime, user_ids: Sequence[UUID] | None = None
) -> Sequence[Measured]:
    """Give every tenant with a capital, or those named, and the month's result."""
    month = month_of(now)
    return to_values(await connection.fetch(MEASURED, month, month_after(month), user_ids), Measured)


async def over_limit(connection: Connection, user_ids: Sequence[UUID], *, day: date) -> dict[UUID, Drawdown]:
    """Give those whose month has cost too much and whom the desk has not paused for it; who was let go on since is none."""
    now = datetime.combine(day, datetime.min.time(), UTC)
    found = {
        one.user_id: drawdown_of(one.pnl, capital=one.capital, limit_percent=one.limit_percent)
        for one in await measured(connection, now=now, user_ids=user_ids)
    }
    return {
        user_id: drawdown
        for user_id, drawdown in found.items()
        if drawdown.state is MonthlyState.PAUSED and not await was_paused(connection, user_id, now=now)
    }


async def result_of(connection: Connection, user_id: UUID | None, *, now: datetime) -> Decimal:
    """Give the month's result of a tenant; None is the desk, with the accounts that are nobody's."""
    month = month_of(now)
    pnl: Decimal = await connection.fetchval(RESULT_OF, user_id, month, month_after(month))
    return pnl


async def was_paused(connection: Connection, user_id: UUID, *, now: datetime) -> bool:
    """Say whether the desk has paused the tenant in this month, whether or not somebody let him go on since."""
    first = datetime.combine(month_of(now), datetime.min.time(), UTC)
    said: bool = await connection.fetchval(WAS_PAUSED, str(user_id), first, SET_BY)
    return said


async def paused(connection: Connection) -> Sequence[Paused]:
    """Give the tenants whom the desk has paused and nobody let go on."""
    rows = await connection.fetch(PAUSED, ScopeLevel.USER, SET_BY)
    return [Paused(user_id=UUID(row["subject"]), set_at=row["set_at"]) for row in rows]
