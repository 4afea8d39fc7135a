"""
Arrivals become rows: claimed, received, accepted or refused, in one transaction for a whole batch.

A delivery is the first one if its key is free, or if the key is a hash whose first delivery is a minute old. A signed
one must have a signature that was not here before, too: it may be replayed for as long as it is fresh.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from pregao.domain.facts import DeliveryTurnedAway, SignalRefused, SignalRepeated
from pregao.domain.position import Direction
from pregao.domain.signal import Instruction
from pregao.edges.postgres.bots import HOLDING, HOLDING_AGAINST
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_json
from pregao.signals.ports import Arrival, Recorded, StoreAway

DEDUPE_WINDOW = timedelta(seconds=60)  # from the first delivery; TradingView's three more come within 15 s
SIGNATURE_MEMORY = timedelta(minutes=15)  # fresh 5 minutes before and after it is made, and a margin
BATCH_SECONDS_MAX = 2.0  # TradingView waits 3 s; a database this slow is as good as away
WRITERS = 3  # batches under way at once: two keep the process busy, the third where fsync takes milliseconds

# A bot's id as a number: compared and hashed several times, and much faster so.
Key: TypeAlias = tuple[int, str]
Replayed: TypeAlias = dict[tuple[int, str | None], Recorded]  # by bot and signature

# The fold of SignalReceived and of what its reading says, many signals in one statement: it is a transaction by itself,
# and costs one round trip. What the state takes is read from the facts as they are journaled. Keys are claimed in their
# order, so that two batches never wait for each other in a circle; counting the claims waits for all of them, so that
# the facts are numbered after whoever held a key has committed.
KEEP = """
WITH new AS MATERIALIZED (
    SELECT new.*, instruction ->> 'action' AS action, instruction ->> 'symbol' AS symbol, instruction ->> 'side' AS side,
           (instruction ->> 'price')::numeric AS price,
           CASE WHEN jsonb_array_length(instruction -> 'not_used') > 0
                THEN ARRAY(SELECT jsonb_array_elements_text(instruction -> 'not_used')) ELSE '{}' END AS not_used,
           (instruction ->> 'stop_percent')::numeric AS stop_percent,
           (instruction ->> 'target_percent')::numeric AS target_percent
    FROM ROWS FROM (
        jsonb_array_elements($1::jsonb),
        jsonb_array_elements($2::jsonb),
        jsonb_to_recordset($1::jsonb) AS (
            signal_id uuid, bot_id uuid, happened_at timestamptz, dedupe_key text, is_explicit_id boolean,
            body text, content_type text, source text, source_address text),
        jsonb_to_recordset($2::jsonb) AS (happened_at timestamptz, code text, reason text, instruction jsonb)
    ) AS new (received, outcome, signal_id, bot_id, received_at, dedupe_key, is_explicit_id, body, content_type, source,
              source_address, read_at, code, reason, instruction)
), claimed AS (
    INSERT INTO deliveries (bot_id, dedupe_key, signal_id, first_at, is_explicit_id)
    SELECT bot_id, dedupe_key, signal_id, received_at, is_explicit_id FROM new ORDER BY bot_id, dedupe_key
    ON CONFLICT (bot_id, dedupe_key) DO UPDATE
    SET signal_id = excluded.signal_id, first_at = excluded.first_at
    WHERE NOT deliveries.is_explicit_id AND NOT excluded.is_explicit_id
      AND excluded.first_at >= deliveries.first_at + $3::interval
    RETURNING signal_id
), first AS MATERIALIZED (
    SELECT * FROM new
    WHERE (SELECT count(*) FROM claimed) > 0 AND signal_id IN (SELECT signal_id FROM claimed)
), signal AS (
    INSERT INTO signals (signal_id, bot_id, status, received_at, body, content_type, source, source_address,
                         read_at, action, symbol, side, price, not_used, stop_percent, target_percent, code, reason,
                         settled_at, accounts, orders, orders_live)
    SELECT signal_id, bot_id, CASE WHEN code IS NULL THEN 'accepted' ELSE 'refused' END, received_at,
           decode(body, 'base64'), content_type, source, source_address,
           read_at, action, symbol, side, price, not_used, stop_percent, target_percent, code, reason,
           CASE WHEN code IS NOT NULL THEN read_at END, CASE WHEN code IS NOT NULL THEN 0 END,
           CASE WHEN code IS NOT NULL THEN 0 END, CASE WHEN code IS NOT NULL THEN 0 END
    FROM first
), fact AS (
    INSERT INTO journal (kind, happened_at, signal_id, fact)
    SELECT 'SignalReceived', received_at, signal_id, received FROM first
    UNION ALL
    SELECT CASE WHEN code IS NULL THEN 'SignalAccepted' ELSE 'SignalRefused' END, read_at, signal_id, outcome
    FROM first
)
SELECT signal_id FROM new WHERE signal_id NOT IN (SELECT signal_id FROM claimed)
"""

# In a statement of its own: the claim waited for whoever held the key, and only a later snapshot shows his row.
HOLDERS = """
SELECT bot_id, dedupe_key, signal_id, code, reason
FROM unnest($1::uuid[], $2::text[]) AS asked (bot_id, dedupe_key)
JOIN deliveries USING (bot_id, dedupe_key)
LEFT JOIN LATERAL (
    SELECT code, reason FROM signals WHERE signals.signal_id = deliveries.signal_id AND status = 'refused'
) AS refused ON true
"""

# Not part of the journal: what is older than any signature that is still fresh is forgotten.
REPLAYS = """
SELECT bot_id, signature, signal_id, code, reason
FROM unnest($1::uuid[], $2::text[]) AS asked (bot_id, signature)
JOIN signatures_taken USING (bot_id, signature)
LEFT JOIN LATERAL (
    SELECT code, reason FROM signals WHERE signals.signal_id = signatures_taken.signal_id AND status = 'refused'
) AS refused ON true
"""
REMEMBER = """
INSERT INTO signatures_taken (bot_id, signature, signal_id, taken_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
ON CONFLICT (bot_id, signature) DO NOTHING
"""
FORGET = """
DELETE FROM signatures_taken WHERE (bot_id, signature) IN (
    SELECT bot_id, signature FROM signatures_taken WHERE taken_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""

SETTLED = "SELECT signal_id FROM signals WHERE signal_id = ANY($1::uuid[]) AND settled_at IS NOT NULL"
UNDECIDED = """
SELECT count(*) FROM (SELECT FROM signals WHERE status IN ('accepted', 'answered') LIMIT $1) AS waiting
"""

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that ended while it was being used
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What says that the database is away, rather than that a row is wrong."""


class PostgresIntake:
    """The port ``Arrivals`` on PostgreSQL; ``record`` is what a ``GroupCommit`` writes with."""

    def __init__(self, journal: Journal) -> None:
        """Write to ``journal``, whose pool's search path must be our schema."""
        self._journal = journal
        self._idle: list[Any] = []

    async def record(self, arrivals: Sequence[Arrival]) -> Sequence[Recorded]:
        """
        Store a batch; each key has one signal, whatever arrives at once.

        First deliveries are committed together, by one statement; repeats are counted after it, in another
        transaction. A batch that failed between the two may be given again: what is kept already is kept once.

        :raises StoreAway: when the database cannot be reached
        """
        async with self._connection() as connection:
            if any(arrival.signature is not None for arrival in arrivals):
                async with connection.transaction():
                    return await self._record_signed(arrivals, connection=connection)
            return await self._record(arrivals, replayed={}, connection=connection)

    async def record_turned_away(self, facts: Sequence[DeliveryTurnedAway]) -> None:
        async with self._connection() as connection, connection.transaction():
            await Transaction(connection).append(facts)

    async def close(self) -> None:
        """Give the connections back; the pool cannot be closed before."""
        while self._idle:
            await self._journal.pool.release(self._idle.pop())

    async def _record_signed(self, arrivals: Sequence[Arrival], *, connection: Any) -> Sequence[Recorded]:
        signed = [arrival for arrival in arrivals if arrival.signature is not None]
        replayed = await _find_replayed(signed, connection=connection)
        results = await self._record(arrivals, replayed=replayed, connection=connection)
        await _remember(zip(arrivals, results, strict=True), connection=connection)
        return results

    async def _record(
        self, arrivals: Sequence[Arrival], *, replayed: Replayed, connection: Any
    ) -> list[Recorded]:
        firsts: dict[Key, Arrival] = {}
        for arrival in arrivals:
            if arrival.signature is None or _signature(arrival) not in replayed:
                firsts.setdefault(_key(arrival), arrival)
        kept = list(firsts.values())
        left = await _keep(kept, connection=connection) if kept else ()
        if len(kept) == len(arrivals) and not left:
            return [_recorded(arrival, is_first=True) for arrival in arrivals]
        return await self._count_repeats(arrivals, firsts, left, replayed=replayed, connection=connection)

    async def _count_repeats(
        self,
        arrivals: Sequence[Arrival],
        firsts: dict[Key, Arrival],
        left: Sequence[Key],
        *,
        replayed: Replayed,
        connection: Any,
    ) -> list[Recorded]:
        found = await _find_holders(left, connection=connection) if left else {}
        # Its own holder is an arrival that was kept before its batch failed, and is given again.
        holders = {
            key: holder for key, holder in found.items() if holder.signal_id != firsts[key].received.signal_id
        }
        results: list[Recorded] = []
        repeated: list[SignalRepeated] = []
        for arrival in arrivals:
            key = _key(arrival)
            first = firsts.get(key)
            if first is arrival and key not in holders:
                results.append(_recorded(arrival, is_first=True))
                continue
            result = replayed.get(_signature(arrival)) or holders.get(key)
            if result is None:
                assert first is not None, "what is no replay has a first delivery"
                result = _recorded(first, is_first=False)
            results.append(result)
            received = arrival.received
            repeated.append(
                SignalRepeated(
                    happened_at=received.happened_at,
                    signal_id=result.signal_id,
                    source_address=received.source_address,
                )
            )
        async with connection.transaction():
            await Transaction(connection).append(repeated)
        return results

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        # A connection that did well is kept: giving it back and taking it again costs a round trip for each batch.
        pool = self._journal.pool
        connection = None
        try:
            async with asyncio.timeout(BATCH_SECONDS_MAX):
                connection = await self._take_connection()
                yield connection
            self._idle.append(connection)
        except BaseException as failure:
            if connection is not None:
                await pool.release(connection, timeout=BATCH_SECONDS_MAX)
            if isinstance(failure, AWAY):
                raise StoreAway("DATABASE_AWAY") from failure
            raise

    async def _take_connection(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            await self._journal.pool.release(connection)
        return await self._journal.pool.acquire()

    async def settled(self, signal_ids: Iterable[UUID]) -> set[UUID]:
        try:
            rows = await self._journal.pool.fetch(SETTLED, list(signal_ids))
        except AWAY as away:
            raise StoreAway("DATABASE_AWAY") from away
        return {row["signal_id"] for row in rows}

    async def is_holding(self, bot_id: UUID, *, against: Instruction | None = None) -> bool:
        try:
            if against is None or against.side is None:
                return bool(await self._journal.pool.fetchval(HOLDING, bot_id, None))
            direction = Direction.of_entry(against.side.opposite)
            return bool(await self._journal.pool.fetchval(HOLDING_AGAINST, bot_id, against.symbol, direction))
        except AWAY as away:
            raise StoreAway("DATABASE_AWAY") from away

    async def count_undecided(self, *, at_most: int) -> int:
        try:
            return int(await self._journal.pool.fetchval(UNDECIDED, at_most))
        except AWAY as away:
            raise StoreAway("DATABASE_AWAY") from away


async def _find_replayed(signed: Sequence[Arrival], *, connection: Any) -> Replayed:
    rows = await connection.fetch(
        REPLAYS, [arrival.received.bot_id for arrival in signed], [arrival.signature for arrival in signed]
    )
    return {
        (row["bot_id"].int, row["signature"]): Recorded(
            row["signal_id"], is_first=False, code=row["code"], reason=row["reason"]
        )
        for row in rows
    }


async def _remember(recorded: Iterable[tuple[Arrival, Recorded]], *, connection: Any) -> None:
    rows = sorted(
        (arrival.received.bot_id.int, arrival.signature, result.signal_id, arrival.received.happened_at)
        for arrival, result in recorded
        if arrival.signature is not None
    )
    bots, signatures, signals, instants = zip(*rows, strict=True)
    await connection.execute(REMEMBER, [UUID(int=bot) for bot in bots], signatures, signals, instants)
    await connection.execute(FORGET, max(instants) - SIGNATURE_MEMORY)


async def _keep(arrivals: Sequence[Arrival], *, connection: Any) -> list[Key]:
    """Store what claims its key; give the keys that another delivery holds."""
    rows = await connection.fetch(
        KEEP,
        to_json([arrival.received for arrival in arrivals]),
        to_json([arrival.outcome for arrival in arrivals]),
        DEDUPE_WINDOW,
    )
    if not rows:
        return []
    held = {row["signal_id"] for row in rows}
    return [_key(arrival) for arrival in arrivals if arrival.received.signal_id in held]


async def _find_holders(keys: Sequence[Key], *, connection: Any) -> dict[Key, Recorded]:
    rows = await connection.fetch(HOLDERS, [UUID(int=bot) for bot, _ in keys], [key for _, key in keys])
    holders = {
        (row["bot_id"].int, row["dedupe_key"]): Recorded(
            row["signal_id"], is_first=False, code=row["code"], reason=row["reason"]
        )
        for row in rows
    }
    if len(holders) < len(keys):
        raise StoreAway("DATABASE_AWAY")  # cleared since the claim: whoever comes again is the first
    return holders


def _key(arrival: Arrival) -> Key:
    return arrival.received.bot_id.int, arrival.received.dedupe_key


def _signature(arrival: Arrival) -> tuple[int, str | None]:
    return arrival.received.bot_id.int, arrival.signature


def _recorded(arrival: Arrival, *, is_first: bool) -> Recorded:
    outcome, signal_id = arrival.outcome, arrival.received.signal_id
    if isinstance(outcome, SignalRefused):
        return Recorded(signal_id, is_first=is_first, code=outcome.code, reason=outcome.reason)
    return Recorded(signal_id, is_first=is_first)
