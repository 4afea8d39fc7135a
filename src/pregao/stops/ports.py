"""What this room needs from outside: the prices of what it watches, told as they come, and asked for where nobody tells."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Protocol, TypeAlias

TakePrice: TypeAlias = Callable[[int, int], None]
"""Takes a bid and an ask, in whole ticks, in the order they came; called in the event loop, it must not wait."""


class Prices(Protocol):
    """One venue's prices of the symbols that are followed; what is no price is left out, what is unlikely is told."""

    def follow(self, symbol: str, *, price_tick: Decimal, take: TakePrice) -> None:
        """
        Tell a symbol's prices from now on, counted in its tick; in place of what was told of it before.

        A quote is told as it is; a trade outside the last quote widens it to itself, and is both bid and ask where no
        quote is known. It may be called before and while ``run`` runs.
        """
        ...

    def unfollow(self, symbol: str) -> None:
        """Tell a symbol's prices no more; one that is not followed may be unfollowed too."""
        ...

    def renew(self, symbol: str) -> None:
        """Listen anew to a symbol whose price has moved without a word: what carries it may be dead, though it answers."""
        ...

    async def run(self) -> None:
        """Keep listening until canceled; what is lost on the way is not told later, and not asked for."""
        ...

    async def ask(self, symbols: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """
        Ask for the best bid and ask of followed symbols, in ticks; a symbol without a usable price is left out.

        One question serves many symbols where that costs less. It may be called whether ``run`` runs or not.

        :raises VenueError: when the venue gives no usable answer.
        """
        ...
