"""Keep the screener's list fresh: loaded by the first strategy, and by none before."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import structlog

from pregao.bootstrap.process import again_and_again, calm_collector
from pregao.bootstrap.shared import screener_limits
from pregao.bootstrap.venues import venue_addresses
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.screener import Source
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.signing import ApiKey
from pregao.edges.exchanges.wire import Wire
from pregao.edges.ids import uuid7
from pregao.edges.postgres.cache import PostgresCache
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.screener import BELL, PostgresPace, PostgresScreenerWork
from pregao.edges.postgres.weights import BELL as WEIGHTS_BELL
from pregao.edges.postgres.weights import SharedWeights
from pregao.edges.postgres.workers import Lease
from pregao.edges.processes.ending import Together
from pregao.edges.screeners.finviz import Finviz, FinvizAccess
from pregao.edges.screeners.lists import ListFile, StaticList
from pregao.edges.screeners.most_traded import MostTraded
from pregao.market.ports import Cache, Screen
from pregao.market.refresh import Refreshing
from pregao.settings import Settings

VOLUMES_SECONDS = (
    60.0  # of 24 hours: a restart, or another strategy, need not ask a venue for 500 symbols again
)

log = structlog.get_logger()


async def serve_screener(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    """Look for lists and swap them, under the lease; until canceled."""
    doorbell = Doorbell(settings.database_url)
    weights = SharedWeights(journal.pool, egress=settings.egress, ring=partial(doorbell.ring, WEIGHTS_BELL))
    doorbell.listen(WEIGHTS_BELL, weights.heard)
    venues = Venues(settings, weights=weights, clock=clock, cache=PostgresCache(journal.pool))
    pace = PostgresPace(
        journal.pool,
        name=f"finviz:{settings.egress}",
        per_minute_max=screener_limits(settings).per_minute_max,
    )
    finviz = Finviz(_finviz_access(settings), pace=pace.wait, clock=clock)
    screens: Mapping[Source, Screen] = {
        Source.FINVIZ: finviz.pages,
        Source.FINVIZ_EXPORT: finviz.export,
        Source.STATIC: StaticList(),
        Source.FILE: ListFile(settings.state_dir / "screener"),
        Source.MOST_TRADED: MostTraded(venues.day_volumes),
    }
    work = PostgresScreenerWork(journal, lease, ring_signals=partial(doorbell.ring, "signals"))
    refreshing = Refreshing(work, screens, new_id=uuid7, clock=clock, say=log.info, warn=log.warning)
    doorbell.listen(BELL, refreshing.rung)
    await doorbell.start()
    calm_collector()
    try:
        async with Together() as tasks:
            tasks.create_task(again_and_again(refreshing.follow))
            tasks.create_task(weights.run())
    finally:
        await doorbell.close()
        await finviz.close()
        await venues.close()


class Venues:
    """The venues whose public figures are asked for; each is joined when it is asked for the first time."""

    def __init__(self, settings: Settings, *, weights: SharedWeights, clock: Clock, cache: Cache) -> None:
        """Ask within the weight that all processes of this address share, and not again what was just told."""
        self._cache = cache
        self._addresses = venue_addresses(settings)
        self._weights = weights
        self._clock = clock
        self._wire = Wire(clock=clock)
        self._joined: dict[Venue, BinanceExchange] = {}

    async def day_volumes(self, venue: Venue) -> Mapping[str, Decimal]:
        """Give what was traded in 24 hours, by symbol; a minute old at most."""
        key = f"day_volumes:{venue}:{self._addresses[venue].rest}"
        told = await self._cache.get(key)
        if told is None:
            told = {symbol: str(volume) for symbol, volume in (await self._ask(venue)).items()}
            await self._cache.put(key, told, seconds=VOLUMES_SECONDS)
        return {symbol: Decimal(volume) for symbol, volume in told.items()}

    async def _ask(self, venue: Venue) -> Mapping[str, Decimal]:
        if venue not in self._joined:
            self._joined[venue] = BinanceExchange(
                addresses=self._addresses[venue],
                wire=self._wire,
                credentials=_no_key,
                clock=self._clock,
                name=venue,
                budget=self._weights.of(venue),
            )
        return await self._joined[venue].day_volumes()

    async def close(self) -> None:
        """Leave them all."""
        for exchange in self._joined.values():
            await exchange.close()
        await self._wire.close()


def _finviz_access(settings: Settings) -> FinvizAccess:
    return FinvizAccess(
        hosts=settings.finviz_hosts,
        is_elite=settings.finviz_elite,
        login_url=settings.finviz_login_url,
        email=settings.finviz_email,
        password=settings.finviz_password.reveal(),
        export_token=settings.finviz_export_token.reveal(),
    )


async def _no_key(account_id: int) -> ApiKey:
    raise LookupError(f"CREDENTIALS_MISSING: account_id={account_id}")
