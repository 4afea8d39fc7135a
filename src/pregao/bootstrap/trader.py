"""The process that trades: decides, sends, asks, books, and follows the accounts' streams."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from pregao.bootstrap.exits import watch_exits
from pregao.bootstrap.process import calm_collector, now_utc
from pregao.bootstrap.venues import Sender, open_sender
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.protection import ProtectionReport
from pregao.domain.venue import OrderReport, StreamGap, TradeReport, VenueError
from pregao.edges.destinations import CheckedDestinations
from pregao.edges.exchanges.binance.accounts import BinanceAccounts
from pregao.edges.exchanges.binance.candles import BinanceCandles
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.foreign import BinanceForeignOrders
from pregao.edges.exchanges.binance.prices import MarketStream
from pregao.edges.exchanges.binance.protections import BinanceProtections
from pregao.edges.exchanges.binance.streams import Sink, UserStreams
from pregao.edges.exchanges.webhook import WebhookExchange
from pregao.edges.postgres.destinations import BELL as DESTINATIONS
from pregao.edges.postgres.destinations import PostgresLimiter
from pregao.edges.postgres.forwards import PostgresForwards
from pregao.edges.postgres.held import accounts_to_follow, symbols_to_watch
from pregao.edges.postgres.readiness import Readiness, get_ready_to_plan
from pregao.edges.postgres.store import PostgresStore
from pregao.edges.processes.ending import Together
from pregao.settings import Settings
from pregao.trading.destinations import DestinationPreflight
from pregao.trading.drawdown import DrawdownWatch
from pregao.trading.flattening import Flattening
from pregao.trading.foreign import ForeignWork
from pregao.trading.preflight import Preflight
from pregao.trading.trader import Trader
from pregao.trading.trouble import AWAY

READINESS = Readiness(connections=2, ask=get_ready_to_plan)  # one plans, one books
FOLLOW_SECONDS = 2.0  # a new account is followed this soon without a ring
FOLLOWED_SECONDS_MAX = 5.0  # a venue or a database that is away keeps nobody from trading elsewhere

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VenueLine:
    """One venue, joined: the adapter, its accounts' streams, its prices."""

    exchange: BinanceExchange
    streams: UserStreams
    prices: MarketStream


class Round(Protocol):
    """Work that is done on the accounts of a venue by whoever follows them."""

    def go_round(self, venue: Venue) -> None:
        """Do it there from now on."""
        ...

    def leave(self, venue: Venue) -> None:
        """Leave it to another trader."""
        ...


async def serve_trader(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Decide, send, ask, book; until canceled or the lease is lost."""
    async with open_sender(settings, role="trader", clock=clock, readiness=READINESS) as sender:
        exchanges = sender.exchanges
        forwards = PostgresForwards(sender.journal, desk=sender.desk, clock=clock)
        limiter = PostgresLimiter(sender.journal.pool)
        sender.doorbell.listen(DESTINATIONS, limiter.heard)
        destinations = CheckedDestinations(settings.destinations_allowed)
        webhook = WebhookExchange(
            parcels=forwards,
            url_of=sender.keys.secret_of,
            destinations=destinations,
            clock=clock,
        )
        trader = Trader(
            PostgresStore(sender.journal),
            exchanges={**exchanges, Venue.WEBHOOK: webhook},
            doorbell=sender.doorbell,
            clock=clock,
            desk=sender.desk,
            orders_in_flight_max=settings.orders_in_flight_max,
            first_part=settings.first_part_accounts,
            protections={venue: BinanceProtections(exchange) for venue, exchange in exchanges.items()},
            candles={venue: BinanceCandles(exchange) for venue, exchange in exchanges.items()},
            breakers=sender.breakers,
            quiet=sender.wire.quiet,
            forwards=forwards,
            limiter=limiter,
        )
        trader.join(Flattening(sender.journal, trader.floor, trader.comparison, desk=sender.desk).follow)
        trader.join(DrawdownWatch(sender.journal, trader.floor).follow)
        accounts = {venue: BinanceAccounts(exchange) for venue, exchange in exchanges.items()}
        preflight = Preflight(sender.journal, trader.floor, accounts)
        trader.join(preflight.answer_asked)
        trader.join(preflight.look_in_turn)
        foreign = ForeignWork(
            sender.journal,
            trader.floor,
            {venue: BinanceForeignOrders(exchange) for venue, exchange in exchanges.items()},
        )
        trader.join(foreign.answer_asked)
        trader.join(foreign.look_in_turn)
        looks = DestinationPreflight(
            sender.journal, sender.doorbell, url_of=sender.keys.secret_of, destinations=destinations
        )
        trader.join(looks.look)
        watch_exits(trader.floor, sender.journal, join=trader.join)
        follower = Follower(
            sender,
            trader=trader,
            rounds=(preflight, foreign),
            lines=_lines(exchanges, accounts, sink=partial(_take, trader, preflight), clock=clock),
        )
        await sender.doorbell.start()
        calm_collector()
        try:
            async with Together() as tasks:
                tasks.create_task(follower.run())
                tasks.create_task(sender.run())
                tasks.create_task(_trade(trader, follower))
        finally:
            await webhook.close()
            await forwards.close()


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


class Follower:
    """Follows the user streams of every account, one trader at a time: whoever holds the venue's lease."""

    def __init__(
        self,
        sender: Sender,
        *,
        trader: Trader,
        rounds: Sequence[Round],
        lines: Mapping[Venue, VenueLine],
    ) -> None:
        """Follow nothing yet; a ring of ``accounts`` says that there may be somebody new."""
        self._journal = sender.journal
        self._trader = trader
        self._rounds = rounds
        self._workers = sender.workers
        self._lease = sender.lease
        self._lines = lines
        self._followed: dict[Venue, set[int]] = {}
        self._running: dict[Venue, list[asyncio.Task[None]]] = {}
        self.looked = asyncio.Event()  # who is to be followed, and by whom, was found out once
        self._changed = asyncio.Event()
        sender.doorbell.listen("accounts", lambda _words: self._changed.set())

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
        for one in self._rounds:
            one.go_round(venue)
        await line.exchange.start()
        self._followed[venue] = set()
        self._running[venue] = [
            asyncio.create_task(line.streams.run()),
            asyncio.create_task(line.prices.run()),
        ]

    async def _stop(self, venue: Venue) -> None:
        self._trader.give_up(venue)
        for one in self._rounds:
            one.leave(venue)
        running = self._running.pop(venue, [])
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)  # not one by one: a cancellation of ours would be taken for theirs
        for task in running:
            if not task.cancelled():
                task.result()
        self._followed.pop(venue, None)
