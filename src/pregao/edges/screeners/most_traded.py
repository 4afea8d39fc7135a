"""A venue's symbols by what was traded in 24 hours, the most first."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from pregao.domain.account import Venue
from pregao.domain.screener import Strategy
from pregao.domain.venue import VenueError
from pregao.market.ports import ScreenError

DayVolumes = Callable[[Venue], Awaitable[Mapping[str, Decimal]]]
"""Gives what was traded in 24 hours at a venue, in quote money, by symbol that may be traded."""


class MostTraded:
    """The port `market.ports.Screen`."""

    def __init__(self, day_volumes: DayVolumes) -> None:
        """Ask ``day_volumes``."""
        self._day_volumes = day_volumes

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        try:
            volumes = await self._day_volumes(Venue(strategy.address))
        except VenueError as trouble:
            raise ScreenError(
                "SCREENER_AWAY", f"venue={strategy.address} code={trouble.code}.", is_temporary=True
            ) from trouble
        traded = [(volume, symbol) for symbol, volume in volumes.items() if volume > 0]
        return [symbol for _, symbol in sorted(traded, key=lambda one: (-one[0], one[1]))]
