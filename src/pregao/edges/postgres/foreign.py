"""Orders at venues that are not ours: seen by looks, taken back for whoever asked, shown to people."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.facts import Fact, ForeignCancelTold
from pregao.domain.foreign import UNTOLD, ForeignOrder
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.sorting import fetch_lines
from pregao.positions.ports import UntoldCancel
from pregao.views.foreign import CancelLine, ForeignOrderLine, LookLine
from pregao.views.sorting import FOREIGN_CANCEL_FIELDS, FOREIGN_ORDER_FIELDS, NEWEST_FIRST, Shape

BELL = "foreign"
CLAIM_SECONDS = 60.0  # whoever claimed an account and died is followed by another look then
ORDER_ID_CHARACTERS = 27  # of a client id of ours; the rest is the attempt's number
UNTOLD_STATUSES = ", ".join(f"'{one}'" for one in sorted(UNTOLD))

CLAIM = """
WITH due AS (
    SELECT l.account_id FROM foreign_looks AS l JOIN accounts AS a USING (account_id)
    WHERE a.venue = ANY($1::text[]) AND l.asked_at IS NOT NULL AND l.due_at <= clock_timestamp()
    ORDER BY l.asked_at LIMIT $2
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE foreign_looks AS l SET due_at = clock_timestamp() + $3::interval
FROM due WHERE l.account_id = due.account_id
RETURNING l.account_id, l.asked_at, (SELECT venue FROM accounts AS a WHERE a.account_id = l.account_id) AS venue
"""
# Whoever has never been looked at goes first.
CLAIM_NEXT = """
WITH next AS (
    SELECT a.account_id, a.venue FROM accounts AS a LEFT JOIN foreign_looks AS l USING (account_id)
    WHERE a.venue = ANY($1::text[]) AND a.is_active AND coalesce(l.due_at <= clock_timestamp(), true)
    ORDER BY l.due_at NULLS FIRST, a.account_id LIMIT 1
)
INSERT INTO foreign_looks AS l (account_id, due_at)
SELECT account_id, clock_timestamp() + $2::interval FROM next
ON CONFLICT (account_id) DO UPDATE SET due_at = excluded.due_at WHERE l.due_at <= clock_timestamp()
RETURNING account_id, asked_at, (SELECT venue FROM next) AS venue
"""
OURS = f"""
SELECT EXISTS (SELECT FROM orders WHERE account_id = $1 AND order_id = left($2::text, {ORDER_ID_CHARACTERS}))
"""
KEEP = f"""
INSERT INTO foreign_orders (account_id, symbol, exchange_order_id, client_order_id, side, position_side, kind, price,
                            quantity, filled_quantity, reduce_only, status, created_at, seen_at)
SELECT $1, told.*, clock_timestamp()
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[], $9::numeric[],
            $10::numeric[], $11::boolean[], $12::text[], $13::timestamptz[])
     AS told (symbol, exchange_order_id, client_order_id, side, position_side, kind, price, quantity, filled_quantity,
              reduce_only, status, created_at)
WHERE NOT EXISTS (SELECT FROM orders AS o
                  WHERE o.account_id = $1 AND o.order_id = left(told.client_order_id, {ORDER_ID_CHARACTERS}))
  AND NOT EXISTS (SELECT FROM foreign_cancels AS c -- told since the venue answered: it never rests again
                  WHERE c.account_id = $1 AND c.symbol = told.symbol AND c.exchange_order_id = told.exchange_order_id
                    AND c.status IN ('canceled', 'ended'))
ON CONFLICT (account_id, symbol, exchange_order_id) DO UPDATE
SET filled_quantity = excluded.filled_quantity, price = excluded.price, quantity = excluded.quantity,
    status = excluded.status, seen_at = excluded.seen_at
"""
NOTE_LOOK = """
UPDATE foreign_looks
SET due_at = CASE WHEN asked_at IS DISTINCT FROM $2 THEN due_at ELSE clock_timestamp() + $3::interval END,
    asked_at = CASE WHEN asked_at IS DISTINCT FROM $2 THEN asked_at END,
    looked_at = CASE WHEN $4::text IS NULL THEN clock_timestamp() ELSE looked_at END, code = $4, reason = $5
WHERE account_id = $1
"""
UNTOLD_ONES = f"""
SELECT c.*, c.seen::text AS "order", a.venue FROM foreign_cancels AS c JOIN accounts AS a USING (account_id)
WHERE c.status IN ({UNTOLD_STATUSES}) AND a.venue = ANY($1::text[]) ORDER BY c.asked_at, c.cancel_id
"""
ORDERS = f"""
SELECT f.*, a.name AS account, a.venue, c.cancel_id,
       concat_ws('.', f.account_id, f.symbol, f.exchange_order_id) AS place
FROM foreign_orders AS f JOIN accounts AS a USING (account_id)
LEFT JOIN foreign_cancels AS c ON c.account_id = f.account_id AND c.symbol = f.symbol
     AND c.exchange_order_id = f.exchange_order_id AND c.status IN ({UNTOLD_STATUSES})
WHERE ($1::uuid IS NULL OR a.user_id = $1) AND ($2::bigint IS NULL OR f.account_id = $2)
"""
COUNT = """
SELECT count(*)::int FROM foreign_orders AS f JOIN accounts AS a USING (account_id)
WHERE ($1::uuid IS NULL OR a.user_id = $1)
"""
CANCELS = """
SELECT c.*, a.name AS account, c.seen ->> 'client_order_id' AS client_order_id, c.seen ->> 'side' AS side,
       (c.seen ->> 'price')::numeric AS price, (c.seen ->> 'quantity')::numeric AS quantity
FROM foreign_cancels AS c JOIN accounts AS a USING (account_id)
WHERE ($1::uuid IS NULL OR a.user_id = $1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLook:
    """An account to be looked at; ``asked_at`` says that somebody waits."""

    account_id: int
    venue: Venue
    asked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCancel(UntoldCancel):
    """One that is not told yet, and where it is asked."""

    venue: Venue


class PostgresForeignBooks:
    """The port `positions.ports.ForeignBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that a trader looks at once."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresForeignBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            yield PostgresForeignBook(transaction)
        self._ring()


class PostgresForeignBook:
    """The port `positions.ports.ForeignBook`, over one open transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Read under ``transaction`` and append to it."""
        self._transaction = transaction
        self._connection = transaction.connection

    async def lock_seen(self, *, account_id: int, symbol: str, exchange_order_id: str) -> ForeignOrder | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM foreign_orders WHERE account_id = $1 AND symbol = $2 AND exchange_order_id = $3 FOR UPDATE",
            account_id,
            symbol,
            exchange_order_id,
        )
        return None if row is None else to_value(row, ForeignOrder)

    async def is_ours(self, account_id: int, order: ForeignOrder) -> bool:
        found: bool = await self._connection.fetchval(OURS, account_id, order.client_order_id)
        return found

    async def find_untold(self, account_id: int, order: ForeignOrder) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            f"""
            SELECT cancel_id FROM foreign_cancels
            WHERE account_id = $1 AND symbol = $2 AND exchange_order_id = $3 AND status IN ({UNTOLD_STATUSES})
            """,
            account_id,
            order.symbol,
            order.exchange_order_id,
        )
        return found

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(list(facts))


async def claim_asked(pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int) -> list[DueLook]:
    """Claim accounts for which somebody waits; no other trader gets them for a minute."""
    rows = await pool.fetch(CLAIM, list(venues), limit, timedelta(seconds=CLAIM_SECONDS))
    return to_values(rows, DueLook)


async def claim_next(pool: asyncpg.Pool, venues: Collection[Venue]) -> DueLook | None:
    """Claim the account whose turn has come."""
    row = await pool.fetchrow(CLAIM_NEXT, list(venues), timedelta(seconds=CLAIM_SECONDS))
    return None if row is None else to_value(row, DueLook)


async def keep_look(
    pool: asyncpg.Pool, due: DueLook, found: Sequence[ForeignOrder], *, seconds: float
) -> None:
    """Keep what a look found in the place of what the one before did, but for what is ours; look again after so long."""
    fields = (
        "symbol", "exchange_order_id", "client_order_id", "side", "position_side", "kind", "price", "quantity",
        "filled_quantity", "reduce_only", "status", "created_at",
    )  # fmt: skip
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            KEEP, due.account_id, *([getattr(one, name) for one in found] for name in fields)
        )
        await connection.execute(
            "DELETE FROM foreign_orders WHERE account_id = $1 AND seen_at < transaction_timestamp()",
            due.account_id,
        )
        await connection.execute(
            NOTE_LOOK, due.account_id, due.asked_at, timedelta(seconds=seconds), None, None
        )


async def note_trouble(pool: asyncpg.Pool, due: DueLook, *, code: str, reason: str, seconds: float) -> None:
    """Keep why an account could not be looked at; it is looked at again after so long."""
    await pool.execute(NOTE_LOOK, due.account_id, due.asked_at, timedelta(seconds=seconds), code, reason)


async def untold_cancels(pool: Connection, venues: Collection[Venue]) -> list[RunningCancel]:
    """Give what is to be taken back at these venues and is not told yet, oldest first."""
    return to_values(await pool.fetch(UNTOLD_ONES, list(venues)), RunningCancel)


async def tell(journal: Journal, told: ForeignCancelTold) -> None:
    """Write what became of one, unless that is told; what has ended is not shown as resting any more."""
    async with journal.transaction() as transaction:
        row = await transaction.connection.fetchrow(
            f"SELECT * FROM foreign_cancels WHERE cancel_id = $1 AND status IN ({UNTOLD_STATUSES}) FOR UPDATE",
            told.cancel_id,
        )
        if row is None:
            return
        await transaction.append([told])
        if told.filled_quantity is not None or told.code == "ORDER_GONE":
            await transaction.connection.execute(
                "DELETE FROM foreign_orders WHERE account_id = $1 AND symbol = $2 AND exchange_order_id = $3",
                row["account_id"],
                row["symbol"],
                row["exchange_order_id"],
            )


class PostgresForeign:
    """The port `views.foreign.ForeignViews`."""

    def __init__(self, pool: asyncpg.Pool, *, ring: Callable[[], None]) -> None:
        """Read and ask through ``pool``; ``ring`` tells the traders that somebody waits."""
        self._pool = pool
        self._ring = ring

    async def orders(
        self, *, owner: UUID | None, account_id: int | None, after: str | None, shape: Shape, limit: int
    ) -> Sequence[ForeignOrderLine]:
        rows = await fetch_lines(
            self._pool,
            ORDERS,
            owner,
            account_id,
            shape=shape,
            fields=FOREIGN_ORDER_FIELDS,
            columns={},
            key="place::text",
            after=after,
            searched=("account", "symbol", "side", "kind", "exchange_order_id", "client_order_id"),
            limit=limit,
        )
        return to_values(rows, ForeignOrderLine)

    async def count(self, *, owner: UUID | None) -> int:
        count: int = await self._pool.fetchval(COUNT, owner)
        return count

    async def look_of(self, account_id: int) -> LookLine:
        row = await self._pool.fetchrow("SELECT * FROM foreign_looks WHERE account_id = $1", account_id)
        if row is None:
            return LookLine(account_id=account_id, looked_at=None, code=None, reason=None)
        return to_value(row, LookLine)

    async def ask(self, account_id: int) -> datetime:
        asked_at: datetime = await self._pool.fetchval(
            """
            INSERT INTO foreign_looks (account_id, asked_at) VALUES ($1, clock_timestamp())
            ON CONFLICT (account_id) DO UPDATE SET asked_at = excluded.asked_at, due_at = clock_timestamp()
            RETURNING asked_at
            """,
            account_id,
        )
        self._ring()
        return asked_at

    async def is_looked(self, account_id: int, *, since: datetime) -> bool:
        # Whatever came of it: a venue that is away is told, too.
        looked: bool | None = await self._pool.fetchval(
            "SELECT asked_at IS NULL OR asked_at > $2 FROM foreign_looks WHERE account_id = $1",
            account_id,
            since,
        )
        return bool(looked)

    async def cancels(
        self, *, owner: UUID | None, before: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> Sequence[CancelLine]:
        rows = await fetch_lines(
            self._pool,
            CANCELS,
            owner,
            shape=shape,
            fields=FOREIGN_CANCEL_FIELDS,
            columns={},
            key="cancel_id::uuid",
            after=before,
            searched=(
                "account",
                "symbol",
                "status",
                "exchange_order_id",
                "client_order_id",
                "asked_by",
                "reason",
            ),
            limit=limit,
        )
        return to_values(rows, CancelLine)

    async def find_cancel(self, cancel_id: UUID, *, owner: UUID | None) -> CancelLine | None:
        row = await self._pool.fetchrow(f"{CANCELS} AND c.cancel_id = $2", owner, cancel_id)
        return None if row is None else to_value(row, CancelLine)
