"""The book of accounts, as operators change it."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

from pregao.accounts.sealing import SealedCredentials
from pregao.domain.account import Account
from pregao.domain.facts import Fact
from pregao.edges.postgres.credentials import keep
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value

IS_TRADING = """
SELECT EXISTS (SELECT FROM positions WHERE account_id = $1 AND closed_at IS NULL)
    OR EXISTS (SELECT FROM orders
               WHERE account_id = $1 AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
"""

# Two accounts of one owner chosen at once: the second waits here and finds the first.
CHOOSE_MAIN = "SELECT pg_advisory_xact_lock(7234003, hashtext(coalesce($1::uuid::text, '')))"
MAIN = "SELECT * FROM accounts WHERE user_id IS NOT DISTINCT FROM $1 AND is_main FOR NO KEY UPDATE"


def _nobody() -> None:
    """Ring for nobody."""


class PostgresAccountBooks:
    """Opens books over the journal."""

    def __init__(self, journal: Journal, *, ring: Callable[[], None] = _nobody) -> None:
        """Call ``ring`` after each commit that changed something, so that others read it soon."""
        self._journal = journal
        self._ring = ring

    async def next_account_id(self) -> int:
        """Give a number no account has had."""
        number: int = await self._journal.pool.fetchval("SELECT nextval('pregao.account_ids')")
        return number

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresAccountBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            book = PostgresAccountBook(transaction, owner=owner)
            yield book
        if book.is_changed:
            self._ring()


class PostgresAccountBook:
    """The port `accounts.ports.AccountBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None) -> None:
        """Read under ``transaction`` what is ``owner``'s, or everybody's, and append to it."""
        self.is_changed = False
        self._owner = owner
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_account(self, account_id: int) -> Account | None:
        # Planning takes the same lock: no order can be planned for the account meanwhile.
        row = await self._connection.fetchrow(
            "SELECT * FROM accounts WHERE account_id = $1 AND ($2::uuid IS NULL OR user_id = $2) FOR NO KEY UPDATE",
            account_id,
            self._owner,
        )
        return None if row is None else to_value(row, Account)

    async def find_main_account(self, user_id: UUID | None) -> Account | None:
        await self._connection.execute(CHOOSE_MAIN, user_id)
        row = await self._connection.fetchrow(MAIN, user_id)
        return None if row is None else to_value(row, Account)

    async def is_trading(self, account_id: int) -> bool:
        trading: bool = await self._connection.fetchval(IS_TRADING, account_id)
        return trading

    async def keep_credentials(self, account_id: int, sealed: SealedCredentials) -> None:
        self.is_changed = True
        await keep(self._connection, account_id, sealed)

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        await self._transaction.append(kept)
        self.is_changed = self.is_changed or bool(kept)
