"""Loops over candles that labels need."""

import numpy as np

from pregao.research.machine import compiled


@compiled
def first_touches(high, low, above, below, horizon):
    """
    Say of each candle which barrier the next ``horizon`` candles touch first, and the number of the candle that settles it.

    1 is the one above, -1 the one below, 0 neither, or both within one candle: nobody knows which came first then. The last
    ``horizon`` candles, and those without barriers, are settled by nothing yet: their number is that of no candle.
    """
    bars = len(high)
    labels = np.zeros(bars, dtype=np.int8)
    settled = np.full(bars, bars, dtype=np.int64)
    for at in range(bars - horizon):
        if not (above[at] > 0 and below[at] > 0):
            continue
        settled[at] = at + horizon
        for later in range(at + 1, at + horizon + 1):
            up = high[later] >= above[at]
            down = low[later] <= below[at]
            if up or down:
                settled[at] = later
                labels[at] = 0 if up and down else (1 if up else -1)
                break
    return labels, settled
