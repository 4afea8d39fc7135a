"""Candles under the venue's spelling of their symbol: by it a model is found, and its candles are asked for."""

from dataclasses import replace

from pregao.research.candles import Candles
from pregao.research.models.predictor import ModelUnusableError
from pregao.signals.symbols import to_symbol
from pregao.signals.unreadable import Unreadable


def as_the_venue_spells(candles: Candles, *, symbol: str | None = None) -> Candles:
    """
    Give candles under the venue's spelling of their symbol, or of the one that somebody says they are of.

    :raises ModelUnusableError: when that names no symbol for certain.
    """
    told = symbol or candles.symbol
    try:
        return replace(candles, symbol=to_symbol(told, field="symbol"))
    except Unreadable as problem:
        raise ModelUnusableError(
            f"MODEL_SYMBOL_UNUSABLE: symbol={told}. A model is found by the venue's own symbol, and this names none for certain; "
            "bring the candles in under one, or say which with --symbol, such as --symbol BTCUSDT."
        ) from problem
