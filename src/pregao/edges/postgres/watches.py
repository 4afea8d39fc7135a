"""Which monitor watches which symbol, and what it knows of its price: the port `trading.watches.Watches`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from pregao.domain.account import Account, Venue
from pregao.domain.position import Position
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.guards import to_armed
from pregao.edges.postgres.journal import Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.workers import Lease
from pregao.stops.ports import ArmedStop

Pair = tuple[Venue, str]

NAME = "watch:{}:{}"
STANDING = "left_at IS NULL AND status <> 'disarmed'"

# What is above this monitor's share is given up first: another one takes it with its next turn.
TAKE_TURNS = f"""
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT 'watch:' || venue || ':' || symbol AS name FROM stops WHERE venue = ANY($4::text[]) AND {STANDING}
), share AS MATERIALIZED (
    SELECT 1 + ceil((SELECT count(*) FROM wanted)::numeric / greatest(1, (
        SELECT count(*) FROM workers WHERE role = 'monitor' AND lease_until > clock_timestamp())))::int AS symbols
), own AS MATERIALIZED (
    SELECT name, row_number() OVER (ORDER BY name) <= (SELECT symbols FROM share) AND name IN (SELECT name FROM wanted)
           AS is_kept
    FROM leases WHERE worker_id = $1 AND name LIKE 'watch:%'
), given_up AS (
    DELETE FROM leases USING own WHERE leases.name = own.name AND leases.worker_id = $1 AND NOT own.is_kept
), free AS (
    SELECT wanted.name FROM wanted LEFT JOIN leases USING (name)
    WHERE leases.name IS NULL OR (leases.worker_id <> $1 AND leases.lease_until <= clock_timestamp())
    ORDER BY md5(wanted.name || $1) LIMIT greatest(0, (SELECT symbols FROM share) - (SELECT count(*) FROM own WHERE is_kept))
)
INSERT INTO leases (name, worker_id, lease_epoch, lease_until)
SELECT name, $1, $2, clock_timestamp() + $3
FROM (SELECT name FROM own WHERE is_kept UNION SELECT name FROM free) AS turns ORDER BY name
ON CONFLICT (name) DO UPDATE
SET worker_id = excluded.worker_id, lease_epoch = excluded.lease_epoch, lease_until = excluded.lease_until
WHERE leases.lease_until <= clock_timestamp() OR leases.worker_id = excluded.worker_id
RETURNING name
"""
GIVE_UP = "DELETE FROM leases WHERE worker_id = $1 AND lease_epoch = $2 AND name LIKE 'watch:%'"
# The symbol's lease and the position's lock in one round trip: an exit waits for each.
LOCK_OURS = """
SELECT p.* FROM unnest($1::bigint[], $2::text[]) AS reached (position_id, name)
JOIN positions AS p USING (position_id) JOIN leases AS l USING (name)
WHERE l.worker_id = $3 AND l.lease_epoch = $4 AND l.lease_until > clock_timestamp()
ORDER BY p.position_id FOR NO KEY UPDATE OF p
"""
ARMED = f"""
SELECT stops.* FROM stops JOIN unnest($1::text[], $2::text[]) AS asked (venue, symbol) USING (venue, symbol)
WHERE {STANDING} ORDER BY position_id
"""
ARMED_OF = "SELECT * FROM stops WHERE position_id = ANY($1::bigint[])"
HELD = "SELECT * FROM positions WHERE position_id = ANY($1::bigint[]) AND closed_at IS NULL"
WATCHED_PAIRS = f"SELECT DISTINCT venue, symbol FROM stops WHERE {STANDING} ORDER BY venue, symbol"
TELL = """
INSERT INTO watches (venue, symbol, worker_id, lease_epoch, source, price_at, bid, ask, told_at)
SELECT venue, symbol, $7, $8, source, price_at, bid, ask, $9
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::numeric[], $6::numeric[])
     AS told (venue, symbol, source, price_at, bid, ask)
WHERE EXISTS (
    SELECT FROM leases
    WHERE name = 'watch:' || venue || ':' || symbol AND worker_id = $7 AND lease_epoch = $8
      AND lease_until > clock_timestamp())
ORDER BY venue, symbol
ON CONFLICT (venue, symbol) DO UPDATE
SET worker_id = excluded.worker_id, lease_epoch = excluded.lease_epoch, source = excluded.source,
    price_at = excluded.price_at, bid = excluded.bid, ask = excluded.ask, told_at = excluded.told_at
"""


class PostgresWatches:
    """The symbols of one monitor, under its worker's lease."""

    def __init__(self, pool: asyncpg.Pool, lease: Lease, *, leases: asyncpg.Pool | None = None) -> None:
        """Ask through ``pool`` in the name of ``lease``; through ``leases`` what must not wait for others."""
        self._pool = pool
        self._leases = leases or pool
        self._lease = lease

    async def take_turns(self, venues: Collection[Venue], *, seconds: float) -> frozenset[Pair]:
        rows = await self._leases.fetch(
            TAKE_TURNS,
            self._lease.worker_id,
            self._lease.lease_epoch,
            timedelta(seconds=seconds),
            [venue.value for venue in venues],
        )
        return frozenset(_pair(row["name"]) for row in rows)

    async def give_up(self) -> None:
        await self._leases.execute(GIVE_UP, self._lease.worker_id, self._lease.lease_epoch)

    async def lock_positions(
        self, transaction: Transaction, symbols: Mapping[int, Pair]
    ) -> dict[int, Position]:
        rows = await transaction.connection.fetch(
            LOCK_OURS,
            list(symbols),
            [NAME.format(venue.value, symbol) for venue, symbol in symbols.values()],
            self._lease.worker_id,
            self._lease.lease_epoch,
        )
        locked = {row["position_id"]: to_value(row, Position) for row in rows}
        transaction.seen.locked.update(locked)
        return locked

    async def armed(self, pairs: Collection[Pair]) -> list[ArmedStop]:
        venues, symbols = [pair[0].value for pair in pairs], [pair[1] for pair in pairs]
        return [to_armed(row) for row in await self._pool.fetch(ARMED, venues, symbols)]

    async def armed_of(self, position_ids: Collection[int]) -> list[ArmedStop]:
        return [to_armed(row) for row in await self._pool.fetch(ARMED_OF, list(position_ids))]

    async def held(self, position_ids: Collection[int]) -> dict[int, tuple[Position, Account]]:
        books = PostgresBooks(self._pool)
        rows = await self._pool.fetch(HELD, list(position_ids))
        positions = to_values(rows, Position)
        accounts = await books.accounts(sorted({one.account_id for one in positions}))
        return {one.position_id: (one, accounts[one.account_id]) for one in positions}

    async def watched_pairs(self) -> list[Pair]:
        return [(Venue(row["venue"]), row["symbol"]) for row in await self._pool.fetch(WATCHED_PAIRS)]

    async def tell(self, told: Sequence[Any], *, now: datetime) -> None:
        await self._leases.execute(
            TELL,
            [one.venue.value for one in told],
            [one.symbol for one in told],
            [one.source.value for one in told],
            [one.price_at for one in told],
            [one.bid for one in told],
            [one.ask for one in told],
            self._lease.worker_id,
            self._lease.lease_epoch,
            now,
        )


def _pair(name: str) -> Pair:
    _, venue, symbol = name.split(":", maxsplit=2)
    return Venue(venue), symbol
