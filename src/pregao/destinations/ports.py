"""What this room needs from outside, and what it gives to whoever forwards."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from pregao.domain.destination import ForwardLimit
from pregao.domain.facts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAddress:
    """Where a destination's host stands now: the connection goes to one of these, and is made to no other name."""

    host: str  # as the address spells it: what the certificate and the header Host must say
    port: int
    is_secured: bool  # by TLS
    addresses: tuple[str, ...]  # in the order to try them


class Destinations(Protocol):
    """Which addresses signals may be forwarded to."""

    async def check(self, url: str) -> CheckedAddress:
        """
        Resolve the host and give its addresses, all of which are allowed.

        :raises DestinationError: when the address cannot be used, or its host has no address or one that is not public.
        """
        ...

    async def connect(self, checked: CheckedAddress, *, seconds_max: float) -> float:
        """
        Connect to what was checked, as a post would, and leave without a word; give the seconds it took.

        :raises OSError: when nobody can be connected to in time, or the certificate is not good.
        """
        ...


class Limiter(Protocol):
    """How many forwards leave in a minute, over all processes."""

    async def acquire(self, account_id: int) -> None:
        """Return when a forward to this account's destination may leave; it is counted."""
        ...


class LimitBook(Protocol):
    """The limit in one transaction: nobody else changes it until the transaction ends."""

    async def limit(self) -> ForwardLimit:
        """Give the limit that stands."""
        ...

    async def is_set(self) -> bool:
        """Say whether somebody, or the settings of the first start, set it."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class LimitBooks(Protocol):
    """Where a book is opened."""

    def open(self) -> AbstractAsyncContextManager[LimitBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...
