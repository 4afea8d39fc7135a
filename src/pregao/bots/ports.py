"""What this room needs from outside: the bots and subscriptions in one open transaction."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.deployment import Deployment
from pregao.domain.facts import Fact


class BotBook(Protocol):
    """
    Bots and subscriptions in one transaction: what was found here stays as it is until the transaction ends.

    Bots are the desk's and everybody's to find; of subscriptions and accounts only the owner's are in the book.
    """

    async def find_bot(self, bot_id: UUID) -> Bot | None:
        """Give the bot, and keep others from changing it or subscribing to it meanwhile."""
        ...

    async def find_bot_at(self, webhook_path: str) -> Bot | None:
        """Give the bot with this webhook path, archived ones included."""
        ...

    async def subscriptions_of(self, bot_id: UUID) -> Sequence[Subscription]:
        """Give all subscriptions of a bot, canceled ones included, by account."""
        ...

    async def find_subscription(self, subscription_id: UUID) -> Subscription | None:
        """Give the subscription, and keep others from changing it meanwhile."""
        ...

    async def find_subscription_of(self, account_id: int, *, bot_id: UUID) -> Subscription | None:
        """Give the account's subscription to the bot, a canceled one too, and keep others from changing it."""
        ...

    async def find_deployment(self, deployment_id: UUID) -> Deployment | None:
        """Give the deployment, and keep others from changing it meanwhile; a removed one too."""
        ...

    async def deployments_of(self, bot_id: UUID) -> Sequence[Deployment]:
        """Give what feeds a bot, removed ones left out."""
        ...

    async def find_account(self, account_id: int) -> Account | None:
        """Give the account, and keep others from changing it meanwhile."""
        ...

    async def has_signals(self, bot_id: UUID) -> bool:
        """Say whether the bot ever had a signal, a refused one too."""
        ...

    async def changed_at(self, bot_id: UUID) -> datetime:
        """Give when the bot was changed last."""
        ...

    async def is_holding(self, bot_id: UUID, *, subscription_id: UUID | None = None) -> bool:
        """Say whether the bot, or this one of its subscriptions, has a live position."""
        ...

    async def counted_losses(self, subscription_id: UUID, *, day: date) -> Mapping[str, Decimal]:
        """Give by symbol what limits count as lost on a UTC day, and keep others from changing it meanwhile."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """
        Journal the facts and fold them into the state.

        :raises ConflictError: when another transaction took the webhook path first.
        """
        ...


class BotBooks(Protocol):
    """Where a book is opened."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[BotBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens everybody's.
        """
        ...
