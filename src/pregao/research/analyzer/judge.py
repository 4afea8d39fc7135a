"""
Looks at the last candles of a symbol as a whole.

What computes (`analyzed`, `predicted`) runs in processes of its own, and reads the candles there; what waits for it (`Judging`) does not.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, TypeAlias

import numpy as np
import structlog

from pregao import tally
from pregao.domain.breaker import Breaker
from pregao.domain.deployment import Deployment
from pregao.research.analysis.voters import TARGET_RISKS, Analysis, Signal, analyze, decide
from pregao.research.analyzer.combine import Combined, combine
from pregao.research.analyzer.counting import Compute
from pregao.research.candles import COLUMNS, Candles, make_candles
from pregao.research.models.predictor import Prediction, Predictors
from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT
from pregao.research.ticks import Candle
from pregao.research.timeframe import read_timeframe

SIDES: Final = {Signal.BUY: LONG, Signal.SELL: SHORT, Signal.NEUTRAL: KEEP}

Rows: TypeAlias = tuple["array[Any]", ...]
FindPredictors: TypeAlias = Callable[[], Predictors]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be looked at; it travels between processes, and ``read`` gives the candles where they are computed with."""

    symbol: str
    timeframe: str
    read: Callable[[], Candles]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyzed:
    """What the voters say, and how far a stop of two average ranges lies, as a share of the price."""

    analysis: Analysis
    stop: float
    candles: Mapping[str, Any]  # what candles they looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is said of a symbol in the end, with the distance of a stop, and of which candles."""

    combined: Combined
    stop: float
    candles: Mapping[str, Any]


def analyzed(question: Question) -> Analyzed:
    """Let the eight voters look."""
    candles = question.read()
    return Analyzed(
        analysis=analyze(candles),
        stop=float(decide(candles).stop[-1]) if len(candles) else inf,
        candles=candles.described,
    )


def predicted(question: Question, find_predictors: FindPredictors) -> Prediction | None:
    """Let the model of the symbol and timeframe look; None where there is none."""
    predictor = find_predictors().find(symbol=question.symbol, timeframe=question.timeframe)
    return None if predictor is None else predictor.predict(question.read())


def opinion_of(combined: Combined, *, stop: float, confidence_min: float, has_shorts: bool) -> Opinion:
    """Give what the strategy `technical_analysis` wants: what was entered is held until the other side is said."""
    wanted = SIDES[combined.final_signal]
    if combined.final_confidence < confidence_min:
        wanted = KEEP
    if wanted == SHORT and not has_shorts:
        wanted = FLAT
    return Opinion(
        wanted=wanted,
        stop=stop,
        target=stop * TARGET_RISKS,
        confidence=combined.final_confidence,
        source=combined.signal_source,
    )


class Judging:
    """The port ``Judges``: the voters, and beside them a model where a deployment asks for one."""

    def __init__(self, compute: Compute, *, breaker: Breaker, find_predictors: FindPredictors | None) -> None:
        """Ask no model where ``find_predictors`` is None, nor while its breaker is open."""
        self._compute = compute
        self._breaker = breaker
        self._find_predictors = find_predictors

    async def judge(self, deployment: Deployment, candles: Sequence[Candle]) -> Opinion:
        """Say what is wanted from the close of the last candle on."""
        symbol, timeframe = deployment.symbol, deployment.timeframe
        read = partial(candles_of, columns_of(candles), symbol=symbol, timeframe=timeframe)
        looked = await self.look(
            Question(symbol=symbol, timeframe=timeframe, read=read), with_model=deployment.with_model
        )
        values = deployment.values
        return opinion_of(
            looked.combined,
            stop=looked.stop,
            confidence_min=values["confidence"],
            has_shorts=bool(values["shorts"]),
        )

    async def look(self, question: Question, *, with_model: bool) -> Looked:
        """Give the combined word; whatever the model does, the voters are heard."""
        told: Analyzed = await self._compute(analyzed, question)
        prediction, failure = None, None
        if with_model and self._find_predictors is not None:
            try:
                async with self._breaker.guard():
                    prediction = await self._compute(predicted, question, self._find_predictors)
            except (
                Exception
            ) as problem:  # a model is a file of somebody's: nothing it does silences the voters
                failure = f"MODEL_FAILED: {type(problem).__name__}: {problem}"
                log.warning("analyzer.model.failed", symbol=question.symbol, problem=failure)
        combined = combine(told.analysis, prediction, model_failure=failure)
        _tell(combined)
        return Looked(combined=combined, stop=told.stop, candles=told.candles)


def columns_of(seen: Sequence[Candle]) -> Rows:
    """Put candles into columns that travel as bytes: a thousand candles one by one take milliseconds, in which no tick is taken."""
    return tuple(
        array("q" if name == "opened_at_ms" else "d", [getattr(one, name) for one in seen])
        for name in COLUMNS
    )


def candles_of(rows: Rows, *, symbol: str, timeframe: str) -> Candles:
    """Make candles of such columns."""
    columns = {name: np.array(one) for name, one in zip(COLUMNS, rows, strict=True)}
    return make_candles(symbol=symbol, timeframe=read_timeframe(timeframe), source="live", columns=columns)


def _tell(combined: Combined) -> None:
    prediction = combined.ml_prediction
    if prediction is not None:
        tally.tell("deriv_bot_model_confidence", prediction.model, value=prediction.confidence_pct)
    analysis = combined.technical_analysis
    if analysis is not None and analysis.signal is not Signal.NEUTRAL:
        tally.tell("deriv_bot_model_confidence", "technical_analysis", value=analysis.confidence)
