"""Where several of the desk's settings are changed at once: the books of all of them over one transaction."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from pregao.accounts.ports import AccountBook
from pregao.destinations.ports import LimitBook
from pregao.market.ports import ScreenerBook


class SettingBook(Protocol):
    """The books of one transaction: what is appended to them is committed together, or not at all."""

    @property
    def accounts(self) -> AccountBook:
        """Give the desk's own accounts and everybody's."""
        ...

    @property
    def screener(self) -> ScreenerBook:
        """Give the screener's strategies."""
        ...

    @property
    def limit(self) -> LimitBook:
        """Give the limit on forwards."""
        ...


class SettingBooks(Protocol):
    """Where they are opened."""

    def open(self) -> AbstractAsyncContextManager[SettingBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...
