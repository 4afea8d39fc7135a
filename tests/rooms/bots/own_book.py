"""The book of bots in memory, with the rules of the real one: paths are unique, what is appended is there."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.deployment import Deployment, DeploymentStatus
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    DailyLossForgiven,
    Fact,
    StrategyDeployed,
    SubscriptionConfigured,
)


@dataclass
class MemoryBook:
    bots: dict[UUID, Bot] = field(default_factory=dict)
    subscriptions: dict[UUID, Subscription] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    signaled: set[UUID] = field(default_factory=set)
    changed: dict[UUID, datetime] = field(default_factory=dict)
    deployments: dict[UUID, Deployment] = field(default_factory=dict)
    losses: dict[tuple[UUID, date, str], Decimal] = field(default_factory=dict)

    async def find_bot(self, bot_id):
        return self.bots.get(bot_id)

    async def has_signals(self, bot_id):
        return bot_id in self.signaled

    async def changed_at(self, bot_id):
        return self.changed[bot_id]

    async def find_bot_at(self, webhook_path):
        return next((bot for bot in self.bots.values() if bot.webhook_path == webhook_path), None)

    async def subscriptions_of(self, bot_id):
        found = [one for one in self.subscriptions.values() if one.bot_id == bot_id]
        return sorted(found, key=lambda one: one.account_id)

    async def find_subscription(self, subscription_id):
        return self.subscriptions.get(subscription_id)

    async def find_subscription_of(self, account_id, *, bot_id):
        return next(
            (one for one in await self.subscriptions_of(bot_id) if one.account_id == account_id), None
        )

    async def find_deployment(self, deployment_id):
        return self.deployments.get(deployment_id)

    async def deployments_of(self, bot_id):
        standing = [one for one in self.deployments.values() if one.status is not DeploymentStatus.REMOVED]
        return sorted((one for one in standing if one.bot_id == bot_id), key=lambda one: one.deployment_id)

    async def find_account(self, account_id):
        return self.accounts.get(account_id)

    async def counted_losses(self, subscription_id, *, day):
        return {
            symbol: lost
            for (whose, when, symbol), lost in self.losses.items()
            if (whose, when) == (subscription_id, day) and lost > 0
        }

    async def append(self, facts):
        for fact in facts:
            self.fold(fact)

    def fold(self, fact: Fact) -> None:
        match fact:
            case BotConfigured(bot=bot):
                self.bots[bot.bot_id] = bot
                self.changed[bot.bot_id] = fact.happened_at
            case SubscriptionConfigured(subscription=subscription):
                self.subscriptions[subscription.subscription_id] = subscription
            case StrategyDeployed(deployment=deployment):
                self.deployments[deployment.deployment_id] = deployment
            case AccountConfigured(account=account):
                self.accounts[account.account_id] = account
            case DailyLossForgiven(subscription_id=whose, day=day, symbol=symbol, amount_usd=amount):
                self.losses[whose, day, symbol] -= amount


def book_with(*facts: Fact) -> MemoryBook:
    book = MemoryBook()
    for fact in facts:
        book.fold(fact)
    return book
