"""Claimed exits that were kept here, or failed: looked at again when they are due, whoever claimed them."""

import asyncio
from collections.abc import Sequence

import structlog

from pregao.stops.exit import judge_again
from pregao.trading.floor import Floor
from pregao.trading.trouble import BROKEN, OUR_MISTAKES

LOOK_SECONDS = 0.25
AGAIN_SECONDS = 1.0  # until what is due and gives nothing is looked at again
EXITS_PER_BATCH = 200

log = structlog.get_logger()


class Executions:
    """The loop that exits what is due; any number of processes run it, and none waits for another."""

    def __init__(self, floor: Floor) -> None:
        """Exit through the floor."""
        self._floor = floor

    async def exit_due(self) -> None:
        """Ask for the prices of what is due, then judge it by them; a venue that gives none is counted."""
        await asyncio.sleep(LOOK_SECONDS)
        store = self._floor.store
        due = await store.peek_due_exits(now=self._floor.clock(), limit=EXITS_PER_BATCH)
        if not due:
            return
        await self._floor.read_prices({(one.venue, one.symbol) for one in due})
        position_ids = [one.position_id for one in due]
        try:
            await self._exit(position_ids)
        except (*OUR_MISTAKES, *BROKEN):
            for number in position_ids:  # the others are whole
                await self._exit_or_tell(number)

    async def _exit_or_tell(self, position_id: int) -> None:
        try:
            await self._exit([position_id])
        except (*OUR_MISTAKES, *BROKEN):
            log.critical("stops.exit.failed", position_id=position_id, exc_info=True)

    async def _exit(self, position_ids: Sequence[int]) -> None:
        store, now = self._floor.store, self._floor.clock()
        async with store.transaction() as transaction:
            locked = await store.lock_due_exits(transaction, position_ids)
            facts = await judge_again(
                locked, exits=store.books(transaction), market=self._floor.market.seen(), now=now
            )
            done = await self._floor.runner.advance_in(transaction, facts)
            await store.put_off_due_exits(transaction, locked, now=now, seconds=AGAIN_SECONDS)
        self._floor.go_on(done)
