"""The book of bots and subscriptions, as operators change it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from pregao.bots.configure import path_taken
from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.deployment import Deployment
from pregao.domain.facts import BotConfigured, Fact, SignalAccepted
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values

HOLDING_AGAINST = """
SELECT EXISTS (SELECT FROM positions WHERE bot_id = $1 AND symbol = $2 AND direction = $3 AND closed_at IS NULL)
"""
HOLDING = """
SELECT EXISTS (
    SELECT FROM positions
    WHERE bot_id = $1 AND ($2::uuid IS NULL OR subscription_id = $2) AND closed_at IS NULL)
"""

# $2 is whose subscriptions there are; an account never changes its owner, so it need not be locked to ask.
IS_OWN = """
($2::uuid IS NULL OR EXISTS (SELECT FROM accounts AS a WHERE a.account_id = subscriptions.account_id AND a.user_id = $2))
"""


def _nobody() -> None:
    """Ring for nobody."""


class PostgresBotBooks:
    """Opens books over the journal."""

    def __init__(
        self,
        journal: Journal,
        *,
        ring: Callable[[], None] = _nobody,
        ring_signals: Callable[[], None] = _nobody,
    ) -> None:
        """Call ``ring`` after each commit that changed something, ``ring_signals`` where a signal is among it."""
        self._journal = journal
        self._ring = ring
        self._ring_signals = ring_signals

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresBotBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            book = PostgresBotBook(transaction, owner=owner)
            yield book
        if book.is_changed:
            self._ring()
        if book.has_signal:
            self._ring_signals()


class PostgresBotBook:
    """The port `bots.ports.BotBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None) -> None:
        """Read under ``transaction`` what is ``owner``'s, or everybody's, and append to it."""
        self.is_changed = False
        self.has_signal = False
        self._owner = owner
        self._transaction = transaction
        self._connection = transaction.connection

    async def find_bot(self, bot_id: UUID) -> Bot | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM bots WHERE bot_id = $1 FOR NO KEY UPDATE", bot_id
        )
        return None if row is None else to_value(row, Bot)

    async def find_bot_at(self, webhook_path: str) -> Bot | None:
        row = await self._connection.fetchrow("SELECT * FROM bots WHERE webhook_path = $1", webhook_path)
        return None if row is None else to_value(row, Bot)

    async def subscriptions_of(self, bot_id: UUID) -> Sequence[Subscription]:
        # Planning locks in the order of accounts too.
        rows = await self._connection.fetch(
            f"SELECT * FROM subscriptions WHERE bot_id = $1 AND {IS_OWN} ORDER BY account_id FOR NO KEY UPDATE",
            bot_id,
            self._owner,
        )
        return to_values(rows, Subscription)

    async def find_subscription(self, subscription_id: UUID) -> Subscription | None:
        row = await self._connection.fetchrow(
            f"SELECT * FROM subscriptions WHERE subscription_id = $1 AND {IS_OWN} FOR NO KEY UPDATE",
            subscription_id,
            self._owner,
        )
        return None if row is None else to_value(row, Subscription)

    async def find_subscription_of(self, account_id: int, *, bot_id: UUID) -> Subscription | None:
        row = await self._connection.fetchrow(
            f"SELECT * FROM subscriptions WHERE account_id = $1 AND {IS_OWN} AND bot_id = $3 FOR NO KEY UPDATE",
            account_id,
            self._owner,
            bot_id,
        )
        return None if row is None else to_value(row, Subscription)

    async def find_deployment(self, deployment_id: UUID) -> Deployment | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM deployments WHERE deployment_id = $1 FOR NO KEY UPDATE", deployment_id
        )
        return None if row is None else to_value(row, Deployment)

    async def deployments_of(self, bot_id: UUID) -> Sequence[Deployment]:
        rows = await self._connection.fetch(
            "SELECT * FROM deployments WHERE bot_id = $1 AND status <> 'removed' ORDER BY deployment_id",
            bot_id,
        )
        return to_values(rows, Deployment)

    async def find_account(self, account_id: int) -> Account | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM accounts WHERE account_id = $1 AND ($2::uuid IS NULL OR user_id = $2) FOR SHARE",
            account_id,
            self._owner,
        )
        return None if row is None else to_value(row, Account)

    async def has_signals(self, bot_id: UUID) -> bool:
        return bool(
            await self._connection.fetchval("SELECT EXISTS (SELECT FROM signals WHERE bot_id = $1)", bot_id)
        )

    async def changed_at(self, bot_id: UUID) -> datetime:
        at: datetime = await self._connection.fetchval(
            "SELECT updated_at FROM bots WHERE bot_id = $1", bot_id
        )
        return at

    async def is_holding(self, bot_id: UUID, *, subscription_id: UUID | None = None) -> bool:
        return bool(await self._connection.fetchval(HOLDING, bot_id, subscription_id))

    async def counted_losses(self, subscription_id: UUID, *, day: date) -> Mapping[str, Decimal]:
        rows = await self._connection.fetch(
            """
            SELECT symbol, counted_loss_usd FROM daily_results
            WHERE subscription_id = $1 AND day = $2 AND counted_loss_usd > 0
            ORDER BY symbol FOR NO KEY UPDATE
            """,
            subscription_id,
            day,
        )
        return {row["symbol"]: row["counted_loss_usd"] for row in rows}

    async def append(self, facts: Iterable[Fact]) -> None:
        kept = list(facts)
        try:
            await self._transaction.append(kept)
        except asyncpg.UniqueViolationError as violation:
            paths = [fact.bot.webhook_path for fact in kept if isinstance(fact, BotConfigured)]
            if violation.constraint_name == "bots_webhook_path_key" and paths:
                raise path_taken(paths[0]) from violation
            raise
        self.is_changed = self.is_changed or bool(kept)
        self.has_signal = self.has_signal or any(isinstance(fact, SignalAccepted) for fact in kept)
