"""What this room needs from outside: the accounts in one open transaction, and where their credentials are kept."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Protocol, TypeAlias

from pregao.accounts.sealing import Credentials, SealedCredentials
from pregao.domain.account import Account
from pregao.domain.facts import Fact
from pregao.domain.order import PositionMode

RegisterPaperAccount: TypeAlias = Callable[[Credentials, Decimal, PositionMode], Awaitable[None]]
"""Opens an account with a balance at the paper exchange; any exception means it may not be there."""


class AccountBook(Protocol):
    """Accounts in one transaction: what was found here stays as it is until the transaction ends."""

    async def find_account(self, account_id: int) -> Account | None:
        """Give the account, and keep others from changing it meanwhile."""
        ...

    async def is_trading(self, account_id: int) -> bool:
        """Say whether the account has a live position or an order that may still trade."""
        ...

    async def keep_credentials(self, account_id: int, sealed: SealedCredentials) -> None:
        """Keep the account's sealed credentials, in place of former ones."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class AccountBooks(Protocol):
    """Where a book is opened."""

    async def next_account_id(self) -> int:
        """Give a number no account has had."""
        ...

    def open(self) -> AbstractAsyncContextManager[AccountBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


class CredentialStore(Protocol):
    """All sealed credentials of the desk."""

    async def rewrap(self) -> int:
        """
        Put every account's data key under the present master key, and say how many were under another.

        :raises SealError: when one cannot be opened; then none was changed.
        """
        ...
