"""
Arrivals become rows: claimed, received, accepted or refused, in one transaction for a whole batch.

A delivery is the first one if its key is free, or if the key is a hash whose first delivery is a minute old. A signed
one must have a signature that was not here before, too: it may be replayed for as long as it is fresh.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.facts import DeliveryTurnedAway, Fact, SignalAccepted, SignalRefused, SignalRepeated
from pregao.domain.position import Direction
from pregao.domain.signal import Instruction
from pregao.edges.postgres.bots import HOLDING, HOLDING_AGAINST
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.signals.ports import Arrival, Recorded, StoreAway

DEDUPE_WINDOW = timedelta(seconds=60)  # from the first delivery; TradingView's three more come within 15 s
SIGNATURE_MEMORY = timedelta(minutes=15)  # fresh 5 minutes before and after it is made, and a margin
BATCH_SECONDS_MAX = 2.0  # TradingView waits 3 s; a database this slow is as good as away
WRITERS = (
    2  # batches under way at once: while one waits for the disk, the next is written; a third adds nothing
)

Key = tuple[int, str]  # the bot's id as a number: compared and hashed several times, and much faster so

CLAIM = """
INSERT INTO deliveries (bot_id, dedupe_key, signal_id, first_at, is_explicit_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::boolean[])
ON CONFLICT (bot_id, dedupe_key) DO UPDATE
SET signal_id = excluded.signal_id, first_at = excluded.first_at
WHERE NOT deliveries.is_explicit_id AND NOT excluded.is_explicit_id
  AND excluded.first_at >= deliveries.first_at + $6::interval
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
        Store a batch in one transaction; each key has one signal, whatever arrives at once.

        :raises StoreAway: when the database cannot be reached
        """
        async with self._transaction() as transaction:
            return await _record(arrivals, transaction=transaction)

    async def record_turned_away(self, facts: Sequence[DeliveryTurnedAway]) -> None:
        async with self._transaction() as transaction:
            await transaction.append(facts)

    async def close(self) -> None:
        """Give the connections back; the pool cannot be closed before."""
        while self._idle:
            await self._journal.pool.release(self._idle.pop())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        # A connection that did well is kept: giving it back and taking it again costs a round trip for each batch.
        pool = self._journal.pool
        connection = None
        try:
            async with asyncio.timeout(BATCH_SECONDS_MAX):
                connection = await self._connection()
                async with connection.transaction():
                    yield Transaction(connection, epoch=self._journal.epoch)
            self._idle.append(connection)
        except BaseException as failure:
            if connection is not None:
                await pool.release(connection, timeout=BATCH_SECONDS_MAX)
            if isinstance(failure, AWAY):
                raise StoreAway("DATABASE_AWAY") from failure
            raise

    async def _connection(self) -> Any:
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


async def _record(arrivals: Sequence[Arrival], *, transaction: Transaction) -> list[Recorded]:
    signed = [arrival for arrival in arrivals if arrival.signature is not None]
    replayed = await _find_replayed(signed, transaction=transaction) if signed else {}
    firsts: dict[Key, Arrival] = {}
    for arrival in arrivals:
        if _signature(arrival) not in replayed:
            firsts.setdefault(_key(arrival), arrival)
    holders = await _claim(firsts, transaction=transaction)
    received: list[Fact] = []
    accepted: list[Fact] = []
    refused: list[Fact] = []
    repeated: list[Fact] = []
    results: list[Recorded] = []
    for arrival in arrivals:
        fact, outcome = arrival.received, arrival.outcome
        key = _key(arrival)
        first = firsts.get(key)
        replay = replayed.get(_signature(arrival))
        if first is arrival and key not in holders:
            received.append(fact)
            (accepted if isinstance(outcome, SignalAccepted) else refused).append(outcome)
            results.append(_recorded(fact.signal_id, outcome, is_first=True))
            continue
        result = replay or holders.get(key)
        if result is None:
            assert first is not None, "what is no replay has a first delivery"
            result = _recorded(first.received.signal_id, first.outcome, is_first=False)
        repeated.append(_repeated(result.signal_id, source_address=fact.source_address, now=fact.happened_at))
        results.append(result)
    await transaction.append([*received, *accepted, *refused, *repeated])
    if signed:
        await _remember(zip(arrivals, results, strict=True), transaction=transaction)
    return results


async def _find_replayed(
    signed: Sequence[Arrival], *, transaction: Transaction
) -> dict[tuple[int, str | None], Recorded]:
    rows = await transaction.connection.fetch(
        REPLAYS, [arrival.received.bot_id for arrival in signed], [arrival.signature for arrival in signed]
    )
    return {
        (row["bot_id"].int, row["signature"]): Recorded(
            row["signal_id"], is_first=False, code=row["code"], reason=row["reason"]
        )
        for row in rows
    }


async def _remember(recorded: Iterable[tuple[Arrival, Recorded]], *, transaction: Transaction) -> None:
    rows = sorted(
        (arrival.received.bot_id.int, arrival.signature, result.signal_id, arrival.received.happened_at)
        for arrival, result in recorded
        if arrival.signature is not None
    )
    bots, signatures, signals, instants = zip(*rows, strict=True)
    await transaction.connection.execute(
        REMEMBER, [UUID(int=bot) for bot in bots], signatures, signals, instants
    )
    await transaction.connection.execute(FORGET, max(instants) - SIGNATURE_MEMORY)


async def _claim(firsts: dict[Key, Arrival], *, transaction: Transaction) -> dict[Key, Recorded]:
    # Sorted, so that two batches wait for each other's keys in one order and never in a circle.
    keys = sorted(firsts)
    rows = [firsts[key].received for key in keys]
    done = await transaction.connection.execute(
        CLAIM,
        [row.bot_id for row in rows],
        [row.dedupe_key for row in rows],
        [row.signal_id for row in rows],
        [row.happened_at for row in rows],
        [row.is_explicit_id for row in rows],
        DEDUPE_WINDOW,
    )
    if int(done.rpartition(" ")[2]) == len(rows):
        return {}
    held = await transaction.connection.fetch(
        HOLDERS, [row.bot_id for row in rows], [row.dedupe_key for row in rows]
    )
    holders = {}
    for row in held:
        key = (row["bot_id"].int, row["dedupe_key"])
        if row["signal_id"] != firsts[key].received.signal_id:
            holders[key] = Recorded(row["signal_id"], is_first=False, code=row["code"], reason=row["reason"])
    return holders


def _key(arrival: Arrival) -> Key:
    return arrival.received.bot_id.int, arrival.received.dedupe_key


def _signature(arrival: Arrival) -> tuple[int, str | None]:
    return arrival.received.bot_id.int, arrival.signature


def _recorded(signal_id: UUID, outcome: SignalAccepted | SignalRefused, *, is_first: bool) -> Recorded:
    if isinstance(outcome, SignalRefused):
        return Recorded(signal_id, is_first=is_first, code=outcome.code, reason=outcome.reason)
    return Recorded(signal_id, is_first=is_first)


def _repeated(signal_id: UUID, *, source_address: str, now: datetime) -> SignalRepeated:
    return SignalRepeated(happened_at=now, signal_id=signal_id, source_address=source_address)
