"""The process in which strategies watch candles: it is there only while one feeds a bot, and hands its signals in like a webhook."""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from math import isinf
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from pregao import tally
from pregao.bootstrap.computing import computing, find_predictors
from pregao.bootstrap.process import calm_collector, now_utc
from pregao.bootstrap.venues import Sender, open_sender
from pregao.domain.account import Venue
from pregao.domain.bot import Bot, BotStatus
from pregao.domain.candle import Timeframe
from pregao.domain.clock import Clock, from_ms, to_ms
from pregao.domain.deployment import Deployment
from pregao.domain.venue import VenueError
from pregao.edges.candle_files.seen import SeenCandles
from pregao.edges.exchanges.binance.candles import BinanceCandles, WholeCandle
from pregao.edges.exchanges.binance.trades import TradeStream
from pregao.edges.ids import uuid7
from pregao.edges.postgres.deployments import BarRow, PostgresDeploymentWork
from pregao.edges.postgres.intake import PostgresIntake
from pregao.edges.postgres.workers import Workers
from pregao.edges.processes.ending import Together
from pregao.research.analyzer.ports import Judges, PastUnavailableError, Progress, Series
from pregao.research.analyzer.watch import Watch
from pregao.research.analyzer.wishes import Act, Wish
from pregao.research.strategies.live import Opinion
from pregao.research.ticks import Candle
from pregao.settings import MODELS_FOLDER, Settings
from pregao.signals.own import said_by_strategy
from pregao.signals.ports import StoreAway
from pregao.trading.trouble import AWAY, log_away

ROLE = "analyzer"
LEASE = "analyzer"
LOOK_SECONDS = 1.0  # for what was deployed, paused, removed
AWAY_SECONDS = 1.0
PAGE = 1_500  # candles; a venue gives no more at once
INTERVALS = frozenset(one.value for one in Timeframe)  # that venues keep candles of
CONFIDENT, FAIRLY = 70.0, 50.0

log = structlog.get_logger()


async def serve_analyzer(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Watch and tell, under the lease; until canceled or the lease is lost."""
    async with (
        open_sender(settings, role=ROLE, clock=clock) as sender,
        _open_intake(sender) as intake,
        computing(cache_url=settings.lab_cache_url) as compute,
    ):
        await sender.doorbell.start()
        work = PostgresDeploymentWork(sender.journal.pool)
        streams: dict[Venue, TradeStream] = {}
        watch = Watch(
            past=KnownCandles(sender, seen=SeenCandles(settings.state_dir / "candles" / "seen")),
            desk=StrategyDesk(
                work,
                intake=intake,
                ring=partial(sender.doorbell.ring, "signals"),
                clock=clock,
                age_seconds_max=int(settings.signal_age_seconds_max),
            ),
            judges=LateJudges(compute, sender=sender, models=settings.state_dir / MODELS_FOLDER),
            venue_now_ms=lambda venue: sender.exchanges[venue].venue_now_ms(),
            heard_since_ms=lambda venue, symbol: streams[venue].heard_since_ms(symbol),
            monotonic=time.monotonic,
        )
        calm_collector()
        async with Together() as tasks:
            tasks.create_task(sender.run())
            tasks.create_task(watch.run())
            await _follow(watch, work, streams, sender=sender, tasks=tasks)


async def _follow(
    watch: Watch,
    work: PostgresDeploymentWork,
    streams: dict[Venue, TradeStream],
    *,
    sender: Sender,
    tasks: Together,
) -> None:
    """Have all watched that is deployed, while no other process does."""
    workers, lease = Workers(sender.journal.pool), sender.lease
    while True:
        deployed: Sequence[Deployment] = ()
        try:
            deployed = await work.standing() if await workers.hold(LEASE, lease) else ()
        except AWAY as away:
            log_away("analyzer.work.away", away)
            await asyncio.sleep(AWAY_SECONDS)
            continue
        for venue in sorted({one.venue for one in deployed} - streams.keys()):
            await sender.exchanges[venue].start()
            streams[venue] = TradeStream(
                addresses=sender.exchanges[venue].addresses,
                take=partial(watch.take, venue),
                venue_now_ms=sender.exchanges[venue].venue_now_ms,
            )
            tasks.create_task(streams[venue].run())
        watch.set(deployed)
        for venue, stream in streams.items():
            stream.follow(watch.symbols(venue))
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _open_intake(sender: Sender) -> AsyncIterator[PostgresIntake]:
    intake = PostgresIntake(sender.journal)
    try:
        yield intake
    finally:
        await intake.close()  # it keeps connections, which the pool waits for


class KnownCandles:
    """The port ``Past``: the venue's own candles where it keeps such, else those that were seen here."""

    def __init__(self, sender: Sender, *, seen: SeenCandles) -> None:
        """Ask the venues of ``sender``."""
        self._candles = {venue: BinanceCandles(one) for venue, one in sender.exchanges.items()}
        self._exchanges = sender.exchanges
        self._seen = seen

    def has(self, series: Series) -> bool:
        return series.timeframe in INTERVALS

    async def closed(self, series: Series, *, since_ms: int | None, limit: int) -> Sequence[Candle]:
        if not self.has(series):
            return self._seen.read(_name_of(series), since_ms=since_ms, limit=limit)
        venue = self._candles[series.venue]
        ask = partial(venue.whole, series.symbol, interval=series.timeframe)
        try:
            if since_ms is None:
                since_ms = max(0, self._exchanges[series.venue].venue_now_ms() - limit * series.frame_ms)
            found: list[WholeCandle] = []
            while len(found) < limit:
                page = await ask(since_ms=since_ms, limit=min(PAGE, limit - len(found)))
                found += page
                if len(page) < PAGE:
                    break
                since_ms = page[-1][0] + 1
        except VenueError as problem:
            raise PastUnavailableError(
                f"CANDLES_UNAVAILABLE: venue={series.venue} symbol={series.symbol} problem={problem}"
            ) from problem
        return [_candle(row) for row in found]

    async def keep(self, series: Series, candle: Candle) -> None:
        self._seen.keep(_name_of(series), candle)


class StrategyDesk:
    """The port ``Desk``: signals go into the desk's own intake, progress into its table."""

    def __init__(
        self,
        work: PostgresDeploymentWork,
        *,
        intake: PostgresIntake,
        ring: Callable[[], None],
        clock: Clock,
        age_seconds_max: int,
    ) -> None:
        """Call ``ring`` after each signal."""
        self._work = work
        self._intake = intake
        self._ring = ring
        self._clock = clock
        self._age_seconds_max = age_seconds_max

    async def send(self, deployment: Deployment, wish: Wish) -> None:
        bot = await self._patiently(self._work.find_bot, deployment.bot_id)
        if bot is None or not _takes(bot, wish):
            log.info("analyzer.signal.left_out", deployment_id=str(deployment.deployment_id), act=wish.act)
            return
        now = self._clock()
        opinion = wish.opinion
        enters = wish.act is not Act.CLOSE
        arrival = said_by_strategy(
            deployment,
            signal_id=uuid7(now),
            action=wish.act,
            price=Decimal(repr(wish.price)),
            closed_at=from_ms(wish.closed_at_ms),
            confidence=None if opinion.confidence is None else Decimal(f"{opinion.confidence:.1f}"),
            stop_percent=_percent(opinion.stop) if enters else None,
            target_percent=_percent(opinion.target) if enters else None,
            now=now,
            age_seconds_max=self._age_seconds_max,
        )
        (recorded,) = await self._patiently(self._intake.record, [arrival])
        if recorded.is_first:
            self._ring()
            tally.count("deriv_bot_signals_generated_total", wish.act, _level_of(opinion))
        log.info(
            "analyzer.signal.sent",
            signal_id=str(recorded.signal_id),
            deployment_id=str(deployment.deployment_id),
            act=wish.act,
            is_first=recorded.is_first,
            code=recorded.code,
        )

    async def find_progress(self, deployment_id: UUID) -> Progress | None:
        row = await self._patiently(self._work.find_bars, deployment_id)
        if row is None or row.began_at is None or row.bar_at is None:
            return None
        return Progress(
            began_at_ms=to_ms(row.began_at), bar_at_ms=to_ms(row.bar_at), bars=row.bars, wanted=row.wanted
        )

    async def note_progress(self, deployment_id: UUID, progress: Progress) -> None:
        row = BarRow(
            began_at=from_ms(progress.began_at_ms),
            bar_at=from_ms(progress.bar_at_ms),
            bars=progress.bars,
            wanted=progress.wanted,
        )
        await self._patiently(self._work.note_bars, deployment_id, row)

    async def note_trouble(self, deployment_id: UUID, *, code: str, reason: str) -> None:
        await self._patiently(self._work.note_trouble, deployment_id, code=code, reason=reason)

    async def _patiently(self, ask: Callable[..., Any], *asked: Any, **named: Any) -> Any:
        """Wait for a database that is away: what was to be said is said when it is back, or is too late then."""
        while True:
            try:
                return await ask(*asked, **named)
            except (StoreAway, *AWAY) as away:
                log_away("analyzer.work.away", away)
                await asyncio.sleep(AWAY_SECONDS)


class LateJudges:
    """The port ``Judges``; what computes is loaded with the first question."""

    def __init__(self, compute: Callable[..., Any], *, sender: Sender, models: Path) -> None:
        """Compute in other processes, which read models from a folder."""
        self._compute = compute
        self._sender = sender
        self._models = models
        self._judging: Judges | None = None

    async def judge(self, deployment: Deployment, candles: Sequence[Candle]) -> Opinion:
        if self._judging is None:
            judge = importlib.import_module("pregao.research.analyzer.judge")
            counting = importlib.import_module("pregao.research.analyzer.counting").counting
            self._judging = judge.Judging(
                counting(self._compute),
                breaker=self._sender.breakers.get("ml_predictor"),
                find_predictors=partial(find_predictors, self._models),
            )
        return await self._judging.judge(deployment, candles)


def _takes(bot: Bot, wish: Wish) -> bool:
    """Say whether a signal goes to a bot; a close always does while the bot stands."""
    if bot.status is BotStatus.ARCHIVED:
        return False
    return bot.takes_strategies or wish.act is Act.CLOSE


def _percent(share: float) -> Decimal | None:
    return None if isinf(share) else Decimal(f"{share * 100:.6f}").normalize()


def _level_of(opinion: Opinion) -> str:
    if opinion.confidence is None:
        return "high"  # a rule that holds has no doubt
    return "high" if opinion.confidence >= CONFIDENT else "medium" if opinion.confidence >= FAIRLY else "low"


def _name_of(series: Series) -> str:
    return f"{series.venue}_{series.symbol}_{series.timeframe}"


def _candle(row: WholeCandle) -> Candle:
    opened, *told = row
    open_, high, low, close, volume = map(float, told)
    return Candle(opened_at_ms=opened, open=open_, high=high, low=low, close=close, volume=volume)
