"""
Hear the prices of what is watched: from the stream while it speaks, by asking while it is silent.

Each price goes at once to whoever watches its symbol. A market that is quiet is told from a feed that is mute: the venue
is asked, and where its answer has moved without a word from the stream, the stream is opened anew; meanwhile asking
watches (F095).
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import structlog

from pregao.domain.clock import Clock
from pregao.domain.stop import Source
from pregao.domain.venue import VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.stops.feed import (
    ASK_AFTER_SECONDS,
    POLL_SECONDS,
    Feed,
    after_price,
    after_question,
    is_blind,
    question_due_at,
    watcher_of,
)
from pregao.stops.ports import Prices

LOOK_SECONDS = 0.1  # between looks at who has spoken; a price in doubt is asked about with the next
MUTE_SECONDS = 2.0  # so long a stream may lag behind an answer; then it is mute
RENEW_SECONDS = 60.0  # between two attempts to make a mute stream speak
JOIN_SECONDS = (
    1.0  # a question that is due so soon goes with one that is due now: together they may weigh less
)
NAMED_MAX = 5  # symbols in one line of the log
ANSWER_SECONDS_MAX = 3.0  # an answer that takes longer is old when it comes, and others wait to ask

log = structlog.get_logger()

STREAM = Source.STREAM


class Watcher(Protocol):
    """Whoever watches one symbol."""

    @property
    def price_tick(self) -> Decimal:
        """The tick that prices are counted in."""
        ...

    @property
    def price(self) -> tuple[int, int]:
        """The last bid and ask that were taken, believed or not; 0 where none came."""
        ...

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last price lay far from those before it: another one should be had soon."""
        ...

    def take(self, bid: int, ask: int, source: Source) -> None:
        """Take a price, in ticks; called in the event loop, it must not wait."""
        ...


class Hearing(StrEnum):
    """How a symbol's price is heard just now."""

    STREAMED = "streamed"  # the stream speaks, or its silence is still short
    QUIET = "quiet"  # the stream is silent, and the venue says that nothing has moved
    MUTE = "mute"  # the price has moved, and the stream has not said so: asking watches
    BLIND = "blind"  # nobody sees the price


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningSettings:
    """How often is looked and asked."""

    look_seconds: float = LOOK_SECONDS
    poll_seconds: float = POLL_SECONDS
    mute_seconds: float = MUTE_SECONDS
    renew_seconds: float = RENEW_SECONDS


class _Heard:
    """One symbol: who watches it, and what has been heard since the last look."""

    __slots__ = (
        "count", "feed", "followed_at", "moved_at", "noted", "pass_on", "renewed_at", "symbol", "watched_by", "watcher",
    )  # fmt: skip

    def __init__(self, symbol: str, watcher: Watcher, *, followed_at: datetime) -> None:
        self.symbol = symbol
        self.watcher = watcher
        self.pass_on = watcher.take
        self.feed = Feed()
        self.followed_at = followed_at
        self.count = 0  # of the stream's prices
        self.noted = 0  # of them in ``feed``
        self.moved_at: datetime | None = None  # an answer had moved; the stream is silent since
        self.renewed_at: datetime | None = None
        self.watched_by = Source.POLL

    def take(self, bid: int, ask: int) -> None:
        """Take a price of the stream's."""
        self.count += 1
        self.pass_on(bid, ask, STREAM)


class Listening:
    """
    The prices of one venue's watched symbols, led to their watchers.

    The instant of a price is known to the last look before it, never later than it came.
    """

    def __init__(self, prices: Prices, *, clock: Clock, settings: ListeningSettings | None = None) -> None:
        """Hear nothing yet."""
        self.settings = settings or ListeningSettings()
        self._prices = prices
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._looked_at: datetime | None = None
        self._questions: set[asyncio.Task[None]] = set()  # one at a time
        self._awake = asyncio.Event()

    @property
    def symbols(self) -> Collection[str]:
        """The symbols that are listened to."""
        return self._heard.keys()

    def follow(self, symbol: str, watcher: Watcher) -> None:
        """
        Lead a symbol's prices to a watcher from now on, in place of the one before.

        The venue is asked at once, and until nothing is in doubt: a price that is the first is compared with nothing.
        """
        heard = self._heard[symbol] = _Heard(symbol, watcher, followed_at=self._clock())
        self._prices.follow(symbol, price_tick=watcher.price_tick, take=heard.take)
        self._awake.set()

    def unfollow(self, symbol: str) -> None:
        """Listen to a symbol no more; one that is not followed may be unfollowed too."""
        if self._heard.pop(symbol, None) is not None:
            self._prices.unfollow(symbol)

    def feed_of(self, symbol: str) -> Feed:
        """
        Give when a symbol's last prices came.

        :raises KeyError: where it is not followed.
        """
        self._note(self._heard[symbol], now=self._clock())
        return self._heard[symbol].feed

    def hearing_of(self, symbol: str) -> Hearing:
        """
        Say how a symbol is heard.

        :raises KeyError: where it is not followed.
        """
        now, heard = self._clock(), self._heard[symbol]
        self._note(heard, now=now)
        if is_blind(heard.feed, now=now):
            return Hearing.BLIND
        if self._is_mute(heard, now=now):
            return Hearing.MUTE
        return Hearing.STREAMED if watcher_of(heard.feed, now=now) is Source.STREAM else Hearing.QUIET

    async def run(self) -> None:
        """Listen and ask until canceled."""
        streaming = asyncio.create_task(self._prices.run())
        try:
            while not streaming.done():
                self._awake.clear()
                self._look()
                await self._nap(streaming)
            streaming.result()  # it ended by itself, which it never should: say why
        finally:
            tasks = [streaming, *self._questions]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _nap(self, streaming: asyncio.Task[None]) -> None:
        waking = asyncio.create_task(self._awake.wait())
        try:
            await asyncio.wait(
                {waking, streaming},
                timeout=self.settings.look_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waking.cancel()

    def _look(self) -> None:
        now, due, handed_over = self._clock(), [], []
        soon = now + timedelta(seconds=JOIN_SECONDS)
        for heard in self._heard.values():
            self._note(heard, now=now)
            watched_by = watcher_of(heard.feed, now=now)
            if watched_by is not heard.watched_by:
                heard.watched_by = watched_by
                handed_over.append(heard.symbol)
            due_at = question_due_at(heard.feed, now=now, every_seconds=self.settings.poll_seconds)
            if due_at <= soon:
                due.append((due_at, heard.symbol))
            if self._is_mute(heard, now=now):
                self._renew(heard, now=now)
        self._looked_at = now
        if handed_over:
            log.info(
                "stops.feed.handed_over",
                count=len(handed_over),
                symbols=handed_over[:NAMED_MAX],
                watched_by=dict(Counter(heard.watched_by.value for heard in self._heard.values())),
            )
        if due and not self._questions and min(due)[0] <= now:
            symbols = [symbol for _, symbol in due]
            question = asyncio.create_task(self._ask(symbols))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)

    def _note(self, heard: _Heard, *, now: datetime) -> None:
        if heard.count != heard.noted:
            heard.noted = heard.count
            heard.moved_at = None
            at = now if self._looked_at is None else self._looked_at
            heard.feed = after_price(
                heard.feed, source=Source.STREAM, at=at, is_in_doubt=heard.watcher.is_in_doubt
            )

    def _is_mute(self, heard: _Heard, *, now: datetime) -> bool:
        return (
            heard.moved_at is not None
            and (now - heard.moved_at).total_seconds() >= self.settings.mute_seconds
        )

    def _renew(self, heard: _Heard, *, now: datetime) -> None:
        at = heard.renewed_at
        if at is None or (now - at).total_seconds() >= self.settings.renew_seconds:
            heard.renewed_at, heard.moved_at = (
                now,
                None,
            )  # it is heard anew: another move without a word has to show
            log.warning("stops.feed.mute", symbol=heard.symbol)
            self._prices.renew(heard.symbol)

    async def _ask(self, symbols: Sequence[str]) -> None:
        asked = {symbol: (heard, heard.count) for symbol in symbols if (heard := self._heard.get(symbol))}
        now = self._clock()
        for heard, _ in asked.values():
            heard.feed = after_question(heard.feed, at=now)
        guards = any(_is_watched_by_asking(heard, now=now) for heard, _ in asked.values())
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                with asking_for(Importance.EXITS if guards else Importance.BOOKS):
                    answers = await self._prices.ask(list(asked))
            for symbol, (bid, ask) in answers.items():
                heard, count = asked[symbol]
                # What the stream has told meanwhile may be younger than the answer.
                if self._heard.get(symbol) is heard and heard.count == count:
                    self._take_answer(heard, bid, ask)
        except (VenueError, TimeoutError) as problem:
            log.warning("stops.feed.unanswered", symbols=len(asked), problem=type(problem).__name__)
        except Exception:  # whoever is told has failed: the others are asked about as before
            log.exception("stops.feed.failed", symbols=len(asked))

    def _take_answer(self, heard: _Heard, bid: int, ask: int) -> None:
        now, feed = self._clock(), heard.feed
        silent_since = feed.streamed_at or heard.followed_at
        is_silent = (now - silent_since).total_seconds() >= ASK_AFTER_SECONDS
        if is_silent and heard.moved_at is None and heard.watcher.price != (bid, ask):
            heard.moved_at = now
        heard.pass_on(bid, ask, Source.POLL)
        heard.feed = after_price(feed, source=Source.POLL, at=now, is_in_doubt=heard.watcher.is_in_doubt)


def _is_watched_by_asking(heard: _Heard, *, now: datetime) -> bool:
    """Say whether nothing else sees the symbol's price, or a level waits for the answer; else it only tells quiet from mute."""
    feed = heard.feed
    is_mute = heard.moved_at is not None or (
        heard.renewed_at is not None and (feed.streamed_at is None or feed.streamed_at < heard.renewed_at)
    )
    return is_mute or feed.is_in_doubt or watcher_of(feed, now=now) is Source.POLL
