"""What was put to people: locked where somebody answers, listed where somebody looks."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from pregao.decisions.ports import Question
from pregao.domain.facts import Fact
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.sorting import fetch_lines
from pregao.edges.postgres.waiting import to_pending
from pregao.views.approvals import ApprovalLine
from pregao.views.sorting import APPROVAL_FIELDS, NEWEST_FIRST, OLDEST_FIRST, Shape

# The row first and its journal after it: whoever waited for the lock must see what the other has written.
LOCK = """
SELECT answered_at, answered_by, is_approved FROM signals
WHERE signal_id = $1 AND approval_asked_at IS NOT NULL
FOR NO KEY UPDATE
"""
ASKED = """
SELECT fact::text FROM journal WHERE signal_id = $1 AND kind = 'DecisionPending' ORDER BY seq LIMIT 1
"""

LINE = """
SELECT s.signal_id, s.bot_id, coalesce(b.name, '') AS bot_name, s.symbol, s.side, s.price AS signal_price,
       s.verdicts::text AS verdicts, s.received_at, s.approval_asked_at AS asked_at,
       s.approval_expires_at AS expires_at, s.approval_venue AS venue, s.approval_price AS price_then,
       b.approval_price_move_pct AS price_move_pct_max,
       (SELECT count(*)::int FROM subscriptions AS m JOIN accounts AS a USING (account_id)
        WHERE m.bot_id = s.bot_id AND m.status = 'active' AND a.is_active) AS subscriptions,
       s.status, s.code, s.answered_at, s.answered_by, s.is_approved, s.answer_reason AS reason
FROM signals AS s JOIN bots AS b USING (bot_id)
"""
PENDING = f"{LINE} WHERE s.status = 'pending' AND ($1::uuid IS NULL OR s.bot_id = $1)"
SEARCHED = ("bot_name", "symbol", "side", "answered_by", "code", "reason")
OLDEST_PENDING = f"""
SELECT * FROM ({PENDING}) AS lines
WHERE ($4::text IS NULL OR strpos(upper(concat_ws(' ', {", ".join(SEARCHED)})), upper($4)) > 0)
  AND ($2::uuid IS NULL OR (asked_at, signal_id) > (
    SELECT approval_asked_at, signal_id FROM signals WHERE signal_id = $2))
ORDER BY asked_at, signal_id LIMIT $3
"""
ANSWERED = f"{LINE} WHERE s.answered_at IS NOT NULL AND ($1::uuid IS NULL OR s.bot_id = $1)"
ONE = f"""
{LINE}
WHERE s.signal_id = $1 AND s.approval_asked_at IS NOT NULL
"""


class PostgresApprovalBooks:
    """The port `decisions.ports.ApprovalBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that a trader settles the answer soon."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresApprovalBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            yield PostgresApprovalBook(transaction)
        self._ring()


class PostgresApprovalBook:
    """The port `decisions.ports.ApprovalBook`, over one open transaction."""

    def __init__(self, transaction: Transaction) -> None:
        """Read under ``transaction`` and append to it."""
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_question(self, signal_id: UUID) -> Question | None:
        row = await self._connection.fetchrow(LOCK, signal_id)
        if row is None:
            return None
        asked = to_pending(await self._connection.fetchval(ASKED, signal_id))
        return Question(
            asked=asked,
            answered_by=row["answered_by"],
            answered_at=row["answered_at"],
            is_approved=row["is_approved"],
        )

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)


class PostgresApprovals:
    """The port `views.approvals.Approvals`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def pending(
        self, *, bot_id: UUID | None, after: UUID | None, shape: Shape = OLDEST_FIRST, limit: int
    ) -> Sequence[ApprovalLine]:
        if shape.by is None:
            return to_values(
                await self._pool.fetch(OLDEST_PENDING, bot_id, after, limit, shape.search), ApprovalLine
            )
        return await self._lines(PENDING, bot_id, after=after, shape=shape, limit=limit)

    async def answered(
        self, *, bot_id: UUID | None, after: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> Sequence[ApprovalLine]:
        return await self._lines(ANSWERED, bot_id, after=after, shape=shape, limit=limit)

    async def find_approval(self, signal_id: UUID) -> ApprovalLine | None:
        row = await self._pool.fetchrow(ONE, signal_id)
        return None if row is None else to_value(row, ApprovalLine)

    async def _lines(
        self, lines: str, bot_id: UUID | None, *, after: UUID | None, shape: Shape, limit: int
    ) -> Sequence[ApprovalLine]:
        rows = await fetch_lines(
            self._pool,
            lines,
            bot_id,
            shape=shape,
            fields=APPROVAL_FIELDS,
            columns={},
            key="signal_id::uuid",
            after=after,
            searched=SEARCHED,
            limit=limit,
        )
        return to_values(rows, ApprovalLine)
