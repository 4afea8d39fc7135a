"""
Levels and formations at every candle, from the turns that could be seen by then.

A turn is a high (or low) with WING lower highs (higher lows) on both sides, so it is known WING candles later. The last TURNS of each
kind are remembered.
"""

import numpy as np

from pregao.research.machine import compiled

WING = 5
TURNS = 12
NEAR = 0.5  # of the ATR: closer than this is the same level
FORMATION_BARS = 5  # a formation that was completed counts for so long
HEIGHT_MIN = 2.0  # of the ATR: lower than this is noise
SUREST = 3  # patterns of a side that are counted for its strength
SURE_MAX = 100  # a pattern that was confirmed counts no more than one that is sure


@compiled
def surest(marks):
    """
    Give for every candle how many patterns buy and sell, and the mean of each side's surest.

    One row for each pattern: what it marks is above 0 where it buys, below where it sells.
    """
    rows, bars = marks.shape
    counts = np.zeros((2, bars), dtype=np.int64)
    best = np.zeros((2, SUREST, bars))
    for row in range(rows):
        for at in range(bars):
            mark = marks[row, at]
            if mark == 0:
                continue
            side = 0 if mark > 0 else 1
            sure = min(abs(mark), SURE_MAX)
            counts[side, at] += 1
            for place in range(SUREST):
                if sure > best[side, place, at]:
                    for behind in range(SUREST - 1, place, -1):
                        best[side, behind, at] = best[side, behind - 1, at]
                    best[side, place, at] = sure
                    break
    means = np.zeros((2, bars))
    for side in range(2):
        for at in range(bars):
            if counts[side, at]:
                total = 0.0
                for place in range(SUREST):
                    total += best[side, place, at]
                means[side, at] = total / min(counts[side, at], SUREST)
    return counts, means


@compiled
def is_turn(values, at, sign):
    """Say whether ``values`` turn at a place: a high when ``sign`` is 1, a low when it is -1; the first of equals counts."""
    for step in range(1, WING + 1):
        if sign * (values[at - step] - values[at]) >= 0 or sign * (values[at + step] - values[at]) > 0:
            return False
    return True


@compiled
def touches_of(level, reach, highs, high_count, lows, low_count):
    """Count the remembered turns that lie at a level."""
    found = 0
    for one in range(high_count):
        found += abs(highs[one] - level) <= reach
    for one in range(low_count):
        found += abs(lows[one] - level) <= reach
    return found


@compiled
def levels(opens, high, low, close, atr):
    """
    Give the vote and its strength at every candle: a level was broken, or held.

    The more turns lie at a level, the stronger it is; one that holds counts 0.7 of one that breaks.
    """
    bars = len(close)
    votes = np.zeros(bars, dtype=np.int8)
    strengths = np.zeros(bars)
    highs = np.zeros(TURNS)
    lows = np.zeros(TURNS)
    high_count = low_count = 0
    for at in range(2 * WING, bars):
        turn = at - WING
        if is_turn(high, turn, 1):
            high_count = _remember(highs, high_count, high[turn])
        if is_turn(low, turn, -1):
            low_count = _remember(lows, low_count, low[turn])
        reach = NEAR * atr[at]
        if not reach > 0:
            continue
        best = 0.0
        vote = 0
        for one in range(high_count):
            level = highs[one]
            weight = min(
                100.0, 40.0 + 20.0 * (touches_of(level, reach, highs, high_count, lows, low_count) - 1)
            )
            if close[at - 1] <= level < close[at] and weight > best:
                best, vote = weight, 1
            held = abs(high[at] - level) <= reach / 2 and close[at] < opens[at] and close[at] < level
            if held and 0.7 * weight > best:
                best, vote = 0.7 * weight, -1
        for one in range(low_count):
            level = lows[one]
            weight = min(
                100.0, 40.0 + 20.0 * (touches_of(level, reach, highs, high_count, lows, low_count) - 1)
            )
            if close[at - 1] >= level > close[at] and weight > best:
                best, vote = weight, -1
            held = abs(low[at] - level) <= reach / 2 and close[at] > opens[at] and close[at] > level
            if held and 0.7 * weight > best:
                best, vote = 0.7 * weight, 1
        votes[at] = vote
        strengths[at] = best
    return votes, strengths


@compiled
def formations(high, low, close, atr):
    """
    Give the confidence (0 to 100) in four formations at every candle, by row.

    Double bottom, head and shoulders upside down, double top, head and shoulders. One is completed by the close that crosses the
    line between its turns; confidence is how equal its two outer turns are, as a share of its height.
    """
    bars = len(close)
    found = np.zeros((4, bars))
    kinds = np.zeros(TURNS, dtype=np.int8)  # the last turns in order, a high after a low after a high
    prices = np.zeros(TURNS)
    count = 0
    for at in range(2 * WING, bars):
        turn = at - WING
        turns_down, turns_up = is_turn(high, turn, 1), is_turn(low, turn, -1)
        if turns_down != turns_up:  # nobody knows which came first on a candle that is both
            sign = 1 if turns_down else -1
            values = high if turns_down else low
            if count > 0 and kinds[count - 1] == sign:  # two highs in a row: the higher one counts
                if sign * (values[turn] - prices[count - 1]) > 0:
                    prices[count - 1] = values[turn]
            else:
                if count == TURNS:
                    kinds[:-1] = kinds[1:].copy()
                    prices[:-1] = prices[1:].copy()
                    count -= 1
                kinds[count] = sign
                prices[count] = values[turn]
                count += 1
        if not atr[at] > 0:
            continue
        for row in range(4):
            outer = -1 if row < 2 else 1
            last = count - 1 if count > 0 and kinds[count - 1] == outer else count - 2
            span = 2 if row in (0, 2) else 4
            if last - span < 0:
                continue
            second, first = prices[last], prices[last - span]
            if span == 2:
                line = prices[last - 1]
                height = abs(line - (first + second) / 2)
            else:
                line = (prices[last - 1] + prices[last - 3]) / 2
                head = prices[last - 2]
                height = abs(line - head)
                if outer * (head - first) <= 0 or outer * (head - second) <= 0:
                    continue
            crossed = outer * (close[at - 1] - line) >= 0 > outer * (close[at] - line)
            if crossed and height >= HEIGHT_MIN * atr[at]:
                confidence = 100.0 * (1.0 - abs(first - second) / height)
                for later in range(at, min(bars, at + FORMATION_BARS)):
                    found[row, later] = max(found[row, later], confidence)
    return found


@compiled
def _remember(values, count, value):
    if count == len(values):
        values[:-1] = values[1:].copy()
        count -= 1
    values[count] = value
    return count + 1
