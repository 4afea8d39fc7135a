"""The append-only journal: facts go in with their fold, in one transaction; readers follow without missing one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from pregao.domain.facts import FACTS, Fact
from pregao.edges.postgres.folds import fold
from pregao.edges.postgres.pool import create_pool
from pregao.edges.postgres.rows import encode_json, to_json
from pregao.edges.postgres.seen import Seen

Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection | asyncpg.Pool

COMMAND_SECONDS_MAX = 15.0  # a statement that takes longer is stuck: its caller finds the work again

_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind) for name, kind in FACTS.items() if kind.is_journaled
}

COPY_FACTS_MIN = 100  # from here on COPY is quicker than INSERT
COLUMNS = ("kind", "happened_at", "signal_id", "account_id", "fact")

APPEND = """
INSERT INTO journal (kind, happened_at, signal_id, account_id, fact)
SELECT kind, happened_at, signal_id, account_id, fact
FROM ROWS FROM (
    unnest($1::text[]),
    unnest($2::uuid[]),
    unnest($3::bigint[]),
    jsonb_array_elements($4::jsonb),
    jsonb_to_recordset($4::jsonb) AS (happened_at timestamptz)
) AS new (kind, signal_id, account_id, fact, happened_at)
"""

TAIL = """
SELECT epoch, xid::text::bigint AS xid, seq, kind, fact::text AS fact
FROM journal
WHERE (epoch, xid, seq) > ($1, $2::text::xid8, $3)
  AND (xid < pg_snapshot_xmin(pg_current_snapshot()) OR epoch < (SELECT epoch FROM desk))
ORDER BY epoch, xid, seq
LIMIT $4
"""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """
    How far a reader has come.

    Transactions commit out of order, so the largest id seen says nothing: a later commit may carry a smaller
    one. The transaction id can be trusted below the oldest transaction still running.

    A clear and a restore begin an epoch each: what a reader sees of another one than he was in has not followed
    from what he saw before.
    """

    epoch: int
    xid: int = 0
    seq: int = 0


def encode(fact: Fact) -> str:
    """Write a fact as JSON; decimals as text, so that no digit is lost."""
    return encode_json(fact).decode()


def decode(kind: str, fact: str) -> Fact:
    """Read a fact back from its kind and JSON."""
    return _decoders[kind].decode(fact)  # type: ignore[no-any-return]


class Transaction:
    """
    One open transaction: facts appended here are folded into the state at once and committed together.

    Where the journal is ``written_at_end``, what little is appended at a time is journaled together, by `flush`: facts
    that follow from each other cost one statement, not one each.
    """

    def __init__(self, connection: Connection, *, written_at_end: bool = False) -> None:
        """Use an already open transaction of ``connection``; whoever commits one ``written_at_end`` calls `flush` first."""
        self.connection = connection
        self.seen = Seen()
        self._written_at_end = written_at_end
        self._unwritten: list[Fact] = []

    async def append(self, facts: Iterable[Fact]) -> None:
        """
        Fold the facts into the state and journal them in their order.

        First the fold: it waits for whoever holds its rows, and only then are the facts numbered. So of two
        transactions that wrote one row the later has the last number, and a replay writes them in the same order.
        """
        kept = [fact for fact in facts if fact.is_journaled]
        if not kept:
            return
        self.seen.after(kept)
        if len(kept) < COPY_FACTS_MIN:
            await self._fold(kept)
            self._unwritten.extend(kept)
            if not self._written_at_end:
                await self.flush()
            return
        await self.flush()
        folding = asyncio.create_task(self._fold(kept))
        try:
            await asyncio.sleep(
                0
            )  # the database is at work from here on: what the journal takes is written meanwhile
            records = list(zip(*_columns(kept), strict=True))
        finally:
            await folding
        await self.connection.copy_records_to_table("journal", columns=COLUMNS, records=records)

    async def flush(self) -> None:
        """Journal what is folded and not journaled yet: before the commit, and before anybody reads the journal here."""
        facts, self._unwritten = self._unwritten, []
        if not facts:
            return
        # Whose fact it is need not be a field of it: a changed position knows the signal that opened it.
        await self.connection.execute(
            APPEND,
            [type(fact).__name__ for fact in facts],
            [getattr(fact, "signal_id", None) for fact in facts],
            [getattr(fact, "account_id", None) for fact in facts],
            to_json(facts),
        )

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Leave no trace of the block in the transaction when it fails."""
        await self.flush()
        try:
            async with self.connection.transaction():
                yield
                await self.flush()
        except BaseException:
            self._unwritten.clear()
            self.seen.forget()  # what was locked in here is not any more
            raise

    async def _fold(self, facts: Sequence[Fact]) -> None:
        for kind, group in groupby(facts, key=type):
            await fold(kind, list(group), connection=self.connection)


def _columns(facts: Sequence[Fact]) -> tuple[list[Any], ...]:
    """Give the journal's columns of the facts."""
    return (
        [type(fact).__name__ for fact in facts],
        [fact.happened_at for fact in facts],
        [getattr(fact, "signal_id", None) for fact in facts],
        [getattr(fact, "account_id", None) for fact in facts],
        [encode(fact) for fact in facts],
    )


class Journal:
    """The journal of one desk, over a pool of connections. Facts are written under the database's present epoch."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Write through ``pool``, whose search path must be our schema."""
        self.pool = pool

    @asynccontextmanager
    async def transaction(self, *, written_at_end: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self.pool.acquire() as connection, connection.transaction():
            transaction = Transaction(connection, written_at_end=written_at_end)
            yield transaction
            await transaction.flush()

    async def tail(self, cursor: Cursor, *, limit: int = 1_000) -> Sequence[tuple[Cursor, Fact]]:
        """Give the facts after ``cursor``, each with the cursor that stands behind it; never skips a late commit."""
        rows = await self.pool.fetch(TAIL, cursor.epoch, str(cursor.xid), cursor.seq, limit)
        return [
            (Cursor(row["epoch"], row["xid"], row["seq"]), decode(row["kind"], row["fact"])) for row in rows
        ]


async def open_journal(
    dsn: str,
    *,
    connections_max: int = 8,
    idle_seconds_max: float | None = None,
    on_connect: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
    worker: str = "pregao",
    connections_ready: int = 0,
    is_planned_once: bool = False,
) -> Journal:
    """
    Connect to a migrated database and open its journal; the caller closes ``journal.pool``.

    The months of now and next are given their partitions, so that no fact lands in the rest. ``on_connect`` looks at
    each new connection before it is used; what it raises, whoever wanted the connection gets. A transaction that says
    nothing for ``idle_seconds_max`` is ended by the server, with what it had locked. Each fact bears the name of the
    ``worker`` that wrote it.

    ``connections_ready`` are opened at once and never closed for being idle, and statements are prepared for good: for
    whoever seldom asks, always the same, and must not wait then. Statements may be planned once, whatever they are
    asked with.
    """
    settings = {"search_path": "pregao", "jit": "off", "application_name": worker}
    if idle_seconds_max is not None:
        settings["idle_in_transaction_session_timeout"] = f"{idle_seconds_max * 1_000:.0f}"
    if is_planned_once:
        settings["plan_cache_mode"] = "force_generic_plan"
    for_good: dict[str, Any] = {"max_cached_statement_lifetime": 0, "max_inactive_connection_lifetime": 0}
    pool = await create_pool(
        dsn,
        min_size=max(1, connections_ready),
        max_size=connections_max,
        **(for_good if connections_ready else {}),
        init=on_connect,
        reset=_leave_as_it_is,
        command_timeout=COMMAND_SECONDS_MAX,
        server_settings=settings,
    )
    try:
        await pool.execute(
            "SELECT ensure_journal_month(now()), ensure_journal_month(now() + interval '1 month')"
        )
    except BaseException:
        await pool.close()
        raise
    return Journal(pool)


async def _leave_as_it_is(_connection: object) -> None:
    """
    Ask the database nothing when a connection is given back: a round trip for every statement that is on its own.

    Nothing of ours outlives its transaction: settings are ``SET LOCAL``, locks those of transactions, and nobody
    listens over the pool. What was left open is rolled back before this.
    """


async def desk_id(journal: Journal) -> UUID:
    """Give the desk's id: random, made once, part of every client order id."""
    found: UUID = await journal.pool.fetchval("SELECT desk_id FROM desk")
    return found
