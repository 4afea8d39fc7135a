"""The screener: what it does, its list, its strategies, and what was tried again because a ticker entered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from pregao.domain.facts import BuyReprocessed
from pregao.domain.screener import Reprocessed, Source, Strategy
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.rules import asked_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    COUNT,
    ERRORS,
    PAGE_ITEMS,
    PAGE_ITEMS_MAX,
    STRICT,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    Changes,
    DeskGiven,
    Limit,
    Page,
    Shown,
    default_of,
    unset,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.market.reprocess import reprocess_by_hand
from pregao.market.screen import (
    activate_strategy,
    ask_for_look,
    change_strategy,
    create_strategy,
    duplicate_strategy,
    forget_strategy,
    set_paused,
)
from pregao.market.strategies import (
    ADDRESS_CHARACTERS_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    RANGES,
    TICKERS_MAX,
)
from pregao.views.screener import StrategyLine

routes = APIRouter(prefix="/api/v1/screener", tags=["screener"], dependencies=[TOKEN], responses=ERRORS)


def _ranged(name: str) -> Any:
    least, most = RANGES[name]
    return Field(json_schema_extra={"minimum": least, "maximum": most})


Name = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": NAME_CHARACTERS_MAX})]
Description = Annotated[str, Field(json_schema_extra={"maxLength": DESCRIPTION_CHARACTERS_MAX})]
Address = Annotated[
    str,
    Field(
        description="Finviz: the screener's whole address; a file: its name; most traded: the venue; static: empty.",
        json_schema_extra={"maxLength": ADDRESS_CHARACTERS_MAX},
    ),
]
Tickers = Annotated[
    tuple[str, ...],
    Field(description="Of a static list, the best first.", json_schema_extra={"maxItems": TICKERS_MAX}),
]
TopN = Annotated[int, STRICT, COUNT, _ranged("top_n")]
RefreshSeconds = Annotated[int, STRICT, COUNT, _ranged("refresh_seconds")]
PagePauseSeconds = Annotated[int, STRICT, COUNT, _ranged("page_pause_seconds")]
ReprocessSeconds = Annotated[int, STRICT, COUNT, _ranged("reprocess_window_seconds")]
ChronologySeconds = Annotated[int, STRICT, COUNT, _ranged("sell_chronology_window_seconds")]


class NewStrategy(Asked):
    """A strategy to create; the first one is active at once."""

    name: Name
    source: Source
    address: Address = ""
    tickers: Tickers = ()
    description: Description = ""
    top_n: TopN = default_of(Strategy, "top_n")
    refresh_seconds: RefreshSeconds = default_of(Strategy, "refresh_seconds")
    page_pause_seconds: PagePauseSeconds = default_of(Strategy, "page_pause_seconds")
    reprocess_enabled: bool = default_of(Strategy, "reprocess_enabled")
    reprocess_window_seconds: ReprocessSeconds = default_of(Strategy, "reprocess_window_seconds")
    respect_sell_chronology: bool = default_of(Strategy, "respect_sell_chronology")
    sell_chronology_window_seconds: ChronologySeconds = default_of(Strategy, "sell_chronology_window_seconds")


class StrategyChanges(Changes):
    """What to change; the rest stays."""

    name: Name = unset()
    source: Source = unset()
    address: Address = unset()
    tickers: Tickers = unset()
    description: Description = unset()
    top_n: TopN = unset()
    refresh_seconds: RefreshSeconds = unset()
    page_pause_seconds: PagePauseSeconds = unset()
    reprocess_enabled: bool = unset()
    reprocess_window_seconds: ReprocessSeconds = unset()
    respect_sell_chronology: bool = unset()
    sell_chronology_window_seconds: ChronologySeconds = unset()


class ReprocessAsked(Asked):
    """Which tickers, and how old the entries may be."""

    tickers: Annotated[tuple[str, ...], Field(json_schema_extra={"minItems": 1, "maxItems": TICKERS_MAX})]
    window_seconds: Annotated[int, STRICT, COUNT, Field(ge=0, le=RANGES["reprocess_window_seconds"][1])] = 300


class CopyAsked(Asked):
    """What the copy is called."""

    name: Name


class StrategyShown(Shown):
    """A strategy."""

    strategy_id: UUID
    name: str
    source: Source
    address: str
    tickers: tuple[str, ...]
    description: str
    top_n: int
    refresh_seconds: int
    page_pause_seconds: int
    reprocess_enabled: bool
    reprocess_window_seconds: int
    respect_sell_chronology: bool
    sell_chronology_window_seconds: int
    is_active: bool
    changed_at: datetime
    created_at: datetime


class StrategyDeleted(Shown):
    """A strategy that is no more."""

    strategy_id: UUID


class StatusShown(Shown):
    """
    What the screener does.

    ``code`` says why the last look gave no list; null: it gave one. ``is_running`` is false while no process does the jobs.
    """

    is_paused: bool
    is_running: bool
    strategy_id: UUID | None
    strategy: str | None
    list_of: Annotated[str | None, Field(description="The strategy that made the list that stands.")]
    size: int
    entered: Annotated[int, Field(description="With the last swap.")]
    left: Annotated[int, Field(description="With the last swap.")]
    listed_at: Annotated[datetime | None, Field(description="When the list last changed.")]
    good_at: Annotated[datetime | None, Field(description="When a look last gave a list, changed or not.")]
    failed_at: datetime | None
    failures: Annotated[int, Field(description="Looks in a row that gave none.")]
    code: str | None
    reason: str | None
    next_look_at: Annotated[datetime | None, Field(description="Null: none comes by itself.")]


class TickerShown(Shown):
    """A ticker on the list; 1 is the best."""

    ticker: str
    rank: int
    entered_at: datetime


class ListShown(Shown):
    """The list that stands, the best first."""

    list_of: str | None
    listed_at: datetime | None
    items: list[TickerShown]


class ListChangeShown(Shown):
    """A list that took the place of the last one; a baseline is the first of its strategy, and nobody has entered."""

    listed_at: datetime
    strategy: str
    size: int
    entered: tuple[str, ...]
    left: tuple[str, ...]
    is_baseline: bool


class ReprocessedShown(Shown):
    """A declined entry whose ticker entered; ``again_as`` is the signal that tries it again."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    ticker: str
    outcome: Reprocessed
    again_as: UUID | None
    reprocessed_at: datetime


@routes.get("")
async def get_screener(desk: DeskGiven, _who: Viewer) -> StatusShown:
    """Say what the screener does, and why the last look gave no list."""
    return await _status(desk)


@routes.get("/tickers")
async def get_tickers(desk: DeskGiven, _who: Viewer) -> ListShown:
    """Give the list that stands."""
    status = await desk.screener.status()
    return ListShown(
        list_of=status.list_of or None,
        listed_at=status.listed_at,
        items=[TickerShown.model_validate(one) for one in await desk.screener.tickers()],
    )


@routes.get("/changes")
async def list_changes(desk: DeskGiven, _who: Viewer, limit: Limit = PAGE_ITEMS) -> Page[ListChangeShown]:
    """Say who entered the list and who left it, the latest first; there is one page only."""
    changes = await desk.screener.changes(limit=limit)
    shown = [
        ListChangeShown(
            listed_at=one.listed_at,
            strategy=one.strategy,
            size=one.size,
            entered=one.entered,
            left=one.gone,
            is_baseline=one.is_baseline,
        )
        for one in changes
    ]
    return Page(items=shown, next_cursor=None)


@routes.get("/reprocessed")
async def list_reprocessed(
    desk: DeskGiven, _who: Operator, limit: Limit = PAGE_ITEMS
) -> Page[ReprocessedShown]:
    """Give the declined entries that were looked at again, the latest first; there is one page only."""
    lines = await desk.screener.reprocessed(limit=limit)
    return Page(items=[ReprocessedShown.model_validate(line) for line in lines], next_cursor=None)


@routes.post("/reprocess", responses={**CONFLICT, **UNREADABLE})
async def reprocess_now(body: ReprocessAsked, desk: DeskGiven, _who: Operator) -> Page[ReprocessedShown]:
    """Try the last declined entries in these tickers again, as far as they are on the list; each is tried once."""
    now = desk.clock()
    async with desk.screener_books.open() as book:
        facts = await reprocess_by_hand(
            body.tickers, window_seconds=body.window_seconds, book=book, new_id=uuid7, now=now
        )
        await book.append(facts)
    told = [fact.signal_id for fact in facts if isinstance(fact, BuyReprocessed)]
    lines = await desk.screener.reprocessed(limit=PAGE_ITEMS_MAX) if told else []
    shown = [one for one in lines if one.signal_id in told and one.reprocessed_at == now]
    return Page(items=[ReprocessedShown.model_validate(line) for line in shown], next_cursor=None)


@routes.post("/pause", responses=UNREADABLE)
async def pause_screener(desk: DeskGiven, who: Operator) -> StatusShown:
    """Fetch nothing any more but what somebody asks for; the list stands as it is."""
    return await _set_paused(True, desk=desk, by=await name_of(who, desk=desk))


@routes.post("/resume", responses=UNREADABLE)
async def resume_screener(desk: DeskGiven, who: Operator) -> StatusShown:
    """Fetch again as the strategy says."""
    return await _set_paused(False, desk=desk, by=await name_of(who, desk=desk))


@routes.post("/refresh", responses={**CONFLICT, **UNREADABLE})
async def refresh_screener(desk: DeskGiven, _who: Operator) -> StatusShown:
    """Have the list made once now, paused or not."""
    async with desk.screener_books.open() as book:
        await ask_for_look(book=book)
    return await _status(desk)


@routes.get("/strategies")
async def list_strategies(desk: DeskGiven, _who: Operator) -> Page[StrategyShown]:
    """Give all strategies by name; there is one page only."""
    return Page(items=[_shown(line) for line in await desk.screener.strategies()], next_cursor=None)


@routes.post("/strategies", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_strategy(body: NewStrategy, desk: DeskGiven, _who: Operator) -> StrategyShown:
    """Create a strategy."""
    now = desk.clock()
    strategy = Strategy(strategy_id=uuid7(now), changed_at=now, **asked_of(body))
    async with desk.screener_books.open() as book:
        await book.append(await create_strategy(strategy, limits=desk.screener_limits, book=book, now=now))
    return await _get(strategy.strategy_id, desk=desk)


@routes.get("/strategies/{strategy_id:uuid}", responses=UNKNOWN)
async def get_strategy(strategy_id: UUID, desk: DeskGiven, _who: Operator) -> StrategyShown:
    """Give one strategy."""
    return await _get(strategy_id, desk=desk)


@routes.patch("/strategies/{strategy_id:uuid}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_strategy(
    strategy_id: UUID, body: StrategyChanges, desk: DeskGiven, _who: Operator
) -> StrategyShown:
    """Change a strategy; of the active one it counts from the next look, and that is a first one: nobody enters."""
    changes = asked_of(body, only_sent=True)
    async with desk.screener_books.open() as book:
        await book.append(
            await change_strategy(
                strategy_id, changes, limits=desk.screener_limits, book=book, now=desk.clock()
            )
        )
    return await _get(strategy_id, desk=desk)


@routes.delete("/strategies/{strategy_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_strategy(strategy_id: UUID, desk: DeskGiven, _who: Operator) -> StrategyDeleted:
    """Delete a strategy; the active one stays."""
    async with desk.screener_books.open() as book:
        await book.append(await forget_strategy(strategy_id, book=book, now=desk.clock()))
    return StrategyDeleted(strategy_id=strategy_id)


@routes.post("/strategies/{strategy_id:uuid}/activate", responses={**UNKNOWN, **UNREADABLE})
async def activate_one_strategy(strategy_id: UUID, desk: DeskGiven, _who: Operator) -> StrategyShown:
    """Have the list made by this strategy; the last list stands until its first is there."""
    async with desk.screener_books.open() as book:
        await book.append(await activate_strategy(strategy_id, book=book, now=desk.clock()))
    return await _get(strategy_id, desk=desk)


@routes.post(
    "/strategies/{strategy_id:uuid}/duplicate",
    status_code=201,
    responses={**UNKNOWN, **CONFLICT, **UNREADABLE},
)
async def duplicate_one_strategy(
    strategy_id: UUID, body: CopyAsked, desk: DeskGiven, _who: Operator
) -> StrategyShown:
    """Create another strategy with the same settings; it is not active."""
    now = desk.clock()
    new_id = uuid7(now)
    async with desk.screener_books.open() as book:
        await book.append(
            await duplicate_strategy(
                strategy_id, new_id=new_id, name=body.name, limits=desk.screener_limits, book=book, now=now
            )
        )
    return await _get(new_id, desk=desk)


async def _set_paused(is_paused: bool, *, desk: Desk, by: str) -> StatusShown:  # noqa: FBT001  # it is what is set
    async with desk.screener_books.open() as book:
        await book.append(await set_paused(is_paused, set_by=by, book=book, now=desk.clock()))
    return await _status(desk)


async def _status(desk: Desk) -> StatusShown:
    line = await desk.screener.status()
    fields = {name: getattr(line, name) for name in StatusShown.model_fields if name != "left"}
    texts = {name: fields[name] or None for name in ("strategy", "list_of", "code", "reason")}
    return StatusShown(**{**fields, **texts, "left": line.gone})


async def _get(strategy_id: UUID, *, desk: Desk) -> StrategyShown:
    line = await desk.screener.find_strategy(strategy_id)
    if line is None:
        raise ApiError(404, "STRATEGY_UNKNOWN", f"strategy={strategy_id}. There is no such strategy.")
    return _shown(line)


def _shown(line: StrategyLine) -> StrategyShown:
    return StrategyShown.model_validate(
        {
            **{
                name: getattr(line.strategy, name)
                for name in StrategyShown.model_fields
                if name != "created_at"
            },
            "created_at": line.created_at,
        }
    )
