"""What guards positions: stops that stand, exits that were claimed, and one position's story with its chart."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from pregao.domain.execution import ExecutionStatus
from pregao.domain.money import to_text
from pregao.domain.stop import StopStatus
from pregao.domain.stop_rule import StopRule
from pregao.domain.venue import VenueError
from pregao.edges.http.api.activity import FillShown, PositionShown
from pregao.edges.http.api.asked_by_hand import unknown_position
from pregao.edges.http.api.cursors import Cursor, read_cursor, to_cursor
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import (
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    Amount,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of_shown
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.desk import Desk
from pregao.views.bars import window_of
from pregao.views.guard_story import ExecutionLine, ExecutionPlace, PositionStory, StopFilter, StopLine

routes = APIRouter(prefix="/api/v1", tags=["stops"], dependencies=[TOKEN], responses=ERRORS)

PositionId = Annotated[int, Path(ge=1, le=ID_MAX)]
AccountFilter = Annotated[int | None, Query(ge=1, le=ID_MAX)]
SymbolFilter = Annotated[str | None, Query(max_length=40, description="Contained in it, in capitals or not.")]


class TargetStandsShown(Shown):
    """One price at which a share of what was entered is taken."""

    number: int
    price: Amount
    share: Amount
    status: str


class StopShown(Shown):
    """What guards a position that is not over; `price` is what it would exit at, null without a fresh one."""

    position_id: int
    account_id: int
    account_name: str
    venue: str
    symbol: str
    direction: str
    status: str
    version: int
    is_required: bool
    entry_price: Amount
    initial_stop: Amount | None
    stop_price: Amount | None
    atr: Amount | None
    rule: str
    targets: list[TargetStandsShown]
    line_status: str | None
    line_price: Amount | None
    price: Amount | None
    distance: Amount | None
    distance_pct: Amount | None
    armed_at: datetime
    updated_at: datetime


class ExecutionShown(Shown):
    """A claimed exit: the level, who saw which price there, and what came of it."""

    token: str
    kind: str
    number: int
    position_id: int
    account_id: int
    account_name: str
    symbol: str
    level: Amount
    price: Amount
    price_at: datetime | None
    source: str
    claimed_by: str
    seen_at: datetime
    is_from_memory: bool
    status: str
    attempts: int
    again_at: datetime | None
    code: str | None
    reason: str | None
    exit_price: Amount | None
    slippage_percent: Amount | None
    executed_at: datetime | None


class GuardEventShown(Shown):
    """One thing that happened to what guards a position; `stop_price` where this moved it."""

    seq: int
    happened_at: datetime
    kind: str
    what: str
    stop_price: Amount | None
    price: Amount | None
    version: int | None
    by: str | None
    code: str | None
    details: str | None


class GuardShown(Shown):
    """Both lines of defence as they are now."""

    status: str
    version: int
    is_required: bool
    is_guarded: bool
    initial_stop: Amount | None
    stop_price: Amount | None
    line_status: str | None
    line_price: Amount | None
    is_line_effective: bool
    is_watched: bool
    checked_at: datetime | None
    bid: Amount | None
    ask: Amount | None


class PositionStoryShown(Shown):
    """A position, what guards it, its fills and all that happened to its stop, the oldest first."""

    position: PositionShown
    account_name: str
    venue: str
    guard: GuardShown | None
    rule: str | None
    targets: list[TargetStandsShown]
    fills: list[FillShown]
    events: list[GuardEventShown]


class BarShown(Shown):
    """One candle."""

    opened_at: datetime
    open: Amount
    high: Amount
    low: Amount
    close: Amount


class ChartFillShown(Shown):
    """One fill of the position."""

    at: datetime
    leg: Literal["entry", "exit"]
    side: str
    price: Amount
    quantity: Amount


class ChartStopShown(Shown):
    """Where the stop stood from then on."""

    at: datetime
    price: Amount | None


class ChartShown(Shown):
    """
    What a position's chart is drawn of.

    `code` and `reason` say why there are no candles: fills and stops are told all the same.
    """

    position_id: int
    symbol: str
    timeframe: str
    timeframe_seconds: int
    since: datetime
    until: datetime
    code: str | None
    reason: str | None
    candles: list[BarShown]
    fills: list[ChartFillShown]
    stops: list[ChartStopShown]
    targets: list[Amount]
    closed_at: datetime | None


@routes.get("/stops", response_model=Page[StopShown], responses=AsCsv)
async def list_stops(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: AccountFilter = None,
    symbol: SymbolFilter = None,
    status: StopStatus | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[StopShown] | Response:
    """Give what guards positions that are not over, the latest position first."""
    asked = StopFilter(owner=who.owner, account_id=account_id, symbol=printable(symbol), status=status)
    if kind == "csv":

        async def fetch(last: StopShown | None) -> Sequence[StopShown]:
            before = cursor if last is None else last.position_id
            return [shown_stop(one) for one in await find(before=before, limit=SHEET_ITEMS)]

        find = partial(desk.guard_stories.stops, asked)
        return await sheet_of_shown(fetch, shown=StopShown, name="stops")
    lines = await desk.guard_stories.stops(asked, before=cursor, limit=limit)
    return page_of([shown_stop(one) for one in lines], limit=limit, cursor=lambda last: last.position_id)


@routes.get("/stops/executions", response_model=Page[ExecutionShown], responses=AsCsv)
async def list_executions(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: AccountFilter = None,
    symbol: SymbolFilter = None,
    status: ExecutionStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[ExecutionShown] | Response:
    """Give the exits that stops and targets claimed: what fired each, and what came of it."""
    asked = StopFilter(owner=who.owner, account_id=account_id, symbol=printable(symbol), status=status)
    place = None if cursor is None else ExecutionPlace(*read_cursor(cursor, datetime, str, str, int))
    find = partial(desk.guard_stories.executions, asked)

    async def fetch(last: ExecutionLine | None) -> Sequence[ExecutionLine]:
        return await find(before=place if last is None else place_of(last), limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=ExecutionShown, name="stop-executions")
    lines = await find(before=place, limit=limit)
    shown = [ExecutionShown.model_validate(line) for line in lines]
    return page_of(
        shown,
        limit=limit,
        cursor=lambda last: to_cursor(last.seen_at, last.token, last.kind, last.number),
    )


@routes.get("/positions/{position_id:int}", responses=UNKNOWN)
async def get_position_story(position_id: PositionId, desk: DeskGiven, who: Viewer) -> PositionStoryShown:
    """Tell one position: what guards it, its fills, and all that happened to its stop."""
    story = await _get_story(position_id, desk=desk, who=who.owner)
    return PositionStoryShown(
        position=PositionShown.model_validate(story.position),
        account_name=story.account_name,
        venue=story.venue,
        guard=None if story.guard is None else GuardShown.model_validate(story.guard),
        rule=None if story.rule is None else rule_in_words(story.rule),
        targets=[TargetStandsShown.model_validate(one) for one in story.targets],
        fills=[FillShown.model_validate(one) for one in story.fills],
        events=[GuardEventShown.model_validate(one) for one in story.events],
    )


@routes.get("/positions/{position_id:int}/chart", responses=UNKNOWN)
async def get_position_chart(position_id: PositionId, desk: DeskGiven, who: Viewer) -> ChartShown:
    """Give what a position's chart is drawn of: candles, fills, and the way of its stop."""
    story = await _get_story(position_id, desk=desk, who=who.owner)
    position, now = story.position, desk.clock()
    window = window_of(opened_at=position.opened_at or now, closed_at=position.closed_at, now=now)
    code = reason = None
    candles: list[BarShown] = []
    try:
        bars = await desk.bars.bars(story.venue, position.symbol, window)
        candles = [BarShown.model_validate(one) for one in bars]
    except VenueError as trouble:
        code, reason = trouble.code, trouble.message
    entry_side = "buy" if position.direction == "long" else "sell"
    return ChartShown(
        position_id=position_id,
        symbol=position.symbol,
        timeframe=window.timeframe.value,
        timeframe_seconds=int(window.timeframe.length.total_seconds()),
        since=window.since,
        until=window.until,
        code=code,
        reason=reason,
        candles=candles,
        fills=[
            ChartFillShown(
                at=one.traded_at,
                leg="entry" if one.side == entry_side else "exit",
                side=one.side,
                price=one.price,
                quantity=one.quantity,
            )
            for one in story.fills
        ],
        stops=[
            ChartStopShown(at=one.happened_at, price=one.stop_price)
            for one in story.events
            if one.what in ("armed", "raised", "changed")
        ],
        targets=[one.price for one in story.targets],
        closed_at=position.closed_at,
    )


def shown_stop(line: StopLine) -> StopShown:
    """Give a stop as the API shows it."""
    given: dict[str, Any] = {field.name: getattr(line, field.name) for field in fields(line)}
    return StopShown.model_validate(
        {
            **given,
            "rule": rule_in_words(line.rule),
            "distance": line.distance,
            "distance_pct": line.distance_pct,
        }
    )


def rule_in_words(rule: StopRule) -> str:
    """Give a rule in one line, in the words of its settings."""
    parts = []
    if rule.stop is not None:
        parts.append(f"stop {rule.stop.method} {to_text(rule.stop.value)}")
    parts += [f"target {one.level.method} {to_text(one.level.value)}" for one in rule.targets]
    if rule.trailing is not None:
        parts.append(f"trailing {rule.trailing.mode} {to_text(rule.trailing.percent)}")
    if rule.break_even_after_target:
        parts.append("break-even after the first target")
    return ", ".join(parts)


def place_of(last: ExecutionLine) -> ExecutionPlace:
    """Give where a page ended."""
    return ExecutionPlace(last.seen_at, last.token, last.kind, last.number)


async def _get_story(position_id: int, *, desk: Desk, who: Any) -> PositionStory:
    story = await desk.guard_stories.find_story(position_id, owner=who)
    if story is None:
        raise unknown_position(position_id)
    return story
