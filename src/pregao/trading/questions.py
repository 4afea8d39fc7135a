"""Orders that nobody knows the end of: the venue is asked by client id until it is known."""

import asyncio

import structlog

from pregao import rehearsal
from pregao.domain.facts import EntryRequested, OrderEnded
from pregao.domain.venue import VenueError
from pregao.edges.postgres import work
from pregao.edges.postgres.books import PostgresBooks
from pregao.orders.ports import LiveOrder
from pregao.orders.resolve import resolve_order
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY

RESOLVE_SECONDS = 0.25
QUESTIONS_PER_BATCH = 100
CHECKS_OF_DOUBT = 5  # about half a minute of asking

log = structlog.get_logger()


class Questions:
    """The loop that asks about orders."""

    def __init__(self, floor: Floor) -> None:
        """Ask about one order once at a time."""
        self._floor = floor
        self._asking: set[str] = set()

    async def ask_about_unknowns(self) -> None:
        """Ask about the orders that are due, some in parallel."""
        await asyncio.sleep(RESOLVE_SECONDS)
        async with self._floor.journal.transaction() as transaction:
            due = await work.claim_due_orders(transaction.connection, limit=QUESTIONS_PER_BATCH)
        for order in due:
            self._floor.spawn(self.ask(order))

    async def ask(self, order: LiveOrder) -> None:
        """Ask about an order, once at a time: two answers would plan its next attempt twice."""
        if order.order_id in self._asking:
            return
        self._asking.add(order.order_id)
        try:
            await self._ask(order)
        finally:
            self._asking.discard(order.order_id)

    async def _ask(self, order: LiveOrder) -> None:
        exchange = self._floor.exchanges[order.venue]
        try:
            # No transaction while a venue is asked: it may take ten seconds.
            books = PostgresBooks(self._floor.journal.pool)
            facts = await resolve_order(order, exchange=exchange, books=books, clock=self._floor.clock)
            if facts:
                rehearsal.reach("trader.order.asked")
            if any(isinstance(fact, EntryRequested) for fact in facts):
                await self._floor.read_prices({(order.venue, order.symbol)})
            if not facts and order.checks >= CHECKS_OF_DOUBT:
                # A trade that nobody told may be what keeps it in doubt.
                self._floor.doubts.ask_later(order.account_id)
            await self._floor.read_rates(order.venue, facts)
            # An end gives back what did not fill: it is told once the fills before it are in the position.
            end = [fact for fact in facts if isinstance(fact, OrderEnded)]
            for told in ([fact for fact in facts if fact not in end], end):
                if told:
                    await self._floor.record(told)
        except VenueError as silent:
            log.warning(
                "orders.resolve.silent", order_id=order.order_id, checks=order.checks, code=silent.code
            )
        except AWAY as away:
            log.warning("trader.database.away", error=type(away).__name__)
