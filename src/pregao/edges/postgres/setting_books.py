"""Several of the desk's settings, changed in one transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pregao.edges.postgres import destinations, screener
from pregao.edges.postgres.accounts import PostgresAccountBook
from pregao.edges.postgres.destinations import PostgresLimitBook
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.screener import PostgresScreenerBook


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettingBook:
    """The port `edges.http.setting_books.SettingBook`."""

    accounts: PostgresAccountBook
    screener: PostgresScreenerBook
    limit: PostgresLimitBook


class PostgresSettingBooks:
    """The port `edges.http.setting_books.SettingBooks`."""

    def __init__(
        self,
        journal: Journal,
        *,
        ring_accounts: Callable[[], None],
        ring_screener: Callable[[], None],
        ring_limit: Callable[[], None],
    ) -> None:
        """Ring after each commit for what was changed in it."""
        self._journal = journal
        self._ring_accounts = ring_accounts
        self._ring_screener = ring_screener
        self._ring_limit = ring_limit

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresSettingBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            for lock in (screener.CHANGE_ONE_BY_ONE, destinations.CHANGE_ONE_BY_ONE):
                await transaction.connection.execute(lock)
            book = PostgresSettingBook(
                accounts=PostgresAccountBook(transaction, owner=None),
                screener=PostgresScreenerBook(transaction),
                limit=PostgresLimitBook(transaction),
            )
            yield book
        for part, ring in (
            (book.accounts, self._ring_accounts),
            (book.screener, self._ring_screener),
            (book.limit, self._ring_limit),
        ):
            if part.is_changed:
                ring()
