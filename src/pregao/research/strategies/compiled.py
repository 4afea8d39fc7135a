"""Loops over candles that strategies need."""

import numpy as np

from pregao.research.machine import compiled
from pregao.research.strategies.strategy import FLAT, LONG, SHORT


@compiled
def cross(fast, slow):
    """Want to be long from where the fast line crosses above the slow one, short from where it crosses below; flat before."""
    wanted = np.empty(len(fast), dtype=np.int8)
    side = 0
    held = FLAT
    for at in range(len(fast)):
        now = side
        if fast[at] > slow[at]:
            now = LONG
        elif fast[at] < slow[at]:
            now = SHORT
        if now != side:
            if side != 0:  # being above from the start is no crossing
                held = now
            side = now
        wanted[at] = held
    return wanted


@compiled
def breakout(close, upper, lower, near_upper, near_lower):
    """Follow the close out of a range, until it leaves a nearer one the other way; the ranges are those before the close."""
    wanted = np.zeros(len(close), dtype=np.int8)
    held = FLAT
    for at in range(1, len(close)):
        price = close[at]
        if price > upper[at - 1]:
            held = LONG
        elif price < lower[at - 1]:
            held = SHORT
        elif (held == LONG and price < near_lower[at - 1]) or (held == SHORT and price > near_upper[at - 1]):
            held = FLAT
        wanted[at] = held
    return wanted
