"""What this room needs from outside: users and accounts in one open transaction, and where their secrets are kept."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from pregao.accounts.principal import Principal
from pregao.accounts.sealing import Credentials, SealedCredentials
from pregao.accounts.sessions import (
    ApiToken,
    HalfLogin,
    Login,
    SecondFactor,
    SecondFactorRule,
    Session,
    Ticket,
)
from pregao.domain.account import Account
from pregao.domain.clearing import Forgotten, Standing
from pregao.domain.facts import Fact
from pregao.domain.instrument import Instrument
from pregao.domain.order import PositionMode
from pregao.domain.preflight import AccountRules, ClockReading, Funds, KeyRights, LeverageBracket, SymbolRules
from pregao.domain.trading_state import Scope, ScopeState
from pregao.domain.user import Role, User
from pregao.domain.venue import MarginMode

RegisterPaperAccount: TypeAlias = Callable[[Credentials, Decimal, PositionMode], Awaitable[None]]
"""Opens an account with a balance at the paper exchange; any exception means it may not be there."""


class AccountBook(Protocol):
    """Accounts in one transaction: what was found here stays as it is until the transaction ends."""

    async def find_account(self, account_id: int) -> Account | None:
        """Give the account, and keep others from changing it meanwhile."""
        ...

    async def find_main_account(self, user_id: UUID | None) -> Account | None:
        """Give the main account of a user, or of the desk, and keep others from choosing another meanwhile."""
        ...

    async def is_trading(self, account_id: int) -> bool:
        """Say whether the account has a live position or an order that may still trade."""
        ...

    async def keep_credentials(self, account_id: int, sealed: SealedCredentials) -> None:
        """
        Keep the account's sealed credentials, in place of former ones.

        :raises KeyRetiredError: when they were sealed under a master key that was forgotten meanwhile.
        """
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class AccountBooks(Protocol):
    """Where a book is opened."""

    async def next_account_id(self) -> int:
        """Give a number no account has had."""
        ...

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[AccountBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens everybody's.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState(ScopeState):
    """A state that stands, and whether an operator has set it."""

    is_by_staff: bool


class TradingStateBook(Protocol):
    """The trading states in one transaction: nobody else changes one, and nobody plans an order, until it ends."""

    async def find_state(self, scope: Scope) -> SetState | None:
        """Give the state that was set there; None where it is active."""
        ...

    async def next_version(self) -> int:
        """Give a version larger than any before."""
        ...

    async def name_of(self, scope: Scope) -> str | None:
        """Give what people call it; None where there is no such thing, or not for whoever asks."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class TradingStateBooks(Protocol):
    """Where a book of trading states is opened."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[TradingStateBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens everybody's.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenJob:
    """A job that sells out, running or over."""

    flatten_id: UUID
    status: str  # running, done or stopped
    is_by_staff: bool


class FlattenBook(TradingStateBook, Protocol):
    """The jobs that sell out and the trading states, in one transaction."""

    async def find_running(self, scope: Scope) -> UUID | None:
        """Give the job that runs at this very scope."""
        ...

    async def find_flatten(self, flatten_id: UUID) -> FlattenJob | None:
        """Give a job, and keep others from ending it meanwhile; None where there is none for whoever asks."""
        ...


class FlattenBooks(Protocol):
    """Where such a book is opened."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[FlattenBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens everybody's.
        """
        ...


class AccountVenue(Protocol):
    """
    A venue as it stands to our accounts there; an account is named by our id.

    Every question raises one of the four kinds of ``VenueError``.
    """

    async def key_rights(self, account_id: int) -> KeyRights:
        """Give what the account's key may do, as far as the venue tells."""
        ...

    async def account_rules(self, account_id: int) -> AccountRules:
        """Give the account's position mode, and whether it may trade."""
        ...

    async def funds(self, account_id: int) -> Funds:
        """Give the account's margin, and the symbols where something is open."""
        ...

    async def symbol_rules(self, account_id: int, symbols: Collection[str]) -> Mapping[str, SymbolRules]:
        """Give what is set on those of the symbols that the venue has."""
        ...

    async def brackets(self, account_id: int) -> Mapping[str, Sequence[LeverageBracket]]:
        """Give how much leverage which notional takes, by symbol; cached for an hour, for all accounts."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """Give what may be traded, by symbol; cached for an hour."""
        ...

    async def price(self, symbol: str) -> Decimal:
        """Give the symbol's last price."""
        ...

    async def set_position_mode(self, account_id: int, mode: PositionMode) -> None:
        """Set the position mode; that it stands already is as good as done."""
        ...

    async def set_symbol(
        self, account_id: int, symbol: str, *, leverage: int, margin_mode: MarginMode
    ) -> None:
        """Set leverage and margin mode where the venue's differ."""
        ...

    def has_settings(self, account_id: int) -> bool:
        """Say whether what is set on the account's symbols was asked for, and can still be believed."""
        ...

    def clock_reading(self) -> ClockReading:
        """Give how far the venue's clock is from ours."""
        ...

    def is_streamed(self, account_id: int) -> bool | None:
        """Say whether the account's private stream is connected; None where this process does not follow it."""
        ...


class ClearBook(Protocol):
    """Everything the desk did, in one transaction that nobody else writes beside."""

    async def standing(self) -> Standing:
        """Give what is held and what is on its way."""
        ...

    async def forget(self) -> Forgotten:
        """Delete all that is not kept, events first, then positions, then signals; begin the journal's next epoch."""
        ...

    async def doubt_everything(self) -> None:
        """Have every account compared before anything opens there, and every trader and monitor begin anew."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class ClearBooks(Protocol):
    """Where such a book is opened."""

    async def standing(self) -> Standing:
        """Give what is held and what is on its way now; nobody waits for this."""
        ...

    def open(self) -> AbstractAsyncContextManager[ClearBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        :raises ConflictError: when whoever writes does not let go in time.
        """
        ...


class CredentialStore(Protocol):
    """All sealed credentials of the desk."""

    async def rewrap(self) -> int:
        """
        Put every account's data key under the present master key, and say how many were under another.

        :raises SealError: when one cannot be opened; then none was changed.
        """
        ...


class UserBook(Protocol):
    """Users in one transaction: what was found here stays as it is until the transaction ends."""

    async def find_user(self, user_id: UUID) -> User | None:
        """Give the user, and keep others from changing him meanwhile."""
        ...

    async def find_user_at(self, email: str) -> User | None:
        """Give the user with this e-mail, spelled as the desk does."""
        ...

    async def keep_password(self, user_id: UUID, password_hash: str, *, now: datetime) -> None:
        """Keep the user's password, hashed, in place of a former one."""
        ...

    async def end_sessions(self, user_id: UUID, *, now: datetime, but: UUID | None = None) -> None:
        """End all sessions of the user, ``but`` one."""
        ...

    async def revoke_tokens(self, user_id: UUID, *, now: datetime) -> None:
        """Revoke all API tokens of the user."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """
        Journal the facts and fold them into the state.

        :raises ConflictError: when another transaction took the e-mail first.
        """
        ...


class UserBooks(Protocol):
    """Where a book of users is opened."""

    def open(self) -> AbstractAsyncContextManager[UserBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


class Logins(Protocol):
    """Sessions and API tokens, and who comes in with them. Tokens are known by their SHA-256, in hex."""

    async def find_principal(self, token_sha256: str, *, now: datetime) -> Principal | None:
        """Give whose session or token this is, unless it ended or its user is not active; and note its use."""
        ...

    async def find_login(self, email: str) -> Login | None:
        """Give an active user and what proves him, by his e-mail as the desk spells it."""
        ...

    async def addresses_of(self, email: str) -> Sequence[str]:
        """Give the addresses this user's sessions of late were begun from, ended ones too."""
        ...

    async def start_session(
        self, session: Session, *, token_sha256: str, password_hash: str, has_code: bool
    ) -> bool:
        """Keep a session, if the user is active, still has this password, and gave a code where he needs one."""
        ...

    async def renew_password(self, user_id: UUID, *, former_hash: str, password_hash: str) -> None:
        """Keep the same password under a stronger hash, unless it was changed meanwhile."""
        ...

    async def sessions(self, user_id: UUID, *, now: datetime) -> Sequence[Session]:
        """Give the user's sessions that have not ended, latest first."""
        ...

    async def end_session(self, session_id: UUID, *, user_id: UUID, now: datetime) -> Session | None:
        """End one session of the user; None when he has none such."""
        ...

    async def end_other_sessions(self, user_id: UUID, *, but: UUID | None, now: datetime) -> int:
        """End all sessions of the user but this one, and say how many."""
        ...

    async def tokens(self, user_id: UUID) -> Sequence[ApiToken]:
        """Give the user's API tokens, latest first, revoked ones too."""
        ...

    async def keep_token(self, token: ApiToken, *, token_sha256: str) -> bool:
        """Keep an API token, if its user is active."""
        ...

    async def revoke_token(self, token_id: UUID, *, user_id: UUID, now: datetime) -> ApiToken | None:
        """Revoke one API token of the user; None when he has none such. Twice is once."""
        ...


class SecondFactorRules(Protocol):
    """Who must have a second factor."""

    async def rule(self) -> SecondFactorRule:
        """Give what was said last; nobody must where nobody has said anything."""
        ...

    async def set_rule(self, role: Role | None, *, set_by: str, reason: str, now: datetime) -> None:
        """Say whose logins need one: those of this role and larger ones, or (None) nobody's."""
        ...


class SecondFactors(Protocol):
    """What makes users' codes, sealed; and recovery codes, known by their SHA-256 in hex."""

    async def find(self, user_id: UUID) -> SecondFactor | None:
        """
        Give the user's, whether it counts already or waits for its first code.

        :raises SealError: when the master key at hand does not open it.
        """
        ...

    async def begin(self, user_id: UUID, secret: str, *, now: datetime) -> bool:
        """Keep a secret until its first code; say whether it was kept: what counts already is not replaced."""
        ...

    async def confirm(
        self,
        factor: SecondFactor,
        *,
        step: int,
        codes_sha256: Collection[str],
        but: UUID | None,
        now: datetime,
    ) -> bool:
        """Make this very one count from now on, with these recovery codes, and end the user's other sessions; once."""
        ...

    async def try_code(self, user_id: UUID, *, now: datetime) -> datetime | None:
        """Count a try of the app's code as wrong, and give nothing; or give until when there may be no more."""
        ...

    async def take_step(self, user_id: UUID, step: int) -> bool:
        """Take the code of a step, unless it was taken before, or a later one was; its try was not wrong then."""
        ...

    async def take_recovery_code(self, user_id: UUID, code_sha256: str, *, now: datetime) -> bool:
        """Take a recovery code that nobody has used."""
        ...

    async def renew_recovery_codes(self, user_id: UUID, codes_sha256: Collection[str]) -> bool:
        """Keep these in place of the former ones, where a second factor counts."""
        ...

    async def recovery_codes_left(self, user_id: UUID) -> int:
        """Count those nobody has used."""
        ...

    async def forget(self, user_id: UUID) -> bool:
        """Forget it with its recovery codes; say whether it counted until now."""
        ...

    async def keep_half(self, half: HalfLogin) -> None:
        """Keep a login that waits for its code."""
        ...

    async def find_half(self, ticket_sha256: str, *, now: datetime) -> HalfLogin | None:
        """Give it; None where it ended, is too old, or never was."""
        ...

    async def end_half(self, ticket_sha256: str) -> None:
        """Forget it."""
        ...


class Tickets(Protocol):
    """Where one-time tickets are kept until they are redeemed."""

    async def issue(self, ticket: Ticket) -> None:
        """Keep a ticket; those that were never redeemed in time are forgotten."""
        ...

    async def redeem(self, ticket_sha256: str, *, now: datetime) -> Ticket | None:
        """Give a ticket and forget it; None where it was redeemed, is too old, or never was."""
        ...


class Passwords(Protocol):
    """How passwords are hashed: slowly, so that a stolen hash is worth little."""

    async def hash(self, password: str) -> str:
        """Give the hash, with a salt of its own."""
        ...

    async def verify(self, password: str, *, password_hash: str | None) -> bool:
        """Say whether the hash is this password's; None takes as long and is nobody's."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether the hash was made with weaker parameters than we use now."""
        ...
