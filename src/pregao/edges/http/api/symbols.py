"""Symbol rows of bots and subscriptions, one by one: what counts on a single symbol."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from pregao.accounts.principal import Principal
from pregao.bots.configure import remove_symbol, set_symbol
from pregao.bots.ports import BotBook
from pregao.bots.subscribe import copy_symbols, remove_own_symbol, set_own_symbol, switch_symbol
from pregao.bots.symbols import Rows, find_row, get_row
from pregao.domain.bot import Bot, BotStatus, Subscription, SymbolSettings
from pregao.edges.http.api.roles import OPERATOR, Trader, Viewer
from pregao.edges.http.api.rules import (
    SYMBOL_PATTERN,
    OwnSymbolAsked,
    OwnSymbolShown,
    Symbol,
    SymbolShown,
    SymbolValues,
)
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Page,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError

bot_routes = APIRouter(prefix="/api/v1/bots", tags=["bots"], dependencies=[TOKEN, OPERATOR], responses=ERRORS)
subscription_routes = APIRouter(
    prefix="/api/v1/bot-subscriptions",
    tags=["subscriptions"],
    dependencies=[TOKEN],
    responses=ERRORS,
)

NamedSymbol = Annotated[str, Path(json_schema_extra={"pattern": SYMBOL_PATTERN})]


class SymbolSwitch(Asked):
    """Whether a symbol is traded."""

    symbol: Symbol
    is_active: bool


class SymbolsCopied(Shown):
    """The symbols whose rows were copied, and all rows as they are now."""

    copied: list[str]
    items: Sequence[OwnSymbolShown]


@bot_routes.get("/{bot_id:uuid}/symbol-configs", responses=UNKNOWN)
async def list_symbols(bot_id: UUID, desk: DeskGiven) -> Page[SymbolShown]:
    """Give all symbol rows of a bot, on one page."""
    return _page((await _get_bot(bot_id, desk=desk)).symbols)


@bot_routes.get("/{bot_id:uuid}/symbol-configs/{symbol}", responses=UNKNOWN)
async def get_symbol(bot_id: UUID, symbol: NamedSymbol, desk: DeskGiven) -> SymbolShown:
    """Give one symbol's row."""
    return SymbolShown.model_validate(get_row((await _get_bot(bot_id, desk=desk)).symbols, symbol))


@bot_routes.put("/{bot_id:uuid}/symbol-configs/{symbol}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def put_symbol(bot_id: UUID, symbol: NamedSymbol, body: SymbolValues, desk: DeskGiven) -> SymbolShown:
    """Say what counts on one symbol, in place of what was said before."""
    row = SymbolSettings(symbol=symbol, **body.model_dump())
    async with desk.bots.open(owner=None) as book:
        await book.append(await set_symbol(bot_id, row, book=book, now=desk.clock()))
        rows = await _rows_of_bot(bot_id, book=book)
    return SymbolShown.model_validate(get_row(rows, symbol))


@bot_routes.delete("/{bot_id:uuid}/symbol-configs/{symbol}", responses={**UNKNOWN, **CONFLICT})
async def delete_symbol(bot_id: UUID, symbol: NamedSymbol, desk: DeskGiven) -> Page[SymbolShown]:
    """Take a symbol's row away, and give those that are left."""
    async with desk.bots.open(owner=None) as book:
        await book.append(await remove_symbol(bot_id, symbol, book=book, now=desk.clock()))
        rows = await _rows_of_bot(bot_id, book=book)
    return _page(rows)


@subscription_routes.get("/bot/{bot_id:uuid}/symbol-configs", responses=UNKNOWN)
async def list_symbols_of_bot(bot_id: UUID, desk: DeskGiven, who: Viewer) -> Page[SymbolShown]:
    """Give all symbol rows of a bot one may follow, on one page."""
    bot = await _get_bot(bot_id, desk=desk)
    if bot.status is BotStatus.ARCHIVED and not who.role.is_staff:
        raise _bot_unknown(bot_id)
    return _page(bot.symbols)


@subscription_routes.get("/{subscription_id:uuid}/symbol-configs", responses=UNKNOWN)
async def list_own_symbols(subscription_id: UUID, desk: DeskGiven, who: Viewer) -> Page[OwnSymbolShown]:
    """Give all symbol rows of a subscription, on one page."""
    return _own_page((await _get_subscription(subscription_id, who=who, desk=desk)).symbols)


@subscription_routes.get("/{subscription_id:uuid}/symbol-configs/{symbol}", responses=UNKNOWN)
async def get_own_symbol(
    subscription_id: UUID, symbol: NamedSymbol, desk: DeskGiven, who: Viewer
) -> OwnSymbolShown:
    """Give one symbol's row."""
    rows = (await _get_subscription(subscription_id, who=who, desk=desk)).symbols
    return OwnSymbolShown.model_validate(get_row(rows, symbol))


@subscription_routes.post(
    "/{subscription_id:uuid}/symbol-configs",
    status_code=201,
    responses={
        200: {"model": OwnSymbolShown, "description": "The symbol had a row; it was replaced."},
        **UNKNOWN,
        **CONFLICT,
        **UNREADABLE,
    },
)
async def post_own_symbol(
    subscription_id: UUID, body: OwnSymbolAsked, desk: DeskGiven, who: Trader, response: Response
) -> OwnSymbolShown:
    """Say what counts on one symbol, in place of what was said before."""
    row = SymbolSettings(**body.model_dump())
    async with desk.bots.open(owner=who.owner) as book:
        facts = await set_own_symbol(subscription_id, row, book=book, now=desk.clock())
        former = await _rows_of(subscription_id, book=book)
        await book.append(facts)
        made = get_row(await _rows_of(subscription_id, book=book), body.symbol)
    if find_row(former, made.symbol) is not None:
        response.status_code = 200
    return OwnSymbolShown.model_validate(made)


@subscription_routes.delete(
    "/{subscription_id:uuid}/symbol-configs/{symbol}", responses={**UNKNOWN, **CONFLICT}
)
async def delete_own_symbol(
    subscription_id: UUID, symbol: NamedSymbol, desk: DeskGiven, who: Trader
) -> Page[OwnSymbolShown]:
    """Take a symbol's row away, and give those that are left."""
    async with desk.bots.open(owner=who.owner) as book:
        await book.append(await remove_own_symbol(subscription_id, symbol, book=book, now=desk.clock()))
        rows = await _rows_of(subscription_id, book=book)
    return _own_page(rows)


@subscription_routes.post(
    "/{subscription_id:uuid}/symbol-configs/sync-from-bot", responses={**UNKNOWN, **CONFLICT}
)
async def sync_symbols_from_bot(subscription_id: UUID, desk: DeskGiven, who: Trader) -> SymbolsCopied:
    """Copy the bot's rows that the subscription lacks, as rows with `use_bot_default`; limits are not copied."""
    bot_id = (await _get_subscription(subscription_id, who=who, desk=desk)).bot_id
    async with desk.bots.open(owner=who.owner) as book:
        facts = await copy_symbols(subscription_id, bot_id=bot_id, book=book, now=desk.clock())
        former = await _rows_of(subscription_id, book=book)
        await book.append(facts)
        rows = await _rows_of(subscription_id, book=book)
    copied = [row.symbol for row in rows if find_row(former, row.symbol) is None]
    return SymbolsCopied(copied=copied, items=[OwnSymbolShown.model_validate(row) for row in rows])


@subscription_routes.post(
    "/{subscription_id:uuid}/symbol-configs/toggle-symbol", responses={**UNKNOWN, **CONFLICT, **UNREADABLE}
)
async def toggle_symbol(
    subscription_id: UUID, body: SymbolSwitch, desk: DeskGiven, who: Trader
) -> OwnSymbolShown:
    """Open nothing more on a symbol, or open again; what is open is still closed."""
    async with desk.bots.open(owner=who.owner) as book:
        await book.append(
            await switch_symbol(
                subscription_id, body.symbol, is_active=body.is_active, book=book, now=desk.clock()
            )
        )
        rows = await _rows_of(subscription_id, book=book)
    return OwnSymbolShown.model_validate(get_row(rows, body.symbol))


async def _get_bot(bot_id: UUID, *, desk: Desk) -> Bot:
    line = await desk.configured.find_bot(bot_id)
    if line is None:
        raise _bot_unknown(bot_id)
    return line.bot


def _bot_unknown(bot_id: UUID) -> ApiError:
    return ApiError(404, "BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")


async def _get_subscription(subscription_id: UUID, *, who: Principal, desk: Desk) -> Subscription:
    line = await desk.configured.find_subscription(subscription_id, owner=who.owner)
    if line is None:
        raise ApiError(
            404, "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    return line.subscription


async def _rows_of_bot(bot_id: UUID, *, book: BotBook) -> Rows:
    bot = await book.find_bot(bot_id)
    assert bot is not None, "the command found it in this transaction"
    return bot.symbols


async def _rows_of(subscription_id: UUID, *, book: BotBook) -> Rows:
    subscription = await book.find_subscription(subscription_id)
    assert subscription is not None, "the command found it in this transaction"
    return subscription.symbols


def _page(rows: Rows) -> Page[SymbolShown]:
    return Page(items=[SymbolShown.model_validate(row) for row in rows], next_cursor=None)


def _own_page(rows: Rows) -> Page[OwnSymbolShown]:
    return Page(items=[OwnSymbolShown.model_validate(row) for row in rows], next_cursor=None)
