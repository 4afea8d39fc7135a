"""
The list of what can be sold, and selling by hand, at system A's own paths and in its words.

The list is what the bot behind `/webhook/in` holds, open or closing. What is sold is sold by signals of the desk's own.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from pregao.domain.facts import SellListConfigured
from pregao.domain.position import PositionStatus
from pregao.domain.sell_list import LIFETIME_HOURS_MAX, ByHand, SellListRule
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.asked_by_hand import (
    CLOSED_BY_HAND,
    LIST_CLEARED,
    ask_close,
    ask_close_of,
    close_some_in_books,
    enter_in_books,
    unknown_position,
)
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    DeskGiven,
    Shown,
    ToldAtSource,
    unset,
)
from pregao.edges.http.api.trading_state import REASON_PATTERN
from pregao.edges.http.errors import ApiError
from pregao.positions.by_hand import BOOKS_FOLLOW
from pregao.positions.ports import Holder, PositionBook
from pregao.positions.refusals import ConflictError

routes = APIRouter(tags=["sell list"], dependencies=[TOKEN], responses=ERRORS)

TICKER_CHARACTERS_MAX = 40
WHY = "asked for by hand"

PositionId = Annotated[int, Path(ge=1, le=ID_MAX)]
Told = Annotated[str | None, Field(description="A ticker, as `AAPL`.")]


class TokenAsked(ToldAtSource):
    """Nothing but the token, and why."""

    reason: Annotated[str, Field(max_length=500, pattern=REASON_PATTERN)] = WHY


class TickerAsked(TokenAsked):
    """Which ticker."""

    ticker: Told = None


class SaleAsked(TickerAsked):
    """Which ticker, and by which bot it is held where several hold it."""

    bot: Annotated[
        str | None,
        Field(
            max_length=200,
            description="The bot that holds it, by name or id; one is enough where one holds it.",
        ),
    ] = None


class ConfigAsked(ToldAtSource):
    """How long what was entered by hand stays on the list; what is not sent stays as it is."""

    enabled: bool = unset()
    lifetime_hours: int = unset()
    reason: Reason = ""


class CloseAsked(TokenAsked):
    """Whether an exit is sent; without one the position is closed in the books only."""

    forward: bool | None = None


class SellListShown(Shown):
    """The list, sorted by name."""

    tickers: list[str]
    count: int
    timestamp: datetime


class EnteredShown(Shown):
    """What was entered, or was there already; of several accounts the first one's position."""

    message: str
    position_id: int
    ticker: str
    already_open: bool
    position_ids: list[int]


class ClearedShown(Shown):
    """How many positions were closed in the books, of how many on the list."""

    message: str
    cleared_count: int
    original_count: int


class SellListConfigShown(Shown):
    """How long what was entered by hand stays on the list."""

    enabled: bool
    lifetime_hours: int


class SignalSaid(Shown):
    """That a signal was made; its receipt says what came of it."""

    message: str
    signal_id: UUID


class CloseSaid(SignalSaid):
    """The same, of a close."""

    action: str


class SellAllSaid(Shown):
    """How many tickers are being closed now, of how many on the list; those already closing are left alone."""

    message: str
    tickers_processed: int
    total_requested: int = 0
    signal_ids: tuple[UUID, ...] = ()


class OrderClosedShown(Shown):
    """A position, closed in the books, or on its way to be closed."""

    position_id: int
    ticker: str
    status: str
    closed_at: datetime | None
    forwarded: bool
    signal_id: UUID


@routes.get("/admin/sell-all-queue")
async def get_sell_list_at_source(desk: DeskGiven, _who: Viewer) -> SellListShown:
    """Give the tickers that can be sold."""
    tickers = sorted({one.ticker for one in await desk.sell_list.lines()})
    return SellListShown(tickers=tickers, count=len(tickers), timestamp=desk.clock())


@routes.post(
    "/admin/sell-all-queue",
    status_code=201,
    responses={**CONFLICT, **UNREADABLE, 200: {"model": EnteredShown, "description": "It is open already."}},
)
async def post_sell_list_at_source(
    body: TickerAsked, request: Request, response: Response, desk: DeskGiven, who: Operator
) -> EnteredShown:
    """Enter a ticker in the books, without any order, so that it can be sold; only where a webhook is the venue."""
    ticker = _ticker(body)
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        bot_id = await book.default_bot()
        destinations = [] if bot_id is None else await book.destinations_of(bot_id)
        if not destinations:
            raise ConflictError(
                "BOOKS_FOLLOW_FILLS",
                f"ticker={ticker}. No account at a webhook follows the bot `default`. {BOOKS_FOLLOW}",
            )
        entered = [
            await enter_in_books(
                subscription_id,
                symbol=ticker,
                price=None,
                reason=body.reason,
                by=by,
                address=request.scope["source_address"],
                book=book,
                desk=desk,
            )
            for subscription_id in destinations
        ]
    is_new = any(fresh for _, fresh in entered)
    response.status_code = 201 if is_new else 200
    first = next((position for position, fresh in entered if fresh), entered[0][0])
    return EnteredShown(
        message=f"{ticker} is on the list." if is_new else f"{ticker} already has an open position.",
        position_id=first.position_id,
        ticker=ticker,
        already_open=not is_new,
        position_ids=[position.position_id for position, _ in entered],
    )


@routes.post("/admin/sell-all-queue/clear", responses=UNREADABLE)
async def clear_sell_list_at_source(
    body: TokenAsked, request: Request, desk: DeskGiven, who: Operator
) -> ClearedShown:
    """Close what is on the list in the books only; what is held at an exchange, or is being sold, is left alone."""
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        listed = await book.listed()
        closable = [one for one in listed if one.is_closable_in_books]
        await close_some_in_books(
            closable,
            close_reason=LIST_CLEARED,
            reason=body.reason,
            by=by,
            address=request.scope["source_address"],
            book=book,
            desk=desk,
        )
    left = len(listed) - len(closable)
    said = "" if not left else f" {left} are held at an exchange or being sold just now: they stand."
    return ClearedShown(
        message=f"{len(closable)} positions are closed in the books; nothing was sent.{said}",
        cleared_count=len(closable),
        original_count=len(listed),
    )


@routes.get("/admin/sell-all/config")
async def get_sell_list_config_at_source(desk: DeskGiven, _who: Operator) -> SellListConfigShown:
    """Say how long what was entered by hand stays on the list."""
    rule = await desk.sell_list.rule() or desk.sell_list_rule
    return SellListConfigShown(enabled=rule.is_cleaned, lifetime_hours=rule.lifetime_hours)


@routes.post("/admin/sell-all/config", status_code=204, responses=UNREADABLE)
async def post_sell_list_config_at_source(body: ConfigAsked, desk: DeskGiven, who: Operator) -> None:
    """Say how long it stays; what signals have bought stays until it is sold, however long that takes."""
    told: dict[str, Any] = body.model_dump(exclude_unset=True, exclude={"token"})
    hours = told.get("lifetime_hours", 1)
    if not 1 <= hours <= LIFETIME_HOURS_MAX:
        raise ApiError(
            400,
            "LIFETIME_OUT_OF_RANGE",
            f"lifetime_hours={hours} minimum=1 maximum={LIFETIME_HOURS_MAX}. Name hours in between.",
            field="lifetime_hours",
        )
    set_by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        before = await book.rule() or desk.sell_list_rule
        rule = SellListRule(
            is_cleaned=told.get("enabled", before.is_cleaned),
            lifetime_hours=told.get("lifetime_hours", before.lifetime_hours),
        )
        await book.append(
            [SellListConfigured(happened_at=desk.clock(), rule=rule, set_by=set_by, reason=body.reason)]
        )


@routes.post("/admin/order/sell-individual", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def sell_individual_at_source(body: SaleAsked, desk: DeskGiven, who: Operator) -> SignalSaid:
    """
    Sell a ticker, by whichever bot it is held; 409 where several hold it and none is named.

    Where nothing of it is held the bot `default` is asked, and the signal's receipt says so.
    """
    ticker = _ticker(body)
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        holder = await _holder(body, ticker, book=book)
        if holder is None and body.bot is not None:
            raise _nothing_open(body, ticker)
        bot_id = await book.default_bot() if holder is None else holder.bot_id
        if bot_id is None:
            raise ApiError(404, "BOT_UNKNOWN", "There is no bot `default` to sell by. Make one of that name.")
        signal_id = await ask_close(
            ByHand.SELL, ticker, bot_id=bot_id, reason=body.reason, by=by, book=book, desk=desk
        )
    return SignalSaid(message=f"{ticker} is being sold.", signal_id=signal_id)


@routes.post("/admin/order/close-position", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def close_position_at_source(body: SaleAsked, desk: DeskGiven, who: Operator) -> CloseSaid:
    """Close what a bot holds of a ticker; 404 where nothing is open, 409 where several bots hold it and none is named."""
    ticker = _ticker(body)
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        holder = await _holder(body, ticker, book=book)
        if holder is None:
            raise _nothing_open(body, ticker)
        signal_id = await ask_close(
            ByHand.CLOSE, ticker, bot_id=holder.bot_id, reason=body.reason, by=by, book=book, desk=desk
        )
    return CloseSaid(message=f"{ticker} is being closed.", signal_id=signal_id, action="exit")


@routes.post("/admin/order/sell-all", responses=UNREADABLE, response_model_exclude_unset=True)
async def sell_all_at_source(body: TokenAsked, desk: DeskGiven, who: Operator) -> SellAllSaid:
    """Close every ticker on the list that is not being closed already, each by a signal of its own."""
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        listed = [one.position for one in await book.listed()]
        is_open = {one.symbol: one.bot_id for one in listed if one.status is PositionStatus.OPEN}
        signal_ids = [
            await ask_close(
                ByHand.SELL_ALL, ticker, bot_id=bot_id, reason=body.reason, by=by, book=book, desk=desk
            )
            for ticker, bot_id in sorted(is_open.items())
        ]
    if not signal_ids:
        return SellAllSaid(message="Nothing on the list is to be sold.", tickers_processed=0)
    return SellAllSaid(
        message=f"{len(signal_ids)} tickers are being closed.",
        tickers_processed=len(signal_ids),
        total_requested=len({one.symbol for one in listed}),
        signal_ids=tuple(signal_ids),
    )


@routes.post("/admin/orders/{position_id:int}/close", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def close_order_at_source(
    *,
    position_id: PositionId,
    body: CloseAsked,
    request: Request,
    desk: DeskGiven,
    who: Operator,
    forward: Annotated[
        bool, Query(description="Send an exit; else the position is closed in the books only.")
    ] = False,
) -> OrderClosedShown:
    """Close one position: by an exit that is sent, or in the books only, which a position at an exchange refuses."""
    is_forwarded = forward if body.forward is None else body.forward
    by = await name_of(who, desk=desk)
    async with desk.position_books.open(owner=who.owner) as book:
        held = await book.lock_held([position_id])
        if not held:
            raise unknown_position(position_id)
        [one] = held
        position = one.position
        if position.closed_at is not None:
            raise ApiError(
                400,
                "POSITION_CLOSED",
                f"position={position_id} status={position.status}. There is nothing to close.",
            )
        if is_forwarded:
            signal_id = await ask_close_of(position, reason=body.reason, by=by, book=book, desk=desk)
            status, closed_at = PositionStatus.CLOSING, None
        else:
            [booked] = await close_some_in_books(
                held,
                close_reason=CLOSED_BY_HAND,
                reason=body.reason,
                by=by,
                address=request.scope["source_address"],
                book=book,
                desk=desk,
            )
            signal_id, status, closed_at = booked.signal_id, PositionStatus.CLOSED, booked.happened_at
    return OrderClosedShown(
        position_id=position_id,
        ticker=position.symbol,
        status=status.value,
        closed_at=closed_at,
        forwarded=is_forwarded,
        signal_id=signal_id,
    )


async def _holder(body: SaleAsked, ticker: str, *, book: PositionBook) -> Holder | None:
    """Give the bot that holds the ticker and is meant; None where none does."""
    named = (body.bot or "").strip()
    holders = [
        one
        for one in await book.holders_of(ticker)
        if not named or named == one.name or named.lower() == str(one.bot_id)
    ]
    if len(holders) > 1:
        names = ", ".join(one.name for one in holders)
        raise ApiError(
            409,
            "TICKER_AMBIGUOUS",
            f"ticker={ticker} bots={names}. Several bots hold it: name the one that is meant as `bot`, by its name or id.",
            field="bot",
            bots=[
                {"bot": one.name, "bot_id": str(one.bot_id), "position_ids": list(one.position_ids)}
                for one in holders
            ],
        )
    return holders[0] if holders else None


def _nothing_open(body: SaleAsked, ticker: str) -> ApiError:
    named = "" if body.bot is None else f" bot={body.bot}"
    return ApiError(404, "POSITION_UNKNOWN", f"ticker={ticker}{named}. Nothing of it is open.", ticker=ticker)


def _ticker(body: TickerAsked) -> str:
    """Give the ticker as the desk spells it."""
    ticker = (body.ticker or "").strip().upper()
    if not ticker or len(ticker) > TICKER_CHARACTERS_MAX or not ticker.isprintable():
        raise ApiError(400, "TICKER_MISSING", "Send `ticker`, one to 40 characters.", field="ticker")
    return ticker
