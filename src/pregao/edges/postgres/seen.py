"""What one transaction has read and need not read again: it holds the locks, and nothing it wrote since has changed it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    BotForgotten,
    DatabaseCleared,
    ExitRequested,
    Fact,
    GuardrailBlocked,
    SignalPlanned,
    StopRaised,
    StopTriggered,
    SubscriptionConfigured,
    TradingStateSet,
    UserConfigured,
)
from pregao.domain.position import Position
from pregao.domain.trading_state import TradingStates
from pregao.orders.ports import OnTheWay

# Their folds write stops and claims, or nothing. Between the claim of a level and its exit nothing else is written.
LEAVES_IT = frozenset({StopTriggered, StopRaised, GuardrailBlocked, ExitRequested})
# What changes a bot, who follows it or what may be traded; between decisions that are written together nothing of it is.
CONFIGURES = frozenset(
    {
        AccountConfigured,
        BotConfigured,
        BotForgotten,
        DatabaseCleared,
        SubscriptionConfigured,
        TradingStateSet,
        UserConfigured,
    }
)


@dataclass(slots=True, eq=False)
class Seen:
    """
    Positions whose rows are locked, with what is on its way of them; bots with their members; accounts; trading states.

    All but the accounts are locked.

    Each kind costs an exit or a signal a round trip where it is read again.
    """

    locked: dict[int, Position] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    ways: dict[int, OnTheWay | None] = field(default_factory=dict)  # None: nothing is on its way
    bots: dict[UUID, Bot] = field(default_factory=dict)
    states: TradingStates | None = None
    members: dict[UUID, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Who follows a bot, by account id, with the versions of their rows; only where nobody among them has limits."""
    unplanned: set[UUID] = field(
        default_factory=set
    )  # signals that were claimed before any part of them was planned

    def after(self, facts: Iterable[Fact]) -> None:
        """Forget what facts that are being written may change."""
        for fact in facts:
            kind = type(fact)
            if kind in LEAVES_IT:
                continue
            self.locked.clear()
            self.accounts.clear()
            self.ways.clear()
            if isinstance(fact, SignalPlanned):
                self.unplanned.discard(fact.signal_id)
            elif kind in CONFIGURES:
                self.forget()

    def forget(self) -> None:
        """Read everything anew."""
        self.locked.clear()
        self.accounts.clear()
        self.ways.clear()
        self.bots.clear()
        self.members.clear()
        self.unplanned.clear()
        self.states = None
