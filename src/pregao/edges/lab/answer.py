"""Say what indicators, voters and patterns make of the last candles of a symbol. What is missing is never made up (F131)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import talib

from pregao.domain.lab import Topic, candles_name
from pregao.edges.candle_files.store import CandleFolder, CandlesMissingError
from pregao.edges.lab.carry_out import about, finite
from pregao.research.analysis import compiled, voters
from pregao.research.candles import Candles, Prices
from pregao.research.indicators import batch

CANDLES_READ: Final = 2_000  # the last ones: every indicator has settled by then
FORMATIONS: Final = ("double bottom", "head and shoulders bottom", "double top", "head and shoulders top")


def answer(topic: Topic, question: Mapping[str, Any], *, candle_folder: Path) -> dict[str, Any]:
    """
    Answer a question about one symbol, or about several one by one.

    :raises CandlesMissingError: when there are no candles of a symbol that is asked about alone.
    """
    folder, timeframe = CandleFolder(candle_folder), str(question["timeframe"])
    if "symbols" not in question:
        return _of_symbol(topic, str(question["symbol"]), timeframe, folder, question)
    told: dict[str, Any] = {}
    for symbol in question["symbols"]:
        try:
            told[symbol] = _of_symbol(topic, symbol, timeframe, folder, question)
        except CandlesMissingError as missing:
            code, _, message = str(missing).partition(": ")
            told[symbol] = {"error": {"code": code, "message": message}}
    return {"timeframe": timeframe, "symbols": told}


def _of_symbol(
    topic: Topic, symbol: str, timeframe: str, folder: CandleFolder, question: Mapping[str, Any]
) -> dict[str, Any]:
    candles = _last(folder.get(candles_name(symbol, timeframe)))
    limit = int(question.get("limit", 1))
    told = {"candles": about(candles), **ANSWERS[topic](candles, limit)}
    return finite(told)  # type: ignore[no-any-return]


def _last(candles: Candles) -> Candles:
    return candles.part(max(0, len(candles) - CANDLES_READ), len(candles))


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


def _signals(candles: Candles, limit: int) -> dict[str, Any]:
    """Say what the eight voters decide about the last candle (E4.1)."""
    del limit
    return {"at_ms": int(candles.opened_at_ms[-1]), **asdict(voters.analyze(candles))}


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
    Topic.SIGNALS: _signals,
    Topic.PATTERNS: _patterns,
}
