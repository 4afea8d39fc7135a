"""Whether each account holds what the books say, and the book in which an operator settles what differs."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from pregao.domain.bot import SubscriptionStatus, effective_settings
from pregao.domain.clock import Clock
from pregao.domain.facts import DriftSettled, Fact, FillBooked, PositionChanged
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.sorting import fetch_lines
from pregao.edges.postgres.usage import LIVE
from pregao.positions.ports import Adopter, Place
from pregao.positions.settle import settle_drift
from pregao.positions.update import update_position
from pregao.runner import Runner
from pregao.views.drift import AccountDrift, Difference, DifferenceLine
from pregao.views.sorting import DIFFERENCE_FIELDS, Shape

ACCOUNTS = """
SELECT a.account_id, a.name AS account, a.venue, a.venue <> 'webhook' AS is_compared, c.checked_at, c.agreed_at, c.unreconciled_since
FROM accounts AS a LEFT JOIN account_checks AS c USING (account_id),
LATERAL (SELECT EXISTS (SELECT FROM foreign_positions AS f
                        WHERE f.account_id = a.account_id AND f.quantity <> 0) AS differs) AS stands
WHERE ($1::uuid IS NULL OR a.user_id = $1) AND ($2::bigint IS NULL OR a.account_id > $2)
  AND (stands.differs OR c.unreconciled_since IS NOT NULL OR a.is_active AND NOT $3)
ORDER BY a.account_id LIMIT $4
"""

DIFFERING = f"""
SELECT f.account_id, f.symbol, f.position_side, own.quantity AS ours, own.quantity + f.quantity AS venue, f.seen_at,
       a.name AS account, concat_ws('.', f.account_id, f.symbol, f.position_side) AS place
FROM foreign_positions AS f JOIN accounts AS a USING (account_id),
LATERAL (SELECT coalesce(sum((entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END), 0)
                AS quantity
         FROM positions AS p WHERE p.account_id = f.account_id AND p.symbol = f.symbol
           AND p.position_side = f.position_side AND {LIVE}) AS own
WHERE f.quantity <> 0
"""

COUNT = """
SELECT count(*)::int FROM foreign_positions AS f JOIN accounts AS a USING (account_id)
WHERE f.quantity <> 0 AND ($1::uuid IS NULL OR a.user_id = $1)
"""

# The position before what is seen beside it: in this order a trader books, too.
LOCK_POSITION = f"""
SELECT * FROM positions WHERE account_id = $1 AND symbol = $2 AND position_side = $3 AND {LIVE} FOR NO KEY UPDATE
"""
LOCK_SEEN = """
SELECT quantity FROM foreign_positions WHERE account_id = $1 AND symbol = $2 AND position_side = $3 FOR NO KEY UPDATE
"""
ON_ITS_WAY = """
SELECT EXISTS (SELECT FROM orders WHERE position_id = $1
               AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
"""


class PostgresDriftBooks:
    """The port `positions.ports.DriftBooks`."""

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        """Settle in ``journal``."""
        self._journal = journal
        self._clock = clock

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresDriftBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            yield PostgresDriftBook(transaction, clock=self._clock)


class PostgresDriftBook:
    """The port `positions.ports.DriftBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, clock: Clock) -> None:
        """Read under ``transaction`` and append to it."""
        self._transaction = transaction
        self._connection = transaction.connection
        self._books = PostgresBooks(transaction.connection)
        self._runner: Runner[Transaction] = Runner(
            self._begin,
            steps={DriftSettled: self._settle_drift, FillBooked: self._update_position},
            steps_in_turns={},
        )
        self._clock = clock

    async def lock_place(self, *, account_id: int, symbol: str, position_side: PositionSide) -> Place | None:
        place = account_id, symbol, position_side
        if not await self._connection.fetchval(
            "SELECT EXISTS (SELECT FROM accounts WHERE account_id = $1)", account_id
        ):
            return None
        row = await self._connection.fetchrow(LOCK_POSITION, *place)
        position = None if row is None else to_value(row, Position)
        return Place(
            account_id=account_id,
            symbol=symbol,
            position_side=position_side,
            position=position,
            is_busy=position is not None
            and await self._connection.fetchval(ON_ITS_WAY, position.position_id),
            foreign=await self._connection.fetchval(LOCK_SEEN, *place) or ZERO,
        )

    async def find_adopter(self, subscription_id: UUID, *, symbol: str) -> Adopter | None:
        member = (await self._books.members_named([subscription_id])).get(subscription_id)
        if member is None or member.subscription.status is SubscriptionStatus.CANCELED:
            return None
        bot = await self._books.get_bot(member.subscription.bot_id)
        return Adopter(
            subscription_id=subscription_id,
            bot_id=bot.bot_id,
            account_id=member.account.account_id,
            leverage=effective_settings(bot, member.subscription, symbol=symbol).leverage,
        )

    async def new_position_id(self) -> int:
        [position_id] = await self._books.new_position_ids(1)
        return position_id

    async def settle(self, settled: DriftSettled) -> Position:
        done = await self._runner.advance_in(self._transaction, [settled])
        [changed] = [fact.position for fact in done if isinstance(fact, PositionChanged)]
        return changed

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        yield self._transaction

    async def _settle_drift(self, facts: Sequence[Fact], _transaction: Transaction) -> Sequence[Fact]:
        settled = [fact for fact in facts if isinstance(fact, DriftSettled)]
        return await settle_drift(settled, now=self._clock())

    async def _update_position(self, facts: Sequence[Fact], _transaction: Transaction) -> Sequence[Fact]:
        booked = [fact for fact in facts if isinstance(fact, FillBooked)]
        return await update_position(booked, positions=self._books, now=self._clock())


class PostgresDrifts:
    """The port `views.drift.Drifts`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def accounts(
        self, *, owner: UUID | None, only_drifting: bool, after: int | None, limit: int
    ) -> Sequence[AccountDrift]:
        rows = await self._pool.fetch(ACCOUNTS, owner, after, only_drifting, limit)
        differences: defaultdict[int, list[Difference]] = defaultdict(list)
        of_accounts = f"{DIFFERING} AND f.account_id = ANY($1::bigint[]) ORDER BY f.account_id, f.symbol, f.position_side"
        for row in await self._pool.fetch(of_accounts, [row["account_id"] for row in rows]):
            differences[row["account_id"]].append(to_value(row, Difference))
        return [
            AccountDrift(**row, differences=tuple(differences[row["account_id"]])) for row in map(dict, rows)
        ]

    async def differences(
        self, *, owner: UUID | None, after: str | None, shape: Shape, limit: int
    ) -> Sequence[DifferenceLine]:
        rows = await fetch_lines(
            self._pool,
            f"{DIFFERING} AND ($1::uuid IS NULL OR a.user_id = $1)",
            owner,
            shape=shape,
            fields=DIFFERENCE_FIELDS,
            columns={},
            key="place::text",
            after=after,
            searched=("account", "symbol", "position_side"),
            limit=limit,
        )
        return to_values(rows, DifferenceLine)

    async def count(self, *, owner: UUID | None) -> int:
        count: int = await self._pool.fetchval(COUNT, owner)
        return count
