"""The process that trades: decides, sends, asks, books, and follows the accounts' streams."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from pregao.bootstrap.alarms import tell_breaker
from pregao.bootstrap.shared import build_vault, calm_collector, close_pool, now_utc
from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.clock import Clock
from pregao.domain.protection import ProtectionReport
from pregao.domain.venue import OrderReport, StreamGap, TradeReport, VenueError
from pregao.edges.exchanges.binance.accounts import BinanceAccounts
from pregao.edges.exchanges.binance.addresses import DEMO, LIVE, VenueAddresses
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.prices import MarketStream
from pregao.edges.exchanges.binance.signing import ApiKey
from pregao.edges.exchanges.binance.streams import Sink, UserStreams
from pregao.edges.exchanges.wire import Wire, WireLimits
from pregao.edges.postgres.breakers import BELL as BREAKERS_BELL
from pregao.edges.postgres.breakers import SharedBreakers
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.high_water import DatabaseRestoredError, Guard, HighWaterMark
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.store import PostgresStore
from pregao.edges.postgres.weights import BELL as WEIGHTS_BELL
from pregao.edges.postgres.weights import SharedWeights
from pregao.edges.postgres.work import Lease, Workers, accounts_to_follow, symbols_to_watch
from pregao.orders.ports import Desk
from pregao.settings import Settings
from pregao.trading.drawdown import DrawdownWatch
from pregao.trading.flattening import Flattening
from pregao.trading.preflight import Preflight
from pregao.trading.trader import Trader
from pregao.trading.trouble import AWAY

LEASE_CONNECTIONS = 2
FOLLOW_SECONDS = 2.0  # a new account is followed this soon without a ring
FOLLOWED_SECONDS_MAX = 5.0  # a venue or a database that is away keeps nobody from trading elsewhere

log = structlog.get_logger()


class LeaseLostError(RuntimeError):
    """The process was away for longer than its lease: it ends and starts anew under another."""


@dataclass(frozen=True, slots=True)
class VenueLine:
    """One venue, joined: the adapter, its accounts' streams, its prices."""

    exchange: BinanceExchange
    streams: UserStreams
    prices: MarketStream


def venue_addresses(settings: Settings) -> dict[Venue, VenueAddresses]:
    """Give where each venue answers."""
    return {
        Venue.PAPER: VenueAddresses.paper(settings.paper_address),
        Venue.BINANCE_DEMO: DEMO,
        Venue.BINANCE: LIVE,
    }


def worker_name(role: str) -> str:
    """Give a name no other living process has."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}"


async def serve_trader(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Decide, send, ask, book; until canceled or the lease is lost."""
    guard = Guard()
    journal = await open_journal(settings.database_url, on_connect=guard.look)
    high_water = HighWaterMark(journal.pool, settings.state_dir / "high_water.json", guard=guard)
    await high_water.check()
    await high_water.let_pass()
    # A lease must not be lost because every other connection waits for a lock.
    leases = await open_journal(
        settings.database_url, connections_max=LEASE_CONNECTIONS, on_connect=guard.look
    )
    workers = Workers(leases.pool)
    lease = await workers.enter(worker_id=worker_name("trader"), role="trader")
    doorbell = Doorbell(settings.database_url)
    wire = Wire(clock=clock, limits=_wire_limits(settings))
    keys = ApiKeys(
        PostgresCredentials(journal.pool, vault=build_vault(settings, desk=await desk_id(journal)))
    )
    doorbell.listen("accounts", keys.forget)
    breakers = Breakers(monotonic=time.monotonic, clock=clock)
    breakers.listen(tell_breaker)
    shared_breakers = SharedBreakers(
        journal.pool, breakers, told_by=lease.worker_id, ring=partial(doorbell.ring, BREAKERS_BELL)
    )
    doorbell.listen(BREAKERS_BELL, shared_breakers.heard)
    weights = SharedWeights(journal.pool, egress=settings.egress, ring=partial(doorbell.ring, WEIGHTS_BELL))
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
    desk = Desk(desk_id=await desk_id(journal), owner=lease.worker_id, lease_epoch=lease.lease_epoch)
    trader = Trader(
        PostgresStore(journal),
        exchanges=exchanges,
        doorbell=doorbell,
        clock=clock,
        desk=desk,
        orders_in_flight_max=settings.orders_in_flight_max,
        first_part=settings.first_part_accounts,
        breakers=breakers,
        quiet=wire.quiet,
    )
    trader.join(Flattening(journal, trader.floor, trader.comparison, desk=desk).follow)
    trader.join(DrawdownWatch(journal, trader.floor).follow)
    accounts = {venue: BinanceAccounts(exchange) for venue, exchange in exchanges.items()}
    preflight = Preflight(journal, trader.floor, accounts)
    trader.join(preflight.answer_asked)
    trader.join(preflight.look_in_turn)
    follower = Follower(
        journal,
        workers,
        lease,
        trader=trader,
        preflight=preflight,
        lines=_lines(exchanges, accounts, sink=partial(_take, trader, preflight), clock=clock),
        doorbell=doorbell,
    )
    await doorbell.start()
    calm_collector()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follower.run())
            tasks.create_task(shared_breakers.run())
            tasks.create_task(_trade(trader, follower))
            tasks.create_task(high_water.watch())
            tasks.create_task(weights.run())
            tasks.create_task(_until_lost(workers, lease))
    finally:
        await doorbell.close()
        for exchange in exchanges.values():
            await exchange.close()
        await wire.close()
        with contextlib.suppress(DatabaseRestoredError, *AWAY):  # a lease that is not given up runs out
            await workers.leave(lease)
        await close_pool(leases.pool)
        await close_pool(journal.pool)


class ApiKeys:
    """The accounts' keys, opened once and kept in this process's memory until an account changes."""

    def __init__(self, store: PostgresCredentials) -> None:
        """Open what ``store`` keeps sealed."""
        self._store = store
        self._opened: dict[int, ApiKey] = {}

    def forget(self, _words: str = "") -> None:
        """Open them anew when they are needed: the bell `accounts` rang."""
        self._opened.clear()

    async def of(self, account_id: int) -> ApiKey:
        """
        Give the account's key.

        :raises LookupError: when it has none.
        """
        if account_id not in self._opened:
            found = await self._store.find_credentials(account_id)
            if found is None:
                raise LookupError(f"CREDENTIALS_MISSING: account_id={account_id}")
            self._opened[account_id] = ApiKey(found.key, found.secret)
        return self._opened[account_id]


def _wire_limits(settings: Settings) -> WireLimits:
    """Let entries take half of the connections and questions a quarter: an exit always finds one."""
    return WireLimits(
        connections_max=2 * settings.orders_in_flight_max,
        reads_share=0.25,
        timeout_seconds=settings.venue_timeout_seconds,
    )


async def _take(
    trader: Trader, preflight: Preflight, report: OrderReport | TradeReport | ProtectionReport | StreamGap
) -> None:
    if isinstance(report, StreamGap):
        preflight.doubt(report.account_id)
    await trader.take(report)


def _lines(
    exchanges: Mapping[Venue, BinanceExchange],
    accounts: Mapping[Venue, BinanceAccounts],
    *,
    sink: Sink,
    clock: Clock,
) -> dict[Venue, VenueLine]:
    lines = {}
    for venue, exchange in exchanges.items():
        streams = UserStreams(
            addresses=exchange.addresses,
            rest=exchange.rest,
            standing=exchange.standing,
            sink=sink,
            clock=clock,
        )
        accounts[venue].is_streamed = streams.is_connected
        prices = MarketStream(addresses=exchange.addresses, book=exchange.prices)
        lines[venue] = VenueLine(exchange=exchange, streams=streams, prices=prices)
    return lines


async def _trade(trader: Trader, follower: "Follower") -> None:
    """Trade as soon as it is known whose accounts were taken over: entries must not meet a past that nobody knows."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FOLLOWED_SECONDS_MAX):
            await follower.looked.wait()
    await trader.run()


async def _until_lost(workers: Workers, lease: Lease) -> None:
    await workers.renew_until_lost(lease)
    raise LeaseLostError(f"LEASE_LOST: worker={lease.worker_id}. It was away too long; starting anew.")


class Follower:
    """Follows the user streams of every account, one trader at a time: whoever holds the venue's lease."""

    def __init__(
        self,
        journal: Journal,
        workers: Workers,
        lease: Lease,
        *,
        trader: Trader,
        preflight: Preflight,
        lines: Mapping[Venue, VenueLine],
        doorbell: Doorbell,
    ) -> None:
        """Follow nothing yet; a ring of ``accounts`` says that there may be somebody new."""
        self._journal = journal
        self._trader = trader
        self._preflight = preflight
        self._workers = workers
        self._lease = lease
        self._lines = lines
        self._followed: dict[Venue, set[int]] = {}
        self._running: dict[Venue, list[asyncio.Task[None]]] = {}
        self.looked = asyncio.Event()  # who is to be followed, and by whom, was found out once
        self._changed = asyncio.Event()
        doorbell.listen("accounts", lambda _words: self._changed.set())

    async def run(self) -> None:
        """Keep following until canceled."""
        try:
            while True:
                self._changed.clear()
                try:
                    await self._look()
                    self.looked.set()
                except (VenueError, *AWAY) as away:
                    log.warning("trader.follow.away", error=type(away).__name__)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FOLLOW_SECONDS):
                        await self._changed.wait()
        finally:
            for venue in list(self._running):
                await self._stop(venue)

    async def _look(self) -> None:
        wanted: dict[Venue, set[int]] = {}
        for account_id, venue in await accounts_to_follow(self._journal.pool):
            wanted.setdefault(venue, set()).add(account_id)
        symbols = await symbols_to_watch(self._journal.pool)
        for venue, accounts in wanted.items():
            if not await self._workers.hold(f"streams:{venue}", self._lease):
                await self._stop(venue)
                continue
            await self._start(venue)
            line, followed = self._lines[venue], self._followed[venue]
            for account_id in accounts - followed:
                await line.streams.follow(account_id)
            for account_id in followed - accounts:
                await line.streams.unfollow(account_id)
            self._followed[venue] = accounts
            await line.prices.follow(symbols)

    async def _start(self, venue: Venue) -> None:
        if venue in self._running:
            return
        line = self._lines[venue]
        await self._trader.take_over(venue)
        self._preflight.go_round(venue)
        await line.exchange.start()
        self._followed[venue] = set()
        self._running[venue] = [
            asyncio.create_task(line.streams.run()),
            asyncio.create_task(line.prices.run()),
        ]

    async def _stop(self, venue: Venue) -> None:
        self._trader.give_up(venue)
        self._preflight.leave(venue)
        for task in self._running.pop(venue, []):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._followed.pop(venue, None)
