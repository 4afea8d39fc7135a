"""Jobs that sell out: started and stopped by people, carried on by one trader, shown to people."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pregao.accounts.ports import FlattenJob
from pregao.domain.account import Account
from pregao.domain.facts import HeldPlace
from pregao.domain.position import Position
from pregao.domain.trading_state import Scope, ScopeLevel
from pregao.edges.postgres.journal import Connection, Journal
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.trading_states import PostgresTradingStateBook, lock_states, name_of
from pregao.views.flatten import FlattenAccountLine, FlattenLine, StandingPosition

BELL = "flattens"
CLOCKS_APART = timedelta(minutes=1)  # positions close by the venue's clock

# Of a position p on an account a; $1 is the level, $2 the subject.
IN_SCOPE = """
CASE $1::text WHEN 'desk' THEN true WHEN 'user' THEN a.user_id::text = $2::text
     WHEN 'account' THEN a.account_id::text = $2::text WHEN 'bot' THEN p.bot_id::text = $2::text
     ELSE a.venue || ':' || p.symbol = $2::text END
"""
# What has closed is found by its subscription: history has no other index.
ACCOUNTS_TO_PROVE = f"""
SELECT account_id FROM accounts AS a
WHERE EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id AND p.closed_at IS NULL AND {IN_SCOPE})
   OR EXISTS (SELECT FROM subscriptions AS s JOIN positions AS p USING (subscription_id)
              WHERE s.account_id = a.account_id AND p.closed_at IS NOT NULL AND {IN_SCOPE})
ORDER BY account_id
"""
LIVE = f"""
SELECT p.*, a.name AS account_name, a.venue, a.user_id
FROM positions AS p JOIN accounts AS a USING (account_id)
WHERE p.closed_at IS NULL AND {IN_SCOPE}
"""
OWN_JOB = """
($1::uuid IS NULL OR f.level = 'user' AND f.subject = ($1::uuid)::text
 OR f.level = 'account' AND f.subject IN (SELECT account_id::text FROM accounts WHERE user_id = $1))
"""
JOBS = f"""
SELECT f.*, (SELECT count(*)::int FROM flatten_accounts AS c WHERE c.flatten_id = f.flatten_id) AS accounts,
       (SELECT count(*)::int FROM flatten_accounts AS c WHERE c.flatten_id = f.flatten_id AND proved_at IS NOT NULL) AS proven
FROM flattens AS f WHERE {OWN_JOB}
"""
ACCOUNTS = """
SELECT c.*, coalesce(a.name, '') AS account_name
FROM flatten_accounts AS c LEFT JOIN accounts AS a USING (account_id)
WHERE c.flatten_id = $1 ORDER BY c.account_id
"""
EXITS_SINCE = f"""
SELECT p.account_id, p.symbol, p.position_side, sum(o.filled_quantity) AS quantity, sum(o.attempt)::int AS attempts
FROM accounts AS a
JOIN subscriptions AS s ON s.account_id = a.account_id
JOIN positions AS p ON p.subscription_id = s.subscription_id AND (p.closed_at IS NULL OR p.closed_at >= $4)
JOIN orders AS o ON o.position_id = p.position_id AND o.leg = 'exit' AND o.attempt > 0 AND o.updated_at >= $3
WHERE a.account_id = ANY($5::bigint[]) AND {IN_SCOPE}
GROUP BY p.account_id, p.symbol, p.position_side ORDER BY p.account_id, p.symbol, p.position_side
"""
LAST_EXITS = """
SELECT DISTINCT ON (position_id) position_id, status, coalesce(code, '') AS code FROM orders
WHERE position_id = ANY($1::bigint[]) AND leg = 'exit' AND attempt > 0
ORDER BY position_id, updated_at DESC, order_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFlatten:
    """A job that is to be carried on."""

    flatten_id: UUID
    level: ScopeLevel
    subject: str
    started_at: datetime

    @property
    def scope(self) -> Scope:
        """What it sells out."""
        return Scope(level=self.level, subject=self.subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePosition:
    """A position to be closed, and the account it is on."""

    position: Position
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """The exit of a position that was heard of last."""

    position_id: int
    status: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitsDone:
    """What exits have closed on an account since a job began."""

    closed: tuple[HeldPlace, ...] = ()
    attempts: int = 0


class PostgresFlattenBooks:
    """The port `accounts.ports.FlattenBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that a trader looks at once."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresFlattenBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            await lock_states(transaction.connection)
            yield PostgresFlattenBook(transaction, owner=owner)
        self._ring()


class PostgresFlattenBook(PostgresTradingStateBook):
    """The port `accounts.ports.FlattenBook`, over one open transaction."""

    async def find_running(self, scope: Scope) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            "SELECT flatten_id FROM flattens WHERE level = $1 AND subject = $2 AND ended_at IS NULL",
            scope.level,
            scope.subject,
        )
        return found

    async def find_flatten(self, flatten_id: UUID) -> FlattenJob | None:
        row = await self._connection.fetchrow(
            f"SELECT f.* FROM flattens AS f WHERE {OWN_JOB} AND f.flatten_id = $2 FOR NO KEY UPDATE",
            self._owner,
            flatten_id,
        )
        return None if row is None else to_value(row, FlattenJob)


async def running_flattens(pool: Connection) -> list[RunningFlatten]:
    """Give the jobs that are not over, oldest first."""
    rows = await pool.fetch("SELECT * FROM flattens WHERE ended_at IS NULL ORDER BY started_at, flatten_id")
    return to_values(rows, RunningFlatten)


async def is_running(connection: Connection, flatten_id: UUID) -> bool:
    """Lock a job until the transaction ends; say whether it still runs."""
    row = await connection.fetchrow(
        "SELECT ended_at FROM flattens WHERE flatten_id = $1 FOR NO KEY UPDATE", flatten_id
    )
    return row is not None and row["ended_at"] is None


async def live_positions(pool: Connection, scope: Scope) -> list[LivePosition]:
    """Give what is live at a scope, pending and closing positions included."""
    rows = await pool.fetch(f"{LIVE} ORDER BY p.account_id, p.position_id", scope.level, scope.subject)
    account_ids = sorted({row["account_id"] for row in rows})
    accounts = {
        row["account_id"]: to_value(row, Account)
        for row in await pool.fetch(
            "SELECT * FROM accounts WHERE account_id = ANY($1::bigint[])", account_ids
        )
    }
    return [
        LivePosition(position=to_value(row, Position), account=accounts[row["account_id"]]) for row in rows
    ]


async def accounts_seen(pool: Connection, flatten_id: UUID) -> list[FlattenAccountLine]:
    """Give what is known of each account of a job."""
    return to_values(await pool.fetch(ACCOUNTS, flatten_id), FlattenAccountLine)


async def exits_since(
    pool: Connection, job: RunningFlatten, account_ids: Collection[int]
) -> Mapping[int, ExitsDone]:
    """Give what exits have closed at the job's scope since it began, by account."""
    rows = await pool.fetch(
        EXITS_SINCE, job.level, job.subject, job.started_at, job.started_at - CLOCKS_APART, list(account_ids)
    )
    done: dict[int, ExitsDone] = {}
    for row in rows:
        before = done.get(row["account_id"], ExitsDone())
        closed = [to_value(row, HeldPlace)] if row["quantity"] else []
        done[row["account_id"]] = ExitsDone(
            closed=(*before.closed, *closed), attempts=before.attempts + row["attempts"]
        )
    return done


async def last_exits(pool: Connection, position_ids: Sequence[int]) -> Mapping[int, LastExit]:
    """Give the exit of each position that was heard of last."""
    found = to_values(await pool.fetch(LAST_EXITS, position_ids), LastExit)
    return {one.position_id: one for one in found}


async def foreign_held(pool: Connection, account_id: int) -> tuple[HeldPlace, ...]:
    """Give what an account holds that is not ours, as it was seen last."""
    rows = await pool.fetch(
        "SELECT * FROM foreign_positions WHERE account_id = $1 AND quantity <> 0 ORDER BY symbol, position_side",
        account_id,
    )
    return tuple(to_values(rows, HeldPlace))


class PostgresFlattens:
    """The port `views.flatten.Flattens`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def list_flattens(self, *, owner: UUID | None, limit: int) -> Sequence[FlattenLine]:
        rows = await self._pool.fetch(
            f"{JOBS} ORDER BY f.started_at DESC, f.flatten_id DESC LIMIT $2", owner, limit
        )
        return to_values(rows, FlattenLine)

    async def find_flatten(self, flatten_id: UUID, *, owner: UUID | None) -> FlattenLine | None:
        row = await self._pool.fetchrow(f"{JOBS} AND f.flatten_id = $2", owner, flatten_id)
        return None if row is None else to_value(row, FlattenLine)

    async def accounts_of(self, flatten_id: UUID) -> Sequence[FlattenAccountLine]:
        return await accounts_seen(self._pool, flatten_id)

    async def accounts_to_prove(self, scope: Scope) -> Sequence[int]:
        rows = await self._pool.fetch(ACCOUNTS_TO_PROVE, scope.level, scope.subject)
        return [row["account_id"] for row in rows]

    async def name_of(self, scope: Scope, *, owner: UUID | None) -> str | None:
        return await name_of(self._pool, scope, owner=owner)

    async def standing(self, scope: Scope, *, owner: UUID | None) -> Sequence[StandingPosition]:
        rows = await self._pool.fetch(
            f"{LIVE} AND ($3::uuid IS NULL OR a.user_id = $3) ORDER BY p.account_id, p.symbol, p.position_id",
            scope.level,
            scope.subject,
            owner,
        )
        return [
            to_value({**row, "quantity": row["entered_quantity"] - row["exited_quantity"]}, StandingPosition)
            for row in rows
        ]
