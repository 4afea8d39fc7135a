"""The lab's models as their manifests tell of them: what each was made of, what it is worth, and which bots ask it; and new ones."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from pregao.accounts.principal import Principal
from pregao.domain.lab import (
    BARRIER_MAX,
    BARRIER_MIN,
    HORIZON_MAX,
    HORIZON_MIN,
    MODEL_NAME,
    ROUNDS_MAX,
    ROUNDS_MIN,
    SEED_MAX,
    TEACHING_FOLDS_MAX,
    TEACHING_FOLDS_MIN,
    Calibration,
    LabKind,
    LabRequest,
    LabTerms,
    Teaching,
)
from pregao.domain.prediction import is_better_than_chance
from pregao.edges.http.api.lab import LabSymbol, LabTimeframe, RunShown, TermsAsked, ask_for
from pregao.edges.http.api.roles import Operator
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    NUMBER,
    PAGE_ITEMS_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
    default_of,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.settings import MODELS_FOLDER
from pregao.views.configured import BotLine

TEACHING_FIELDS = frozenset(field.name for field in dataclasses.fields(Teaching))

routes = APIRouter(prefix="/api/v1/models", tags=["lab"], dependencies=[TOKEN], responses=ERRORS)


class Question(msgspec.Struct):
    """What a model foretells: which barrier is reached first, within so many candles."""

    horizon: int
    barrier: float


class Recipe(msgspec.Struct):
    """How it was taught."""

    question: Question


class Score(msgspec.Struct):
    """What it was worth on candles that it had not seen."""

    rows: int
    accuracy: float
    accuracy_base: float
    gain: float
    gain_error: float | None = None


class Traded(msgspec.Struct):
    """What trading its answers would have come to there."""

    trades: int
    return_pct: float | None
    drawdown_max_pct: float | None
    sharpe: float | None


class Told(msgspec.Struct):
    """As much of a manifest as is shown; its file is not opened here."""

    name: str
    symbol: str
    timeframe: str
    is_simulated: bool
    features: tuple[str, ...]
    features_version: int
    recipe: Recipe
    taught_rows: int
    score: Score
    traded: Traded
    made_at: datetime
    sha256: str


class UserOfModel(Shown):
    """A bot whose entries it filters."""

    bot_id: UUID
    name: str
    status: str


class ModelShown(Shown):
    """A model; all but its name and its bots is null where its manifest cannot be read, or there is none: `code` says which."""

    name: str
    code: str | None
    symbol: str | None
    timeframe: str | None
    is_simulated: bool | None
    features: list[str]
    features_version: int | None
    horizon: int | None
    barrier: float | None
    taught_rows: int | None
    tried_rows: int | None
    accuracy: float | None
    accuracy_base: float | None
    gain: float | None
    gain_error: float | None
    is_better: bool | None
    trades: int | None
    return_pct: float | None
    drawdown_max_pct: float | None
    sharpe: float | None
    made_at: datetime | None
    sha256: str | None
    bots: list[UserOfModel]


class TeachingAsked(Asked):
    """A model to be made as `pregao model train` makes it; one that has its name stays until the new one is whole."""

    name: Annotated[str, Field(pattern=f"^{MODEL_NAME}$")]
    symbol: LabSymbol
    timeframe: LabTimeframe
    horizon: Annotated[
        int,
        Field(ge=HORIZON_MIN, le=HORIZON_MAX, description="Candles within which a barrier must be reached."),
    ] = default_of(Teaching, "horizon")
    barrier: Annotated[
        Decimal,
        NUMBER,
        Field(
            ge=BARRIER_MIN,
            le=BARRIER_MAX,
            decimal_places=15,
            description="How far the barriers are, in average true ranges of 14 candles.",
        ),
    ] = default_of(Teaching, "barrier")
    folds: Annotated[
        int,
        Field(
            ge=TEACHING_FOLDS_MIN,
            le=TEACHING_FOLDS_MAX,
            description="Stretches it is scored on, each after what taught it.",
        ),
    ] = default_of(Teaching, "folds")
    seed: Annotated[int, Field(ge=0, le=SEED_MAX)] = default_of(Teaching, "seed")
    rounds: Annotated[
        int, Field(ge=ROUNDS_MIN, le=ROUNDS_MAX, description="Trees of each kind of answer.")
    ] = default_of(Teaching, "rounds")
    calibration: Calibration = default_of(Teaching, "calibration")
    confidence_min: Annotated[
        Decimal, NUMBER, Field(ge=0, le=1, decimal_places=15, description="Trade what is at least as sure.")
    ] = default_of(Teaching, "confidence_min")
    terms: Annotated[TermsAsked, Field(description="Of the trades it is scored by.")] = TermsAsked()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class ModelsShown(Shown):
    """The models, by name; those too that a bot asks for and nobody has made."""

    items: list[ModelShown]


@routes.get("")
async def list_models(desk: DeskGiven, _who: Operator) -> ModelsShown:
    """Give the models of the lab, and which bots' entries each filters."""
    return ModelsShown(items=await models_of(desk))


@routes.post("", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_model(body: TeachingAsked, desk: DeskGiven, who: Operator) -> RunShown:
    """Have the lab teach a model, score it on later candles and keep it. It is a run of the lab like a backtest."""
    return await teach(body, desk=desk, who=who)


@routes.get("/{name}", responses=UNKNOWN)
async def get_model(name: str, desk: DeskGiven, _who: Operator) -> ModelShown:
    """Give one model."""
    return await model_of(name, desk=desk)


async def teach(body: TeachingAsked, *, desk: Desk, who: Principal) -> RunShown:
    """Ask for a model, and give the run as it waits."""
    own = {name: getattr(body, name) for name in TeachingAsked.model_fields.keys() & TEACHING_FIELDS}
    request = LabRequest(
        contenders=(),
        terms=LabTerms(**body.terms.model_dump()),
        since=body.since,
        until=body.until,
        teaching=Teaching(**own),
    )
    return await ask_for(
        LabKind.TRAIN, request, symbol=body.symbol, timeframe=body.timeframe, desk=desk, who=who
    )


async def model_of(name: str, *, desk: Desk) -> ModelShown:
    """
    Give one model.

    :raises ApiError: when nobody has made it, and no bot asks for it.
    """
    models = {one.name: one for one in await models_of(desk)}
    if name not in models:
        raise ApiError(
            404,
            "MODEL_MISSING",
            f"model={name} known={', '.join(models) or 'none'}. Make one with `pregao model train`, or POST /api/ml/train.",
        )
    return models[name]


async def models_of(desk: Desk) -> list[ModelShown]:
    """Give the models, by name."""
    told = await asyncio.to_thread(_read_all, desk.state_dir / MODELS_FOLDER)
    bots: dict[str, list[BotLine]] = {}
    for line in await _filtering(desk):
        assert line.bot.model_filter is not None, "these have one"
        bots.setdefault(line.bot.model_filter.model, []).append(line)
    return [
        _shown(name, told.get(name, "MODEL_MISSING"), bots.get(name, ())) for name in sorted({*told, *bots})
    ]


async def _filtering(desk: Desk) -> list[BotLine]:
    found: list[BotLine] = []
    after: UUID | None = None
    while True:
        lines = await desk.configured.bots(status=None, market_type=None, after=after, limit=PAGE_ITEMS_MAX)
        found += [line for line in lines if line.bot.model_filter is not None and line.status != "archived"]
        if len(lines) < PAGE_ITEMS_MAX:
            return found
        after = lines[-1].bot.bot_id


def _read_all(folder: Path) -> dict[str, Told | str]:
    """Give what stands beside each model's file; a code where that cannot be read."""
    found: dict[str, Told | str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Told)
        except FileNotFoundError:  # removed this very moment
            continue
        except (OSError, msgspec.MsgspecError):
            found[path.stem] = "MODEL_MANIFEST_UNREADABLE"
    return found


def _shown(name: str, told: Told | str, bots: Sequence[BotLine]) -> ModelShown:
    users = [UserOfModel(bot_id=one.bot.bot_id, name=one.name, status=one.status) for one in bots]
    if isinstance(told, str):
        nothing: dict[str, Any] = dict.fromkeys(ModelShown.model_fields)
        return ModelShown(**{**nothing, "name": name, "code": told, "features": [], "bots": users})
    score, traded, question = told.score, told.traded, told.recipe.question
    return ModelShown(
        name=name,
        code=None,
        symbol=told.symbol,
        timeframe=told.timeframe,
        is_simulated=told.is_simulated,
        features=list(told.features),
        features_version=told.features_version,
        horizon=question.horizon,
        barrier=question.barrier,
        taught_rows=told.taught_rows,
        tried_rows=score.rows,
        accuracy=score.accuracy,
        accuracy_base=score.accuracy_base,
        gain=score.gain,
        gain_error=score.gain_error,
        is_better=is_better_than_chance(score.gain, gain_error=score.gain_error),
        trades=traded.trades,
        return_pct=traded.return_pct,
        drawdown_max_pct=traded.drawdown_max_pct,
        sharpe=traded.sharpe,
        made_at=told.made_at,
        sha256=told.sha256,
        bots=users,
    )
