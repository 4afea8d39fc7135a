"""When each account was compared with its venue, and whose past is not known since a stream was taken over."""

from collections.abc import Collection
from datetime import timedelta

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.orders.resolve import CLOCK_MARGIN_MS

CHECK_HOLDING_SECONDS = 300.0  # between two looks at an account that holds something: 5 of a minute's weight
CHECK_FLAT_SECONDS = 3_600.0
FORGOTTEN_POSITIONS_MAX = 1_000_000
READS_LAG_SECONDS = 5.0
# What was sent and then forgotten is refused by then, or has traded and shows in what the venue tells.
FORGOTTEN_SECONDS = (RECV_WINDOW_MS + CLOCK_MARGIN_MS) / 1_000 + READS_LAG_SECONDS

# An account of which nothing is live has no past that an entry could meet unseen.
MARK_UNRECONCILED = """
INSERT INTO account_checks (account_id, unreconciled_since)
SELECT account_id, clock_timestamp() FROM accounts AS a
WHERE venue = $1
  AND (EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id
               AND p.status IN ('pending', 'open', 'closing'))
       OR EXISTS (SELECT FROM orders AS o WHERE o.account_id = a.account_id
                  AND o.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')))
ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE
SET unreconciled_since = coalesce(account_checks.unreconciled_since, excluded.unreconciled_since)
RETURNING account_id
"""

# Traders that look at the same venue at the same time pass by what another has claimed.
CLAIM_DUE = """
WITH due AS (
    SELECT a.account_id, EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id
                                 AND p.status IN ('pending', 'open', 'closing')) AS is_holding
    FROM accounts AS a JOIN account_checks AS c USING (account_id)
    WHERE a.venue = ANY($1::text[]) AND a.is_active AND c.due_at <= clock_timestamp()
    ORDER BY c.due_at LIMIT $2
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE account_checks AS c
SET due_at = clock_timestamp() + CASE WHEN due.is_holding THEN $3::interval ELSE $4::interval END
FROM due WHERE c.account_id = due.account_id
RETURNING c.account_id
"""


async def mark_unreconciled(connection: asyncpg.Pool, venue: Venue) -> list[int]:
    """Note that what happened on the venue's accounts is not known; give those of which something is live."""
    return [row["account_id"] for row in await connection.fetch(MARK_UNRECONCILED, venue)]


async def mark_doubted(connection: asyncpg.Pool, account_id: int) -> None:
    """Note that the account holds something else than the books say, perhaps, until it was compared."""
    await connection.execute(
        """
        INSERT INTO account_checks (account_id, unreconciled_since, must_compare)
        VALUES ($1, clock_timestamp(), true)
        ON CONFLICT (account_id) DO UPDATE
        SET unreconciled_since = coalesce(account_checks.unreconciled_since, excluded.unreconciled_since),
            must_compare = true
        """,
        account_id,
    )


async def mark_forgotten(connection: asyncpg.Pool | asyncpg.Connection) -> int:
    """
    Note that the books may lack what they knew, on every account; give how many there are.

    A position's id is part of the ids of its closes: those that were given out and forgotten are not given again.
    """
    await connection.execute(
        "SELECT setval('position_ids', nextval('position_ids') + $1)", FORGOTTEN_POSITIONS_MAX
    )
    marked: int = await connection.fetchval(
        """
        WITH marked AS (
            INSERT INTO account_checks (account_id, unreconciled_since, must_compare, restored_at, is_unsure)
            -- A webhook cannot be asked what it has: there it stays with this, that no signal of before enters.
            SELECT account_id, CASE WHEN venue <> 'webhook' THEN clock_timestamp() END, venue <> 'webhook',
                   clock_timestamp(), venue <> 'webhook'
            FROM accounts ORDER BY account_id
            ON CONFLICT (account_id) DO UPDATE
            SET due_at = clock_timestamp(), unreconciled_since = excluded.unreconciled_since,
                must_compare = excluded.must_compare, restored_at = clock_timestamp(), is_unsure = excluded.is_unsure
            RETURNING account_id)
        SELECT count(*)::int FROM marked
        """,
    )
    return marked


async def mark_reconciled(connection: asyncpg.Pool, account_id: int) -> bool:
    """Note that its orders and trades are known; say whether entries, that had not been taken, are taken again by that."""
    marked = await connection.fetchval(
        """
        UPDATE account_checks
        SET is_unsure = false, unreconciled_since = CASE WHEN must_compare THEN unreconciled_since END
        WHERE account_id = $1 AND (is_unsure OR (unreconciled_since IS NOT NULL AND NOT must_compare))
        RETURNING unreconciled_since IS NULL
        """,
        account_id,
    )
    return bool(marked)


async def forgetful_accounts(connection: asyncpg.Pool, venue: Venue) -> list[int]:
    """Give the venue's accounts of which a restored database does not know yet what it forgot."""
    rows = await connection.fetch(
        """
        SELECT account_id FROM accounts AS a JOIN account_checks AS c USING (account_id)
        WHERE a.venue = $1 AND (c.is_unsure OR c.must_compare)
          AND (a.is_active OR EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id AND p.closed_at IS NULL))
        ORDER BY account_id
        """,
        venue,
    )
    return [row["account_id"] for row in rows]


async def seconds_to_wait(connection: asyncpg.Pool) -> float:
    """Give how long to wait until nothing can happen any more that was begun before the database was put back."""
    seconds: float = await connection.fetchval(
        """
        SELECT greatest(0, coalesce(extract(epoch FROM max(restored_at) + $1::interval - clock_timestamp()), 0))::float8
        FROM account_checks
        """,
        timedelta(seconds=FORGOTTEN_SECONDS),
    )
    return seconds


async def claim_due(connection: asyncpg.Pool, venues: Collection[Venue], *, limit: int) -> list[int]:
    """Give accounts of these venues that are due to be compared, those longest due first, and put off their next time."""
    await connection.execute(
        """
        INSERT INTO account_checks (account_id) SELECT account_id FROM accounts
        WHERE venue = ANY($1::text[]) AND is_active
          AND NOT EXISTS (SELECT FROM account_checks AS c WHERE c.account_id = accounts.account_id)
        ON CONFLICT DO NOTHING
        """,
        list(venues),
    )
    rows = await connection.fetch(
        CLAIM_DUE,
        list(venues),
        limit,
        timedelta(seconds=CHECK_HOLDING_SECONDS),
        timedelta(seconds=CHECK_FLAT_SECONDS),
    )
    return [row["account_id"] for row in rows]


async def note_check(connection: asyncpg.Pool, account_id: int, *, agrees: bool) -> None:
    """
    Note that the account was compared just now, and whether the venue holds what the books say.

    What differs is in the books by now and keeps entries out by itself.
    """
    await connection.execute(
        """
        INSERT INTO account_checks (account_id, due_at, checked_at, agreed_at)
        VALUES ($1, statement_timestamp() + $3, statement_timestamp(), CASE WHEN $2 THEN statement_timestamp() END)
        ON CONFLICT (account_id) DO UPDATE
        SET checked_at = excluded.checked_at, agreed_at = coalesce(excluded.agreed_at, account_checks.agreed_at),
            unreconciled_since = CASE WHEN NOT account_checks.must_compare THEN account_checks.unreconciled_since END,
            must_compare = false
        """,
        account_id,
        agrees,
        timedelta(seconds=CHECK_HOLDING_SECONDS),
    )
