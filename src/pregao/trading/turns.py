"""Entries and exits that waited for a position, and whose turn has come."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import structlog

from pregao.domain.facts import Fact
from pregao.orders import enter
from pregao.orders.ports import WaitingEntry
from pregao.orders.rows import deny_waiting
from pregao.positions import update
from pregao.trading.floor import LOOK_SECONDS, Floor
from pregao.trading.trouble import BROKEN, OUR_MISTAKES

WAITING_PER_BATCH = 500

log = structlog.get_logger()


class Turns:
    """The loop that lets the waiting go."""

    def __init__(self, floor: Floor) -> None:
        """Look when a position has nothing on its way any more, and every second."""
        self._floor = floor

    async def let_go(self) -> None:
        """Let go whose turn has come, then wait for the next."""
        if await self.let_batch_go() < WAITING_PER_BATCH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._floor.turn_came.wait()
            self._floor.turn_came.clear()

    async def let_batch_go(self) -> int:
        """Plan the exits, then the entries whose turn has come, then send; give how many entries there were."""
        await self._exit()
        found = await self._floor.store.peek_waiting_entries(limit=WAITING_PER_BATCH)
        if not found:
            return 0
        await self._floor.read_for_entries({(venue, entry.symbol) for venue, entry in found})
        entries = [entry for _, entry in found]
        try:
            await self._enter(entries)
        except (*OUR_MISTAKES, *BROKEN):
            for entry in entries:
                await self._enter_or_deny(entry)
        return len(found)

    async def _exit(self) -> None:
        """Ask for exits whose turn came with nobody there to see it: the exit before them was denied, a trader died."""
        for waiting in await self._floor.store.peek_waiting_exits(limit=WAITING_PER_BATCH):
            try:
                await self._floor.advance(update.request_exits([waiting], now=self._floor.clock()))
            except OUR_MISTAKES:
                log.exception("trader.exit.failed", position_id=waiting.position_id)

    async def _enter(self, entries: Sequence[WaitingEntry]) -> None:
        by_signal: defaultdict[UUID, list[WaitingEntry]] = defaultdict(list)
        for entry in entries:
            by_signal[entry.signal_id].append(entry)
        done: list[Fact] = []
        async with self._floor.store.transaction() as transaction:
            if len(by_signal) > 1:
                await self._floor.store.books(transaction).lock_bots(
                    {one.bot_id for one in entries}, symbols=None
                )
            for together in by_signal.values():
                # One signal after the other: each must see the places that the one before it has taken.
                requests = await enter.request_waiting(together, now=self._floor.clock())
                done.extend(await self._floor.runner.advance_in(transaction, requests))
        self._floor.go_on(done)

    async def _enter_or_deny(self, entry: WaitingEntry) -> None:
        try:
            await self._enter([entry])
        except (*OUR_MISTAKES, *BROKEN) as mistake:
            # It would fail again, and hold up every entry behind it.
            log.exception("trader.enter.failed", order_id=entry.order_id, error=type(mistake).__name__)
            reason = "The desk could not plan this entry; nothing was sent. The log has the cause."
            denied = deny_waiting(entry, code="DESK_FAILED", reason=reason, now=self._floor.clock())
            await self._floor.advance([denied])
