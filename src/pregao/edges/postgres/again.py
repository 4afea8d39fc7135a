"""Signals that may be sent again: locked where somebody does, read where somebody looks."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from pregao.domain.facts import Fact, SignalAccepted
from pregao.domain.signal import Action
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.journal import Connection, Journal, Transaction, decode
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import PaperFollower, SentLeg, SentSignal

# The row first and what hangs on it after it: whoever waited for the lock must see what the other has written.
LOCK = "SELECT FROM signals WHERE signal_id = $1 FOR NO KEY UPDATE"
SENT = """
SELECT signal_id, bot_id, source, status, received_at, settled_at,
       (SELECT signal_id FROM signals AS r WHERE r.again_of = s.signal_id AND r.source = 'retry') AS retried_as
FROM signals AS s WHERE signal_id = $1
"""
ASKED = """
SELECT fact::text FROM journal WHERE signal_id = $1 AND kind = 'SignalAccepted' ORDER BY seq LIMIT 1
"""
LEGS = """
SELECT o.order_id, o.subscription_id, o.account_id, coalesce(a.name, '') AS account, o.leg, o.symbol, o.status, o.code,
       o.filled_quantity, coalesce(m.status, 'canceled') = 'canceled' AS is_canceled, p.position_id, p.opened_at
FROM orders AS o LEFT JOIN accounts AS a USING (account_id)
LEFT JOIN subscriptions AS m ON m.subscription_id = o.subscription_id
LEFT JOIN LATERAL (
    SELECT position_id, opened_at FROM positions
    WHERE account_id = o.account_id AND symbol = o.symbol AND closed_at IS NULL
      AND (o.leg = 'entry' OR subscription_id = o.subscription_id)
    ORDER BY position_id LIMIT 1) AS p ON true
WHERE o.signal_id = $1 ORDER BY o.account_id, o.leg, o.order_id
"""
PAPER_FOLLOWERS = """
SELECT m.subscription_id, a.account_id, a.name AS account, m.status = 'active' AND a.is_active AS is_active
FROM subscriptions AS m JOIN accounts AS a USING (account_id)
WHERE m.bot_id = $1 AND a.venue = 'paper' AND m.status <> 'canceled' ORDER BY a.account_id
"""


class PostgresAgainBooks:
    """The port `orders.ports.AgainBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that a trader decides the signal soon."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresAgainBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            yield PostgresAgainBook(transaction.connection, transaction=transaction)
        self._ring()

    def look(self) -> "PostgresAgainBook":
        """Give what only reads, each time by itself."""
        return PostgresAgainBook(self._journal.pool)


class PostgresAgainBook:
    """The port `orders.ports.AgainBook`."""

    def __init__(self, connection: Connection, *, transaction: Transaction | None = None) -> None:
        """Read over ``connection``; append to ``transaction``, where there is one."""
        self._connection = connection
        self._transaction = transaction

    async def find_sent(self, signal_id: UUID, *, is_locked: bool = False) -> SentSignal | None:
        if is_locked:
            await self._connection.execute(LOCK, signal_id)
        row = await self._connection.fetchrow(SENT, signal_id)
        if row is None:
            return None
        told = await self._connection.fetchval(ASKED, signal_id)
        accepted = None if told is None else decode("SignalAccepted", told)
        if not isinstance(accepted, SignalAccepted):
            return to_value({**row, "instruction": None}, SentSignal)
        found = replace(to_value({**row, "instruction": None}, SentSignal), instruction=accepted.instruction)
        return replace(found, newer_against=await self._newer_against(accepted))

    async def legs_of(self, signal_id: UUID) -> Sequence[SentLeg]:
        return to_values(await self._connection.fetch(LEGS, signal_id), SentLeg)

    async def paper_followers(self, bot_id: UUID) -> Sequence[PaperFollower]:
        return to_values(await self._connection.fetch(PAPER_FOLLOWERS, bot_id), PaperFollower)

    async def find_by_key(self, bot_id: UUID, *, dedupe_key: str) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            "SELECT signal_id FROM deliveries WHERE bot_id = $1 AND dedupe_key = $2", bot_id, dedupe_key
        )
        return found

    async def append(self, facts: Iterable[Fact]) -> None:
        assert self._transaction is not None, "who only looks writes nothing"
        await self._transaction.append(facts)

    async def _newer_against(self, accepted: SignalAccepted) -> UUID | None:
        asked = accepted.instruction
        if asked.action is not Action.ENTER:
            return None
        first = accepted.signal_id if asked.again is None else asked.again.before[0]
        newer = await PostgresBooks(self._connection).find_newer_against(
            first, bot_id=accepted.bot_id, instruction=asked
        )
        return None if newer is None else newer.signal_id
