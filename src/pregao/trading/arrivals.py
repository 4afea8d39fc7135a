"""
Signals that arrived, and answers of people and of the clock: decided and planned, some in one transaction.

A signal of many accounts is planned part by part, each in a transaction of its own. Until it is planned whole, no later
signal of its bot is decided; whoever finds it unfinished goes on with it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from pregao import rehearsal
from pregao.decisions.answer import CLOCK, to_answer
from pregao.decisions.ports import Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import (
    DecisionApproved,
    DecisionDeclined,
    Fact,
    OrderDeferred,
    OrderPlanned,
    SignalPlanned,
)
from pregao.domain.signal import Action
from pregao.orders.rows import deny_planned
from pregao.trading.floor import LOOK_SECONDS, Floor
from pregao.trading.groups import in_groups
from pregao.trading.trouble import BROKEN, DATA_MISTAKES, OUR_MISTAKES

MISTAKES = (*OUR_MISTAKES, *BROKEN)
Follow = Callable[[Sequence[Waiting], Any], Awaitable[list[Fact]]]

SIGNALS_PER_BATCH = 16  # one fan-out of 1,000 accounts is a transaction already
APPROVALS_PER_BATCH = 100

log = structlog.get_logger()


class Arrivals:
    """The loops that decide."""

    def __init__(self, floor: Floor) -> None:
        """Look when the bell ``signals`` rings, and every second."""
        self._floor = floor
        self._arrived = asyncio.Event()
        floor.doorbell.listen("signals", lambda _words: self._arrived.set())

    async def decide_arrivals(self) -> None:
        """Decide what waits, then wait for more."""
        if await self.decide_batch() < SIGNALS_PER_BATCH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._arrived.wait()
            self._arrived.clear()

    async def decide_batch(self) -> int:
        """Decide and plan a batch of waiting signals in one transaction, then send; give how many there were."""
        waiting = await self._floor.store.peek_waiting_signals(limit=SIGNALS_PER_BATCH)
        rests = [await self._plan_rest(one) for one in waiting if one.is_approved]
        return sum(rests) + await self.decide([one for one in waiting if not one.is_approved])

    async def end_approvals(self) -> None:
        """Answer what nobody answered, then wait."""
        await asyncio.sleep(LOOK_SECONDS)
        while await self.expire_batch() == APPROVALS_PER_BATCH:
            pass

    async def expire_batch(self) -> int:
        """Answer with the clock what nobody answered in time, and settle it; give how many there were."""
        now = self._floor.clock()
        async with self._floor.store.transaction() as transaction:
            overdue = await self._floor.store.claim_overdue(transaction, now=now, limit=APPROVALS_PER_BATCH)
            answers = [
                to_answer(asked, is_approved=False, answered_by=CLOCK, reason="", now=now)
                for asked in overdue
            ]
            done = await self._floor.runner.advance_in(transaction, answers)
        self._floor.go_on(done)
        return len(overdue)

    async def decide(self, waiting: Sequence[WaitingSignal]) -> int:
        """Decide and plan those of the signals that still wait; give how many there were."""
        if not waiting:
            return 0
        await self._floor.read_for_entries(_pairs(waiting), measures=_measures(waiting))
        try:
            claimed, done = await self._decide_together(waiting)
        except MISTAKES as mistake:
            log.warning("trader.decide.apart", signals=len(waiting), error=type(mistake).__name__)
            claimed, done = await self._decide_together(waiting, is_apart=True)
        begun = {fact.signal_id for fact in _begun(done)}
        with self._floor.burst() if begun else contextlib.nullcontext():
            self._floor.go_on(done)
            for one in waiting:
                if one.signal_id in begun:
                    await self._plan_rest(one)
        return claimed

    async def _decide_together(
        self, waiting: Sequence[WaitingSignal], *, is_apart: bool = False
    ) -> tuple[int, list[Fact]]:
        """Decide and plan in one transaction, each ``is_apart`` or not; give how many still waited, and what followed."""
        each: Follow = self._decide_apart if is_apart else self._follow
        done: list[Fact] = []
        async with self._floor.store.transaction() as transaction:
            claimed = await self._floor.store.claim_waiting_signals(
                transaction, [one.signal_id for one in waiting]
            )
            if not claimed:
                return 0, []
            groups = [[one] for one in claimed]
            if len(claimed) > 1:
                books, bot_ids = self._floor.store.books(transaction), {one.bot_id for one in claimed}
                followers = await books.lock_bots(bot_ids, symbols=_symbols(claimed))
                if not is_apart:
                    groups = in_groups(
                        claimed,
                        bots={one: await books.get_bot(one) for one in bot_ids},
                        large={one for one in bot_ids if followers[one] > self._floor.first_part},
                    )
            begun: set[UUID] = set()
            for together in groups:
                if together[0].bot_id in begun:
                    continue  # they wait until the one before them is planned whole
                rehearsal.reach("trader.signal.claimed")
                # One group after the other: each must see the positions that those before it have reserved.
                followed = await each(together, transaction)
                done.extend(followed)
                begun.update(fact.bot_id for fact in _begun(followed))
            rehearsal.reach("trader.attempts.written")
        rehearsal.reach("trader.attempts.committed")
        return len(claimed), done

    async def _plan_rest(self, signal: WaitingSignal) -> bool:
        """Plan and send part after part; say whether it is whole now, or another trader goes on with it."""
        is_begun = True
        while is_begun:
            # The price that sized the first part sizes them all, unless it has become too old.
            old = _pairs([signal]) - self._floor.market.seen().views.keys()
            await self._floor.read_for_entries(old, measures=signal.measures)
            try:
                done = await self._plan_part(signal, each=self._follow)
            except MISTAKES as mistake:
                log.warning("trader.decide.apart", signals=1, error=type(mistake).__name__)
                done = await self._plan_part(signal, each=self._decide_apart)
            if done is None:
                return False
            self._floor.go_on(done)
            is_begun = bool(_begun(done))
        return True

    async def _plan_part(self, signal: WaitingSignal, *, each: Follow) -> list[Fact] | None:
        """Plan the next part in one transaction; None where another trader does."""
        async with self._floor.store.transaction() as transaction:
            claimed = await self._floor.store.claim_waiting_signals(transaction, [signal.signal_id])
            if not claimed:
                return None
            done = await each(claimed, transaction)
            rehearsal.reach("trader.part.written")
        rehearsal.reach("trader.part.committed")
        return done

    async def _follow(self, signals: Sequence[Waiting], transaction: Any) -> list[Fact]:
        """Write all that follows from the signals; a mistake ends the transaction, with whatever is in it."""
        return await self._floor.runner.advance_in(transaction, [], standing=signals)

    async def _decide_apart(self, signals: Sequence[Waiting], transaction: Any) -> list[Fact]:
        """Write all that follows from the one signal; a mistake ends the signal alone."""
        [signal] = signals
        try:
            async with self._floor.store.savepoint(transaction):
                return await self._follow([signal], transaction)
        except DATA_MISTAKES as mistake:
            log.warning(
                "trader.decide.one_by_one", signal_id=str(signal.signal_id), error=type(mistake).__name__
            )
        except MISTAKES as mistake:
            return await self._give_up(signal, transaction, mistake=mistake)
        try:
            async with self._floor.store.savepoint(transaction):
                return await self._plan_one_by_one(signal, transaction)
        except MISTAKES as mistake:
            return await self._give_up(signal, transaction, mistake=mistake)

    async def _plan_one_by_one(self, signal: Waiting, transaction: Any) -> list[Fact]:
        """Write order by order what the database did not take together: one account's row is denied alone."""
        failed = 0
        done = await self._floor.decider.advance_in(transaction, [], standing=[signal])
        for approved in [fact for fact in [signal, *done] if isinstance(fact, DecisionApproved)]:
            async for turn in self._floor.plan([approved], transaction):
                for row in turn:
                    told = replace(row, orders=row.orders - failed) if isinstance(row, SignalPlanned) else row
                    try:
                        async with self._floor.store.savepoint(transaction):
                            done += await self._floor.decider.advance_in(transaction, [told])
                    except DATA_MISTAKES as mistake:
                        if not isinstance(row, OrderPlanned | OrderDeferred):
                            raise
                        log.exception(
                            "trader.plan.failed", account_id=row.account_id, error=type(mistake).__name__
                        )
                        failed += 1
                        denied = deny_planned(row, now=self._floor.clock())
                        done += await self._floor.decider.advance_in(transaction, [denied])
        return done

    async def _give_up(self, signal: Waiting, transaction: Any, *, mistake: Exception) -> list[Fact]:
        """End a signal that would fail again and hold up every signal behind it; its receipt says so."""
        if isinstance(mistake, BROKEN) and signal.instruction.action is not Action.ENTER:
            raise mistake  # what cannot be checked is not entered; a close is tried until it can be planned
        log.error(
            "trader.decide.failed",
            signal_id=str(signal.signal_id),
            error=type(mistake).__name__,
            exc_info=mistake,
        )
        if isinstance(signal, DecisionApproved):  # its first orders are on their way
            return await self._floor.decider.advance_in(
                transaction, await self._floor.deny_next_part(signal, transaction)
            )
        declined = DecisionDeclined(
            happened_at=self._floor.clock(),
            signal_id=signal.signal_id,
            bot_id=signal.bot_id,
            code="DESK_FAILED",
            reason="The desk could not plan this signal; nothing was sent. The log has the cause.",
            verdicts=(),
        )
        await transaction.append([declined])
        return [declined]


def _pairs(waiting: Sequence[WaitingSignal]) -> set[tuple[Venue, str]]:
    return {(venue, one.symbol) for one in waiting if one.symbol for venue in one.venues}


def _measures(waiting: Sequence[WaitingSignal]) -> set[Measure]:
    return {measure for one in waiting for measure in one.measures}


def _symbols(claimed: Sequence[Waiting]) -> Collection[str] | None:
    """Give the symbols that the signals are about; None is all."""
    asked = [one.instruction for one in claimed]
    if any(one.symbol is None or one.action is Action.CLOSE_ALL for one in asked):
        return None
    return {one.symbol for one in asked if one.symbol is not None}


def _begun(done: Sequence[Fact]) -> list[DecisionApproved | SignalPlanned]:
    """Give what is approved and not planned whole: the parts after which others follow, and what was not planned at all."""
    planned = {fact.signal_id for fact in done if isinstance(fact, SignalPlanned)}
    return [
        fact
        for fact in done
        if (isinstance(fact, SignalPlanned) and not fact.is_whole)
        or (isinstance(fact, DecisionApproved) and fact.signal_id not in planned)
    ]
