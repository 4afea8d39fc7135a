"""The process that watches prices: it claims what is reached, and exits it."""

import asyncio
import time
from functools import partial

from pregao.bootstrap.exits import watch_exits
from pregao.bootstrap.process import calm_collector, now_utc
from pregao.bootstrap.venues import Sender, open_sender
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.edges.exchanges.binance.feed import PriceFeed
from pregao.edges.postgres.readiness import Readiness, StayReady, get_ready_to_exit
from pregao.edges.postgres.store import PostgresStore
from pregao.edges.postgres.watches import PostgresWatches
from pregao.edges.processes.ending import Together
from pregao.settings import Settings
from pregao.trading.floor import Floor
from pregao.trading.memory_exits import MemoryExits
from pregao.trading.monitor import Monitor

ROLE = "monitor"
# One connection claims, one renews, one looks what has changed.
READINESS = Readiness(connections=3, ask=get_ready_to_exit, is_planned_once=True)
LOOK_SWEPT_SECONDS = 0.1  # PostgreSQL analyzes once a minute: hardly an exit comes between that and this


async def serve_monitor(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Watch, claim, exit; until canceled or the lease is lost."""
    async with open_sender(settings, role=ROLE, clock=clock, readiness=READINESS) as sender:
        floor = build_floor(settings, sender, clock=clock)
        monitor = Monitor(
            floor,
            watches=PostgresWatches(sender.journal.pool, sender.lease, leases=sender.leases),
            prices=build_feeds(sender),
            claimed_by=sender.lease.worker_id,
            monotonic=time.monotonic,
            start_venue=lambda venue: sender.exchanges[venue].start(),
            open_accounts=sender.keys.open_all,
            memory=MemoryExits(floor, claimed_by=sender.lease.worker_id, folder=settings.state_dir),
        )
        watch_exits(floor, sender.journal, join=monitor.join)
        monitor.join(partial(_stay_ready, monitor, StayReady(sender.journal.pool)))
        await sender.doorbell.start()
        calm_collector()
        async with Together() as tasks:
            tasks.create_task(sender.run())
            tasks.create_task(monitor.run())


async def _stay_ready(monitor: Monitor, ready: StayReady) -> None:
    """Pause; then, where something may have to exit soon, keep its way to the order short."""
    await asyncio.sleep(LOOK_SWEPT_SECONDS)
    if monitor.watched:
        await ready.look()


def build_floor(settings: Settings, sender: Sender, *, clock: Clock) -> Floor:
    """Give a floor that exits; the venues' lines are the trader's to keep."""
    return Floor(
        PostgresStore(sender.journal),
        exchanges=sender.exchanges,
        doorbell=sender.doorbell,
        clock=clock,
        desk=sender.desk,
        orders_in_flight_max=settings.orders_in_flight_max,
        first_part=settings.first_part_accounts,
        breakers=sender.breakers,
        quiet=sender.wire.quiet,
    )


def build_feeds(sender: Sender) -> dict[Venue, PriceFeed]:
    """Give each venue's prices."""
    return {
        venue: PriceFeed(addresses=exchange.addresses, rest=exchange.rest)
        for venue, exchange in sender.exchanges.items()
    }
