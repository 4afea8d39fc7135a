"""What the user streams tell: fills are booked in the order they were told, ends and gaps are looked into."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from pregao import rehearsal
from pregao.domain.facts import FillReported, ProtectionReported
from pregao.domain.order import OrderStatus, order_of
from pregao.domain.protection import ProtectionReport, protection_of
from pregao.domain.venue import OrderReport, StreamGap, TradeReport, VenueError
from pregao.fills.book import TooSoonError
from pregao.trading.floor import Floor, needs_rate
from pregao.trading.gaps import Gaps
from pregao.trading.lines import Lines
from pregao.trading.questions import Questions
from pregao.trading.trouble import AWAY, log_away

UNWRITTEN_AGAIN_SECONDS = 0.5

Book = Callable[[FillReported], Awaitable[None]]
"""Books a fill, however it has to be done."""

log = structlog.get_logger()


class Told:
    """The ear of the trader."""

    def __init__(self, floor: Floor, *, questions: Questions, gaps: Gaps, lines: Lines) -> None:
        """Let ``questions`` look into ends, ``gaps`` and ``lines`` into gaps."""
        self._floor = floor
        self._questions = questions
        self._gaps = gaps
        self._lines = lines

    async def take(self, report: OrderReport | TradeReport | ProtectionReport | StreamGap) -> None:
        """Take what a user stream tells; while a burst of orders leaves, what comes next waits in the socket."""
        await self._floor.orders_have_left()
        match report:
            case TradeReport():
                rehearsal.reach("trader.fill.told")
                self._take_trade(report)
            case OrderReport(status=OrderStatus.CANCELED | OrderStatus.EXPIRED | OrderStatus.REJECTED):
                self._take_end(report)
            case OrderReport():
                pass  # the answer to the order says the same, and when it was sent
            case ProtectionReport():
                self._take_line(report)
            case StreamGap():
                self._floor.spawn(self._gaps.close(report.account_id, is_streams=True))
                self._lines.look_soon(report.account_id)

    def _take_line(self, report: ProtectionReport) -> None:
        if self._is_line(report.protection_id):
            told = ProtectionReported(happened_at=self._floor.clock(), report=report)
            self._floor.spawn(self._see_followed(told, self._floor.record([told])))

    def _is_line(self, text: str) -> bool:
        """Say whether the id of an order is that of a protective order of ours."""
        return protection_of(text, desk_id=self._floor.desk.desk_id) is not None

    async def _see_followed(self, told: ProtectionReported, followed: Awaitable[None]) -> None:
        """Wait until what a stream told of a line is written; what cannot be now is asked for again."""
        try:
            await followed
        except Exception as trouble:
            log.warning(
                "stops.line.put_off",
                protection_id=told.report.protection_id,
                error=type(trouble).__name__,
                exc_info=None if isinstance(trouble, AWAY) else trouble,
            )
            self._lines.look_soon(told.report.account_id)

    def _take_trade(self, report: TradeReport) -> None:
        fill = FillReported(happened_at=self._floor.clock(), account_id=report.account_id, trade=report.trade)
        sent_as = fill.trade.client_order_id
        book: Book
        if order_of(sent_as) is None and not self._is_line(sent_as):
            book = self._book_foreign
        elif needs_rate(fill) or not self._floor.market.knows(fill.trade.symbol):
            book = self._book_with_rate
        else:
            # The stream goes on: its next fills join the next commit, in the order they were told.
            book = partial(_is_written, self._floor.record([fill]))
        self._floor.spawn(self._see_booked(fill, book))

    async def _see_booked(self, fill: FillReported, book: Book) -> None:
        """Wait until what a stream told is booked; what cannot be booked now is asked for again."""
        try:
            await self._book_when_written(fill, book)
        except (*AWAY, VenueError) as trouble:
            log.warning(
                "fills.book.put_off",
                account_id=fill.account_id,
                trade_id=fill.trade.trade_id,
                error=type(trouble).__name__,
            )
            self._floor.doubts.ask_later(fill.account_id)
        except Exception:
            log.exception("fills.book.failed", account_id=fill.account_id, trade_id=fill.trade.trade_id)
            self._floor.doubts.ask_later(fill.account_id)

    async def _book_when_written(self, fill: FillReported, book: Book) -> None:
        """Wait for what a fill belongs to: an exit that left without the database, an entry whose fill is not known yet."""
        while True:
            try:
                await book(fill)
            except TooSoonError:
                if not await self._floor.pause(UNWRITTEN_AGAIN_SECONDS):
                    return  # who follows the account next asks for what it has traded
                book = self._record_again
            else:
                return

    async def _record_again(self, fill: FillReported) -> None:
        await self._floor.record([fill])

    async def _book_with_rate(self, fill: FillReported) -> None:
        accounts = await self._floor.store.books().accounts([fill.account_id])
        venue = accounts[fill.account_id].venue
        await self._floor.know_rules(venue, fill.trade.symbol)
        await self._floor.read_rates(venue, [fill])
        await self._floor.record([fill])

    async def _book_foreign(self, fill: FillReported) -> None:
        """
        Book a fill that is not ours, but not before those of our orders on its way: it may reduce what they enter.

        Unless it only reduces what we hold, nothing is entered on the account from now on until it was compared: the
        fill may have opened something there.
        """
        self._floor.doubts.hear_strange(fill.account_id)
        if not await self._only_reduces(fill):
            await self._floor.store.mark_doubted(fill.account_id)
        orders = await self._floor.store.live_orders_of_account(fill.account_id)
        if any(order.symbol == fill.trade.symbol for order in orders):
            self._floor.doubts.ask_later(fill.account_id)
        else:
            await self._book_with_rate(fill)
            self._floor.doubts.compare_now(fill.account_id)

    async def _only_reduces(self, fill: FillReported) -> bool:
        trade = fill.trade
        live = await self._floor.store.books().live_positions(
            account_ids=[fill.account_id], symbols=[trade.symbol]
        )
        return any(
            one.position_side is trade.position_side
            and one.direction.entry_side is not trade.side
            and one.quantity >= trade.quantity
            for one in live
        )

    def _take_end(self, report: OrderReport) -> None:
        """An order ended at the venue: its fills, if it had any, are told before, or asked for now."""
        own = order_of(report.client_order_id)
        if own is not None:
            self._floor.spawn(self._ask_about(own[0], account_id=report.account_id))

    async def _ask_about(self, order_id: str, *, account_id: int) -> None:
        try:
            order = await self._floor.store.find_live_order(order_id)
        except AWAY as away:  # the stream goes on, and the account is asked what it did
            log_away("trader.database.away", away)
            self._floor.doubts.ask_later(account_id)
            return
        if order is not None:
            await self._questions.ask(order)


async def _is_written(written: Awaitable[None], _fill: FillReported) -> None:
    await written
