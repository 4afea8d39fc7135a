"""
Looks at the last candles of a symbol as a whole.

What computes (`analyzed`, `predicted`) runs in processes of its own; what waits for it (`Judging`) does not.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, TypeAlias

import numpy as np
import structlog

from pregao import tally
from pregao.domain.breaker import Breaker
from pregao.domain.deployment import Deployment
from pregao.research.analysis.voters import TARGET_RISKS, Analysis, Signal, analyze, decide
from pregao.research.analyzer.combine import Combined, combine
from pregao.research.candles import COLUMNS, Candles, make_candles
from pregao.research.models.predictor import Prediction, Predictors
from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT
from pregao.research.ticks import Candle
from pregao.research.timeframe import read_timeframe

SIDES: Final = {Signal.BUY: LONG, Signal.SELL: SHORT, Signal.NEUTRAL: KEEP}

Compute: TypeAlias = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in another process, and gives what it gives."""
FindPredictors: TypeAlias = Callable[[], Predictors]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be looked at, in plain values that travel between processes."""

    symbol: str
    timeframe: str
    candles: Sequence[Candle]


def analyzed(question: Question) -> tuple[Analysis, float]:
    """Let the eight voters look; give how far a stop of two average ranges lies, too, as a share of the price."""
    candles = candles_of(question)
    return analyze(candles), float(decide(candles).stop[-1]) if len(candles) else inf


def predicted(question: Question, find_predictors: FindPredictors) -> Prediction | None:
    """Let the model of the symbol and timeframe look; None where there is none."""
    predictor = find_predictors().find(symbol=question.symbol, timeframe=question.timeframe)
    return None if predictor is None else predictor.predict(candles_of(question))


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
        combined, stop = await self.look(
            Question(symbol=deployment.symbol, timeframe=deployment.timeframe, candles=candles),
            with_model=deployment.with_model,
        )
        values = deployment.values
        return opinion_of(
            combined, stop=stop, confidence_min=values["confidence"], has_shorts=bool(values["shorts"])
        )

    async def look(self, question: Question, *, with_model: bool) -> tuple[Combined, float]:
        """Give the combined word, and the distance of a stop; whatever the model does, the voters are heard."""
        analysis, stop = await self._compute(analyzed, question)
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
        combined = combine(analysis, prediction, model_failure=failure)
        _tell(combined)
        return combined, stop


def candles_of(question: Question) -> Candles:
    """Put candles into columns."""
    columns = {
        name: np.array(
            [getattr(one, name) for one in question.candles],
            dtype=np.int64 if name == "opened_at_ms" else np.float64,
        )
        for name in COLUMNS
    }
    return make_candles(
        symbol=question.symbol,
        timeframe=read_timeframe(question.timeframe),
        source="live",
        columns=columns,
    )


def _tell(combined: Combined) -> None:
    prediction = combined.ml_prediction
    if prediction is not None:
        tally.tell("deriv_bot_model_confidence", prediction.model, value=prediction.confidence_pct)
    analysis = combined.technical_analysis
    if analysis is not None and analysis.signal is not Signal.NEUTRAL:
        tally.tell("deriv_bot_model_confidence", "technical_analysis", value=analysis.confidence)
