"""What an entry is asked of, and what is there on its symbol: read once for all accounts of the bot, under the locks."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.bot import (
    Bot,
    EffectiveSettings,
    Subscription,
    effective_settings,
    set_by,
)
from pregao.domain.facts import (
    DecisionApproved,
)
from pregao.domain.order import PositionSide, Side
from pregao.domain.position import LIVE_STATUSES, Position
from pregao.domain.signal import Risked
from pregao.domain.trading_state import TradingStates
from pregao.orders.denial import Denial
from pregao.orders.limits import (
    Allowance,
    is_counted,
    rules_asked,
)
from pregao.orders.ports import Books, Member, Obstacles, OnTheWay, WaitingEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The entry that a signal asks of every account."""

    signal_id: UUID
    bot: Bot
    symbol: str
    side: Side
    send_before: datetime
    risk: Risked | None = None  # a trade by hand is sized by it
    is_retry: bool = False  # it neither adds nor reverses, and takes the place of nothing newer


@dataclass(slots=True)
class Terms:
    """What subscriptions that set the same enter with; what was sized for one of them holds for all."""

    settings: EffectiveSettings
    sizes: dict[tuple[Venue, str], Decimal | Denial] = field(default_factory=dict)  # by margin asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is there on one symbol, on all accounts of the bot, under the transaction's locks."""

    own: Mapping[UUID, Position]  # by subscription
    owners: Mapping[tuple[int, PositionSide], Position]  # by place, whoever opened it
    obstacles: Obstacles
    on_the_way: Mapping[int, OnTheWay]  # by position
    waiting: Mapping[UUID, WaitingEntry]  # by subscription
    states: TradingStates
    allowance: Allowance
    terms: dict[Hashable, Terms] = field(default_factory=dict)  # by what a subscription sets

    def terms_of(self, subscription: Subscription, *, asked: Asked) -> Terms:
        """Give what it enters with: worked out for the first of those that set the same."""
        own = set_by(subscription)
        terms = self.terms.get(own)
        if terms is None:
            settings = effective_settings(asked.bot, subscription, symbol=asked.symbol)
            terms = self.terms[own] = Terms(settings)
        return terms


def to_asked(decision: DecisionApproved, *, bot: Bot) -> Asked:
    """Give the entry that was approved."""
    instruction = decision.instruction
    assert instruction.side is not None, "an entry has a side"
    return Asked(
        signal_id=decision.signal_id,
        bot=bot,
        symbol=instruction.symbol or "",
        side=instruction.side,
        send_before=instruction.send_before,
        risk=instruction.risk,
        is_retry=instruction.is_retry,
    )


async def read_standings(
    bot: Bot, members: Sequence[Member], *, symbols: Mapping[UUID, str], books: Books, now: datetime
) -> dict[UUID, Standing]:
    """Give what is there for each signal, each on a symbol of its own; what one of them takes counts for all."""
    accounts = [member.account.account_id for member in members]
    subscriptions = [member.subscription.subscription_id for member in members]
    states = await books.trading_states()
    asked = list(symbols.values())
    positions = await books.live_positions(account_ids=accounts, symbols=asked)
    own_ids = [position.position_id for position in positions if position.bot_id == bot.bot_id]
    if own_ids:
        # Under their locks, or what an order waits for may have happened before it began to wait.
        locked = await books.lock_positions(sorted(own_ids))
        positions = [locked.get(position.position_id, position) for position in positions]
        positions = [position for position in positions if position.status in LIVE_STATUSES]
    obstacles = await books.obstacles(symbols, account_ids=accounts)
    on_the_way = await books.on_the_way(own_ids) if own_ids else {}
    waiting = await books.waiting_entries(bot.bot_id, subscription_ids=subscriptions)
    usage = await books.usage(
        bot.bot_id,
        subscription_ids=subscriptions,
        symbols=asked,
        day=now.date(),
        rules=rules_asked(bot, members),
        is_counted=is_counted(bot, members, symbols=asked),
    )
    allowance = Allowance(bot, usage=usage, now=now)
    standings: dict[UUID, Standing] = {}
    for signal_id, symbol in symbols.items():
        here = [position for position in positions if position.symbol == symbol]
        standings[signal_id] = Standing(
            own={position.subscription_id: position for position in here},
            owners={(position.account_id, position.position_side): position for position in here},
            obstacles=obstacles[signal_id],
            on_the_way=on_the_way,
            waiting={one.subscription_id: one for one in waiting if one.symbol == symbol},
            states=states,
            allowance=allowance,
        )
    return standings
