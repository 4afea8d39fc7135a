"""
The trader of one desk: its floor, and the loops that work on it.

Everything is found in the state again after a crash: starting and recovering are one path.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from pregao.destinations.ports import Limiter
from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.clock import Clock
from pregao.domain.desk import Desk
from pregao.domain.protection import ProtectionReport, Protections
from pregao.domain.venue import OrderReport, StreamGap, TradeReport
from pregao.edges.processes.ending import Together
from pregao.market.ports import CandleSource
from pregao.orders.ports import Exchange, Forwards
from pregao.trading.arrivals import Arrivals
from pregao.trading.comparison import Comparison
from pregao.trading.executions import Executions
from pregao.trading.floor import Floor
from pregao.trading.gaps import Gaps
from pregao.trading.halts import Halts
from pregao.trading.lines import Lines
from pregao.trading.outbox import NEVER_QUIET, Quiet
from pregao.trading.questions import Questions
from pregao.trading.store import Bell, Store
from pregao.trading.told import Told
from pregao.trading.turns import Turns
from pregao.trading.unguarded import Unguarded

log = structlog.get_logger()


class Trader:
    """Trades under one lease."""

    def __init__(
        self,
        store: Store[Any],
        *,
        exchanges: Mapping[Venue, Exchange],
        doorbell: Bell,
        clock: Clock,
        desk: Desk,
        orders_in_flight_max: int,
        first_part: int,
        protections: Mapping[Venue, Protections] | None = None,
        candles: Mapping[Venue, CandleSource] | None = None,
        breakers: Breakers | None = None,
        quiet: Quiet = NEVER_QUIET,
        forwards: Forwards | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        """Trade under the lease named in ``desk``; ``run`` does the work. Signals are planned in parts (`orders.plan`)."""
        self.floor = Floor(
            store,
            exchanges=exchanges,
            doorbell=doorbell,
            clock=clock,
            desk=desk,
            orders_in_flight_max=orders_in_flight_max,
            first_part=first_part,
            protections=protections,
            candles=candles,
            breakers=breakers,
            quiet=quiet,
            forwards=forwards,
            limiter=limiter,
        )
        self.halts = Halts(self.floor, desk=desk)
        self.arrivals = Arrivals(self.floor)
        self.turns = Turns(self.floor)
        self.questions = Questions(self.floor, breakers=breakers)
        self.gaps = Gaps(self.floor, self.questions)
        self.comparison = Comparison(self.floor)
        self.lines = Lines(self.floor)
        self.unguarded = Unguarded(self.floor)
        self.executions = Executions(self.floor)
        self._joined: list[Callable[[], Awaitable[None]]] = []
        self._told = Told(self.floor, questions=self.questions, gaps=self.gaps, lines=self.lines)

    def join(self, work_once: Callable[[], Awaitable[None]]) -> None:
        """Run this beside the loops, too, again and again; say so before ``run``."""
        self._joined.append(work_once)

    async def run(self) -> None:
        """Trade until canceled; what is on the wire then is finished before it returns."""
        keep = self.floor.keep
        try:
            async with Together() as loops:
                loops.create_task(keep(self.halts.follow))
                loops.create_task(keep(self.arrivals.decide_arrivals))
                loops.create_task(keep(self.arrivals.end_approvals))
                loops.create_task(keep(self.turns.let_go))
                loops.create_task(keep(self.questions.ask_about_unknowns))
                loops.create_task(keep(self.gaps.close_due))
                loops.create_task(keep(self.comparison.compare_next))
                loops.create_task(keep(self.comparison.find_due))
                loops.create_task(keep(self.lines.ask_about_due))
                loops.create_task(keep(self.lines.keep_in_place))
                loops.create_task(keep(self.unguarded.look))
                loops.create_task(keep(self.floor.refresh_ranges))
                loops.create_task(keep(self.executions.exit_due))
                for work_once in self._joined:
                    loops.create_task(keep(work_once))
        finally:
            await self.floor.close()

    async def take_over(self, venue: Venue) -> None:
        """
        Keep entries out of the venue's accounts until their past is known: whoever listened to them is gone.

        Call it before their streams are followed; each stream's first gap tells when to ask.
        """
        accounts = await self.floor.store.mark_unreconciled(venue)
        for account_id in await self.floor.store.forgetful_accounts(venue):
            self.floor.doubts.ask_later(account_id)  # whether or not its stream can be followed
        self.comparison.go_round(venue)
        self.lines.go_round(venue)
        self.unguarded.go_round(venue)
        log.info("trader.venue.taken_over", venue=venue, accounts=len(accounts))

    def give_up(self, venue: Venue) -> None:
        """Leave the venue's accounts to the trader that follows them now."""
        self.comparison.leave(venue)
        self.lines.leave(venue)
        self.unguarded.leave(venue)

    async def take(self, report: OrderReport | TradeReport | ProtectionReport | StreamGap) -> None:
        """Take what a user stream tells."""
        await self._told.take(report)
