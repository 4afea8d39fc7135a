"""Bots, subscriptions and accounts as they are listed and shown, and where they are fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.money import ZERO
from pregao.domain.preflight import Light
from pregao.views.sorting import OLDEST_FIRST, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLine:
    """A bot and what follows it."""

    bot: Bot
    active_subscriptions: int
    last_signal_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """Give what it is called."""
        return self.bot.name

    @property
    def status(self) -> str:
        """Give whether it takes entries."""
        return self.bot.status


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionLine:
    """A subscription with the bot and the account it joins."""

    subscription: Subscription
    bot: Bot
    account: Account
    created_at: datetime
    updated_at: datetime

    @property
    def account_name(self) -> str:
        """Give what its account is called."""
        return self.account.name

    @property
    def bot_name(self) -> str:
        """Give what its bot is called."""
        return self.bot.name

    @property
    def status(self) -> str:
        """Give whether it takes entries."""
        return self.subscription.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What of a subscription's limits is used: live positions, and what limits count as lost on one UTC day."""

    live_positions: int = 0
    loss_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account and its pre-flight in short; of its credentials only whether there are any."""

    account: Account
    has_credentials: bool
    light: Light | None  # None: nothing is known yet
    light_codes: tuple[str, ...]  # of what is not as it should be
    light_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """Give what it is called."""
        return self.account.name

    @property
    def venue(self) -> str:
        """Give where it trades."""
        return self.account.venue


class Configured(Protocol):
    """
    Where they are fetched. Lists are ordered by id unless a shape says otherwise; ``after`` is the last id of the page before.

    Of subscriptions and accounts only ``owner``'s are found; None finds everybody's. Bots are the desk's.
    """

    async def bots(
        self,
        *,
        status: str | None,
        market_type: str | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[BotLine]:
        """Give bots."""
        ...

    async def find_bot(self, bot_id: UUID) -> BotLine | None:
        """Give one bot."""
        ...

    async def subscriptions(
        self,
        *,
        owner: UUID | None,
        bot_id: UUID | None,
        account_id: int | None,
        status: str | None,
        after: UUID | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[SubscriptionLine]:
        """Give subscriptions."""
        ...

    async def find_subscription(
        self, subscription_id: UUID, *, owner: UUID | None
    ) -> SubscriptionLine | None:
        """Give one subscription."""
        ...

    async def used(self, subscription_ids: Sequence[UUID], *, day: date) -> Mapping[UUID, Used]:
        """Give what of each one's limits is used; whose they are, the caller has seen."""
        ...

    async def accounts(
        self,
        *,
        owner: UUID | None,
        is_active: bool | None,
        after: int | None,
        shape: Shape = OLDEST_FIRST,
        limit: int,
    ) -> Sequence[AccountLine]:
        """Give accounts."""
        ...

    async def find_account(self, account_id: int, *, owner: UUID | None) -> AccountLine | None:
        """Give one account."""
        ...
