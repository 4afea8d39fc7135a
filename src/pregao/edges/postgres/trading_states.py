"""What may be traded: changed by one person at a time, followed by the traders, shown to people."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import structlog

from pregao.accounts.ports import SetState
from pregao.domain.facts import Fact
from pregao.domain.trading_state import Scope, ScopeLevel, ScopeState, TradingStates, Watched
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.views.trading_state import StateLine, TraderSeen, TradingStateNow

BELL = "states"
PLANNERS_SECONDS_MAX = (
    2.0  # a halt does not wait longer for whoever plans: what is planned meanwhile does not leave
)

IDLE_SECONDS_MAX = (
    2.0  # a process that froze with the lock must not keep everybody from planning, exits above all
)

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7234007)"
# Everybody who plans has read the states under a shared lock of this row.
LOCK_OUT_PLANNERS = "SELECT FROM desk FOR NO KEY UPDATE"

STANDING = "SELECT * FROM trading_states WHERE state <> 'active' ORDER BY version"
VERSION = "SELECT coalesce(max(version), 0) FROM trading_states"

NAMES = {
    ScopeLevel.USER: """
        SELECT email FROM users WHERE user_id::text = $1 AND ($2::uuid IS NULL OR user_id = $2)
    """,
    ScopeLevel.ACCOUNT: """
        SELECT name FROM accounts WHERE account_id::text = $1 AND ($2::uuid IS NULL OR user_id = $2)
    """,
    ScopeLevel.BOT: "SELECT name FROM bots WHERE bot_id::text = $1 AND $2::uuid IS NULL",
}

CONCERNS = """
$1::uuid IS NULL OR level IN ('desk', 'symbol') OR level = 'user' AND subject = ($1::uuid)::text
OR level = 'account' AND subject IN (SELECT account_id::text FROM accounts WHERE user_id = $1)
OR level = 'bot' AND subject IN (
    SELECT s.bot_id::text FROM subscriptions AS s JOIN accounts AS a USING (account_id)
    WHERE a.user_id = $1 AND s.status <> 'canceled')
"""
SHOWN = f"SELECT * FROM trading_states WHERE state <> 'active' AND ({CONCERNS}) ORDER BY version"
TRADERS = """
SELECT worker_id, states_seen, lease_until FROM workers
WHERE role = 'trader' AND lease_until > clock_timestamp() ORDER BY started_at, worker_id
"""
UNSEEN_BY = """
SELECT worker_id FROM workers
WHERE role = 'trader' AND lease_until > clock_timestamp() AND states_seen < $1 ORDER BY worker_id
"""
ACKNOWLEDGE = """
UPDATE workers SET states_seen = $3 WHERE worker_id = $1 AND lease_epoch = $2 AND states_seen < $3
"""

log = structlog.get_logger()


class PostgresTradingStateBooks:
    """The port `accounts.ports.TradingStateBooks`."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None]) -> None:
        """Call ``ring`` after each commit, so that the traders look at once."""
        self._journal = journal
        self._ring = ring

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresTradingStateBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            await lock_states(transaction.connection)
            yield PostgresTradingStateBook(transaction, owner=owner)
        self._ring()


class PostgresTradingStateBook:
    """The port `accounts.ports.TradingStateBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None) -> None:
        """Read under ``transaction`` and append to it; what is not ``owner``'s is not there."""
        self._transaction = transaction
        self._connection = transaction.connection
        self._owner = owner

    async def find_state(self, scope: Scope) -> SetState | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM trading_states WHERE level = $1 AND subject = $2 AND state <> 'active'",
            scope.level,
            scope.subject,
        )
        return None if row is None else to_value(row, SetState)

    async def next_version(self) -> int:
        version: int = await self._connection.fetchval(VERSION)
        return version + 1

    async def name_of(self, scope: Scope) -> str | None:
        return await name_of(self._connection, scope, owner=self._owner)

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)


async def name_of(connection: Connection, scope: Scope, *, owner: UUID | None) -> str | None:
    """Give what people call a scope; None where there is no such thing, or not for ``owner``."""
    if scope.level not in NAMES:
        return scope.subject or scope.level.value
    name: str | None = await connection.fetchval(NAMES[scope.level], scope.subject, owner)
    return name


async def lock_states(connection: Connection) -> None:
    """
    Be the only one who changes a state until the transaction ends, and have nobody plan meanwhile.

    Whoever plans is waited for, but not for ever: traders that plan without a pause could keep a halt out.

    Without the lock what is planned at this moment may not know of the change; the traders hold it back themselves.
    """
    assert not isinstance(connection, asyncpg.Pool), "a lock needs a transaction"
    await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS_MAX}s'")
    await connection.execute(ONE_AT_A_TIME)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{PLANNERS_SECONDS_MAX}s'")
            await connection.execute(LOCK_OUT_PLANNERS)
            await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
    except asyncpg.LockNotAvailableError:
        log.warning("postgres.trading_states.unlocked", seconds_max=PLANNERS_SECONDS_MAX)


async def read_watched(pool: Connection) -> Watched:
    """Give the states as they stand now, without locking anything."""
    # The version first: what is read after it is at least as new.
    version: int = await pool.fetchval(VERSION)
    states = TradingStates(to_values(await pool.fetch(STANDING), ScopeState), version=version)
    users = [UUID(one.subject) for one in states if one.level is ScopeLevel.USER]
    rows = (
        await pool.fetch("SELECT account_id, user_id FROM accounts WHERE user_id = ANY($1::uuid[])", users)
        if users
        else []
    )
    return Watched(states=states, owners={row["account_id"]: row["user_id"] for row in rows})


async def acknowledge(pool: Connection, *, worker_id: str, lease_epoch: int, version: int) -> None:
    """Write on the worker's row that nothing of it leaves any more that the version forbids."""
    await pool.execute(ACKNOWLEDGE, worker_id, lease_epoch, version)


class PostgresTradingStates:
    """The port `views.trading_state.TradingStateViews`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def now(self, *, owner: UUID | None) -> TradingStateNow:
        version: int = await self._pool.fetchval(VERSION)
        return TradingStateNow(
            version=version,
            states=to_values(await self._pool.fetch(SHOWN, owner), StateLine),
            traders=to_values(await self._pool.fetch(TRADERS), TraderSeen),
        )

    async def unseen_by(self, version: int) -> Sequence[str]:
        return [row["worker_id"] for row in await self._pool.fetch(UNSEEN_BY, version)]
