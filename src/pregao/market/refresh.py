"""
Keep the screener's list fresh: fetch it when its time has come, and swap it as a whole; what is no whole list swaps nothing.

One process at a time works, under a lease. What was fetched counts only if the lease and the strategy are still the same.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.clock import Clock
from pregao.domain.facts import Fact, TickersListed
from pregao.domain.screener import Source, Strategy
from pregao.market.pacing import seconds_until_next
from pregao.market.ports import Look, Screen, ScreenerBook, ScreenError, ScreenerWork
from pregao.market.reprocess import reprocess
from pregao.market.universe import change, ranked

LOOK_SECONDS = 1.0  # without a ring a change is seen this soon
HOLD_SECONDS = 2.0  # between renewals while a list is fetched

# Ranks move with every trade and decide nothing: written each time, they would fill the journal.
RANKS_STAND = timedelta(minutes=1)

Say = Callable[..., None]
"""Logs an event: its name, then keys."""


async def take_list(
    texts: Sequence[str],
    *,
    strategy: Strategy,
    book: ScreenerBook,
    new_id: Callable[[datetime], UUID],
    now: datetime,
) -> list[Fact]:
    """
    Give what a fetched list changes: the swap, and what is tried again because of it; nothing where it stands already.

    :raises ScreenError: when nothing is on it.
    """
    tickers = ranked(texts, top_n=strategy.top_n)
    if not tickers:
        raise ScreenError("SCREENER_EMPTY", f"read={len(texts)}. A list without a ticker replaces none.")
    standing = await book.lock_list()
    is_baseline = (
        standing is None
        or standing.strategy_id != strategy.strategy_id
        or standing.listed_at < strategy.changed_at
    )
    changed = change(() if standing is None else standing.tickers, tickers)
    if standing is not None and not is_baseline and not (changed.entered or changed.left):
        is_young = now - standing.listed_at < RANKS_STAND
        if is_young or standing.tickers == tickers:
            return []
    listed = TickersListed(
        happened_at=now,
        strategy_id=strategy.strategy_id,
        strategy=strategy.name,
        tickers=tickers,
        entered=changed.entered,
        left=changed.left,
        is_baseline=is_baseline,
    )
    entered = () if is_baseline else changed.entered
    return [listed, *await reprocess(entered, strategy=strategy, book=book, new_id=new_id, now=now)]


class Refreshing:
    """The loop; ``run`` does the work until it is canceled."""

    def __init__(
        self,
        work: ScreenerWork,
        screens: Mapping[Source, Screen],
        *,
        new_id: Callable[[datetime], UUID],
        clock: Clock,
        say: Say,
        warn: Say,
    ) -> None:
        """Fetch from ``screens`` what ``work`` says is due; ``warn`` of looks that gave no list."""
        self._say = say
        self._warn = warn
        self._work = work
        self._screens = screens
        self._new_id = new_id
        self._clock = clock
        self._rung = asyncio.Event()

    def rung(self, _words: str = "") -> None:
        """Look at once: somebody changed something."""
        self._rung.set()

    async def follow(self) -> None:
        """Make the list if its time has come; then wait until it comes, for a ring, or a second."""
        self._rung.clear()
        wait = LOOK_SECONDS
        if await self._work.hold():
            look = await self._work.next_look()
            if look is not None and look.due_seconds <= 0:
                await self._look(look)
                look = await self._work.next_look()
            if look is not None:
                wait = max(0.0, min(wait, look.due_seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._rung.wait()

    async def _look(self, look: Look) -> None:
        strategy = look.strategy
        try:
            facts = await self._swap(look, await self._fetch(strategy))
        except ScreenError as trouble:
            wait = seconds_until_next(refresh_seconds=strategy.refresh_seconds, failures=look.failures + 1)
            await self._work.note_failure(look, code=trouble.code, reason=trouble.message, next_seconds=wait)
            self._warn(
                "market.screener.failed", strategy=strategy.name, code=trouble.code, why=trouble.message
            )
            return
        except Exception as mistake:
            # What cannot be written must not be fetched again every second.
            with contextlib.suppress(Exception):
                await self._work.note_failure(
                    look,
                    code="LIST_UNWRITTEN",
                    reason=f"error={type(mistake).__name__}. The list could not be written.",
                    next_seconds=seconds_until_next(
                        refresh_seconds=strategy.refresh_seconds, failures=look.failures + 1
                    ),
                )
            raise
        for fact in facts:
            if isinstance(fact, TickersListed):
                counts = {"tickers": len(fact.tickers), "entered": len(fact.entered), "left": len(fact.left)}
                self._say("market.screener.listed", strategy=strategy.name, **counts)

    async def _fetch(self, strategy: Strategy) -> Sequence[str]:
        try:
            async with self._held():
                return await self._screens[strategy.source].tickers(strategy)
        except ScreenError:
            raise
        except Exception as mistake:
            # Whatever it is: asked again at once, and for ever, a source would lock us out.
            self._warn("market.screener.mistaken", code="DESK_FAILED", error=repr(mistake))
            raise ScreenError(
                "DESK_FAILED", f"error={type(mistake).__name__}. The log says more."
            ) from mistake

    async def _swap(self, look: Look, texts: Sequence[str]) -> list[Fact]:
        strategy = look.strategy
        async with self._work.open() as book:
            if not await book.is_ours() or await book.find_active() != strategy:
                return []
            facts = await take_list(
                texts, strategy=strategy, book=book, new_id=self._new_id, now=self._clock()
            )
            await book.append(facts)
            await book.note_success(look, next_seconds=strategy.refresh_seconds)
        return facts

    @contextlib.asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """Keep the lease while a source takes its time."""
        holding = asyncio.create_task(self._hold_on())
        try:
            yield
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    async def _hold_on(self) -> None:
        while True:
            await asyncio.sleep(HOLD_SECONDS)
            await self._work.hold()
