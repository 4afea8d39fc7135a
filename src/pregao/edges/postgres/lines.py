"""The venues' lines that somebody has to look after, found in the state, judged by PostgreSQL's clock."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.facts import StopDisarmed
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX
from pregao.domain.protection import MAY_TRADE
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_values
from pregao.orders.resolve import ASK_AGAIN_SECONDS
from pregao.stops.ports import LeftOpen, Line

TOLD_DAYS = 7  # an alarm that is older than this has been heard
TOLD_SECONDS_MAX = (
    5.0  # a monitor says each second what it watches; one that is silent for longer is not counted on
)
STANDING = [status.value for status in sorted(MAY_TRADE)]
UNDER_WAY = "p.status IN ('open', 'closing')"


async def claim_due(connection: Connection, *, limit: int) -> list[Line]:
    """Give protective orders that are due to be asked about, and put off their next question."""
    rows = await connection.fetch(
        """
        WITH due AS (
            SELECT protection_id FROM protections
            WHERE check_at <= clock_timestamp() AND status IN ('planned', 'unresolved', 'triggering', 'triggered')
            ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ), put_off AS (
            UPDATE protections SET checks = checks + 1,
                check_at = clock_timestamp() + ($2::interval[])[least(checks + 1, array_length($2::interval[], 1))]
            FROM due WHERE protections.protection_id = due.protection_id
            RETURNING protections.protection_id
        )
        SELECT p.* FROM protections AS p JOIN put_off USING (protection_id)
        """,
        limit,
        [timedelta(seconds=seconds) for seconds in ASK_AGAIN_SECONDS],
    )
    return to_values(rows, Line)


async def standing(
    pool: asyncpg.Pool, *, account_id: int | None, position_ids: Collection[int]
) -> list[Line]:
    """Give those of an account or of positions that may still trade, in the order they were made."""
    whose, asked = (
        ("position_id = ANY($1::bigint[])", list(position_ids))
        if account_id is None
        else ("account_id = $1", account_id)
    )
    rows = await pool.fetch(
        f"SELECT * FROM protections WHERE {whose} AND status = ANY($2::text[]) ORDER BY position_id, version",
        asked,
        STANDING,
    )
    return to_values(rows, Line)


async def peek_unarmed(
    pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int
) -> list[tuple[int, Venue, str]]:
    """Give what is held and has no stop yet."""
    return await _places(
        pool,
        f"""
        SELECT p.position_id, a.venue, p.symbol FROM positions AS p JOIN accounts AS a USING (account_id)
        WHERE p.closed_at IS NULL AND {UNDER_WAY} AND a.venue = ANY($1::text[])
          AND NOT EXISTS (SELECT FROM stops AS s WHERE s.position_id = p.position_id)
        ORDER BY p.position_id LIMIT $2
        """,
        venues,
        limit=limit,
    )


async def peek_misplaced(
    pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int
) -> list[tuple[int, Venue, str]]:
    """Give armed stops whose line is missing or stands elsewhere, and those with a quantity: they do not stay."""
    return await _places(
        pool,
        f"""
        SELECT s.position_id, s.venue, s.symbol FROM (
            SELECT position_id FROM stops WHERE left_at IS NULL AND status = 'armed' AND stop_price IS NOT NULL
                                            AND line_price IS DISTINCT FROM stop_price
            UNION
            SELECT position_id FROM stops WHERE left_at IS NULL AND status = 'armed' AND line_quantity IS NOT NULL
        ) AS found JOIN stops AS s USING (position_id) JOIN positions AS p USING (position_id)
        WHERE s.venue = ANY($1::text[]) AND (s.line_status IS NULL OR s.line_status = 'accepted')
          AND (s.line_at IS NULL OR s.line_at <= clock_timestamp()) AND {UNDER_WAY}
        ORDER BY s.position_id LIMIT $2
        """,
        venues,
        limit=limit,
    )


async def _places(
    pool: asyncpg.Pool, query: str, venues: Collection[Venue], *, limit: int
) -> list[tuple[int, Venue, str]]:
    rows = await pool.fetch(query, sorted(venues), limit)
    return [(row["position_id"], Venue(row["venue"]), row["symbol"]) for row in rows]


async def peek_unleft(pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int) -> list[StopDisarmed]:
    """Give what was disarmed and not left yet."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(
        """
        SELECT updated_at AS happened_at, position_id, account_id, signal_id, venue, symbol, position_side FROM stops
        WHERE left_at IS NULL AND status = 'disarmed' AND venue = ANY($1::text[])
        ORDER BY position_id LIMIT $2
        """,
        sorted(venues),
        limit,
    )
    return to_values(rows, StopDisarmed)


async def peek_open(pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int) -> list[LeftOpen]:
    """Give what must be guarded and is not, by either line, with when the last that guarded it ended."""
    rows = await pool.fetch(
        f"""
        WITH watched AS (
            SELECT venue, symbol, told_at, told_at > clock_timestamp() - $3::interval
                                           AND price_at > clock_timestamp() - $4::interval AS is_now
            FROM watches
        )
        SELECT s.position_id, s.account_id, s.signal_id, greatest(s.held_since, w.told_at, (
                   SELECT max(x.ended_at) FROM protections AS x
                   WHERE x.position_id = s.position_id AND x.acknowledged_at IS NOT NULL)) AS since
        FROM stops AS s JOIN positions AS p USING (position_id) LEFT JOIN watched AS w
          ON (w.venue, w.symbol) = (s.venue, s.symbol)
        WHERE s.left_at IS NULL AND s.is_required AND s.venue = ANY($1::text[]) AND {UNDER_WAY}
          AND (s.line_status IS DISTINCT FROM 'accepted' OR s.line_quantity IS NOT NULL)
          AND NOT (s.status = 'armed' AND coalesce(w.is_now, false))
          AND NOT EXISTS (SELECT FROM protections AS x WHERE x.position_id = s.position_id AND x.status = 'accepted'
                          AND (x.quantity IS NULL OR x.quantity >= p.entered_quantity - p.exited_quantity))
        ORDER BY s.position_id LIMIT $2
        """,
        sorted(venues),
        limit,
        timedelta(seconds=TOLD_SECONDS_MAX),
        timedelta(seconds=PRICE_AGE_SECONDS_MAX),
    )
    return to_values(rows, LeftOpen)


async def peek_told_open(pool: asyncpg.Pool, venues: Collection[Venue]) -> list[LeftOpen]:
    """Give what was told to stand open, and whose end nobody has told; ``since`` is as it was told."""
    rows = await pool.fetch(
        """
        SELECT s.position_id, s.account_id, s.signal_id, told.since FROM (
            SELECT DISTINCT ON (position_id) position_id, kind, since FROM (
                SELECT (fact ->> 'position_id')::bigint AS position_id, kind, (fact ->> 'since')::timestamptz AS since, seq
                FROM journal WHERE kind IN ('PositionUnguarded', 'PositionGuarded')
                               AND happened_at > clock_timestamp() - $2::interval) AS alarms
            ORDER BY position_id, seq DESC) AS told
        JOIN stops AS s USING (position_id)
        WHERE told.kind = 'PositionUnguarded' AND s.venue = ANY($1::text[])
        ORDER BY s.position_id
        """,
        sorted(venues),
        timedelta(days=TOLD_DAYS),
    )
    return to_values(rows, LeftOpen)


async def is_watched(pool: asyncpg.Pool, *, venue: Venue, symbol: str) -> bool:
    """Say whether a monitor has the symbol's price and said so just now."""
    watched: bool = await pool.fetchval(
        """
        SELECT EXISTS (SELECT FROM watches WHERE venue = $1 AND symbol = $2 AND told_at > clock_timestamp() - $3::interval
                                             AND price_at > clock_timestamp() - $4::interval)
        """,
        venue,
        symbol,
        timedelta(seconds=TOLD_SECONDS_MAX),
        timedelta(seconds=PRICE_AGE_SECONDS_MAX),
    )
    return watched
