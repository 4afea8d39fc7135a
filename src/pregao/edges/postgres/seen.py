"""What one transaction has read and need not read again: it holds the locks, and nothing it wrote since has changed it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from pregao.stops.claims import after_claim
from pregao.stops.ports import ExitScene

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
    Locked positions, with what is on its way of them and their exits are judged by; bots with members; accounts; trading states.

    All but the accounts are locked. Each kind costs an exit or a signal a round trip where it is read again.
    """

    locked: dict[int, Position] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    ways: dict[int, OnTheWay | None] = field(default_factory=dict)  # None: nothing is on its way
    attempts: dict[int, dict[str, int | None]] = field(default_factory=dict)
    """Orders of claims by their positions, each with the attempt it stands at; None where it must not be tried again."""
    scene: ExitScene | None = None
    staged: frozenset[int] = frozenset()  # the positions of the scene
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
            if isinstance(fact, StopTriggered) and self.scene is not None:
                self._claim(self.scene, fact)
            elif kind is not ExitRequested:
                self.scene = None
            if kind in LEAVES_IT:
                continue
            self._forget_positions()
            if isinstance(fact, SignalPlanned):
                self.unplanned.discard(fact.signal_id)
            elif kind in CONFIGURES:
                self.forget()

    def forget(self) -> None:
        """Read everything anew."""
        self._forget_positions()
        self.bots.clear()
        self.members.clear()
        self.unplanned.clear()
        self.states = None

    def _forget_positions(self) -> None:
        self.locked.clear()
        self.accounts.clear()
        self.ways.clear()
        self.attempts.clear()
        self.scene = None

    def _claim(self, scene: ExitScene, fact: StopTriggered) -> None:
        """Have the scene stand as it does after a claim, which is all that stands between it and the exit."""
        number = fact.stop.position_id
        if number in scene.guards:
            guard = after_claim(scene.guards[number], fact)
            self.scene = replace(scene, guards={**scene.guards, number: guard})
