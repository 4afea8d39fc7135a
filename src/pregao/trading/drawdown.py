"""
Watches each tenant's month: one that has cost its share of the capital ends his entries until the next.

Any trader may look; whoever writes first has written it, and an operator's word against it counts for the month.
"""

import asyncio
import contextlib
from datetime import date
from functools import partial
from uuid import UUID

import structlog

from pregao.accounts.drawdown import end_pause, pause_tenant
from pregao.accounts.refusals import UnknownError
from pregao.domain.risk import MonthlyState, drawdown_of
from pregao.edges.postgres import drawdowns
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.trading_states import BELL, PostgresTradingStateBooks
from pregao.trading.floor import LOOK_SECONDS, Floor

PAUSE_SECONDS = 0.1  # a thousand fills are looked at a few times, not a thousand

log = structlog.get_logger()


class DrawdownWatch:
    """The loop that looks."""

    def __init__(self, journal: Journal, floor: Floor) -> None:
        """Look when an order has ended, and each second."""
        self._journal = journal
        self._floor = floor
        self._books = PostgresTradingStateBooks(journal, ring=partial(floor.doorbell.ring, BELL))
        self._paused: set[tuple[UUID, date]] = set()  # of this month: an operator may have let them go on
        self._rung = asyncio.Event()
        floor.listen_to_ends(lambda _order_id: self._rung.set())

    async def follow(self) -> None:
        """Look once; then wait for an order's end, or a second."""
        self._rung.clear()
        await self.look()
        await asyncio.sleep(PAUSE_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._rung.wait()

    async def look(self) -> None:
        """Pause who has lost too much of his capital this month; let go whom a month before was too much."""
        pool, now = self._journal.pool, self._floor.clock()
        month = drawdowns.month_of(now)
        self._paused = {one for one in self._paused if one[1] == month}
        for one in await drawdowns.paused(pool):
            if drawdowns.month_of(one.set_at) < month:
                with contextlib.suppress(UnknownError):
                    async with self._books.open(owner=None) as book:
                        await book.append(await end_pause(one.user_id, book=book, now=now))
        for tenant in await drawdowns.measured(pool, now=now):
            drawdown = drawdown_of(tenant.pnl, capital=tenant.capital, limit_percent=tenant.limit_percent)
            is_left_alone = tenant.is_stopped or (tenant.user_id, month) in self._paused
            if drawdown.state is MonthlyState.ACTIVE or is_left_alone:
                continue
            if not await drawdowns.was_paused(pool, tenant.user_id, now=now):
                log.warning(
                    "trader.drawdown.reached",
                    user_id=str(tenant.user_id),
                    loss=str(drawdown.loss),
                    percent=str(drawdown.percent),
                )
                async with self._books.open(owner=None) as book:
                    await book.append(await pause_tenant(tenant.user_id, drawdown, book=book, now=now))
                continue
            self._paused.add((tenant.user_id, month))
