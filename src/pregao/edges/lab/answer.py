"""
Answers what is asked about the last candles of a symbol, or of several at once, each by itself; or about a deployment.

Candles are the lab's own or a venue's, where the question names one. What waits is here; what computes is not (`topics.py`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from pregao.domain.breaker import Breaker
from pregao.domain.lab import Topic
from pregao.edges.lab import topics
from pregao.edges.lab.beside import compare_deployment
from pregao.edges.lab.carry_out import finite
from pregao.research.analyzer.combine import NOTHING
from pregao.research.analyzer.counting import Compute, counting
from pregao.research.analyzer.judge import FindPredictors, Judging, Question
from pregao.research.analyzer.ports import PastUnavailableError
from pregao.research.analyzer.several import Monotonic, Seen, look_at_each
from pregao.research.candles import Candles

AskVenue: TypeAlias = Callable[[str, str, str], Awaitable[topics.VenueTold]]
"""Gives the last candles of a venue's symbol and timeframe as it tells them: this process, which waits for all, reads none."""

log = structlog.get_logger()


class Answering:
    """Says what indicators, voters, models and patterns make of the last candles."""

    def __init__(
        self,
        compute: Compute,
        *,
        candle_folder: Path,
        model_folder: Path,
        find_predictors: FindPredictors,
        breaker: Breaker,
        ask_venue: AskVenue,
        monotonic: Monotonic,
    ) -> None:
        """Compute in other processes; no model is loaded where the folder has none."""
        self._compute = compute
        self._counting = counting(compute)
        self._candle_folder = candle_folder
        self._model_folder = model_folder
        self._find_predictors = find_predictors
        self._judging = Judging(self._counting, breaker=breaker, find_predictors=find_predictors)
        self._ask_venue = ask_venue
        self._monotonic = monotonic

    async def answer(self, topic: Topic, question: Mapping[str, Any]) -> dict[str, Any]:
        """
        Answer a question about one symbol, or about several: then each has its answer or its error; or about a deployment.

        :raises LookupError: when there are no candles of a symbol that is asked about alone.
        :raises PastUnavailableError: when the venue does not give them.
        """
        if topic is Topic.DEPLOYMENT:
            compared: dict[str, Any] = await self._compute(
                compare_deployment, question, self._candle_folder, self._model_folder
            )
            return compared
        named = question["symbols"] if "symbols" in question else (question["symbol"],)
        symbols = [str(one) for one in named]
        look = partial(self._look, topic, question)
        seen = await look_at_each(symbols, look, monotonic=self._monotonic)
        if "symbols" in question:
            told = {symbol: _told(symbol, one) for symbol, one in seen.items()}
            return {"timeframe": question["timeframe"], "symbols": told}
        (one,) = seen.values()
        if one.problem is not None:
            raise one.problem
        return _told(symbols[0], one)

    async def _look(self, topic: Topic, question: Mapping[str, Any], symbol: str) -> dict[str, Any]:
        timeframe = str(question["timeframe"])
        if topic is Topic.SCOREBOARD:
            board: dict[str, Any] = await self._counting(topics.scoreboard, self._candle_folder, question)
            return board
        read = await self._candles(symbol, timeframe, venue=question.get("venue"))
        if topic is Topic.PREDICTION:
            said: dict[str, Any] = await self._counting(
                topics.predicted, read, self._find_predictors, question.get("model")
            )
            return said
        if topic is Topic.SIGNALS:
            return await self._signal(Question(symbol=symbol, timeframe=timeframe, read=read))
        told: dict[str, Any] = await self._counting(
            topics.told_of, topic, read, int(question.get("limit", 1))
        )
        return told

    async def _candles(self, symbol: str, timeframe: str, *, venue: str | None) -> Callable[[], Candles]:
        if venue is None:
            return partial(topics.stored_candles, self._candle_folder, symbol=symbol, timeframe=timeframe)
        told = await self._ask_venue(venue, symbol, timeframe)
        return partial(topics.venue_candles, told, symbol=symbol, timeframe=timeframe, venue=venue)

    async def _signal(self, question: Question) -> dict[str, Any]:
        """Say what the eight voters decide about the last candle (E4.1), and what is said in the end (E4)."""
        looked = await self._judging.look(question, with_model=any(self._model_folder.glob("*.json")))
        combined = looked.combined
        assert combined.technical_analysis is not None, "the voters are always heard"
        prediction = combined.ml_prediction
        told = {
            "candles": looked.candles,
            "at_ms": looked.candles["last_ms"],
            **asdict(combined.technical_analysis),
            "final_signal": combined.final_signal,
            "final_confidence": combined.final_confidence,
            "signal_source": combined.signal_source,
            "ml_prediction": None if prediction is None else asdict(prediction),
            "warning": combined.warning,
        }
        return finite(told)  # type: ignore[no-any-return]


def code_and_message(problem: Exception) -> tuple[str, str] | None:
    """Give the stable code a problem's text begins with and the rest; None when it is a mistake of ours."""
    code, _, message = str(problem).partition(": ")
    is_known = isinstance(problem, LookupError | ValueError | PastUnavailableError)
    return (code, message) if is_known and code.replace("_", "").isupper() else None


def _told(symbol: str, seen: Seen[dict[str, Any]]) -> dict[str, Any]:
    latency_ms = round(seen.latency_ms, 3)
    if seen.said is not None:
        return {**seen.said, "latency_ms": latency_ms}
    problem = seen.problem
    assert problem is not None, "something came of it"
    known = code_and_message(problem)
    if known is None:
        log.error("lab.question.failed", symbol=symbol, exc_info=problem)
        known = "LAB_FAILED", "The lab's log says why."
    return {
        "error": {"code": known[0], "message": known[1]},
        "final_signal": NOTHING.final_signal,
        "final_confidence": NOTHING.final_confidence,
        "signal_source": NOTHING.signal_source,
        "latency_ms": latency_ms,
    }
