"""The lab: backtests, comparisons and sweeps as jobs that outlive whoever asked, and what came of them."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.lab import (
    COMBINATIONS_MAX,
    CONTENDERS_MAX,
    FOLDS_MAX,
    FUNDING_FOLDER,
    Contender,
    LabKind,
    LabRequest,
    LabSizing,
    LabStatus,
    LabTerms,
    Teaching,
)
from pregao.domain.strategy import DESCRIPTIONS
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import LAB_RUNS
from pregao.edges.http.api.roles import Trader, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    NUMBER,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Limit,
    Page,
    Shown,
    default_of,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.api.strategies import StrategyShown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.lab.ask import ask_run, cancel_run, run_unknown
from pregao.views.lab import LabLine
from pregao.views.sorting import Shape

NUMBER_MAX = 10**12
FUNDING_BPS_MAX = 1_000  # venues cap at some 300
FILES = {
    "report": "report.html",
    "trades": "trades.parquet",
    "sweep": "sweep.parquet",
    "trials": "trials.parquet",
}
KINDS = {".html": "text/html; charset=utf-8", ".parquet": "application/vnd.apache.parquet"}

routes = APIRouter(prefix="/api/v1/lab", tags=["lab"], dependencies=[TOKEN], responses=ERRORS)

LabSymbol = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9.\-]{1,40}$", description="As `pregao data list` has it.")
]
LabTimeframe = Annotated[str, Field(pattern=r"^[0-9]{1,4}[smhdw]$", description="`1m`, `15m`, `1h`, `1d`.")]
Number = Annotated[Decimal, NUMBER, Field(ge=-NUMBER_MAX, le=NUMBER_MAX, max_digits=30, decimal_places=15)]
Positive = Annotated[Decimal, NUMBER, Field(gt=0, le=NUMBER_MAX, max_digits=30, decimal_places=15)]
Name = Annotated[str, Field(min_length=1, max_length=40)]
Values = Annotated[
    dict[Name, Number], Field(max_length=20, description="Parameters that are not at their default.")
]
Ranges = Annotated[
    dict[Name, Annotated[list[Number], Field(min_length=1, max_length=1_000)]],
    Field(max_length=20, description=f"Of a sweep; at most {COMBINATIONS_MAX} combinations."),
]


Funding = Annotated[
    bool,
    Field(
        description="Pay the rates that `pregao data funding` brought in for the symbol, in place of terms.funding_bps."
    ),
]


class TermsAsked(Asked):
    """On which terms it trades; the ranges are checked when it is computed."""

    start: Positive = default_of(LabTerms, "start")
    sizing: LabSizing = default_of(LabTerms, "sizing")
    size: Positive = default_of(LabTerms, "size")
    leverage: Annotated[Decimal, NUMBER, Field(ge=1, le=1_000, decimal_places=15)] = default_of(
        LabTerms, "leverage"
    )
    fee_bps: Annotated[Decimal, NUMBER, Field(ge=-100, le=1_000, decimal_places=15)] = default_of(
        LabTerms, "fee_bps"
    )
    slippage_bps: Annotated[Decimal, NUMBER, Field(ge=0, le=5_000, decimal_places=15)] = default_of(
        LabTerms, "slippage_bps"
    )
    funding_bps: Annotated[
        Decimal,
        NUMBER,
        Field(
            ge=-FUNDING_BPS_MAX,
            le=FUNDING_BPS_MAX,
            decimal_places=15,
            description="What longs pay shorts of a position every eight hours; below 0 shorts pay.",
        ),
    ] = default_of(LabTerms, "funding_bps")
    quantity_step: Annotated[Decimal, NUMBER, Field(ge=0, le=NUMBER_MAX, decimal_places=15)] = default_of(
        LabTerms, "quantity_step"
    )


class ContenderAsked(Asked):
    """A strategy of `GET /api/v1/lab/strategies`."""

    strategy: Name
    values: Values = Field(default_factory=dict)


class RunAsked(Asked):
    """What is to be computed."""

    kind: Literal[LabKind.RUN, LabKind.COMPARE, LabKind.SWEEP] = LabKind.RUN
    symbol: LabSymbol
    timeframe: LabTimeframe
    contenders: Annotated[
        list[ContenderAsked],
        Field(min_length=1, max_length=CONTENDERS_MAX, description="One, but for a comparison."),
    ]
    ranges: Ranges = Field(default_factory=dict)
    folds: Annotated[
        int,
        Field(
            ge=0, le=FOLDS_MAX, description="Of a sweep: choose on a stretch, trade on the next, so often."
        ),
    ] = 0
    terms: TermsAsked = TermsAsked()
    has_funding: Funding = False
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class RunShown(Shown):
    """A run: `waiting` until the lab has computed it; `is_running` while it does. ``figures`` are the best one's."""

    run_id: UUID
    kind: LabKind
    symbol: str
    timeframe: str
    status: LabStatus
    is_running: bool
    done: int
    total: int
    starts: int
    request: dict[str, Any]
    figures: dict[str, str]
    code: str | None
    reason: str | None
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    seconds: float | None


class ResultShown(Shown):
    """All that came of a run; ``result`` is null until it is done."""

    run: RunShown
    result: dict[str, Any] | None


class StrategiesShown(Shown):
    """What the lab can try."""

    strategies: list[StrategyShown]
    candles: list[str]
    funding: Annotated[list[str], Field(description="Symbols with recorded funding rates.")]


@routes.get("/strategies")
async def list_lab_strategies(desk: DeskGiven, _who: Viewer) -> StrategiesShown:
    """Give the strategies, and the names of the candles there are."""
    return StrategiesShown(
        strategies=[StrategyShown.model_validate(one) for one in DESCRIPTIONS.values()],
        candles=await candle_names(desk),
        funding=await funding_names(desk),
    )


LabSort = Literal[
    "time", "-time", "symbol", "-symbol", "status", "-status", "sharpe", "-sharpe", "return_pct", "-return_pct",
]  # fmt: skip


@routes.get("/runs", response_model=Page[RunShown], responses=AsCsv)
async def list_lab_runs(
    *,
    desk: DeskGiven,
    who: Viewer,
    search: Search = None,
    sort: LabSort = "-time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[RunShown] | Response:
    """Give the runs, the newest first unless `sort` says otherwise: your own, or for staff everybody's."""

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[LabLine]:
        return await desk.lab_runs.runs(owner=who.owner, after=after, shape=shape, limit=limit)

    return await LAB_RUNS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=shown_run,
        shown=RunShown,
        name="lab-runs",
    )


@routes.post("/runs", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_lab_run(body: RunAsked, desk: DeskGiven, who: Trader) -> RunShown:
    """Ask for a backtest, a comparison or a sweep. It is kept, and computed when its turn comes."""
    return await ask(body, desk=desk, who=who)


@routes.get("/runs/{run_id:uuid}", responses=UNKNOWN)
async def get_lab_run(run_id: UUID, desk: DeskGiven, who: Viewer) -> RunShown:
    """Say how far a run is, and its figures once it is over."""
    return shown_run(await line_of(run_id, desk=desk, who=who))


@routes.get("/runs/{run_id:uuid}/result", responses=UNKNOWN)
async def get_lab_result(run_id: UUID, desk: DeskGiven, who: Viewer) -> ResultShown:
    """Give all that came of a run: trials, and of one strategy its curves, months and last trades, of a sweep its heat map."""
    line = await line_of(run_id, desk=desk, who=who)
    found = await desk.lab_runs.result(run_id) if line.run.status is LabStatus.DONE else None
    return ResultShown(run=shown_run(line), result=None if found is None else dict(found))


@routes.get(
    "/runs/{run_id:uuid}/files/{name}",
    responses={**UNKNOWN, 200: {"content": {kind: {} for kind in KINDS.values()}}},
    response_class=FileResponse,
)
async def get_lab_file(run_id: UUID, name: str, desk: DeskGiven, who: Viewer) -> FileResponse:
    """Give a file of a run: `report` (a page with charts), `trades`, `sweep` or `trials` (Parquet)."""
    await line_of(run_id, desk=desk, who=who)
    path = desk.state_dir / "lab" / str(run_id) / FILES.get(name, "")
    if name not in FILES or not await asyncio.to_thread(path.is_file):
        raise ApiError(
            404,
            "LAB_FILE_UNKNOWN",
            f"run={run_id} file={name} known={', '.join(FILES)}. The run made no such file here.",
        )
    kind = KINDS[path.suffix]
    return FileResponse(path, media_type=kind, filename=f"{run_id}-{path.name}")


@routes.post("/runs/{run_id:uuid}/cancel", responses={**UNKNOWN, **CONFLICT})
async def post_lab_cancel(run_id: UUID, desk: DeskGiven, who: Trader) -> RunShown:
    """Call a run off; one that is being computed is dropped."""
    canceled_by = await name_of(who, desk=desk)
    async with desk.lab_books.open(owner=who.owner) as book:
        await book.append(await cancel_run(run_id, canceled_by=canceled_by, book=book, now=desk.clock()))
    return shown_run(await line_of(run_id, desk=desk, who=who))


async def ask(body: RunAsked, *, desk: Desk, who: Principal) -> RunShown:
    """Ask for a backtest, a comparison or a sweep, and give it as it waits."""
    return await ask_for(
        body.kind, request_of(body), symbol=body.symbol, timeframe=body.timeframe, desk=desk, who=who
    )


async def ask_for(
    kind: LabKind, request: LabRequest, *, symbol: str, timeframe: str, desk: Desk, who: Principal
) -> RunShown:
    """Ask for a run, and give it as it waits."""
    run_id = uuid7(desk.clock())
    asked_by = await name_of(who, desk=desk)
    known, known_funding = await candle_names(desk), await funding_names(desk)
    async with desk.lab_books.open(owner=who.owner) as book:
        facts = await ask_run(
            run_id,
            kind,
            request,
            symbol=symbol.upper(),
            timeframe=timeframe,
            known_candles=known,
            known_funding=known_funding,
            user_id=who.user_id,
            asked_by=asked_by,
            book=book,
            now=desk.clock(),
        )
        await book.append(facts)
    return shown_run(await line_of(run_id, desk=desk, who=who))


def request_of(body: RunAsked) -> LabRequest:
    """Give a request as the domain has it."""
    return LabRequest(
        contenders=tuple(Contender(strategy=one.strategy, values=one.values) for one in body.contenders),
        ranges={name: tuple(values) for name, values in body.ranges.items()},
        folds=body.folds,
        terms=LabTerms(**body.terms.model_dump()),
        has_funding=body.has_funding,
        since=body.since,
        until=body.until,
    )


async def line_of(run_id: UUID, *, desk: Desk, who: Principal) -> LabLine:
    """
    Give a run.

    :raises UnknownError: when there is none, or it is somebody else's.
    """
    line = await desk.lab_runs.find_run(run_id, owner=who.owner)
    if line is None:
        raise run_unknown(run_id)
    return line


def shown_run(line: LabLine) -> RunShown:
    """Give a run as the API shows it."""
    run, request = line.run, line.run.request
    return RunShown(
        run_id=run.run_id,
        kind=run.kind,
        symbol=run.symbol,
        timeframe=run.timeframe,
        status=run.status,
        is_running=line.is_running,
        done=line.done,
        total=line.total,
        starts=line.starts,
        request={
            "contenders": [
                {"strategy": one.strategy, "values": _numbers(one.values)} for one in request.contenders
            ],
            "ranges": _ranges(request.ranges),
            "folds": request.folds,
            "terms": TermsAsked(**_fields_of(request.terms)).model_dump(mode="json"),
            "has_funding": request.has_funding,
            "since": request.since,
            "until": request.until,
            "teaching": None if request.teaching is None else _teaching(request.teaching),
        },
        figures=dict(line.figures),
        code=run.code,
        reason=run.reason,
        asked_by=run.asked_by,
        asked_at=run.asked_at,
        ended_at=run.ended_at,
        seconds=line.seconds,
    )


async def candle_names(desk: Desk) -> list[str]:
    """Give the names of all candles there are; their files are not opened here."""
    return await asyncio.to_thread(_names_in, desk.state_dir / "candles")


async def funding_names(desk: Desk) -> list[str]:
    """Give the symbols whose funding rates were recorded."""
    return await asyncio.to_thread(_names_in, desk.state_dir / "candles" / FUNDING_FOLDER)


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.parquet"))


def _numbers(values: Mapping[str, Decimal]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _ranges(ranges: Mapping[str, Sequence[Decimal]]) -> dict[str, list[float]]:
    return {name: [float(value) for value in values] for name, values in ranges.items()}


def _teaching(teaching: Teaching) -> dict[str, Any]:
    told = {field.name: getattr(teaching, field.name) for field in dataclasses.fields(teaching)}
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in told.items()}


def _fields_of(terms: LabTerms) -> dict[str, Any]:
    names: Sequence[str] = list(TermsAsked.model_fields)
    return {name: getattr(terms, name) for name in names}
