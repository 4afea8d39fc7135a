"""The whole desk at a glance, as those see it who look after it, and where it is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.user import User
from pregao.views.configured import AccountLine, BotLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskStats:
    """How much there is of everything; today is the UTC day. Amounts are in USD."""

    users: int
    users_active: int
    bots_active: int
    bots_paused: int
    bots_archived: int
    accounts: int
    accounts_active: int
    accounts_ready: int  # active ones, by the light of their pre-flight
    accounts_warning: int
    accounts_blocked: int
    subscriptions_active: int
    subscriptions_paused: int
    signals_today: int
    signals_refused_today: int
    signals_declined_today: int
    signals_waiting: int  # received, and not decided or planned yet
    orders_live: int
    orders_unresolved: int
    positions_live: int
    positions_closed_today: int
    wins_today: int
    losses_today: int
    pnl_today: Decimal
    workers: int  # with a valid lease


@dataclass(frozen=True, slots=True, kw_only=True)
class BotOverview:
    """A bot and how much hangs on it."""

    line: BotLine
    subscriptions: int
    paused_subscriptions: int
    signals: int
    live_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverview:
    """An account, whose it is, and how much hangs on it."""

    line: AccountLine
    user: User | None  # None: the desk's own
    active_subscriptions: int
    live_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOverview:
    """A bot's address and what came in by it, or knocked in vain."""

    line: BotLine
    signals: int
    deliveries: int  # repeated ones too
    refused: int
    last_code: str | None  # why the latest refused one was
    turned_away: int
    last_turned_away_at: datetime | None


class Overview(Protocol):
    """Where it is fetched. Lists are ordered by id; ``after`` is the last id of the page before."""

    async def stats(self, *, now: datetime) -> DeskStats:
        """Count everything."""
        ...

    async def bots(self, *, after: UUID | None, limit: int) -> Sequence[BotOverview]:
        """Give bots, archived ones too, oldest first."""
        ...

    async def accounts(self, *, after: int | None, limit: int) -> Sequence[AccountOverview]:
        """Give everybody's accounts, oldest first."""
        ...

    async def webhooks(self, *, after: UUID | None, limit: int) -> Sequence[WebhookOverview]:
        """Give the addresses of bots, oldest first."""
        ...
