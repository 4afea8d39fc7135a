"""What may have happened on an account while nobody listened: orders are asked about, then trades."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from pregao import rehearsal
from pregao.domain.account import Venue
from pregao.domain.clock import to_ms
from pregao.domain.facts import FillReported
from pregao.domain.order import OrderStatus, order_of
from pregao.domain.protection import protection_of
from pregao.domain.venue import RetryLater, VenueError, VenueTrade
from pregao.domain.weight import Importance, asking_for
from pregao.fills.book import TooSoonError
from pregao.trading.floor import Floor
from pregao.trading.questions import RESOLVE_SECONDS, Questions
from pregao.trading.trouble import AWAY, log_away

GAPS_AT_ONCE = 20  # a thousand accounts that reconnect leave the database and the wire to orders
WAIT_SECONDS_MAX = 60.0  # until the next minute: a venue that wants a longer silence is not asked anyway
TRADES_SECONDS = 10.0  # between two readings of an account's trades, however often its stream breaks
CATCH_UP_MARGIN = timedelta(minutes=1)  # trades are asked from before the position was planned: clocks differ

log = structlog.get_logger()


class Gaps:
    """The loop that closes gaps."""

    def __init__(self, floor: Floor, questions: Questions) -> None:
        """Let ``questions`` ask about the orders."""
        self._floor = floor
        self._questions = questions
        self._turns = asyncio.Semaphore(GAPS_AT_ONCE)
        self._closing: set[int] = set()
        self._known_at: dict[int, datetime] = {}  # account → when its trades were last known

    async def close_due(self) -> None:
        """Close the gaps that are due, each beside the others."""
        await asyncio.sleep(RESOLVE_SECONDS)
        for account_id in self._floor.doubts.take_gaps():
            self._floor.spawn(self.close(account_id))

    async def close(self, account_id: int, *, is_streams: bool = False) -> None:
        """
        Learn what happened during a gap; a gap that cannot be closed now stays one.

        Streams may have gaps faster than trades can be read: theirs wait a little for their turn, orders do not.
        """
        if account_id in self._closing:
            self._floor.doubts.ask_later(account_id)  # what is being read may be older than this gap
            return
        self._closing.add(account_id)
        try:
            await self._close(account_id, is_streams=is_streams)
        finally:
            self._closing.discard(account_id)

    async def _close(self, account_id: int, *, is_streams: bool) -> None:
        rehearsal.reach("trader.gap.asked")
        wait = 0.0
        try:
            async with self._turns:
                await self._know_orders(account_id)
                wait = self._rest_of_wait(account_id) if is_streams else 0.0
                is_known = not wait and await self._know_trades(account_id)
        except RetryLater as busy:
            # Where the minute's weight is used up, the next minute has some.
            log.warning("trader.catch_up.put_off", account_id=account_id, error=busy.code)
            is_known, wait = False, min(busy.retry_after_seconds, WAIT_SECONDS_MAX)
        except (*AWAY, VenueError, TooSoonError) as trouble:
            log.warning("trader.catch_up.put_off", account_id=account_id, error=type(trouble).__name__)
            is_known = False
        except Exception:
            log.exception("trader.catch_up.failed", account_id=account_id)
            is_known = False
        if is_known:
            self._known_at[account_id] = self._floor.clock()
            await self._note_known(account_id)
            self._floor.doubts.compare_after_gap(account_id)
        else:
            self._floor.doubts.ask_later(account_id, seconds=wait)

    async def _note_known(self, account_id: int) -> None:
        """Let entries back in, if they were kept out since this trader took the account over."""
        try:
            if await self._floor.store.mark_reconciled(account_id):
                log.info("trader.account.reconciled", account_id=account_id)
        except AWAY as away:
            log_away("trader.database.away", away)
            self._floor.doubts.ask_later(account_id)

    async def _know_orders(self, account_id: int) -> None:
        """Ask about each order that may have traded unseen."""
        orders = await self._floor.store.live_orders_of_account(account_id)
        for order in orders:
            # What is planned is being sent right now, or asked about soon; what is dead cannot have traded.
            if order.status is not OrderStatus.PLANNED and not order.is_dead:
                await self._questions.ask(order)

    def _rest_of_wait(self, account_id: int) -> float:
        known_at = self._known_at.get(account_id)
        if known_at is None:
            return 0.0
        return max(0.0, TRADES_SECONDS - (self._floor.clock() - known_at).total_seconds())

    async def _know_trades(self, account_id: int) -> bool:
        """Ask for the trades of what is held: they weigh most, and exits do not hang on them."""
        held = await self._floor.store.held_symbols(account_id)
        with asking_for(Importance.BOOKS):
            told = [
                await self.book_untold(
                    account_id, venue=venue, symbol=symbol, since_ms=to_ms(since - CATCH_UP_MARGIN)
                )
                for venue, symbol, since in held
            ]
        return all(told)

    async def book_untold(self, account_id: int, *, venue: Venue, symbol: str, since_ms: int) -> bool:
        """Book the trades not booked yet; say whether it is known of each whose it is."""
        trades = await self._floor.exchanges[venue].trades_since(
            account_id=account_id, symbol=symbol, since_ms=since_ms
        )
        store = self._floor.store
        untold = await store.books().untold_trades(account_id=account_id, symbol=symbol, trades=trades)
        # Such a query does not say whose order it was: unexplained, our own fill would count as foreign.
        explained, may_be_ours = await store.explain_trades(
            account_id=account_id, symbol=symbol, trades=untold
        )
        explained += await self._asked_whose(
            [trade for trade in untold if trade.trade_id not in {one.trade_id for one in explained}],
            account_id=account_id,
            venue=venue,
            may_be_ours=may_be_ours,
        )
        facts = [
            FillReported(happened_at=self._floor.clock(), account_id=account_id, trade=trade)
            for trade in explained
        ]
        await self._floor.know_rules(venue, symbol)
        await self._floor.read_rates(venue, facts)
        # Ours first: a foreign fill reduces what they have entered, and so does one of an order that was forgotten.
        ours = [fact for fact in facts if await self._is_known(fact)]
        for told in (ours, [fact for fact in facts if fact not in ours]):
            if told:
                await self._floor.record(told)
        return len(explained) == len(untold)

    async def _is_known(self, fact: FillReported) -> bool:
        own = order_of(fact.trade.client_order_id)
        if own is None:
            desk_id = self._floor.desk.desk_id
            return protection_of(fact.trade.client_order_id, desk_id=desk_id) is not None
        return await self._floor.store.find_live_order(own[0]) is not None

    async def _asked_whose(
        self, trades: Sequence[VenueTrade], *, account_id: int, venue: Venue, may_be_ours: bool
    ) -> list[VenueTrade]:
        """
        Give the trades with the client ids of their orders, as the venue knows them: they tell who traded.

        An order of ours in doubt waits until each trade is known, so none may wait for that order. What the venue
        knows no more is nobody's, unless it may be ours: then it is left out.
        """
        ids = {
            (symbol, number): await self._floor.exchanges[venue].client_order_id_of(
                account_id=account_id, symbol=symbol, exchange_order_id=number
            )
            for symbol, number in sorted({(trade.symbol, trade.exchange_order_id) for trade in trades})
        }
        return [
            replace(trade, client_order_id=client_order_id or "")
            for trade in trades
            if (client_order_id := ids[trade.symbol, trade.exchange_order_id]) is not None or not may_be_ours
        ]
