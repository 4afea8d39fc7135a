"""The stops as people change them: moved by hand, or given to what was opened before one was asked for."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg

from pregao.domain.bot import Bot, Subscription, effective_settings
from pregao.domain.facts import Fact, StopChanged
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX
from pregao.domain.money import ZERO
from pregao.edges.postgres.configured import under
from pregao.edges.postgres.guards import to_armed
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value
from pregao.stops.backfill import Unpriced
from pregao.stops.by_hand import HeldWithout, MarketSides
from pregao.stops.ports import ArmedStop

Ring = Callable[..., None]

# The position's row is the lock of all that concerns it.
LOCK = """
SELECT p.position_id FROM positions AS p JOIN accounts AS a USING (account_id)
WHERE p.position_id = $1 AND ($2::uuid IS NULL OR a.user_id = $2) FOR NO KEY UPDATE OF p
"""
ARMED = "SELECT * FROM stops WHERE position_id = ANY($1::bigint[]) ORDER BY position_id"
SIDES = """
SELECT bid, ask FROM watches
WHERE venue = $1 AND symbol = $2 AND price_at >= $3 AND bid IS NOT NULL AND ask IS NOT NULL
"""
WITHOUT = """
SELECT p.position_id FROM positions AS p JOIN accounts AS a USING (account_id)
WHERE p.closed_at IS NULL AND p.position_id > $1 AND ($3::uuid IS NULL OR a.user_id = $3)
  AND EXISTS (SELECT FROM stops AS s WHERE s.position_id = p.position_id AND s.stop_price IS NULL AND s.status = 'armed')
ORDER BY p.position_id LIMIT $2 FOR NO KEY UPDATE OF p
"""


def _columns(table: str, kind: type) -> str:
    return ", ".join(f"{table}.{field.name} AS {table}_{field.name}" for field in fields(kind))


SETTINGS = f"""
SELECT p.position_id, {_columns("b", Bot)}, {_columns("s", Subscription)}
FROM positions AS p JOIN bots AS b ON b.bot_id = p.bot_id JOIN subscriptions AS s ON s.subscription_id = p.subscription_id
WHERE p.position_id = ANY($1::bigint[])
"""


class PostgresHandBooks:
    """The port `stops.by_hand.HandBooks`."""

    def __init__(self, journal: Journal, *, ring: Ring) -> None:
        """Call ``ring`` with the positions whose stops were changed, after the commit."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresHandBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            book = PostgresHandBook(transaction, owner=owner)
            yield book
        if book.changed:
            self._ring(*(str(number) for number in sorted(book.changed)))


class PostgresHandBook:
    """The port `stops.by_hand.HandBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None) -> None:
        """Read under ``transaction`` what is ``owner``'s, or everybody's, and append to it."""
        self.changed: set[int] = set()
        self._owner = owner
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_armed(self, position_id: int) -> ArmedStop | None:
        if await self._connection.fetchval(LOCK, position_id, self._owner) is None:
            return None
        rows = await self._connection.fetch(ARMED, [position_id])
        return to_armed(rows[0]) if rows else None

    async def sides_of(self, armed: ArmedStop, *, now: datetime) -> MarketSides | None:
        since = now - timedelta(seconds=float(PRICE_AGE_SECONDS_MAX))
        row = await self._connection.fetchrow(SIDES, armed.venue, armed.symbol, since)
        return None if row is None else to_value(row, MarketSides)

    async def held_without(self, *, after: int, limit: int) -> Sequence[HeldWithout]:
        ids = [row["position_id"] for row in await self._connection.fetch(WITHOUT, after, limit, self._owner)]
        stops = {row["position_id"]: to_armed(row) for row in await self._connection.fetch(ARMED, ids)}
        asked = {
            row["position_id"]: _percent_of(row, stops[row["position_id"]])
            for row in await self._connection.fetch(SETTINGS, ids)
        }
        return [
            HeldWithout(
                row=Unpriced(
                    position_id=number,
                    direction=stops[number].stop.direction,
                    entry_price=stops[number].stop.entry_price,
                    price_tick=stops[number].stop.price_tick,
                    stop_percent=asked[number],
                ),
                armed=stops[number],
            )
            for number in ids
        ]

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        await self._transaction.append(kept)
        self.changed |= {fact.stop.position_id for fact in kept if isinstance(fact, StopChanged)}


def _percent_of(row: asyncpg.Record, armed: ArmedStop) -> Decimal | None:
    bot, subscription = to_value(under("b", row), Bot), to_value(under("s", row), Subscription)
    percent = effective_settings(bot, subscription, symbol=armed.symbol).stop_loss_pct
    return percent if percent > ZERO else None
