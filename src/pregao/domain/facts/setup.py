"""What somebody set up, and all that was asked of the desk."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts.fact import Fact
from pregao.domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfigured(Fact):
    """A user was created or changed; the whole setting, password and tokens apart."""

    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfigured(Fact):
    """An account was opened or changed; its whole setting, credentials apart."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfigured(Fact):
    """A bot was created or changed; its whole setting."""

    bot: Bot


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionConfigured(Fact):
    """A subscription was made or changed; its whole setting."""

    subscription: Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class BotForgotten(Fact):
    """An archived bot that never had a signal was deleted, with its canceled subscriptions; its path is free again."""

    bot_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Fact):
    """Somebody asked the API to change something; what came of it. Never the body: there may be secrets in it."""

    action_id: UUID
    user_id: UUID | None  # None: nobody known, or the admin token
    principal: str  # how they came in: "admin token", "session", "token NAME"; empty: they did not
    source_address: str
    user_agent: str
    method: str
    path: str
    action: str  # the route's operation id; empty when there is no such route
    targets: dict[str, str]  # the ids in the path, by their names
    status: int  # HTTP's
    error_code: str | None
    duration_ms: int
