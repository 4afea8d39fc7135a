"""Funding of perpetual contracts, put to the candles in which it falls due."""

import numpy as np

from pregao.research.candles import Candles, Prices, Times


def one_rate(candles: Candles, *, rate: float, every_ms: int) -> Prices:
    """Give for each candle what falls due while it runs when it is the same at every full ``every_ms`` of the clock."""
    opened = candles.opened_at_ms
    first = -(-int(opened[0]) // every_ms) * every_ms
    due = np.arange(first, int(opened[-1]) + candles.timeframe.ms, every_ms, dtype=np.int64)
    return funding_by_candle(candles, due_at_ms=due, rates=np.full(len(due), rate))


def funding_by_candle(candles: Candles, *, due_at_ms: Times, rates: Prices) -> Prices:
    """Give for each candle the rates that fall due while it runs, added; where no candle runs, the next one takes them."""
    opened = candles.opened_at_ms
    at = np.searchsorted(opened, due_at_ms, side="right") - 1
    in_time = (at >= 0) & (due_at_ms < opened[np.maximum(at, 0)] + candles.timeframe.ms)
    at = np.where(in_time, at, at + 1)
    there = (at < len(candles)) & (due_at_ms >= (opened[0] if len(candles) else 0))
    due = np.zeros(len(candles))
    np.add.at(due, at[there], rates[there])
    return due
