"""The lab's models as their manifests tell of them: what each was made of, what it is worth, and which bots ask it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter

from pregao.domain.prediction import is_better_than_chance
from pregao.edges.http.api.roles import Operator
from pregao.edges.http.api.shapes import ERRORS, PAGE_ITEMS_MAX, TOKEN, DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.settings import MODELS_FOLDER
from pregao.views.configured import BotLine

routes = APIRouter(prefix="/api/v1/models", tags=["lab"], dependencies=[TOKEN], responses=ERRORS)


class Asked(msgspec.Struct):
    """What a model foretells: which barrier is reached first, within so many candles."""

    horizon: int
    barrier: float


class Recipe(msgspec.Struct):
    """How it was taught."""

    question: Asked


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


class ModelsShown(Shown):
    """The models, by name; those too that a bot asks for and nobody has made."""

    items: list[ModelShown]


@routes.get("")
async def list_models(desk: DeskGiven, _who: Operator) -> ModelsShown:
    """Give the models of the lab, and which bots' entries each filters."""
    return ModelsShown(items=await models_of(desk))


async def models_of(desk: Desk) -> list[ModelShown]:
    """Give the models, by name."""
    told = await asyncio.to_thread(_read_all, desk.state_dir / MODELS_FOLDER)
    bots: dict[str, list[BotLine]] = {}
    for line in await _filtering(desk):
        assert line.bot.model_filter is not None, "these have one"
        bots.setdefault(line.bot.model_filter.model, []).append(line)
    return [_shown(name, told.get(name), bots.get(name, ())) for name in sorted({*told, *bots})]


async def _filtering(desk: Desk) -> list[BotLine]:
    found: list[BotLine] = []
    after: UUID | None = None
    while True:
        lines = await desk.configured.bots(status=None, market_type=None, after=after, limit=PAGE_ITEMS_MAX)
        found += [line for line in lines if line.bot.model_filter is not None and line.status != "archived"]
        if len(lines) < PAGE_ITEMS_MAX:
            return found
        after = lines[-1].bot.bot_id


def _read_all(folder: Path) -> dict[str, Told | None]:
    """Give what stands beside each model's file; None where it cannot be read."""
    found: dict[str, Told | None] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Told)
        except FileNotFoundError:  # removed this very moment
            continue
        except (OSError, msgspec.MsgspecError):
            found[path.stem] = None
    return found


def _shown(name: str, told: Told | None, bots: Sequence[BotLine]) -> ModelShown:
    users = [UserOfModel(bot_id=one.bot.bot_id, name=one.name, status=one.status) for one in bots]
    if told is None:
        nothing: dict[str, Any] = dict.fromkeys(ModelShown.model_fields)
        return ModelShown(**{**nothing, "name": name, "code": "MODEL_MISSING", "features": [], "bots": users})
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
