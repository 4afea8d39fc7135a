"""
Stretches of candles on which nothing is bought or sold: where they end, and what a held position adds up to on them.

Most candles of a backtest are on one. They are looked at several at a time, and what is wanted comes as its changes alone.
"""

from typing import Final

import numpy as np

from pregao.research.candles import Prices
from pregao.research.machine import compiled, inlined, summing, trailing_zeros
from pregao.research.strategies.strategy import FLAT, KEEP, LONG

TILE: Final = 1_024  # candles that all combinations go through before the next ones: their prices stay in the nearest caches
WINDOW: Final = 8  # candles that are passed at once where none of them reaches a price
EIGHT_LONG, EIGHT_SHORT = np.uint64(0x0101010101010101), np.uint64(0xFFFFFFFFFFFFFFFF)
NO_BITS, BITS_OF_ALL_BUT_ONE = np.uint64(0), np.uint64(0xFFFFFFFFFFFFFF00)
THREE = np.uint64(3)


@compiled
def note_changes(wanted, first, before, changed_at, changed_to):
    """
    Note where in a tile something else is wanted than before, and what; give how many notes there are.

    What was wanted ``before`` the tile's ``first`` candle is the first of them; after the last comes the tile's end.
    """
    changed_at[0] = first - 1
    changed_to[0] = before
    count = 1
    for at in range(len(wanted)):
        changed_at[count] = first + at
        changed_to[count] = wanted[at]
        count += wanted[at] != changed_to[count - 1]
    changed_at[count], changed_to[count] = first + len(wanted), FLAT
    return count


@compiled
def note_crossings(fast, slow, below, first, before, side, signs, changed_at, changed_to):
    """
    Note the same of what `strategies.compiled.cross` wants, but for ``below`` in place of short.

    ``side`` is where the fast line was before the tile: 1 above, -1 below, 0 neither yet; where it is after it is given, too.
    ``signs`` is room for a tile.
    """
    changed_at[0] = first - 1
    changed_to[0] = before
    count = 1
    bars = len(fast)
    for at in range(bars):
        signs[at] = np.int8(fast[at] > slow[at]) - np.int8(fast[at] < slow[at])
    signs[bars : (bars + 7) // 8 * 8] = 0
    eights = signs.view(np.uint64)
    same = EIGHT_LONG if side > 0 else EIGHT_SHORT if side < 0 else NO_BITS
    for eight in range((bars + 7) // 8):
        others = eights[eight] ^ same
        while others != NO_BITS:
            one = trailing_zeros(others) >> THREE
            place = eight * 8 + np.int64(one)
            if signs[place] != 0:  # equal lines are where they were
                if side != 0:  # being above from the start is no crossing
                    to = LONG if signs[place] > 0 else below
                    changed_at[count] = first + place
                    changed_to[count] = to
                    count += to != changed_to[count - 1]
                side = signs[place]
                same = EIGHT_LONG if side > 0 else EIGHT_SHORT
                others = eights[eight] ^ same
            others &= BITS_OF_ALL_BUT_ONE << (one << THREE)
    changed_at[count], changed_to[count] = first + bars, FLAT
    return count, side


def windows_of(lows: Prices, highs: Prices) -> tuple[Prices, Prices]:
    """Give from each candle on the lowest and the highest price of as many candles as a window has, or as there are."""
    lowest, highest = lows.copy(), highs.copy()
    width = 1
    while width < WINDOW:
        lowest[:-width] = np.minimum(lowest[:-width], lowest[width:])
        highest[:-width] = np.maximum(highest[:-width], highest[width:])
        width *= 2
    for prices in (lowest, highest):
        prices.setflags(write=False)  # as the candles' own: of another type the loops would be compiled again
    return lowest, highest


@inlined
def held_until(changed_at, changed_to, first, side):
    """Give the candle before which a position of that side is no longer held on, when ``first`` is what is wanted now."""
    change = first
    while changed_to[change] == side or changed_to[change] == KEEP:
        change += 1
    return changed_at[change]


@inlined
def untouched_until(lows, highs, lowest, highest, width, below, above, first, end):
    """Give where from ``first`` on a candle reaches one of two prices, at most ``end``; windows of that width are looked at first."""
    at = first
    while at < end and lowest[at] > below and highest[at] < above:
        at += width
    while at < end and lows[at] > below and highs[at] < above:
        at += 1
    return min(at, end)


@inlined
def unpaid_until(funding, first, end):
    """Give where from ``first`` on funding falls due, at most ``end``."""
    at = first
    while at < end and funding[at] == 0:
        at += 1
    return at


@summing
def added_up(closes, first, end, cash, amount, entry_price, low, high):
    """
    Give the powers of a held position's returns from close to close, added up, those of its falls, and how often it is not between bounds.

    Returns are those of what the account is worth; ``amount`` is negative where a short is held.
    """
    one = two = three = four = falls = 0.0
    outside = 0
    now, prior = closes[first:end], closes[first - 1 : end - 1]
    for at in range(len(now)):
        worth = cash + amount * (now[at] - entry_price)
        before = cash + amount * (prior[at] - entry_price)
        change = worth / before - 1 if before > 0 else 0.0
        square = change * change
        one += change
        two += square
        three += square * change
        four += square * square
        fall = min(change, 0.0)
        falls += fall * fall
        outside += (worth <= low) | (worth >= high)
    return one, two, three, four, falls, outside
