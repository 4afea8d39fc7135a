"""What one transaction has read and need not read again: it holds the locks, and nothing it wrote since has changed it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pregao.domain.account import Account
from pregao.domain.facts import ExitRequested, Fact, GuardrailBlocked, StopRaised, StopTriggered
from pregao.domain.position import Position
from pregao.domain.trading_state import TradingStates

# Their folds write stops and claims, or nothing. Between the claim of a level and its exit nothing else is written.
LEAVES_IT = frozenset({StopTriggered, StopRaised, GuardrailBlocked, ExitRequested})


@dataclass(slots=True, eq=False)
class Seen:
    """
    Positions whose rows are locked, accounts, and the trading states, which are locked too.

    Each kind costs an exit a round trip where it is read again.
    """

    locked: dict[int, Position] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    states: TradingStates | None = None

    def after(self, facts: Iterable[Fact]) -> None:
        """Forget what facts that are being written may change."""
        if any(type(fact) not in LEAVES_IT for fact in facts):
            self.forget()

    def forget(self) -> None:
        """Read everything anew."""
        self.locked.clear()
        self.accounts.clear()
        self.states = None
