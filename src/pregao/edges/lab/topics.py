"""
What indicators, voters and patterns make of the last candles of a symbol. What is missing is never made up (F131).

All of it computes, and reads its candles itself: it runs in processes of its own (`answer.py` waits for them).
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import talib

from pregao.domain.account import Venue
from pregao.domain.lab import Topic, candles_name
from pregao.edges.candle_files.store import CandleFolder
from pregao.edges.lab.carry_out import finite
from pregao.research.analysis import compiled, voters
from pregao.research.analysis.voters import Signal
from pregao.research.analyzer.combine import is_sure
from pregao.research.analyzer.judge import FindPredictors
from pregao.research.analyzer.ports import PastUnavailableError
from pregao.research.candles import COLUMNS, Candles, Columns, Prices, make_candles
from pregao.research.indicators import batch
from pregao.research.models.scoreboard import Entry, Fate, board
from pregao.research.timeframe import read_timeframe

CANDLES_READ: Final = 2_000  # the last ones: every indicator has settled by then
FORMATIONS: Final = ("double bottom", "head and shoulders bottom", "double top", "head and shoulders top")


CLOSED_AT: Final = 6  # place in a venue's row, whose first are ours: a candle's last millisecond

_klines = msgspec.json.Decoder(list[list[float]], strict=False)  # milliseconds are whole in a float, too


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTold:
    """Candles in a venue's own bytes, and the venue's time when it was asked: what had closed by then is closed."""

    body: bytes
    now_ms: int


def stored_candles(folder: Path, *, symbol: str, timeframe: str) -> Candles:
    """
    Read the last of the lab's own candles.

    :raises CandlesMissingError: when it has none of these.
    """
    return CandleFolder(folder).get_last(candles_name(symbol, timeframe), rows=CANDLES_READ)


def venue_candles(told: VenueTold, *, symbol: str, timeframe: str, venue: str) -> Candles:
    """
    Put the closed ones of the candles that a venue told into columns; those of the paper exchange are no market's.

    :raises PastUnavailableError: when they cannot be read.
    """
    try:
        rows = np.array(_klines.decode(told.body) or np.empty((0, CLOSED_AT + 1)))
        closed = rows[rows[:, CLOSED_AT] < told.now_ms]
    except (
        msgspec.DecodeError,
        ValueError,
        IndexError,
    ) as problem:  # no numbers, rows of two lengths, too short ones
        raise PastUnavailableError(
            f"CANDLES_UNAVAILABLE: venue={venue} symbol={symbol} timeframe={timeframe}. Its answer holds no candles."
        ) from problem
    columns: Columns = {name: closed[:, place].copy() for place, name in enumerate(COLUMNS)}
    columns["opened_at_ms"] = closed[:, 0].astype(np.int64)
    return make_candles(
        symbol=symbol,
        timeframe=read_timeframe(timeframe),
        source=venue,
        is_simulated=venue == Venue.PAPER,
        columns=columns,
    )


def told_of(topic: Topic, read: Callable[[], Candles], limit: int) -> dict[str, Any]:
    """Answer about one symbol what the voters have no part in."""
    candles = read()
    return finite({"candles": candles.described, **ANSWERS[topic](candles, limit)})  # type: ignore[no-any-return]


def predicted(
    read: Callable[[], Candles], find_predictors: FindPredictors, named: str | None
) -> dict[str, Any]:
    """
    Ask the model of that name, or the newest of the candles' symbol and timeframe, about the last candle.

    Where it says up or down, the levels are those of its own question: as far from the close as its barriers were.

    :raises LookupError: when there is none.
    :raises ModelUnusableError: when it cannot be trusted.
    :raises PredictionImpossibleError: when it cannot say anything of these candles.
    """
    candles = read()
    models: Any = find_predictors()
    mine = importlib.import_module("pregao.edges.model_files.spelling").as_the_venue_spells(candles)
    predictor = (
        models.find(symbol=mine.symbol, timeframe=mine.timeframe.name) if named is None else models.get(named)
    )
    if predictor is None:
        raise LookupError(
            f"MODEL_MISSING: symbol={mine.symbol} timeframe={mine.timeframe.name} known={', '.join(models.names()) or 'none'}. "
            "Make one with `pregao model train`, or POST /api/ml/train."
        )
    said = predictor.predict(mine)
    manifest, close = predictor.manifest, float(mine.close[-1])
    reach = manifest.recipe.question.barrier * float(batch.atr(mine)[-1])
    way = {Signal.BUY: 1, Signal.SELL: -1}.get(said.signal)
    return finite(  # type: ignore[no-any-return]
        {
            "candles": mine.described,
            **asdict(said),
            "signal": said.signal,
            "confidence_pct": said.confidence_pct,
            "is_sure": is_sure(said),
            "horizon": manifest.recipe.question.horizon,
            "gain": manifest.score.gain,
            "is_better": manifest.score.is_better,
            # As text: prices that somebody may trade by, with the digits that they have here.
            "close": repr(close),
            "stop_price": None if way is None else repr(close - way * reach),
            "target_price": None if way is None else repr(close + way * reach),
        }
    )


def scoreboard(folder: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """
    Try each entry that met a model's filter as the same trade, and give what each kind came to, and all together.

    :raises CandlesMissingError: when the lab has no candles of what the model is of.
    """
    name = candles_name(str(question["symbol"]), str(question["timeframe"]))
    candles = CandleFolder(folder).get(name)
    lines = board(
        [Entry(**{**one, "fate": Fate(one["fate"])}) for one in question["entries"]],
        candles,
        stop=float(question["stop"]),
        target=float(question["target"]),
        bars=int(question["bars"]),
        fee_bps=float(question["fee_bps"]),
    )
    return finite({"candles": candles.described, "lines": [asdict(line) for line in lines]})  # type: ignore[no-any-return]


def _indicators(candles: Candles, limit: int) -> dict[str, Any]:
    """Give each at the last candles, the latest last."""
    close = candles.close
    macd, bands, stochastic = batch.macd(close), batch.bollinger(close), batch.stochastic(candles)
    directional = batch.adx(candles)
    lines: dict[str, Prices] = {
        "close": close,
        "sma_20": batch.sma(close, period=20),
        "sma_50": batch.sma(close, period=50),
        "ema_9": batch.ema(close, period=9),
        "ema_21": batch.ema(close, period=21),
        "rsi_14": batch.rsi(close),
        "macd": macd.line,
        "macd_signal": macd.signal,
        "macd_histogram": macd.histogram,
        "bollinger_upper": bands.upper,
        "bollinger_middle": bands.middle,
        "bollinger_lower": bands.lower,
        "stochastic_k": stochastic.k,
        "stochastic_d": stochastic.d,
        "atr_14": batch.atr(candles),
        "adx_14": directional.adx,
        "cci_20": batch.cci(candles),
    }
    opened = candles.opened_at_ms[-limit:].tolist()
    return {"at_ms": opened, "indicators": {name: line[-limit:].tolist() for name, line in lines.items()}}


def _patterns(candles: Candles, limit: int) -> dict[str, Any]:
    """Give the candlestick patterns and chart formations that end on the last candles, the latest first."""
    prices = (candles.open, candles.high, candles.low, candles.close)
    found = [
        {"at_ms": int(candles.opened_at_ms[at]), "pattern": name.removeprefix("CDL").lower(), "kind": "candlestick",
         "side": "buy" if marks[at] > 0 else "sell", "confidence": min(abs(int(marks[at])), 100)}
        for name, marks in ((name, getattr(talib, name)(*prices)) for name in voters.PATTERNS)
        for at in range(max(0, len(candles) - limit), len(candles))
        if marks[at]
    ]  # fmt: skip
    formed = compiled.formations(candles.high, candles.low, candles.close, batch.atr(candles))
    found += [
        {"at_ms": int(candles.opened_at_ms[at]), "pattern": name, "kind": "formation",
         "side": "buy" if number < len(FORMATIONS) // 2 else "sell", "confidence": float(formed[number, at])}
        for number, name in enumerate(FORMATIONS)
        for at in range(max(0, len(candles) - limit), len(candles))
        if not np.isnan(formed[number, at]) and formed[number, at] > 0
    ]  # fmt: skip
    found.sort(key=lambda one: (-int(str(one["at_ms"])), str(one["pattern"])))
    return {"looked_at": min(limit, len(candles)), "patterns": found}


ANSWERS: Final[Mapping[Topic, Callable[[Candles, int], dict[str, Any]]]] = {
    Topic.INDICATORS: _indicators,
    Topic.PATTERNS: _patterns,
}
