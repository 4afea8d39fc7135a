"""Positions as people enter, sell and close them by hand; and the list of what can be sold."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.facts import BookedByHand, Fact, FillBooked, SignalAccepted
from pregao.domain.position import Position
from pregao.domain.sell_list import ByHand, SellListRule
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.usage import LIVE
from pregao.positions.by_hand import book_by_hand
from pregao.positions.ports import Follower, Held, Holder
from pregao.positions.update import update_position
from pregao.runner import Runner
from pregao.signals.own import SOURCE, booked_by_hand
from pregao.views.sell_list import SellListLine

# The first made of that name that is not archived: whose signals come in by /webhook/in.
DEFAULT_BOT = (
    "SELECT bot_id FROM bots WHERE name = 'default' AND status <> 'archived' ORDER BY created_at LIMIT 1"
)
LISTED = f"p.bot_id = ({DEFAULT_BOT}) AND p.status IN ('open', 'closing')"

HELD = """
SELECT p.*, a.venue AS at_venue, EXISTS (
    SELECT FROM orders AS o WHERE o.position_id = p.position_id
    AND o.status IN ('planned', 'unresolved', 'accepted', 'partially_filled', 'deferred')) AS is_busy
FROM positions AS p JOIN accounts AS a USING (account_id)
"""
IN_ORDER = "ORDER BY p.position_id FOR NO KEY UPDATE OF p"
HELD_ONES = f"""
{HELD} WHERE p.position_id = ANY($1::bigint[]) AND ($2::uuid IS NULL OR a.user_id = $2) {IN_ORDER}
"""
HOLDERS = """
SELECT p.bot_id, b.name, p.position_id
FROM positions AS p JOIN accounts AS a USING (account_id) JOIN bots AS b USING (bot_id)
WHERE p.symbol = $1 AND p.status = 'open' AND p.closed_at IS NULL AND ($2::uuid IS NULL OR a.user_id = $2)
ORDER BY p.position_id FOR NO KEY UPDATE OF p
"""
# Only bodies of the desk's own are known to be JSON.
ENTERED_BY_HAND = f"""
(SELECT CASE WHEN s.source = '{SOURCE}' THEN convert_from(s.body, 'UTF8')::jsonb ->> 'type' = '{ByHand.ENTER}' END
 FROM signals AS s WHERE s.signal_id = p.signal_id)
"""
ENTERED_BEFORE = f"""
{HELD} WHERE p.status = 'open' AND a.venue = '{Venue.WEBHOOK}' AND p.opened_at < $1 AND {ENTERED_BY_HAND} {IN_ORDER}
"""
FOLLOWER = """
SELECT s.subscription_id, s.bot_id, s.account_id, a.venue FROM subscriptions AS s JOIN accounts AS a USING (account_id)
WHERE s.subscription_id = $1 AND s.status <> 'canceled' AND ($2::uuid IS NULL OR a.user_id = $2)
FOR NO KEY UPDATE OF a, s
"""
DESTINATIONS = f"""
SELECT s.subscription_id FROM subscriptions AS s JOIN accounts AS a USING (account_id)
WHERE s.bot_id = $1 AND s.status <> 'canceled' AND a.venue = '{Venue.WEBHOOK}' ORDER BY s.account_id
"""
RULE = "SELECT is_cleaned, lifetime_hours FROM sell_list_rules"


class PostgresPositionBooks:
    """The port `positions.ports.PositionBooks`."""

    def __init__(self, journal: Journal, *, clock: Clock, ring_signals: Callable[[], None]) -> None:
        """Call ``ring_signals`` after each commit that leaves a signal to be decided."""
        self._journal = journal
        self._clock = clock
        self._ring_signals = ring_signals

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresPositionBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            book = PostgresPositionBook(transaction, owner=owner, clock=self._clock)
            yield book
        if book.has_signal:
            self._ring_signals()


class PostgresPositionBook:
    """The port `positions.ports.PositionBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None, clock: Clock) -> None:
        """Read under ``transaction`` what is ``owner``'s, or everybody's, and append to it."""
        self.has_signal = False
        self._transaction = transaction
        self._connection = transaction.connection
        self._owner = owner
        self._clock = clock
        self._books = PostgresBooks(transaction.connection)
        self._runner: Runner[Transaction] = Runner(
            self._begin,
            steps={BookedByHand: self._book_by_hand, FillBooked: self._update_position},
            steps_in_turns={},
        )

    async def lock_follower(self, subscription_id: UUID) -> Follower | None:
        row = await self._connection.fetchrow(FOLLOWER, subscription_id, self._owner)
        return None if row is None else to_value(row, Follower)

    async def find_live(self, account_id: int, *, symbol: str) -> Position | None:
        row = await self._connection.fetchrow(
            f"SELECT * FROM positions WHERE account_id = $1 AND symbol = $2 AND {LIVE} FOR NO KEY UPDATE",
            account_id,
            symbol,
        )
        return None if row is None else to_value(row, Position)

    async def new_position_id(self) -> int:
        [position_id] = await self._books.new_position_ids(1)
        return position_id

    async def lock_held(self, position_ids: Sequence[int]) -> Sequence[Held]:
        return _held(await self._connection.fetch(HELD_ONES, list(position_ids), self._owner))

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        await self._transaction.append(kept)
        self.has_signal = self.has_signal or any(isinstance(fact, SignalAccepted) for fact in kept)

    async def book(self, booked: Sequence[BookedByHand], *, source_address: str) -> None:
        await self._transaction.append(
            [fact for one in booked for fact in _signal_of(one, source_address=source_address)]
        )
        await self._runner.advance_in(self._transaction, booked)

    async def listed(self) -> Sequence[Held]:
        return _held(await self._connection.fetch(f"{HELD} WHERE {LISTED} {IN_ORDER}"))

    async def holders_of(self, symbol: str) -> Sequence[Holder]:
        held: defaultdict[tuple[str, UUID], list[int]] = defaultdict(list)
        for row in await self._connection.fetch(HOLDERS, symbol, self._owner):
            held[row["name"], row["bot_id"]].append(row["position_id"])
        return [
            Holder(bot_id=bot_id, name=name, position_ids=tuple(numbers))
            for (name, bot_id), numbers in sorted(held.items())
        ]

    async def default_bot(self) -> UUID | None:
        bot_id: UUID | None = await self._connection.fetchval(DEFAULT_BOT)
        return bot_id

    async def destinations_of(self, bot_id: UUID) -> Sequence[UUID]:
        return [row["subscription_id"] for row in await self._connection.fetch(DESTINATIONS, bot_id)]

    async def entered_before(self, instant: datetime) -> Sequence[Held]:
        return _held(await self._connection.fetch(ENTERED_BEFORE, instant))

    async def rule(self) -> SellListRule | None:
        return await find_rule(self._connection)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        yield self._transaction

    async def _book_by_hand(self, facts: Sequence[Fact], _transaction: Transaction) -> Sequence[Fact]:
        booked = [fact for fact in facts if isinstance(fact, BookedByHand)]
        return await book_by_hand(booked, now=self._clock())

    async def _update_position(self, facts: Sequence[Fact], _transaction: Transaction) -> Sequence[Fact]:
        booked = [fact for fact in facts if isinstance(fact, FillBooked)]
        return await update_position(booked, positions=self._books, now=self._clock())


class PostgresSellList:
    """The port `views.sell_list.SellList`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def lines(self) -> Sequence[SellListLine]:
        rows = await self._pool.fetch(
            f"""
            SELECT p.position_id, p.symbol AS ticker, p.status, p.account_id, a.venue, p.opened_at,
                   p.entered_quantity - p.exited_quantity AS quantity, x.exit_status, x.exit_code, x.exit_filled
            FROM positions AS p JOIN accounts AS a USING (account_id)
            LEFT JOIN LATERAL (
                SELECT o.status AS exit_status, o.code AS exit_code, o.filled_quantity AS exit_filled FROM orders AS o
                WHERE o.position_id = p.position_id AND o.leg = 'exit' ORDER BY o.planned_at DESC, o.order_id LIMIT 1
            ) AS x ON true
            WHERE {LISTED} ORDER BY p.symbol, p.position_id
            """
        )
        return to_values(rows, SellListLine)

    async def rule(self) -> SellListRule | None:
        return await find_rule(self._pool)


async def find_rule(connection: Connection) -> SellListRule | None:
    """Give the list's rule; None where nobody has said one."""
    row = await connection.fetchrow(RULE)
    return None if row is None else to_value(row, SellListRule)


def _signal_of(booked: BookedByHand, *, source_address: str) -> list[Fact]:
    """Give the signal that stands for it; it is done with the fact that follows."""
    return booked_by_hand(
        ByHand.ENTER if booked.close_reason is None else ByHand.BOOK_CLOSED,
        signal_id=booked.signal_id,
        bot_id=booked.position.bot_id,
        subscription_id=booked.position.subscription_id,
        symbol=booked.position.symbol,
        asked_by=booked.booked_by,
        reason=booked.reason,
        source_address=source_address,
        now=booked.happened_at,
    )


def _held(rows: Sequence[Any]) -> list[Held]:
    return [
        Held(position=to_value(row, Position), venue=Venue(row["at_venue"]), is_busy=row["is_busy"])
        for row in rows
    ]
