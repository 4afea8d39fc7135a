"""What every process is built with that sends orders: a worker's lease, the venues, the bells, and what keeps them alive."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from pregao.bootstrap.alarms import tell_breaker
from pregao.bootstrap.process import close_pool, entered, until_lost, worker_name
from pregao.bootstrap.shared import build_vault
from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.clock import Clock
from pregao.domain.desk import Desk
from pregao.edges.exchanges.binance.addresses import DEMO, LIVE, VenueAddresses
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.signing import ApiKey
from pregao.edges.exchanges.wire import Wire, WireLimits
from pregao.edges.postgres.breakers import BELL as BREAKERS_BELL
from pregao.edges.postgres.breakers import SharedBreakers
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.figures import PostgresTally
from pregao.edges.postgres.high_water import Guard, HighWaterMark
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.readiness import NOT_READY, Readiness
from pregao.edges.postgres.weights import BELL as WEIGHTS_BELL
from pregao.edges.postgres.weights import SharedWeights
from pregao.edges.postgres.workers import Lease, Workers
from pregao.edges.processes.ending import Together
from pregao.settings import Settings

LEASE_CONNECTIONS = 2
IDLE_SECONDS_MAX = 2.0  # a process that froze with a position's lock keeps nobody from guarding it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One process that may send orders, under its worker's lease."""

    journal: Journal
    leases: asyncpg.Pool
    workers: Workers
    lease: Lease
    desk: Desk
    doorbell: Doorbell
    wire: Wire
    keys: "ApiKeys"
    exchanges: dict[Venue, BinanceExchange]
    breakers: Breakers
    shared_breakers: SharedBreakers
    weights: SharedWeights
    high_water: HighWaterMark

    async def run(self) -> None:
        """
        Follow what the other processes find, and keep the lease, until canceled.

        :raises LeaseLostError: when the process was away for too long.
        """
        async with Together() as tasks:
            tasks.create_task(self.shared_breakers.run())
            tasks.create_task(self.high_water.watch())
            tasks.create_task(self.weights.run())
            tasks.create_task(PostgresTally(self.leases, worker_id=self.lease.worker_id).run())
            tasks.create_task(until_lost(self.workers, self.lease))


@asynccontextmanager
async def open_sender(
    settings: Settings, *, role: str, clock: Clock, readiness: Readiness = NOT_READY
) -> AsyncIterator[Sender]:
    """
    Take a lease and build what sends; whoever has it starts the doorbell when all have said what they listen to.

    What ``readiness`` asks is asked on each connection before it is used.
    """
    guard = Guard()

    async def connected(connection: asyncpg.Connection) -> None:
        await guard.look(connection)
        await readiness.ask(connection)

    journal = await open_journal(
        settings.database_url,
        on_connect=connected,
        idle_seconds_max=IDLE_SECONDS_MAX,
        connections_ready=readiness.connections,
        is_planned_once=readiness.is_planned_once,
        worker=worker_name(role),
    )
    high_water = HighWaterMark(journal.pool, settings.state_dir / "high_water.json", guard=guard)
    await high_water.check()
    await high_water.let_pass()
    # A lease must not be lost because every other connection waits for a lock.
    leases = await open_journal(
        settings.database_url, connections_max=LEASE_CONNECTIONS, on_connect=guard.look
    )
    workers = Workers(leases.pool)
    try:
        async with entered(workers, role=role) as lease:
            doorbell = Doorbell(settings.database_url)
            wire = Wire(clock=clock, limits=_wire_limits(settings))
            desk = await desk_id(journal)
            keys = ApiKeys(PostgresCredentials(journal.pool, vault=build_vault(settings, desk=desk)))
            doorbell.listen("accounts", keys.forget)
            breakers = Breakers(monotonic=time.monotonic, clock=clock)
            breakers.listen(tell_breaker)
            shared_breakers = SharedBreakers(
                journal.pool, breakers, told_by=lease.worker_id, ring=partial(doorbell.ring, BREAKERS_BELL)
            )
            doorbell.listen(BREAKERS_BELL, shared_breakers.heard)
            weights = SharedWeights(
                journal.pool, egress=settings.egress, ring=partial(doorbell.ring, WEIGHTS_BELL)
            )
            doorbell.listen(WEIGHTS_BELL, weights.heard)
            exchanges = {
                venue: BinanceExchange(
                    addresses=addresses,
                    wire=wire,
                    credentials=keys.of,
                    clock=clock,
                    name=venue,
                    breakers=breakers,
                    budget=weights.of(venue),
                )
                for venue, addresses in venue_addresses(settings).items()
            }
            try:
                yield Sender(
                    journal=journal,
                    leases=leases.pool,
                    workers=workers,
                    lease=lease,
                    desk=Desk(desk_id=desk, owner=lease.worker_id, lease_epoch=lease.lease_epoch),
                    doorbell=doorbell,
                    wire=wire,
                    keys=keys,
                    exchanges=exchanges,
                    breakers=breakers,
                    shared_breakers=shared_breakers,
                    weights=weights,
                    high_water=high_water,
                )
            finally:
                await doorbell.close()
                for exchange in exchanges.values():
                    await exchange.close()
                await wire.close()
    finally:
        await close_pool(leases.pool)
        await close_pool(journal.pool)


def venue_addresses(settings: Settings) -> dict[Venue, VenueAddresses]:
    """Give where each venue answers."""
    return {
        Venue.PAPER: VenueAddresses.paper(settings.paper_address),
        Venue.BINANCE_DEMO: DEMO,
        Venue.BINANCE: LIVE,
    }


def _wire_limits(settings: Settings) -> WireLimits:
    """Let entries take half of the connections and questions a quarter: an exit always finds one."""
    return WireLimits(
        connections_max=2 * settings.orders_in_flight_max,
        reads_share=0.25,
        timeout_seconds=settings.venue_timeout_seconds,
    )


class ApiKeys:
    """The accounts' keys, opened once and kept in this process's memory until an account changes."""

    def __init__(self, store: PostgresCredentials) -> None:
        """Open what ``store`` keeps sealed."""
        self._store = store
        self._opened: dict[int, ApiKey] = {}

    def forget(self, _words: str = "") -> None:
        """Open them anew when they are needed: the bell `accounts` rang."""
        self._opened.clear()

    async def open_all(self, account_ids: Collection[int]) -> None:
        """Open those that are not open yet, while the database is there."""
        for account_id in account_ids:
            with contextlib.suppress(LookupError):  # whoever sends will say so
                await self._open(account_id)

    def of(self, account_id: int) -> ApiKey | Awaitable[ApiKey]:
        """
        Give the account's key: at once where it is open already.

        :raises LookupError: when it has none.
        """
        return self._opened.get(account_id) or self._open(account_id)

    async def _open(self, account_id: int) -> ApiKey:
        if account_id not in self._opened:
            found = await self._store.find_credentials(account_id)
            if found is None:
                raise LookupError(f"CREDENTIALS_MISSING: account_id={account_id}")
            self._opened[account_id] = ApiKey(found.key, found.secret)
        return self._opened[account_id]

    async def secret_of(self, account_id: int) -> str:
        """
        Give the secret alone: of an account at a webhook, its URL.

        :raises LookupError: when it has none.
        """
        return (await self._open(account_id)).secret
