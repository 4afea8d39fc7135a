"""What a bot's model says, and what became of the entries it filtered."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from pregao.domain.clock import to_ms
from pregao.domain.lab import Topic
from pregao.domain.prediction import Direction
from pregao.edges.http.api.lab import candle_names
from pregao.edges.http.api.lab_questions import BUSY, ask_lab
from pregao.edges.http.api.models import models_of
from pregao.edges.http.api.performance import DAYS, Days
from pregao.edges.http.api.roles import OPERATOR
from pregao.edges.http.api.rules import ModelFilterShown
from pregao.edges.http.api.shapes import CONFLICT, ERRORS, TOKEN, UNKNOWN, Amount, DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.lab.ask import require_candles

ENTRIES_MAX = 5_000  # of one question: the last ones
FEE_BPS = 5.0  # of each side, as `pregao model scoreboard` reckons where it is told nothing else

routes = APIRouter(
    prefix="/api/v1/bots", tags=["performance"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)


class ForetoldShown(Shown):
    """What the model said last of one symbol; only what is fresh filters."""

    model: str
    model_id: str
    symbol: str
    timeframe: str
    direction: Direction
    confidence: Amount
    bar_at: datetime
    expires_at: datetime
    is_fresh: bool


class FateShown(Shown):
    """Entries that met the filter: passed, unfiltered (the model said nothing fresh), denied; and what they earned."""

    fate: str
    entries: int
    earned_usd: Amount


class ModelBoardShown(Shown):
    """A bot's filter, what its model says, and what became of its entries."""

    bot_id: UUID
    bot_name: str
    model_filter: ModelFilterShown | None
    said: tuple[ForetoldShown, ...]
    fates: tuple[FateShown, ...]


class ScoreLine(Shown):
    """What the entries of one fate came to; shares are percent of what each would have traded, `earned` is what was earned."""

    fate: str
    entries: int
    judged: int
    won_pct: float
    mean_pct: float
    sum_pct: float
    earned: float


class ScoreboardShown(Shown):
    """What a filter was worth: a line for each fate, and `no filter` for all together."""

    bot_id: UUID
    bot_name: str
    model: str
    days: int
    bars: int
    candles: dict[str, Any]
    lines: list[ScoreLine]


@routes.get("/{bot_id:uuid}/model-filter", responses=UNKNOWN)
async def get_model_filter(bot_id: UUID, desk: DeskGiven, days: Days = DAYS) -> ModelBoardShown:
    """
    Say what a bot's model says, and how many entries it let through and denied.

    What the denied ones would have earned, `pregao model scoreboard` tells: it takes candles.
    """
    now = desk.clock()
    board = await desk.performances.find_model_board(bot_id, since=now - timedelta(days=days))
    if board is None:
        raise ApiError(404, "BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    return ModelBoardShown(
        bot_id=board.bot_id,
        bot_name=board.bot_name,
        model_filter=None
        if board.model_filter is None
        else ModelFilterShown.model_validate(board.model_filter),
        said=tuple(
            ForetoldShown(
                model=one.model,
                model_id=one.model_id,
                symbol=one.symbol,
                timeframe=one.timeframe,
                direction=one.direction,
                confidence=one.confidence,
                bar_at=one.bar_at,
                expires_at=one.expires_at,
                is_fresh=one.expires_at > now,
            )
            for one in board.said
        ),
        fates=tuple(FateShown.model_validate(one) for one in board.fates),
    )


@routes.get("/{bot_id:uuid}/model-filter/scoreboard", responses={**UNKNOWN, **CONFLICT, **BUSY})
async def get_model_scoreboard(
    bot_id: UUID,
    desk: DeskGiven,
    days: Days = DAYS,
    bars: Annotated[int, Query(ge=1, le=10_000, description="Candles a trade is held at most.")] = 24,
) -> ScoreboardShown:
    """
    Compare the entries that a bot's model let through with those it denied and with all of them, each as the same trade.

    The lab tries them on the candles of the model; where it has none, they are brought in with `pregao data`.
    """
    return await scoreboard_of(bot_id, desk=desk, days=days, bars=bars)


async def scoreboard_of(bot_id: UUID, *, desk: Desk, days: int = DAYS, bars: int = 24) -> ScoreboardShown:
    """
    Ask the lab what a bot's filter was worth.

    :raises ApiError: when there is no such bot, filter, model, or candles; or the lab is silent.
    """
    line = await desk.configured.find_bot(bot_id)
    if line is None:
        raise ApiError(404, "BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    bot, name = line.bot, None if line.bot.model_filter is None else line.bot.model_filter.model
    if name is None:
        raise ApiError(409, "MODEL_FILTER_NONE", f"bot={bot_id}. No model filters its entries.")
    model = next((one for one in await models_of(desk) if one.name == name), None)
    if model is None or model.symbol is None or model.timeframe is None:
        code = "MODEL_MISSING" if model is None or model.code is None else model.code
        raise ApiError(404, code, f"model={name}. Make it with `pregao model train`.")
    require_candles(model.symbol, model.timeframe, known=await candle_names(desk))
    since = desk.clock() - timedelta(days=days)
    met = await desk.performances.filtered_entries(bot_id, since=since)
    question = {
        "symbol": model.symbol,
        "timeframe": model.timeframe,
        "entries": [
            {
                "decided_at_ms": to_ms(one.decided_at),
                "symbol": one.symbol,
                "is_buy": one.side == "buy",
                "fate": "denied" if not one.has_passed else "passed" if one.is_known else "unfiltered",
                "earned": float(one.earned),
            }
            for one in met[-ENTRIES_MAX:]
        ],
        "stop": float(bot.default_stop_loss_pct) / 100,
        "target": float(bot.default_take_profit_pct) / 100,
        "bars": bars,
        "fee_bps": FEE_BPS,
    }
    told = await ask_lab(desk, Topic.SCOREBOARD, question)
    return ScoreboardShown(
        bot_id=bot_id,
        bot_name=bot.name,
        model=name,
        days=days,
        bars=bars,
        candles=told["candles"],
        lines=told["lines"],
    )
