"""What may be traded: the desk, a user, an account, a bot or a symbol is active, reducing or halted."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pregao.domain.account import Venue


class TradingState(StrEnum):
    """What may be traded, from the loosest to the strictest."""

    ACTIVE = "active"  # everything
    REDUCING = "reducing"  # nothing is entered, exits go on
    HALTED = "halted"  # the same, and entries that have not left yet stay here


class ScopeLevel(StrEnum):
    """How much a state covers."""

    DESK = "desk"
    USER = "user"  # all accounts of one user
    ACCOUNT = "account"
    BOT = "bot"
    SYMBOL = "symbol"  # at one venue


STRICTNESS = {state: place for place, state in enumerate(TradingState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a state is about; ``subject`` is the id there, as text, and empty for the desk."""

    level: ScopeLevel
    subject: str = ""


DESK = Scope(level=ScopeLevel.DESK)


def scope_of_user(user_id: UUID) -> Scope:
    """Give the scope of all accounts of a user."""
    return Scope(level=ScopeLevel.USER, subject=str(user_id))


def scope_of_account(account_id: int) -> Scope:
    """Give the scope of one account."""
    return Scope(level=ScopeLevel.ACCOUNT, subject=str(account_id))


def scope_of_bot(bot_id: UUID) -> Scope:
    """Give the scope of one bot."""
    return Scope(level=ScopeLevel.BOT, subject=str(bot_id))


def scope_of_symbol(venue: Venue, symbol: str) -> Scope:
    """Give the scope of one symbol at one venue."""
    return Scope(level=ScopeLevel.SYMBOL, subject=f"{venue}:{symbol}")


def scopes_of(
    *,
    user_id: UUID | None = None,
    account_id: int | None = None,
    bot_id: UUID | None = None,
    venue: Venue | None = None,
    symbol: str | None = None,
    levels: Collection[ScopeLevel] = frozenset(ScopeLevel),
) -> list[Scope]:
    """Give every scope of these levels that what is named is in, the desk first."""
    scopes = [DESK] if ScopeLevel.DESK in levels else []
    if user_id is not None and ScopeLevel.USER in levels:
        scopes.append(scope_of_user(user_id))
    if account_id is not None and ScopeLevel.ACCOUNT in levels:
        scopes.append(scope_of_account(account_id))
    if bot_id is not None and ScopeLevel.BOT in levels:
        scopes.append(scope_of_bot(bot_id))
    if venue is not None and symbol is not None and ScopeLevel.SYMBOL in levels:
        scopes.append(scope_of_symbol(venue, symbol))
    return scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """The state somebody has set at one scope, and why."""

    level: ScopeLevel
    subject: str
    name: str  # as people call it
    state: TradingState
    block_exits: bool
    reason: str
    version: int

    @property
    def scope(self) -> Scope:
        """What it is about."""
        return Scope(level=self.level, subject=self.subject)

    @property
    def values(self) -> dict[str, str]:
        """What an answer tells of it, by name."""
        return {
            "state": self.state.value,
            "level": self.level.value,
            "name": self.name,
            "reason": self.reason,
            "version": str(self.version),
        }


class TradingStates:
    """All states that are not active, at one version of the desk; the strictest of all that apply counts."""

    def __init__(self, states: Iterable[ScopeState] = (), *, version: int = 0) -> None:
        """Know these; what is not among them is active."""
        self.version = version
        self._states: Mapping[Scope, ScopeState] = {
            one.scope: one for one in states if one.state is not TradingState.ACTIVE
        }
        self.is_any_set = bool(self._states)
        self.levels = frozenset(
            scope.level for scope in self._states
        )  # a thousand accounts ask: only what is there

    def __bool__(self) -> bool:
        """Say whether anything is not active."""
        return self.is_any_set

    def __iter__(self) -> Iterator[ScopeState]:
        """Give each, in the order told."""
        return iter(self._states.values())

    def strictest(self, scopes: Iterable[Scope]) -> ScopeState | None:
        """Give the strictest state of these scopes; None where all of them are active."""
        return max(self._standing(scopes), key=lambda one: STRICTNESS[one.state], default=None)

    def blocking_exits(self, scopes: Iterable[Scope]) -> ScopeState | None:
        """Give a state of these scopes that lets no exit out either; None where exits go on."""
        return next((one for one in self._standing(scopes) if one.block_exits), None)

    def _standing(self, scopes: Iterable[Scope]) -> list[ScopeState]:
        return [self._states[scope] for scope in scopes if scope in self._states]


ALL_ACTIVE = TradingStates()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The states as a trader needs them: with whose the accounts of users are that may not trade."""

    states: TradingStates
    owners: Mapping[int, UUID]  # of accounts whose users have a state
