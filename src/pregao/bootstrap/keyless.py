"""Venues that are asked what needs no key: each is joined when it is asked for the first time."""

import asyncio
from collections.abc import Callable

import asyncpg

from pregao.bootstrap.venues import venue_addresses
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.venue import OperatorNeeded
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.signing import ApiKey
from pregao.edges.exchanges.wire import Wire
from pregao.edges.postgres.weights import SharedWeights
from pregao.settings import Settings


class KeylessVenues:
    """They are asked within the weight that all processes of this address share."""

    def __init__(
        self, settings: Settings, *, pool: asyncpg.Pool, ring_weights: Callable[[], None], clock: Clock
    ) -> None:
        """Join none yet."""
        self._addresses = venue_addresses(settings)
        self._weights = SharedWeights(pool, egress=settings.egress, ring=ring_weights)
        self._clock = clock
        self._wire = Wire(clock=clock)
        self._joined: dict[Venue, BinanceExchange] = {}
        self._following = asyncio.create_task(self._weights.run())

    def address_of(self, venue: Venue) -> VenueAddresses:
        """
        Give where a venue answers.

        :raises OperatorNeeded: when it is none that tells candles.
        """
        if venue not in self._addresses:
            raise OperatorNeeded("CANDLES_UNKNOWN", f"venue={venue}. This venue tells no candles.")
        return self._addresses[venue]

    def of(self, venue: Venue) -> BinanceExchange:
        """
        Give a venue.

        :raises OperatorNeeded: when it is none that tells candles.
        """
        if venue not in self._joined:
            self._joined[venue] = BinanceExchange(
                addresses=self.address_of(venue),
                wire=self._wire,
                credentials=_no_key,
                clock=self._clock,
                name=venue,
                budget=self._weights.of(venue),
            )
        return self._joined[venue]

    async def close(self) -> None:
        """Leave them all."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        for exchange in self._joined.values():
            await exchange.close()
        await self._wire.close()


async def _no_key(account_id: int) -> ApiKey:
    raise LookupError(f"CREDENTIALS_MISSING: account_id={account_id}")
