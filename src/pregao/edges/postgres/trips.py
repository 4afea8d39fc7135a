"""Round trips and fills, as people look at them."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime, time
from uuid import UUID

import asyncpg

from pregao.domain.money import ZERO
from pregao.edges.postgres.rows import to_value
from pregao.views.slippage import to_price
from pregao.views.trips import (
    TRIP_STATUSES,
    FillLine,
    FillPlace,
    TripFilter,
    TripLine,
    TripPlace,
    TripStats,
)

OWNED = "account_id IN (SELECT account_id FROM accounts WHERE user_id = {0})"

HELD = f"""
status IN ('open', 'closing', 'closed') AND ($1::uuid IS NULL OR {OWNED.format("$1")})
AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR strpos(upper(symbol), upper($3)) > 0)
"""

# A notional of nothing is a price that nobody told.
TRIPS = f"""
SELECT position_id, (SELECT name FROM bots WHERE bots.bot_id = positions.bot_id) AS bot, account_id,
       symbol AS ticker, status, direction, opened_at, closed_at, entered_quantity AS quantity,
       nullif(entry_notional, 0) / nullif(entered_quantity, 0) AS entry_price,
       nullif(exit_notional, 0) / nullif(exited_quantity, 0) AS exit_price,
       nullif(entry_notional, 0) AS value, realized_pnl, close_reason
FROM positions
WHERE {HELD} AND ($4::timestamptz IS NULL OR (opened_at, position_id) < ($4, $5::bigint))
ORDER BY opened_at DESC, position_id DESC LIMIT $6
"""

STATS = f"""
SELECT status, count(*)::int AS trips, count(*) FILTER (WHERE closed_at >= $2)::int AS since_midnight,
       coalesce(sum(entry_notional), 0) AS value
FROM positions
WHERE status IN ('open', 'closing', 'closed') AND ($1::uuid IS NULL OR {OWNED.format("$1")})
GROUP BY status
"""

FILLS = f"""
SELECT account_id, symbol, trade_id, exchange_order_id, order_id, signal_id, position_id, side, position_side, price,
       quantity, fee, commission, commission_asset, is_maker, traded_at, booked_at
FROM fills
WHERE ($1::uuid IS NULL OR {OWNED.format("$1")}) AND ($2::bigint IS NULL OR account_id = $2)
  AND ($3::uuid IS NULL OR signal_id = $3) AND ($4::text IS NULL OR symbol = $4)
  AND ($5::timestamptz IS NULL
       OR (booked_at, account_id, symbol, trade_id, exchange_order_id) < ($5, $6::bigint, $7::text, $8::text, $9::text))
ORDER BY booked_at DESC, account_id DESC, symbol DESC, trade_id DESC, exchange_order_id DESC LIMIT $10
"""


class PostgresTrips:
    """The port `views.trips.Trips`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def trips(
        self, asked: TripFilter, *, before: TripPlace | None = None, limit: int
    ) -> Sequence[TripLine]:
        place = (None, None) if before is None else (before.opened_at, before.position_id)
        rows = await self._pool.fetch(TRIPS, asked.owner, asked.status, asked.ticker, *place, limit)
        return [to_value({**row, **_prices(row)}, TripLine) for row in rows]

    async def count_trips(self, asked: TripFilter) -> int:
        found: int = await self._pool.fetchval(
            f"SELECT count(*) FROM positions WHERE {HELD}", asked.owner, asked.status, asked.ticker
        )
        return found

    async def stats(self, *, owner: UUID | None = None, now: datetime) -> TripStats:
        midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        rows = {row["status"]: row for row in await self._pool.fetch(STATS, owner, midnight)}
        return TripStats(
            counts={status: rows[status]["trips"] if status in rows else 0 for status in TRIP_STATUSES},
            closed_today=rows["closed"]["since_midnight"] if "closed" in rows else 0,
            total_value=sum((row["value"] for name, row in rows.items() if name != "closed"), ZERO),
        )

    async def fills(
        self,
        *,
        owner: UUID | None = None,
        account_id: int | None = None,
        signal_id: UUID | None = None,
        symbol: str | None = None,
        before: FillPlace | None = None,
        limit: int,
    ) -> Sequence[FillLine]:
        place = (None,) * 5 if before is None else astuple(before)
        rows = await self._pool.fetch(FILLS, owner, account_id, signal_id, symbol, *place, limit)
        return [to_value(row, FillLine) for row in rows]


def _prices(row: asyncpg.Record) -> dict[str, object]:
    return {
        name: None if row[name] is None else to_price(row[name]) for name in ("entry_price", "exit_price")
    }
