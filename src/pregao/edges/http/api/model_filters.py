"""What a bot's model says, and what became of the entries it filtered."""

from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter

from pregao.domain.prediction import Direction
from pregao.edges.http.api.performance import DAYS, Days
from pregao.edges.http.api.roles import OPERATOR
from pregao.edges.http.api.rules import ModelFilterShown
from pregao.edges.http.api.shapes import ERRORS, TOKEN, UNKNOWN, Amount, DeskGiven, Shown
from pregao.edges.http.errors import ApiError

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
