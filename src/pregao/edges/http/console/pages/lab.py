"""The lab: what was tried, how far it is, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.domain.lab import LabKind, LabStatus
from pregao.domain.strategy import DESCRIPTIONS
from pregao.domain.user import Role
from pregao.edges.http.api.lab import FILES, candle_names, funding_names
from pregao.edges.http.api.listing import LAB_RUNS
from pregao.edges.http.api.model_filters import scoreboard_of
from pregao.edges.http.api.models import ModelShown, models_of
from pregao.edges.http.api.performance import DAYS
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import arrange, asked_of, page_of
from pregao.edges.http.console.showing import needs, show_missing, show_page
from pregao.edges.http.errors import ApiError
from pregao.lab.refusals import LabError
from pregao.views.lab import LabLine
from pregao.views.sorting import LAB_FIELDS, Shape

SHADES = 4  # steps of a heat map to either side of 0
FILES_OF = {
    LabKind.RUN: ("report", "trades"),
    LabKind.COMPARE: ("trials",),
    LabKind.SWEEP: ("report", "sweep"),
    LabKind.TRAIN: (),
}

MODELS_BY: dict[str, Callable[[ModelShown], Any]] = {
    "name": lambda one: one.name,
    "symbol": lambda one: one.symbol,
    "gain": lambda one: one.gain,
    "accuracy": lambda one: one.accuracy,
    "return_pct": lambda one: one.return_pct,
    "made_at": lambda one: one.made_at,
}

routes = APIRouter(include_in_schema=False)


@routes.get("/console/lab")
async def show_lab(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the newest runs, beside each other, and what another can be made of."""
    candles = await candle_names(desk)
    asked = asked_of(request, sorts=LAB_FIELDS)

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[LabLine]:
        return await desk.lab_runs.runs(owner=who.owner, after=after, shape=shape, limit=limit)

    values = {
        **await page_of(LAB_RUNS, find, asked),
        "file": asked.file("/api/v1/lab/runs"),
        "strategies": list(DESCRIPTIONS.values()),
        **_offered(candles),
        "funding": await funding_names(desk),
        "can_act": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "lab/runs.html", values, desk=desk, who=who)


@routes.get("/console/models")
async def show_models(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show the lab's models, what each is worth, and whose entries it filters."""
    needs(Role.OPERATOR, who)
    asked = asked_of(request, sorts=MODELS_BY, usual_sort="name")
    lines = arrange(await models_of(desk), asked, by=MODELS_BY)
    values = {"asked": asked, "lines": lines, "number": rounded, **_offered(await candle_names(desk))}
    return await show_page(request, "lab/models.html", values, desk=desk, who=who)


@routes.get("/console/models/scoreboard/{bot_id:uuid}")
async def show_scoreboard(bot_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a bot's model was worth, against no filter; the lab reckons it, where it can."""
    needs(Role.OPERATOR, who)
    line = await desk.configured.find_bot(bot_id)
    found = await desk.performances.find_model_board(bot_id, since=desk.clock() - timedelta(days=DAYS))
    if line is None or found is None:
        return await show_missing(request, desk=desk, who=who)
    scoreboard = mistake = None
    try:
        scoreboard = await scoreboard_of(bot_id, desk=desk)
    except (ApiError, LabError) as refused:
        mistake = refused
    values = {
        "bot": line.bot,
        "days": DAYS,
        "fates": found.fates,
        "scoreboard": scoreboard,
        "mistake": mistake,
        "number": rounded,
    }
    return await show_page(request, "lab/scoreboard.html", values, desk=desk, who=who)


@routes.get("/console/lab/{run_id:uuid}")
async def show_lab_run(run_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one run: figures, equity and drawdown, months, trials, and the heat map of a sweep."""
    line = await desk.lab_runs.find_run(run_id, owner=who.owner)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    result = await desk.lab_runs.result(run_id) if line.run.status is LabStatus.DONE else None
    is_model = line.run.kind is LabKind.TRAIN
    taught, result = (result, None) if is_model else (None, result)
    values = {
        "line": line,
        "taught": taught,
        "rounded": rounded,
        "result": result,
        "equity": [] if result is None else _curve(result, "equity", less=float(result["terms"]["start"])),
        "drawdown": [] if result is None else _curve(result, "drawdown_pct", sign=-1),
        "years": _years(() if result is None else result.get("months", ())),
        "heat": None if result is None else _heat(result.get("heat")),
        "files": [name for name in FILES_OF[line.run.kind] if name in FILES],
        "number": _number,
        "can_act": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "lab/run.html", values, desk=desk, who=who)


def _offered(candles: Sequence[str]) -> dict[str, list[str]]:
    """Give the symbols and timeframes that there are candles of."""
    return {
        "symbols": sorted({name.rpartition("_")[0] for name in candles}),
        "timeframes": sorted({name.rpartition("_")[2] for name in candles}),
    }


def _number(value: object) -> Decimal | None:
    """Give a figure with two decimals; None where it is none."""
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number.quantize(Decimal("0.01")) if number.is_finite() else None


def rounded(value: float | None, digits: int = 2) -> Decimal | None:
    """Give a figure with so many decimals; None where there is none."""
    return None if value is None else Decimal(f"{value:.{digits}f}")


def _curve(result: Mapping[str, Any], name: str, *, less: float = 0, sign: int = 1) -> list[dict[str, Any]]:
    if name not in result:
        return []
    points = zip(result["at_ms"], result[name], strict=True)
    return [{"time": at // 1_000, "value": round(sign * (value - less), 4)} for at, value in points]


def _years(months: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give a row for each year, with what each of its months brought."""
    brought = {(one["year"], one["month"]): _number(one["return_pct"]) for one in months}
    return [
        {"year": year, "months": [brought.get((year, month)) for month in range(1, 13)]}
        for year in sorted({year for year, _ in brought})
    ]


def _heat(heat: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give each cell its number and its shade, from -4 to 4 around 0."""
    if heat is None:
        return None
    largest = max((abs(cell) for row in heat["cells"] for cell in row if cell is not None), default=0) or 1
    rows = [
        [{"value": _number(cell), "shade": "" if cell is None else _shade(cell / largest)} for cell in cells]
        for cells in heat["cells"]
    ]
    return {**heat, "shaded": list(zip(heat["rows"], rows, strict=True))}


def _shade(share: float) -> str:
    step = round(abs(share) * SHADES)
    return "" if step == 0 else f"{'up' if share > 0 else 'down'}-{step}"
