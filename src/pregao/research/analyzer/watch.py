"""
Trades become candles, candles become opinions, and an opinion that changes becomes a signal.

Each row of candles is worked on by a task of its own: one that fails or waits stops no other.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

import structlog

from pregao import tally
from pregao.domain.account import Venue
from pregao.domain.deployment import Deployment, DeploymentStatus, find_timeframe_ms
from pregao.domain.figures import FIGURES
from pregao.research.analyzer.ports import Desk, Judges, Past, PastUnavailableError, Progress, Series
from pregao.research.analyzer.wishes import Wish, act_of
from pregao.research.candles import CandlesUnusableError
from pregao.research.strategies.live import MAKERS, WANTED, LiveStrategy, Opinion, bars_before
from pregao.research.strategies.strategy import KEEP, LONG, SHORT
from pregao.research.ticks import Candle, CandleMaker
from pregao.research.timeframe import timeframe_of

WINDOW: Final = 1_000  # candles that are looked at as a whole: nothing is left of what was before
BARS_MAX: Final = 20_000  # of the past, for one deployment
GRACE_MS: Final = 2_000  # a candle is over though no later trade has come: late ones have come by then
LOOK_SECONDS: Final = 0.25
AT_ONCE_MAX: Final = 10  # rows that ask for their past, or are judged as a whole, at the same time
PAST_TRIES: Final = 20
PAST_SECONDS: Final = 0.5  # between two: a venue tells a candle a little after its end
AGAIN_SECONDS: Final = 5.0  # a deployment that could not begin tries again

T = TypeVar("T")
VenueNow: TypeAlias = Callable[[Venue], int]
HeardSince: TypeAlias = Callable[[Venue, str], int | None]
"""Gives the venue's time from which on no trade of a symbol was missed; None while some may be."""
Monotonic: TypeAlias = Callable[[], float]

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Follower:
    """One deployment, as far as it has come."""

    deployment: Deployment
    live: LiveStrategy | None  # None: the last candles are judged as a whole
    seen: deque[Candle] = field(default_factory=lambda: deque(maxlen=WINDOW))
    before: int | None = None
    progress: Progress | None = None
    is_begun: bool = False
    entered: tuple[int, float] | None = None  # the side that was wanted last, and the price then


@dataclass(slots=True, kw_only=True)
class _Ended:
    """A candle that is over."""

    candle: Candle
    is_whole: bool  # nothing of it was missed
    at: float  # monotonic, when the trade came that ended it


@dataclass(slots=True, kw_only=True)
class _Said:
    """What a deployment wants from a candle's close on, and what is asked for because of it."""

    opinion: Opinion
    closed_at_ms: int
    wish: Wish | None


@dataclass(slots=True, kw_only=True, eq=False)
class _Row:
    """One series: its candle in the making, and whom it is for."""

    series: Series
    maker: CandleMaker
    followers: dict[UUID, _Follower] = field(default_factory=dict)
    ended: asyncio.Queue[_Ended | None] = field(default_factory=asyncio.Queue)  # None: somebody is to begin
    last_opened_ms: int = -1
    since_ms: int  # the venue's time from which on this row takes trades
    task: asyncio.Task[None] | None = None

    def end(self, candle: Candle, *, at: float, heard_since_ms: int | None) -> None:
        """Have it judged; it is whole where no trade since it opened can have been missed."""
        is_whole = heard_since_ms is not None and candle.opened_at_ms >= max(heard_since_ms, self.since_ms)
        self.ended.put_nowait(_Ended(candle=candle, is_whole=is_whole, at=at))

    def set_followers(self, deployments: Collection[Deployment]) -> None:
        known, self.followers = self.followers, {}
        for one in deployments:
            follower = known.get(one.deployment_id)
            if follower is None:
                follower = _Follower(deployment=one, live=_live(one))
                self.ended.put_nowait(None)
            follower.deployment = one
            self.followers[one.deployment_id] = follower


class _Often:
    """A figure that comes so often that telling costs more than what is told: what lies below its first bound is told together."""

    __slots__ = ("_count", "_first_bound", "_labels", "_name", "_sum")

    def __init__(self, name: str, *labels: str) -> None:
        self._name, self._labels = name, labels
        self._first_bound = FIGURES[name].buckets[0]
        self._count, self._sum = 0, 0.0

    def note(self, value: float) -> None:
        if value > self._first_bound:
            tally.observe(self._name, *self._labels, value=value)
        else:
            self._count += 1
            self._sum += value

    def tell(self) -> None:
        if self._count:
            mean = self._sum / self._count
            tally.observe(self._name, *self._labels, value=mean, times=self._count)
        self._count, self._sum = 0, 0.0


class Watch:
    """All rows of candles that deployments watch."""

    def __init__(
        self,
        *,
        past: Past,
        desk: Desk,
        judges: Judges,
        venue_now_ms: VenueNow,
        heard_since_ms: HeardSince,
        monotonic: Monotonic,
    ) -> None:
        """Watch nothing yet."""
        self._past = past
        self._desk = desk
        self._judges = judges
        self._venue_now_ms = venue_now_ms
        self._heard_since_ms = heard_since_ms
        self._monotonic = monotonic
        self._rows: dict[Series, _Row] = {}
        self._by_symbol: dict[tuple[Venue, str], list[_Row]] = {}
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._ticks: dict[str, int] = {}  # taken and not told yet, by symbol
        self._took = _Often("deriv_bot_tick_processing_milliseconds")
        self._judged: dict[str, _Often] = {}
        self._right: dict[str, list[int]] = {}  # by strategy: signals that came right, and all that are over

    def symbols(self, venue: Venue) -> set[str]:
        """Give what is watched at a venue."""
        return {symbol for where, symbol in self._by_symbol if where is venue}

    def set(self, deployments: Collection[Deployment]) -> None:
        """Watch for these from now on, and for no others; what changed of one counts from the next candle on."""
        wanted: dict[Series, list[Deployment]] = {}
        for one in deployments:
            wanted.setdefault(series_of(one), []).append(one)
        for series in self._rows.keys() - wanted.keys():
            task = self._rows.pop(series).task
            assert task is not None, "a row is worked on from its beginning"
            task.cancel()
        for series, some in wanted.items():
            if series not in self._rows:
                row = _Row(
                    series=series,
                    maker=CandleMaker(timeframe_of(series.frame_ms)),
                    since_ms=self._venue_now_ms(series.venue),
                )
                row.task = asyncio.create_task(
                    self._work(row), name=f"candles {series.symbol} {series.timeframe}"
                )
                self._rows[series] = row
            self._rows[series].set_followers(some)
        self._by_symbol = {}
        for row in self._rows.values():
            self._by_symbol.setdefault((row.series.venue, row.series.symbol), []).append(row)

    def take(self, venue: Venue, symbol: str, traded_at_ms: int, price: float, quantity: float) -> None:
        """Take one trade as it comes."""
        began = self._monotonic()
        for row in self._by_symbol.get((venue, symbol), ()):
            try:
                ended = row.maker.add(traded_at_ms=traded_at_ms, price=price, quantity=quantity)
            except CandlesUnusableError:
                log.info("analyzer.trade.late", symbol=symbol, traded_at_ms=traded_at_ms)
                continue
            if ended is not None:
                row.end(ended, at=began, heard_since_ms=self._heard_since_ms(venue, symbol))
        self._ticks[symbol] = self._ticks.get(symbol, 0) + 1
        self._took.note((self._monotonic() - began) * 1_000)

    async def run(self) -> None:
        """End candles of which no later trade comes, until canceled; then all rows."""
        try:
            while True:
                asleep = self._monotonic()
                await asyncio.sleep(LOOK_SECONDS)
                self._tell_figures()
                if self._monotonic() - asleep > LOOK_SECONDS + GRACE_MS / 2_000:
                    continue  # we were away ourselves: trades that came meanwhile are read first
                for row in self._rows.values():
                    until_ms = self._venue_now_ms(row.series.venue) - GRACE_MS
                    candle = row.maker.end(until_ms=until_ms)
                    if candle is not None:
                        series = row.series
                        heard_since_ms = self._heard_since_ms(series.venue, series.symbol)
                        row.end(candle, at=self._monotonic(), heard_since_ms=heard_since_ms)
        finally:
            self._tell_figures()
            self.set(())

    def _tell_figures(self) -> None:
        for symbol, count in self._ticks.items():
            tally.count("deriv_bot_ticks_processed_total", symbol, by=count)
        self._ticks.clear()
        for often in (self._took, *self._judged.values()):
            often.tell()

    # --- one row ---

    async def _work(self, row: _Row) -> None:
        while True:
            ended = await row.ended.get()
            try:
                await self._begin_new(row)
                if ended is not None:
                    for candle in await self._made_good(row, ended):
                        await self._judge_all(row, candle, at=ended.at)
            except Exception:
                log.exception("analyzer.row.failed", symbol=row.series.symbol, timeframe=row.series.timeframe)

    async def _made_good(self, row: _Row, ended: _Ended) -> Sequence[Candle]:
        """Give the candle; where it has a hole, as whoever has it whole tells it, with those before it that were missed."""
        candle = ended.candle
        if candle.opened_at_ms <= row.last_opened_ms:
            return []
        if ended.is_whole:
            return [candle]
        since_ms = row.last_opened_ms + 1 if row.last_opened_ms >= 0 else candle.opened_at_ms
        for _ in range(PAST_TRIES):
            try:
                found = await self._past.closed(row.series, since_ms=since_ms, limit=BARS_MAX)
            except PastUnavailableError as problem:
                log.warning("analyzer.past.unavailable", symbol=row.series.symbol, problem=str(problem))
            else:
                if not self._past.has(row.series):
                    return []
                if found and found[-1].opened_at_ms >= candle.opened_at_ms:
                    return [one for one in found if since_ms <= one.opened_at_ms <= candle.opened_at_ms]
            await asyncio.sleep(PAST_SECONDS)
        log.warning("analyzer.candle.missing", symbol=row.series.symbol, opened_at_ms=candle.opened_at_ms)
        return []

    async def _judge_all(self, row: _Row, candle: Candle, *, at: float) -> None:
        """Hear those first who judge at once: nobody's word waits until another's is written down."""
        row.last_opened_ms = candle.opened_at_ms
        await self._past.keep(row.series, candle)
        begun = [one for one in row.followers.values() if one.is_begun]
        at_once = [one for one in begun if one.live is not None]
        heard = [(one, await self._apart(one, self._hear(row, one, candle, at=at))) for one in at_once]
        told = [(one, said) for one, said in heard if said is not None]
        wishing = [self._apart(one, self._tell(one, said)) for one, said in told if said.wish is not None]
        if wishing:
            await asyncio.gather(*wishing)
        for one, said in told:
            if said.wish is None:
                await self._apart(one, self._tell(one, said))
        for one in begun:
            if one.live is None:
                await self._apart(one, self._judge(row, one, candle, at=at))

    async def _apart(self, follower: _Follower, work: Awaitable[T]) -> T | None:
        """Wait for what is one deployment's own; its failure is, too."""
        try:
            return await work
        except Exception as problem:
            await self._tell_trouble(follower, problem)
            return None

    async def _judge(self, row: _Row, follower: _Follower, candle: Candle, *, at: float | None) -> None:
        await self._tell(follower, await self._hear(row, follower, candle, at=at))

    async def _hear(self, row: _Row, follower: _Follower, candle: Candle, *, at: float | None) -> _Said:
        opinion = await self._opinion(follower, candle)
        if at is not None:
            name = follower.deployment.strategy
            if name not in self._judged:
                self._judged[name] = _Often("deriv_bot_signal_latency_milliseconds", name)
            self._judged[name].note((self._monotonic() - at) * 1_000)
        before, follower.before = follower.before, opinion.wanted
        is_paused = follower.deployment.status is DeploymentStatus.PAUSED
        closed_at_ms = candle.opened_at_ms + row.series.frame_ms
        act = act_of(before, opinion.wanted, is_paused=is_paused)
        wish = None
        if act is not None:
            wish = Wish(act=act, closed_at_ms=closed_at_ms, price=candle.close, opinion=opinion)
        return _Said(opinion=opinion, closed_at_ms=closed_at_ms, wish=wish)

    async def _tell(self, follower: _Follower, said: _Said) -> None:
        if said.wish is not None:
            await self._desk.send(follower.deployment, said.wish)
            self._score(follower, said.opinion, price=said.wish.price)
        await self._note(follower, said.opinion, closed_at_ms=said.closed_at_ms)

    def _score(self, follower: _Follower, opinion: Opinion, *, price: float) -> None:
        """Tell how sure a strategy is, and how often the price had gone its way when it wanted something else."""
        name = follower.deployment.strategy
        sure = 100.0 if opinion.confidence is None else opinion.confidence  # a rule that holds has no doubt
        tally.tell("deriv_bot_model_confidence", name, value=sure)
        if follower.entered is not None:
            side, before = follower.entered
            right = self._right.setdefault(name, [0, 0])
            right[0] += side * (price - before) > 0
            right[1] += 1
            tally.tell("deriv_bot_model_accuracy", name, value=100 * right[0] / right[1])
        follower.entered = (opinion.wanted, price) if opinion.wanted in (LONG, SHORT) else None

    async def _opinion(self, follower: _Follower, candle: Candle) -> Opinion:
        if follower.live is not None:
            return follower.live.add(candle)
        follower.seen.append(candle)
        async with self._places:
            return await self._judges.judge(follower.deployment, tuple(follower.seen))

    async def _note(self, follower: _Follower, opinion: Opinion, *, closed_at_ms: int) -> None:
        known = follower.progress
        began_at_ms, bars, wanted = (
            (closed_at_ms, 0, "") if known is None else (known.began_at_ms, known.bars, known.wanted)
        )
        if opinion.wanted != KEEP:
            wanted = WANTED[opinion.wanted]
        follower.progress = Progress(
            began_at_ms=began_at_ms, bar_at_ms=closed_at_ms, bars=bars + 1, wanted=wanted
        )
        await self._desk.note_progress(follower.deployment.deployment_id, follower.progress)

    # --- the beginning ---

    async def _begin_new(self, row: _Row) -> None:
        for follower in [one for one in row.followers.values() if not one.is_begun]:
            try:
                await self._begin(row, follower)
            except Exception as problem:
                follower.live, follower.before = _live(follower.deployment), None
                follower.seen.clear()
                await self._tell_trouble(follower, problem)
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, row.ended.put_nowait, None)

    async def _begin(self, row: _Row, follower: _Follower) -> None:
        """Let a strategy see what came before; of what closed since its last look, it is heard."""
        deployment = follower.deployment
        async with self._places:
            progress = await self._desk.find_progress(deployment.deployment_id)
            history = await self._history(row.series, deployment, progress=progress)
        if row.last_opened_ms >= 0:
            history = [candle for candle in history if candle.opened_at_ms <= row.last_opened_ms]
        elif history:
            row.last_opened_ms = history[-1].opened_at_ms
        frame_ms = row.series.frame_ms
        judged_ms = None if progress is None else progress.bar_at_ms
        known = [
            candle for candle in history if judged_ms is None or candle.opened_at_ms + frame_ms <= judged_ms
        ]
        follower.progress = progress
        follower.before = await self._catch_up(follower, known)
        for candle in history[len(known) :]:
            if self._past.has(row.series):  # else they are from where they would be kept
                await self._past.keep(row.series, candle)
            await self._judge(row, follower, candle, at=None)
        follower.is_begun = True
        log.info(
            "analyzer.deployment.begun",
            deployment_id=str(deployment.deployment_id),
            known=len(known),
            late=len(history) - len(known),
        )

    async def _history(
        self, series: Series, deployment: Deployment, *, progress: Progress | None
    ) -> Sequence[Candle]:
        if not deployment.with_history:
            if progress is None:
                return ()
            since_ms = progress.began_at_ms - series.frame_ms
            return await self._past.closed(series, since_ms=since_ms, limit=BARS_MAX)
        bars = WINDOW if deployment.strategy not in MAKERS else bars_before(deployment.values)
        now_ms = self._venue_now_ms(series.venue)
        missed = 0 if progress is None else max(0, now_ms - progress.bar_at_ms) // series.frame_ms
        return await self._past.closed(series, since_ms=None, limit=min(bars + missed, BARS_MAX))

    async def _catch_up(self, follower: _Follower, known: Sequence[Candle]) -> int | None:
        if follower.live is None:
            follower.seen.extend(known[:-1])
            return (await self._opinion(follower, known[-1])).wanted if known else None
        before = None
        for candle in known:
            before = follower.live.add(candle).wanted
        return before

    async def _tell_trouble(self, follower: _Follower, problem: Exception) -> None:
        deployment_id = follower.deployment.deployment_id
        code, parted, text = str(problem).partition(": ")
        is_known = isinstance(problem, PastUnavailableError) and bool(parted)
        log.warning("analyzer.deployment.failed", deployment_id=str(deployment_id), exc_info=not is_known)
        await self._desk.note_trouble(
            deployment_id,
            code=code if is_known else "STRATEGY_FAILED",
            reason=text if is_known else "The strategy could not judge a candle; the log says why.",
        )


def series_of(deployment: Deployment) -> Series:
    """Give whose candles a deployment watches."""
    frame_ms = find_timeframe_ms(deployment.timeframe)
    assert frame_ms is not None, "it was looked at before it was kept"
    return Series(
        venue=deployment.venue, symbol=deployment.symbol, timeframe=deployment.timeframe, frame_ms=frame_ms
    )


def _live(deployment: Deployment) -> LiveStrategy | None:
    if deployment.strategy not in MAKERS:
        return None
    return LiveStrategy(deployment.strategy, deployment.values)
