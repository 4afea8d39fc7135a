"""
Prove that the state equals the fold of the journal: fold everything again beside it, and compare.

The second state is made in a schema of its own inside one transaction that is rolled back: nothing remains of it,
and the desk may go on trading meanwhile.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg

from pregao.domain.facts import Fact
from pregao.edges.postgres.folds import fold
from pregao.edges.postgres.journal import Journal, decode

STATE_TABLES = {
    # table: columns that are a schedule or bookkeeping of ours, not what happened
    "users": (),
    "accounts": (),
    "bots": (),
    "subscriptions": (),
    "deployments": (),
    "admin_actions": (),
    "trading_states": (),
    "flattens": (),
    "flatten_accounts": (),
    "signals": (),
    "trades_by_hand": (),
    "deliveries": (),
    "deliveries_turned_away": (),
    "positions": (),
    "daily_results": (),
    "orders": ("check_at", "checks"),
    "forwards": (),
    "fills": (),
    "foreign_positions": (),
    "foreign_cancels": (),
    "stops": ("line_at",),
    "stop_moves": (),
    "stop_claims": ("again_at",),
    "protections": ("check_at", "checks"),
    "sell_list_rules": (),
    "screener_strategies": (),
    "screener_states": (),
    "screener_lists": (),
    "screener_tickers": (),
    "screener_reprocessed": (),
    "retentions": (),
    "second_factor_rules": (),
    "health_alarms": (),
    "forward_limits": (),
    "imported_events": (),
    "metric_zeros": (),
    "lab_runs": (),
    "alerts": (),
    "alert_channels": (),
    "alert_mutes": (),
    "alert_levels": (),
}
FACTS_PER_FETCH = 2_000

# Transactions in the order they finished writing: one that builds on another always ends after it.
REPLAY = """
SELECT xid, kind, fact::text AS fact FROM (
    SELECT epoch || '.' || xid AS xid, seq, kind, fact, max(seq) OVER (PARTITION BY epoch, xid) AS last_seq
    FROM pregao.journal
) AS ordered
ORDER BY last_seq, seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One table whose rows differ: how many only the state has, how many only the fold."""

    table: str
    only_in_state: int
    only_in_fold: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the rebuild found."""

    facts: int
    differences: tuple[Difference, ...]


async def compare_with_journal(journal: Journal) -> Comparison:
    """Fold the whole journal again and compare every state table with it, row by row."""
    async with journal.pool.acquire() as connection:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            await connection.execute("SET LOCAL statement_timeout = 0")
            await _make_tables(connection)
            facts = 0
            async for group in _replayed(connection):
                await fold(type(group[0]), group, connection=connection)
                facts += len(group)
            differences = [
                difference
                for table in STATE_TABLES
                if (difference := await _compare(connection, table)) is not None
            ]
        finally:
            await transaction.rollback()
    return Comparison(facts=facts, differences=tuple(differences))


async def _make_tables(connection: asyncpg.pool.PoolConnectionProxy) -> None:
    """The folds name no schema: with this search path they write here."""
    await connection.execute("CREATE SCHEMA rebuild")
    for table in STATE_TABLES:
        await connection.execute(f"CREATE TABLE rebuild.{table} (LIKE pregao.{table} INCLUDING ALL)")
    await connection.execute("SET LOCAL search_path = rebuild")


async def _replayed(connection: asyncpg.pool.PoolConnectionProxy) -> AsyncIterator[Sequence[Fact]]:
    """Give the facts in the groups they were folded in: one transaction, one kind."""
    group: list[Fact] = []
    group_key = None
    async for row in connection.cursor(REPLAY, prefetch=FACTS_PER_FETCH):
        key = (row["xid"], row["kind"])
        if group and key != group_key:
            yield group
            group = []
        group_key = key
        group.append(decode(row["kind"], row["fact"]))
    if group:
        yield group


async def _compare(connection: asyncpg.pool.PoolConnectionProxy, table: str) -> Difference | None:
    columns = await connection.fetchval(
        """
        SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns
        WHERE table_schema = 'pregao' AND table_name = $1 AND column_name <> ALL($2::text[])
        """,
        table,
        list(STATE_TABLES[table]),
    )
    state, again = f"SELECT {columns} FROM pregao.{table}", f"SELECT {columns} FROM rebuild.{table}"
    row = await connection.fetchrow(
        f"""
        WITH more AS ({state} EXCEPT ALL {again}), less AS ({again} EXCEPT ALL {state})
        SELECT (SELECT count(*) FROM more) AS more, (SELECT count(*) FROM less) AS less,
               coalesce((SELECT to_jsonb(more)::text FROM more LIMIT 1), '') AS state_row,
               coalesce((SELECT to_jsonb(less)::text FROM less LIMIT 1), '') AS fold_row
        """
    )
    assert row is not None, "counting always gives a row"
    if row["more"] == row["less"] == 0:
        return None
    return Difference(
        table=table,
        only_in_state=row["more"],
        only_in_fold=row["less"],
        example=f"state: {row['state_row']} fold: {row['fold_row']}",
    )
