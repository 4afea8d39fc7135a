"""Orders that nobody knows the end of: the venue is asked by client id until it is known."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from pregao import rehearsal
from pregao.domain.account import EXCHANGES
from pregao.domain.breaker import Breaker, Breakers, BreakerScope, BreakerState
from pregao.domain.facts import EntryRequested, Fact, FillReported, OrderEnded
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.venue import OperatorNeeded, Refused, VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.orders.forward import resolve_forward
from pregao.orders.ports import Exchange, LiveOrder
from pregao.orders.resolve import ASK_AGAIN_SECONDS, FORGOTTEN_MS, resolve_order
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY, log_away

RESOLVE_SECONDS = 0.25
QUESTIONS_PER_BATCH = 100
CHECKS_OF_DOUBT = 6  # a quarter of a minute of asking, or a whole one
AGE_SHARE = (
    0.25  # what goes on being refused or unknown is asked again after so much of the time it has been so
)
REFUSED_SECONDS_MAX = 600.0  # a person who corrects a key rings; one who corrects it at the venue does not
FORGOTTEN_SECONDS_MAX = 3_600.0
FORGOTTEN_FOR_EVER_SECONDS = 3 * 86_400.0  # by then the venue drops orders without fills: it cannot say more

log = structlog.get_logger()


class Questions:
    """The loop that asks about orders."""

    def __init__(self, floor: Floor, *, breakers: Breakers | None = None) -> None:
        """Ask about one order once at a time; where there are ``breakers``, at once when a venue is back."""
        self._floor = floor
        self._asking: dict[str, asyncio.Future[Sequence[Fact]] | None] = {}
        self._has_news = False
        self._is_back = False
        if breakers is not None:
            breakers.listen(self._hear_breaker)
        floor.listen_to_ends(self.drop)
        floor.doorbell.listen("accounts", self._hear_news)

    def drop(self, order_id: str) -> None:
        """Ask no further: a stream has told the end."""
        asking = self._asking.get(order_id)
        if asking is not None:
            asking.cancel()

    def _hear_news(self, _words: str) -> None:
        """A key may be another now: what was refused before may be answered."""
        self._has_news = True

    def _hear_breaker(self, breaker: Breaker, _before: BreakerState, after: BreakerState) -> None:
        """A venue that is back knows what became of what was in doubt meanwhile; some of that may stand open."""
        if breaker.scope is BreakerScope.SERVICE and after is BreakerState.CLOSED:
            self._is_back = True

    async def ask_about_unknowns(self) -> None:
        """Ask about the orders that are due, some in parallel."""
        await asyncio.sleep(RESOLVE_SECONDS)
        if self._is_back or self._has_news:
            put_off_seconds = 0.0 if self._is_back else ASK_AGAIN_SECONDS[-1]
            self._is_back = self._has_news = False
            await self._floor.store.ask_soon(put_off_seconds=put_off_seconds)
        async with self._floor.store.transaction() as transaction:
            due = await self._floor.store.claim_due_orders(transaction, limit=QUESTIONS_PER_BATCH)
        for order in due:
            self._floor.spawn(self.ask(order))

    async def ask(self, order: LiveOrder) -> None:
        """Ask about an order, once at a time: two answers would plan its next attempt twice."""
        if order.order_id in self._asking:
            return
        self._asking[order.order_id] = None
        importance = Importance.EXITS if order.leg is Leg.EXIT else Importance.ENTRIES
        try:
            with asking_for(importance):
                await self._ask(order)
        finally:
            del self._asking[order.order_id]

    async def _ask(self, order: LiveOrder) -> None:
        exchange = self._floor.exchanges[order.venue]
        try:
            facts = await self._answer(order, exchange)
            if facts is None:
                return
            if facts:
                rehearsal.reach("trader.order.asked")
            if any(isinstance(fact, EntryRequested) for fact in facts):
                await self._floor.read_for_entries({(order.venue, order.symbol)})
            elif self._needs_rules(order, facts):
                await self._floor.read_prices({(order.venue, order.symbol)})
            if not facts and order.checks >= CHECKS_OF_DOUBT and order.venue in EXCHANGES:
                # A trade that nobody told may be what keeps it in doubt.
                self._floor.doubts.ask_later(order.account_id)
            if not facts:
                await self._put_off(order, age_seconds=_age_seconds(order, exchange))
            if facts:
                await self._floor.know_rules(order.venue, order.symbol)
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
            if isinstance(silent, Refused | OperatorNeeded):
                with contextlib.suppress(*AWAY):
                    await self._put_off_refused(order, age_seconds=_age_seconds(order, exchange))
        except AWAY as away:
            log_away("trader.database.away", away)

    def _needs_rules(self, order: LiveOrder, facts: Sequence[Fact]) -> bool:
        """The stop of a fill stands by the symbol's rules: another trader may have known them."""
        is_known = (order.venue, order.symbol) in self._floor.market.seen().instruments
        return not is_known and any(isinstance(fact, FillReported) for fact in facts)

    async def _answer(self, order: LiveOrder, exchange: Exchange) -> Sequence[Fact] | None:
        """Ask the venue; None when the question was dropped meanwhile."""
        # No transaction while a venue is asked: it may take ten seconds.
        books = self._floor.store.books()
        if order.venue in EXCHANGES:
            answer = resolve_order(order, exchange=exchange, books=books, clock=self._floor.clock)
        else:
            answer = self._answer_of_forward(order)
        asking = asyncio.ensure_future(answer)
        self._asking[order.order_id] = asking
        try:
            return await asking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            log.info("orders.resolve.dropped", order_id=order.order_id)
            return None

    async def _answer_of_forward(self, order: LiveOrder) -> Sequence[Fact]:
        floor = self._floor
        assert floor.forwards is not None, "who trades at webhooks knows what was posted"
        return await resolve_forward(
            order, forwards=floor.forwards, owner=floor.desk.owner, in_hand=floor.in_hand, clock=floor.clock
        )

    async def _put_off(self, order: LiveOrder, *, age_seconds: float) -> None:
        """Ask ever more seldom about an order that the venue acknowledged and has forgotten, and one day no more."""
        if order.status not in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
            return
        if age_seconds <= FORGOTTEN_MS / 1_000:
            return
        if age_seconds > FORGOTTEN_FOR_EVER_SECONDS:
            log.error("orders.resolve.forgotten", order_id=order.order_id, account_id=order.account_id)
            await self._floor.store.put_off_question(order, seconds=None)
            return
        seconds = min(age_seconds * AGE_SHARE, FORGOTTEN_SECONDS_MAX)
        await self._floor.store.put_off_question(order, seconds=seconds)

    async def _put_off_refused(self, order: LiveOrder, *, age_seconds: float) -> None:
        """Ask ever more seldom what the venue refuses to say: a person must act first."""
        seconds = min(age_seconds * AGE_SHARE, REFUSED_SECONDS_MAX)
        if seconds > ASK_AGAIN_SECONDS[-1]:
            await self._floor.store.put_off_question(order, seconds=seconds)


def _age_seconds(order: LiveOrder, exchange: Exchange) -> float:
    return (exchange.venue_now_ms() - order.signed_at_ms) / 1_000
