"""Operations: positions as system D's users look at them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.operation import OperationStatus
from pregao.domain.position import Position
from pregao.domain.risk import DRAWDOWN_PERCENT_MAX
from pregao.edges.postgres import drawdowns
from pregao.edges.postgres.rows import to_value
from pregao.signals.own import SOURCE as DESK
from pregao.views.operations import Month, OperationLine
from pregao.views.slippage import to_price

# Given up by hand: the signal that closed it says so. Only bodies of the desk's own are known to be JSON.
IS_CANCELED = f"""
coalesce((SELECT CASE WHEN x.source = '{DESK}' THEN convert_from(x.body, 'UTF8')::jsonb ->> 'asked' = 'cancel' END
          FROM signals AS x WHERE x.signal_id = p.exit_signal_id), false)
"""
STATUS = f"""
CASE p.status WHEN 'pending' THEN 'PLANNED' WHEN 'abandoned' THEN 'CANCELLED'
              WHEN 'closed' THEN CASE WHEN {IS_CANCELED} THEN 'CANCELLED' ELSE 'CLOSED' END ELSE 'ACTIVE' END
"""
OPERATIONS_WHERE = f"""
SELECT o.* FROM (
    SELECT p.*, {STATUS} AS operation_status, a.name AS account_name, a.user_id AS client,
           coalesce(nullif(t.strategy, ''), b.name, '') AS strategy, t.capital, t.risk_percent,
           coalesce(s.stop_price, t.stop_price) AS stop_price, coalesce(s.initial_stop, t.stop_price) AS initial_stop,
           coalesce((s.targets -> 0 ->> 'price')::numeric, t.target_price) AS target_price,
           s.status AS stop_status, s.version AS stop_version
    FROM positions AS p JOIN accounts AS a USING (account_id) LEFT JOIN bots AS b ON b.bot_id = p.bot_id
    LEFT JOIN trades_by_hand AS t ON t.signal_id = p.signal_id LEFT JOIN stops AS s ON s.position_id = p.position_id
    WHERE ($1::uuid IS NULL OR a.user_id = $1) AND {{}}
) AS o
"""
OPERATIONS = OPERATIONS_WHERE.format("true")
# What can be told from the position's row alone is looked at first: of millions that are over, few are live.
STATUSES = {
    OperationStatus.PLANNED: "p.closed_at IS NULL AND p.status = 'pending'",
    OperationStatus.ACTIVE: "p.closed_at IS NULL AND p.status IN ('open', 'closing')",
    OperationStatus.CLOSED: "p.status = 'closed'",
    OperationStatus.CANCELED: "p.status IN ('closed', 'abandoned')",
}
LATEST = """
WHERE $2::text IS NULL OR o.operation_status = $2 ORDER BY o.position_id DESC OFFSET $3 LIMIT $4
"""
ONE = f"{OPERATIONS} WHERE o.position_id = $2"
OPENED_BY = f"""
{OPERATIONS} WHERE o.position_id IN (SELECT position_id FROM orders WHERE signal_id = $2 AND leg = 'entry')
"""


class PostgresOperations:
    """The port `views.operations.Operations`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def operations(
        self, *, owner: UUID | None, status: OperationStatus | None, offset: int, limit: int
    ) -> Sequence[OperationLine]:
        query = OPERATIONS_WHERE.format("true" if status is None else STATUSES[status]) + LATEST
        return [_line(row) for row in await self._pool.fetch(query, owner, status, offset, limit)]

    async def find_operation(self, operation_id: int, *, owner: UUID | None) -> OperationLine | None:
        row = await self._pool.fetchrow(ONE, owner, operation_id)
        return None if row is None else _line(row)

    async def find_opened_by(self, signal_id: UUID, *, owner: UUID | None) -> OperationLine | None:
        row = await self._pool.fetchrow(OPENED_BY, owner, signal_id)
        return None if row is None else _line(row)

    async def month_of(self, user_id: UUID | None, *, now: datetime) -> Month:
        found = (
            await drawdowns.measured(self._pool, now=now, user_ids=[user_id]) if user_id is not None else []
        )
        if user_id is None or not found:
            return Month(
                pnl=await drawdowns.result_of(self._pool, user_id, now=now),
                capital=None,
                limit_percent=DRAWDOWN_PERCENT_MAX,
                is_lifted=False,
            )
        (one,) = found
        return Month(
            pnl=one.pnl,
            capital=one.capital,
            limit_percent=one.limit_percent,
            is_lifted=not one.is_stopped and await drawdowns.was_paused(self._pool, user_id, now=now),
        )


def _line(row: Any) -> OperationLine:
    position = to_value(row, Position)
    prices = {"average_entry_price": position.entry_price, "average_exit_price": position.exit_price}
    shown = {name: None if price is None else to_price(price) for name, price in prices.items()}
    told = {
        "operation_id": position.position_id,
        "side": position.direction.entry_side.upper(),
        "status": row["operation_status"],
        "quantity": position.quantity,
        "total_entry_quantity": position.entered_quantity,
    }
    return to_value({**row, **shown, **told}, OperationLine)
