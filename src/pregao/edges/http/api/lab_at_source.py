"""System E's own paths to the lab: indicators, signals and patterns of the last candles, and backtests of one strategy."""

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from pregao.domain.account import Venue
from pregao.domain.lab import QUESTION_SYMBOLS_MAX, LabKind, LabStatus, LabTerms, Topic, candles_name
from pregao.edges.http.api.lab import (
    ContenderAsked,
    Funding,
    LabTimeframe,
    Name,
    Positive,
    RunAsked,
    RunShown,
    TermsAsked,
    Values,
    ask,
    candle_names,
    line_of,
    shown_run,
)
from pregao.edges.http.api.lab_questions import BUSY, ask_lab
from pregao.edges.http.api.roles import Trader, Viewer
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
    default_of,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, error_body
from pregao.lab.ask import require_candles
from pregao.lab.refusals import UnknownError

LOOK_SECONDS = 0.1
BACKTEST_SECONDS, BACKTEST_SECONDS_MAX = 20.0, 25.0

routes = APIRouter(prefix="/api", tags=["lab"], dependencies=[TOKEN], responses=ERRORS)

SymbolPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9.\-]{1,40}$")]
SymbolsQuery = Annotated[
    str,
    Query(
        pattern=r"^([A-Za-z0-9.\-]{1,40}(,[A-Za-z0-9.\-]{1,40})*)?$",
        max_length=1_000,
        description="BTCUSDT,ETHUSDT; none gives none",
    ),
]
TimeframeQuery = Annotated[LabTimeframe, Query()]
VenueNamed = Annotated[
    Literal[Venue.PAPER, Venue.BINANCE_DEMO, Venue.BINANCE] | None,
    Field(description="Whose last 1,000 candles; none: those of `pregao data`."),
]
VenueQuery = Annotated[VenueNamed, Query()]
LastQuery = Annotated[int, Query(ge=1, le=500, description="Of how many of the last candles.")]


class AnswerShown(Shown):
    """What the lab says of the last candles of one symbol; they say what they are, SIMULATED ones too."""

    symbol: str
    timeframe: str
    answer: dict[str, Any]


class AnswersShown(Shown):
    """The same of several, each with its answer or its error."""

    timeframe: str
    symbols: dict[str, dict[str, Any]]


class BacktestAsked(Asked):
    """A backtest of one strategy."""

    timeframe: LabTimeframe
    strategy: Name = "ema_cross"
    values: Values = Field(default_factory=dict)
    initial_balance: Positive = default_of(LabTerms, "start")
    terms: TermsAsked | None = Field(
        default=None, description="In place of initial_balance and the standard ones."
    )
    has_funding: Funding = False
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class TaskShown(RunShown):
    """A run under the source's names."""

    task_id: UUID
    progress: float


# Before the paths with a symbol: multi is none.
@routes.get("/signals/multi", responses=BUSY)
async def get_signals_of_several(
    desk: DeskGiven,
    _who: Viewer,
    symbols: SymbolsQuery,
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
) -> AnswersShown:
    """Say what is said of several symbols, ten at a time; one that fails does not take the others along."""
    named = list(dict.fromkeys(filter(None, symbols.upper().split(","))))
    if len(named) > QUESTION_SYMBOLS_MAX:
        raise ApiError(
            422, "SYMBOLS_TOO_MANY", f"symbols={len(named)} maximum={QUESTION_SYMBOLS_MAX}. Ask twice."
        )
    known = set() if venue else set(await candle_names(desk))
    there = [symbol for symbol in named if venue or candles_name(symbol, timeframe) in known]
    told: dict[str, dict[str, Any]] = {
        symbol: _missing(symbol, timeframe, known=known) for symbol in named if symbol not in there
    }
    if there:
        told |= (await ask_lab(desk, Topic.SIGNALS, question_of(timeframe, venue, symbols=there)))["symbols"]
    return AnswersShown(timeframe=timeframe, symbols={symbol: told[symbol] for symbol in named})


@routes.get("/indicators/{symbol}", responses={**UNKNOWN, **BUSY})
async def get_indicators(
    symbol: SymbolPath,
    desk: DeskGiven,
    _who: Viewer,
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
    limit: LastQuery = 1,
) -> AnswerShown:
    """Give the indicators at the last candles, the latest last; null where there are too few candles yet."""
    return await _about(desk, Topic.INDICATORS, symbol, timeframe, venue, limit=limit)


@routes.get("/signals/{symbol}", responses={**UNKNOWN, **BUSY})
async def get_signal_of_symbol(
    symbol: SymbolPath,
    desk: DeskGiven,
    _who: Viewer,
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
) -> AnswerShown:
    """
    Say what the eight voters decide about the last candle (neutral on fewer than 200), and what is said in the end.

    A model of the symbol and timeframe that is at least 70 percent sure has the final word; one that fails is a warning.
    """
    return await _about(desk, Topic.SIGNALS, symbol, timeframe, venue)


@routes.get("/patterns/{symbol}", responses={**UNKNOWN, **BUSY})
async def get_patterns(
    symbol: SymbolPath,
    desk: DeskGiven,
    _who: Viewer,
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
    limit: LastQuery = 10,
) -> AnswerShown:
    """Give the candlestick patterns and chart formations on the last candles, the latest first."""
    return await _about(desk, Topic.PATTERNS, symbol, timeframe, venue, limit=limit)


@routes.get("/backtest/status/{task_id:uuid}", responses=UNKNOWN)
async def get_backtest_status(task_id: UUID, desk: DeskGiven, who: Viewer) -> TaskShown:
    """Say how far a backtest is, and its figures once it is over."""
    return shown_task(shown_run(await line_of(task_id, desk=desk, who=who)))


@routes.post("/backtest/{symbol}/start", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_backtest_start(
    symbol: SymbolPath, body: BacktestAsked, desk: DeskGiven, who: Trader
) -> TaskShown:
    """Ask for a backtest, and do not wait for it."""
    return shown_task(await ask(_asked(symbol, body), desk=desk, who=who))


@routes.post("/backtest/{symbol}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_backtest(
    symbol: SymbolPath,
    body: BacktestAsked,
    desk: DeskGiven,
    who: Trader,
    wait_seconds: Annotated[float, Query(ge=0, le=BACKTEST_SECONDS_MAX)] = BACKTEST_SECONDS,
) -> TaskShown:
    """Ask for a backtest and wait for it; one that takes longer goes on, and its status tells of it."""
    shown = await ask(_asked(symbol, body), desk=desk, who=who)
    for _ in range(int(wait_seconds / LOOK_SECONDS)):
        if shown.status is not LabStatus.WAITING or desk.is_stopping():
            break
        await asyncio.sleep(LOOK_SECONDS)
        shown = shown_run(await line_of(shown.run_id, desk=desk, who=who))
    return shown_task(shown)


def _asked(symbol: str, body: BacktestAsked) -> RunAsked:
    return RunAsked(
        kind=LabKind.RUN,
        symbol=symbol,
        timeframe=body.timeframe,
        contenders=[ContenderAsked(strategy=body.strategy, values=body.values)],
        terms=body.terms or TermsAsked(start=body.initial_balance),
        has_funding=body.has_funding,
        since=body.since,
        until=body.until,
    )


def _missing(symbol: str, timeframe: str, *, known: set[str]) -> dict[str, Any]:
    try:
        require_candles(symbol, timeframe, known=known)
    except UnknownError as missing:
        return error_body(missing.code, missing.message, missing.details)
    return {}


def shown_task(shown: RunShown) -> TaskShown:
    """Give a run under the source's names."""
    share = 1.0 if shown.status is LabStatus.DONE else shown.done / shown.total if shown.total else 0.0
    return TaskShown(**shown.model_dump(), task_id=shown.run_id, progress=round(share, 4))


def question_of(timeframe: str, venue: Venue | None, **asked: Any) -> dict[str, Any]:
    """Say what is asked of which candles."""
    return {"timeframe": timeframe, **({} if venue is None else {"venue": venue}), **asked}


async def _about(
    desk: Desk, topic: Topic, symbol: str, timeframe: str, venue: Venue | None, *, limit: int = 1
) -> AnswerShown:
    symbol = symbol.upper()
    if venue is None:
        require_candles(symbol, timeframe, known=await candle_names(desk))
    told = await ask_lab(desk, topic, question_of(timeframe, venue, symbol=symbol, limit=limit))
    return AnswerShown(symbol=symbol, timeframe=timeframe, answer=told)
