"""System E's own paths to models: what there is, what one says, new ones, what a filter was worth, and a trade by what one says."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pregao.domain.lab import MODEL_NAME, LabKind, Topic
from pregao.domain.order import Side
from pregao.domain.prediction import SURE_PCT, Direction
from pregao.domain.risk import RISK_PERCENT
from pregao.edges.http.api.by_hand import SENT, Mode, TradeAsked, TradeMade, trade
from pregao.edges.http.api.lab import LabSymbol, LabTimeframe, candle_names, line_of, shown_run
from pregao.edges.http.api.lab_at_source import (
    SymbolPath,
    TaskShown,
    TimeframeQuery,
    VenueNamed,
    VenueQuery,
    question_of,
    shown_task,
)
from pregao.edges.http.api.lab_questions import BUSY, ask_lab
from pregao.edges.http.api.model_filters import ScoreboardShown, scoreboard_of
from pregao.edges.http.api.models import ModelShown, ModelsShown, TeachingAsked, model_of, models_of, teach
from pregao.edges.http.api.performance import DAYS, Days
from pregao.edges.http.api.risked import (
    WAIT_SECONDS,
    AccountNamed,
    MaxRiskPercent,
    Price,
    WaitSeconds,
)
from pregao.edges.http.api.roles import Operator, Trader, Viewer
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    NUMBER,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.lab.ask import require_candles
from pregao.lab.refusals import UnknownError

CONFIDENCE_MIN = Decimal("0.6")  # of a trade that is sent
SIDES = {Direction.PRICE_UP: Side.BUY, Direction.PRICE_DOWN: Side.SELL}
PRICE_STEP = Decimal("0.00000001")

routes = APIRouter(prefix="/api/ml", tags=["lab"], dependencies=[TOKEN], responses=ERRORS)

ModelNamed = Annotated[
    str | None,
    Query(pattern=f"^{MODEL_NAME}$", description="Else the newest of the symbol and timeframe."),
]


class KnownModel(Shown):
    """A model that can be asked."""

    name: str
    symbol: str
    timeframe: str
    is_better: bool | None


class InfoShown(Shown):
    """What can be asked. From ``sure_from`` on a model has the word before technical analysis."""

    models: list[KnownModel]
    sure_from: float
    execute_from: float


class PredictionShown(Shown):
    """
    What a model says of the last candle; ``is_sure`` where it has the word before technical analysis.

    The levels are as far from the close as the barriers of its question; null where it says that nothing moves.
    """

    symbol: str
    timeframe: str
    model: str
    direction: Direction
    confidence: float
    confidence_pct: float
    signal: str
    is_sure: bool
    is_better: bool
    gain: float
    horizon: int
    bar_opened_at_ms: int
    close: Amount
    stop_price: Amount | None
    target_price: Amount | None
    candles: dict[str, Any]
    latency_ms: float


class PredictAsked(Asked):
    """A symbol to ask a model about."""

    symbol: LabSymbol
    timeframe: LabTimeframe
    venue: VenueNamed = None
    model: Annotated[str | None, Field(pattern=f"^{MODEL_NAME}$")] = None


class ExecuteAsked(PredictAsked):
    """A trade by what a model says. Its stop lies where the model's barrier was; its size follows from what may be risked."""

    mode: Mode = Mode.DRY_RUN
    confidence_min: Annotated[
        Decimal,
        NUMBER,
        Field(ge=CONFIDENCE_MIN, le=1, decimal_places=15, description="Below it nothing is done."),
    ] = CONFIDENCE_MIN
    capital: Annotated[
        Price | None, Field(description="In the margin asset; else the user's own setting.")
    ] = None
    max_risk_percent: MaxRiskPercent = RISK_PERCENT
    account_id: AccountNamed = None
    wait_seconds: WaitSeconds = WAIT_SECONDS


class ExecuteShown(Shown):
    """What the model said, and what came of it."""

    prediction: PredictionShown
    trade: TradeMade


@routes.get("/info")
async def get_ml_info(desk: DeskGiven, _who: Viewer) -> InfoShown:
    """Say which models there are to ask, and from which confidence on one is heard."""
    known = [
        KnownModel(name=one.name, symbol=one.symbol, timeframe=one.timeframe, is_better=one.is_better)
        for one in await models_of(desk)
        if one.symbol is not None and one.timeframe is not None
    ]
    return InfoShown(models=known, sure_from=SURE_PCT / 100, execute_from=float(CONFIDENCE_MIN))


@routes.get("/models")
async def list_ml_models(desk: DeskGiven, _who: Operator) -> ModelsShown:
    """Give the models of the lab with what each is worth, and which bots' entries each filters."""
    return ModelsShown(items=await models_of(desk))


@routes.get("/models/{name}", responses=UNKNOWN)
async def get_ml_model(name: str, desk: DeskGiven, _who: Operator) -> ModelShown:
    """Give one model."""
    return await model_of(name, desk=desk)


@routes.get("/predict", responses={**UNKNOWN, **UNREADABLE, **BUSY})
async def get_prediction(
    desk: DeskGiven,
    _who: Viewer,
    symbol: Annotated[LabSymbol, Query()],
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
    model: ModelNamed = None,
) -> PredictionShown:
    """Say what a model makes of the last candle of a symbol."""
    return await _predict(
        PredictAsked(symbol=symbol, timeframe=timeframe, venue=venue, model=model), desk=desk
    )


@routes.get("/predict/{symbol}", responses={**UNKNOWN, **UNREADABLE, **BUSY})
async def get_prediction_of_symbol(
    symbol: SymbolPath,
    desk: DeskGiven,
    _who: Viewer,
    timeframe: TimeframeQuery,
    venue: VenueQuery = None,
    model: ModelNamed = None,
) -> PredictionShown:
    """Say what a model makes of the last candle of a symbol."""
    return await _predict(
        PredictAsked(symbol=symbol, timeframe=timeframe, venue=venue, model=model), desk=desk
    )


@routes.post("/predict", responses={**UNKNOWN, **UNREADABLE, **BUSY})
async def post_prediction(body: PredictAsked, desk: DeskGiven, _who: Viewer) -> PredictionShown:
    """Say what a model makes of the last candle of a symbol. Nothing is kept of it."""
    return await _predict(body, desk=desk)


@routes.post("/train", status_code=202, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_training(body: TeachingAsked, desk: DeskGiven, who: Operator) -> TaskShown:
    """Have the lab teach a model, score it and keep it; the task outlives whoever asks, and a lab that is killed."""
    return shown_task(await teach(body, desk=desk, who=who))


@routes.get("/train/{task_id:uuid}", responses=UNKNOWN)
async def get_training(task_id: UUID, desk: DeskGiven, who: Viewer) -> TaskShown:
    """Say how far a training is, and its figures once it is over."""
    line = await line_of(task_id, desk=desk, who=who)
    if line.run.kind is not LabKind.TRAIN:
        raise UnknownError("LAB_RUN_UNKNOWN", f"run={task_id} kind={line.run.kind}. It teaches no model.")
    return shown_task(shown_run(line))


@routes.get("/scoreboard", responses={**UNKNOWN, **CONFLICT, **BUSY})
async def get_ml_scoreboard(
    desk: DeskGiven,
    _who: Operator,
    bot_id: UUID,
    days: Days = DAYS,
    bars: Annotated[int, Query(ge=1, le=10_000, description="Candles a trade is held at most.")] = 24,
) -> ScoreboardShown:
    """Compare the entries that a bot's model let through with those it denied and with all of them, each as the same trade."""
    return await scoreboard_of(bot_id, desk=desk, days=days, bars=bars)


@routes.post("/execute", responses={**SENT, **BUSY})
async def post_execution(
    body: ExecuteAsked, request: Request, response: Response, desk: DeskGiven, who: Trader
) -> ExecuteShown:
    """
    Ask a model, and trade what it says by hand; without `"mode": "live"` it is looked at only.

    409 `PREDICTION_UNSURE` where it foretells no move, or is not sure enough. What is sent passes what every trade by hand passes.
    """
    said = await _predict(body, desk=desk)
    side = SIDES.get(said.direction)
    if side is None or said.stop_price is None or Decimal(repr(said.confidence)) < body.confidence_min:
        raise ApiError(
            409,
            "PREDICTION_UNSURE",
            f"model={said.model} direction={said.direction} confidence={said.confidence:.4f} minimum={body.confidence_min:f}. "
            "Nothing was done; ask again after the next candle.",
        )
    asked = TradeAsked(
        symbol=said.symbol,
        stop_price=said.stop_price.quantize(PRICE_STEP),
        capital=body.capital,
        max_risk_percent=body.max_risk_percent,
        account_id=body.account_id,
        strategy_name=said.model,
        mode=body.mode,
        entry_price=None if body.mode is Mode.LIVE else said.close.quantize(PRICE_STEP),
        wait_seconds=body.wait_seconds,
    )
    made = await trade(asked, side, request=request, response=response, desk=desk, who=who)
    return ExecuteShown(prediction=said, trade=made)


async def _predict(asked: PredictAsked, *, desk: Desk) -> PredictionShown:
    symbol = asked.symbol.upper()
    if asked.venue is None:
        require_candles(symbol, asked.timeframe, known=await candle_names(desk))
    question = question_of(asked.timeframe, asked.venue, symbol=symbol)
    if asked.model is not None:
        question["model"] = asked.model
    return PredictionShown.model_validate(await ask_lab(desk, Topic.PREDICTION, question))
