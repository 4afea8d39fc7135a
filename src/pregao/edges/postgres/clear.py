"""
Clears the database in one transaction: the journal loses all facts but those that are kept, the state what they made.

Nothing of the desk may be written meanwhile. So first the row that whoever plans has read, then every table at once.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import asyncpg

from pregao.accounts.refusals import ConflictError
from pregao.domain.account import Venue
from pregao.domain.clearing import KEPT, Forgotten, Standing
from pregao.domain.facts import Fact
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rebuild import STATE_TABLES

WITHOUT_BOOKS = Venue.WEBHOOK  # nobody can be asked there what is held: a clear leaves nothing foreign
LOCK_SECONDS_MAX = 0.5  # for each table: everybody waits behind us meanwhile
LOCK_TRIES = 6
CLEAR_SECONDS_MAX = 600.0  # counting millions of rows takes a while

KEPT_TABLES = frozenset(
    {
        "users",
        "accounts",
        "bots",
        "subscriptions",
        "deployments",
        "admin_actions",
        "trading_states",
        "foreign_positions",
        "foreign_cancels",
        "screener_strategies",
        "screener_states",
        "screener_lists",
        "screener_tickers",
        "forward_limits",
        "retentions",
        "second_factor_rules",
        "sell_list_rules",
        "alert_channels",
        "alert_mutes",
        "alert_levels",
    }
)
"""State that only kept facts have made."""
COUNTERS = ("screener_runs", "tallies", "alert_deliveries", "alert_windows", "lab_work", "lab_results")
"""Not the journal's, and about nothing but what is deleted."""
UNTOUCHED = frozenset(
    {
        "desk", "leases", "workers", "watches", "weights", "breakers", "account_checks", "preflights",
        "preflight_checks", "grounded", "credentials", "retired_master_keys", "passwords", "sessions", "api_tokens",
        "signatures_taken", "screener_looks", "screener_requests", "forward_slots", "cache_entries", "live_tickets",
        "tally_cursors", "process_gauges", "predictions", "second_factors", "recovery_codes", "half_logins",
        "lab_questions", "foreign_looks", "foreign_orders",
        "alert_cursor", "alert_conditions", "deployment_bars",
    }
)  # fmt: skip
"""Neither: what proves people and accounts, whose turn it is, and how much was asked of others lately."""

LOCK_OUT_PLANNERS = "SELECT FROM desk FOR UPDATE"

STANDING = f"""
SELECT (SELECT count(*)::int FROM positions JOIN accounts USING (account_id)
        WHERE status IN ('pending', 'open', 'closing') AND venue <> '{WITHOUT_BOOKS}') AS positions,
       (SELECT count(*)::int FROM orders
        WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled', 'deferred')) AS orders,
       (SELECT count(*)::int FROM signals WHERE status IN ('accepted', 'answered', 'approved')) AS signals,
       (SELECT count(*)::int FROM protections
        WHERE status IN ('planned', 'unresolved', 'accepted', 'triggering', 'triggered')) AS lines
"""
COUNTS = """
SELECT (SELECT count(*) FROM journal WHERE signal_id IS NOT NULL) + (SELECT count(*) FROM imported_events) AS events,
       (SELECT count(*) FROM positions) AS positions, (SELECT count(*) FROM signals) AS signals,
       (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM fills) AS fills
"""
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'journal'::regclass"
KEEP = """
CREATE TEMPORARY TABLE kept_facts ON COMMIT DROP AS SELECT * FROM journal WHERE kind IN ({})
"""
MAKE_REST = """
CREATE TABLE journal_rest PARTITION OF journal DEFAULT;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON journal_rest
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
"""
MAKE_MONTHS = """
SELECT ensure_journal_month(month) FROM (
    SELECT date_trunc('month', recorded_at) AS month FROM kept_facts
    UNION SELECT now() UNION SELECT now() + interval '1 month') AS months
"""
DOUBT = f"""
INSERT INTO account_checks (account_id, unreconciled_since, must_compare)
SELECT account_id, clock_timestamp(), true FROM accounts WHERE venue <> '{WITHOUT_BOOKS}' ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE
SET due_at = clock_timestamp(), unreconciled_since = clock_timestamp(), must_compare = true
"""


# Without their rows they end within two seconds, and begin anew with nothing in their memory.
EXPEL = """
WITH gone AS (DELETE FROM workers WHERE role IN ('trader', 'monitor', 'poll') RETURNING worker_id)
DELETE FROM leases WHERE worker_id IN (SELECT worker_id FROM gone)
"""


class PostgresClearBooks:
    """The port `accounts.ports.ClearBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after a commit: whoever keeps something in memory looks at the state again."""
        self._journal = journal
        self._ring = ring

    async def standing(self) -> Standing:
        return await find_standing(self._journal.pool)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresClearBook"]:
        """
        Open a transaction that has every table of the desk to itself.

        :raises ConflictError: when whoever writes does not let go in time.
        """
        async with self._journal.transaction() as transaction:
            await _lock(transaction.connection)
            yield PostgresClearBook(transaction)
        self._ring()


class PostgresClearBook:
    """The port `accounts.ports.ClearBook`, over one open transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Delete in ``transaction``."""
        self._transaction = transaction
        self._connection = transaction.connection

    async def standing(self) -> Standing:
        return await find_standing(self._connection)

    async def forget(self) -> Forgotten:
        counts = await self._connection.fetchrow(COUNTS, timeout=CLEAR_SECONDS_MAX)
        assert counts is not None, "counting always gives a row"
        kept_events = await self._forget_facts()
        for table in _cleared():
            await self._connection.execute(f"TRUNCATE {table}", timeout=CLEAR_SECONDS_MAX)
        await self._connection.execute("UPDATE forward_slots SET limited = 0")
        await self._connection.execute("SELECT begin_epoch()")
        return Forgotten(**{**counts, "events": counts["events"] - kept_events})

    async def doubt_everything(self) -> None:
        await self._connection.execute(DOUBT)
        await self._connection.execute(EXPEL)

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)

    async def _forget_facts(self) -> int:
        """Have the journal made anew of what is kept; give how many of these are about signals."""
        connection = self._connection
        kinds = ", ".join(f"'{kind.__name__}'" for kind in KEPT)
        await connection.execute(KEEP.format(kinds), timeout=CLEAR_SECONDS_MAX)
        for row in await connection.fetch(PARTITIONS):
            await connection.execute(f"DROP TABLE {row['name']}", timeout=CLEAR_SECONDS_MAX)
        await connection.execute(MAKE_REST)
        await connection.execute(MAKE_MONTHS)
        await connection.execute("INSERT INTO journal SELECT * FROM kept_facts", timeout=CLEAR_SECONDS_MAX)
        kept: int = await connection.fetchval("SELECT count(*) FROM kept_facts WHERE signal_id IS NOT NULL")
        return kept


async def find_standing(connection: Connection) -> Standing:
    """Give what is held and what is on its way."""
    row = await connection.fetchrow(STANDING)
    assert row is not None, "counting always gives a row"
    return Standing(**row)


def _cleared() -> list[str]:
    """Give the tables to empty, positions before signals and both after what came of them."""
    last = ("positions", "signals")
    others = [table for table in STATE_TABLES if table not in KEPT_TABLES and table not in last]
    return [*others, *COUNTERS, *last]


async def _lock(connection: Connection) -> None:
    """Take every lock, or none and try again: who waits for one of ours while we wait for one of his has the right of way."""
    assert not isinstance(connection, asyncpg.Pool), "a lock needs a transaction"
    for left in reversed(range(LOCK_TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'")
                await connection.execute(LOCK_OUT_PLANNERS)
                for table in (*STATE_TABLES, *COUNTERS, "forward_slots", "journal"):
                    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as busy:
            if not left:
                raise ConflictError(
                    "CLEAR_BUSY", "Somebody is writing and does not let go. Nothing was changed; ask again."
                ) from busy
        else:
            return
