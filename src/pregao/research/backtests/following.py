"""
What `plain` does to an account candle by candle, compiled: from one candle on which something may happen to the next.

What a run adds up to is written into ``sums`` on the way, by the places of `SUMS`.
"""

from math import floor, inf
from typing import Final

import numpy as np

from pregao.research.backtests.outcome import (
    BARS_HELD,
    BEST,
    DENIED,
    DOWNSIDE_2,
    DRAWDOWN_BARS_MAX,
    DRAWDOWN_MAX,
    FEES,
    FINAL_EQUITY,
    FUNDING,
    GROSS_LOSS,
    GROSS_PROFIT,
    LOSSES,
    RETURN_1,
    RETURN_2,
    RETURN_3,
    RETURN_4,
    TRADES,
    WINS,
    WORST,
)  # fmt: skip
from pregao.research.backtests.stretches import added_up, held_until, unpaid_until, untouched_until
from pregao.research.backtests.terms import Ending, Sizing
from pregao.research.machine import compiled, inlined
from pregao.research.strategies.strategy import KEEP

SIGNAL, STOP, TARGET, LIQUIDATED, END = (int(one) for one in Ending)
MONEY, RISK = int(Sizing.MONEY), int(Sizing.RISK)
NOTHING: Final = -1  # has ended it
ROUNDING: Final = 1e-12  # more than sums in another order differ by

# An account and what it holds; so it waits while others go through the same candles.
ACCOUNT: Final = np.dtype(
    [
        ("cash", np.float64),
        ("quantity", np.float64),
        ("entry_price", np.float64),
        ("guard", np.float64),  # the nearer one of stop and liquidation
        ("target_price", np.float64),
        ("bankrupt_price", np.float64),
        ("fees", np.float64),
        ("funding", np.float64),
        ("worth", np.float64),  # at the last close
        ("peak", np.float64),
        ("peak_bar", np.int64),
        ("entry_bar", np.int64),
        ("guard_ending", np.int64),
        ("side", np.int64),
        ("barred", np.int64),  # the side that ended by itself, until something else is wanted
        ("wants", np.int64),  # what was wanted at the last close
    ]
)


@inlined
def open_account(account, terms):
    """Put the money in."""
    account.cash = account.worth = account.peak = terms[0]
    account.peak_bar = -1


# In one piece: with its parts as functions of their own a sweep took some 8 % longer.
@compiled
def follow(
    account,
    prices,
    windows,
    width,
    first,
    end,
    changed_at,
    changed_to,
    stops,
    targets,
    funding,
    terms,
    whole,
    others,
    equity,
    sums,
):
    """
    Follow what is wanted through the candles from ``first`` to ``end``.

    The changes begin with what was wanted before. ``whole`` and ``others`` take the trades' columns and ``equity`` the worth at
    each close, if they have room. Windows are those of `windows_of`, or the prices themselves with a width of 1.
    """
    opens, highs, lows, closes = prices
    lowest, highest = windows
    _, _, _, _, fee, slippage, _, _, stops_wait, stops_first, closes_at_end = terms
    bars = len(closes)
    last = min(end, bars - 1)  # the last candle of all is looked at by itself
    pays_funding = len(funding) > 0
    one_stop = len(stops) == 1
    one_target = len(targets) == 1
    keeps_equity = len(equity) > 0
    wish = held_to = 0
    at = first
    while at < end:
        if account.side == 0:
            till = at
            while till < end and (changed_to[wish] == 0 or changed_to[wish] == account.barred):
                if changed_to[wish] == 0:
                    account.barred = 0
                wish += 1
                till = min(changed_at[wish] + 1, end)
            if keeps_equity:
                equity[at:till] = account.cash
            if till > at and account.cash >= account.peak:
                account.peak_bar = till - 1
        else:
            if held_to < at:
                held_to = min(held_until(changed_at, changed_to, wish, account.side) + 1, last)
            if account.side > 0:
                below, above = account.guard, account.target_price
            else:
                below, above = account.target_price, account.guard
            till = untouched_until(lows, highs, lowest, highest, width, below, above, at, held_to)
            if pays_funding:
                till = unpaid_until(funding, at, till)
            if till > at:
                hold(account, closes, at, till, equity, sums)
        at = till
        if at == end:
            break
        while changed_at[wish + 1] < at:
            wish += 1
        want = np.int64(changed_to[wish])
        if pays_funding and account.side != 0:
            paid = account.side * account.quantity * opens[at] * funding[at]
            account.funding += paid
            account.cash -= paid
        if stops_first and account.side != 0:
            ending, price = ended_by_price(account, opens[at], highs[at], lows[at])
            if ending != NOTHING:
                leave(account, at, ending, price, fee, slippage, whole, others, sums)
        if want != account.barred:
            account.barred = 0
        if want != KEEP:
            if account.side not in (0, want):
                leave(account, at, SIGNAL, opens[at], fee, slippage, whole, others, sums)
            if account.side == 0 and want not in (0, account.barred):
                stop = stops[0] if one_stop else stops[at - 1]
                target = targets[0] if one_target else targets[at - 1]
                enter(account, at, want, opens[at] * (1 + want * slippage), stop, target, terms, sums)
        if not stops_first and account.side != 0 and not (stops_wait and at == account.entry_bar):
            ending, price = ended_by_price(account, opens[at], highs[at], lows[at])
            if ending != NOTHING:
                leave(account, at, ending, price, fee, slippage, whole, others, sums)
        if account.side != 0:
            sums[BARS_HELD] += 1
            if at == bars - 1 and closes_at_end:
                leave(account, at, END, closes[at], fee, slippage, whole, others, sums)
        value(account, at, closes[at], sums)
        if keeps_equity:
            equity[at] = account.worth
        at += 1
    if end == bars:
        if bars > 0 and account.worth < account.peak:
            sums[DRAWDOWN_BARS_MAX] = max(sums[DRAWDOWN_BARS_MAX], bars - 1 - account.peak_bar)
        sums[FINAL_EQUITY] = account.worth


@inlined
def enter(account, at, side, price, stop, target, terms, sums):
    """Buy or sell what the terms allow, at a price."""
    _, sizing, size, leverage, fee, _, maintenance, step, _, _, _ = terms
    quantity = 0.0
    if account.cash > 0 and (sizing != RISK or 0 < stop < inf):
        if sizing == RISK:
            notional = account.cash * size / stop
        elif sizing == MONEY:
            notional = size * leverage
        else:
            notional = account.cash * size * leverage
        notional = min(notional, account.cash * leverage)
        quantity = notional / (price * (1 + max(fee, 0.0)))
        if step > 0:
            quantity = floor(quantity / step) * step
    if quantity <= 0:
        sums[DENIED] += 1
        return
    account.side = side
    account.quantity = quantity
    account.entry_bar = at
    account.entry_price = price
    account.fees = quantity * price * fee
    account.cash -= account.fees
    account.funding = 0.0
    account.target_price = price * (1 + side * target)
    account.bankrupt_price = price * (1 - side / leverage)
    stop_price = price * (1 - side * stop)
    liquidation_price = price * (1 - side * (1 / leverage - maintenance))
    if side * (stop_price - liquidation_price) <= 0:
        account.guard = liquidation_price
        account.guard_ending = LIQUIDATED
    else:
        account.guard = stop_price
        account.guard_ending = STOP


@inlined
def ended_by_price(account, opened, high, low):
    """Give what of a candle ends the position, and at which price."""
    side, guard, target = account.side, account.guard, account.target_price
    worst, best = (low, high) if side > 0 else (high, low)
    has_target = abs(target) != inf
    if side * (opened - guard) <= 0:
        return account.guard_ending, opened
    if has_target and side * (opened - target) >= 0:
        return TARGET, opened
    if side * (worst - guard) <= 0:
        return account.guard_ending, guard
    if has_target and side * (best - target) >= 0:
        return TARGET, target
    return NOTHING, 0.0


@inlined
def leave(account, at, ending, price, fee, slippage, whole, others, sums):
    """End what is held, at a price."""
    side, quantity = account.side, account.quantity
    if ending != TARGET:
        price *= 1 - side * slippage
    if side * (price - account.bankrupt_price) <= 0:
        price = account.bankrupt_price
    exit_fee = quantity * price * fee
    gained = side * quantity * (price - account.entry_price)
    account.cash += gained - exit_fee
    fees = account.fees + exit_fee
    profit = gained - fees - account.funding
    count = int(sums[TRADES])
    if whole.shape[1] > 0:
        whole[0, count] = account.entry_bar
        whole[1, count] = at
        whole[2, count] = side
        whole[3, count] = ending
        others[0, count] = quantity
        others[1, count] = account.entry_price
        others[2, count] = price
        others[3, count] = fees
        others[4, count] = account.funding
        others[5, count] = profit
    sums[TRADES] += 1
    sums[FEES] += fees
    sums[FUNDING] += account.funding
    sums[BEST] = max(sums[BEST], profit) if count > 0 else profit
    sums[WORST] = min(sums[WORST], profit) if count > 0 else profit
    if profit > 0:
        sums[WINS] += 1
        sums[GROSS_PROFIT] += profit
    elif profit < 0:
        sums[LOSSES] += 1
        sums[GROSS_LOSS] -= profit
    if ending not in (SIGNAL, END):
        account.barred = side
    account.side = 0


@inlined
def hold(account, closes, first, end, equity, sums):
    """Hold on: value the position at each close of a stretch."""
    cash, entry_price, amount = account.cash, account.entry_price, account.side * account.quantity
    peak = account.peak
    one, two, three, four, falls, outside = added_up(
        closes,
        first,
        end,
        cash,
        amount,
        entry_price,
        peak * (1 - sums[DRAWDOWN_MAX] + ROUNDING),
        peak * (1 - ROUNDING),
    )
    sums[BARS_HELD] += end - first
    sums[RETURN_1] += one
    sums[RETURN_2] += two
    sums[RETURN_3] += three
    sums[RETURN_4] += four
    sums[DOWNSIDE_2] += falls
    if outside > 0 or len(equity) > 0:  # most stretches reach no peak, and no depth
        for at in range(first, end):
            worth = cash + amount * (closes[at] - entry_price)
            if len(equity) > 0:
                equity[at] = worth
            note_worth(account, at, worth, sums)
    account.worth = cash + amount * (closes[end - 1] - entry_price)


@inlined
def value(account, at, close, sums):
    """Value the account at a close."""
    worth = account.cash
    if account.side != 0:
        worth += account.side * account.quantity * (close - account.entry_price)
    change = worth / account.worth - 1 if account.worth > 0 else 0.0
    square = change * change
    fall = min(change, 0.0)
    sums[RETURN_1] += change
    sums[RETURN_2] += square
    sums[RETURN_3] += square * change
    sums[RETURN_4] += square * square
    sums[DOWNSIDE_2] += fall * fall
    note_worth(account, at, worth, sums)
    account.worth = worth


@compiled
def note_worth(account, at, worth, sums):
    """Note a peak, or how far below the last one the account is."""
    if worth >= account.peak:
        sums[DRAWDOWN_BARS_MAX] = max(sums[DRAWDOWN_BARS_MAX], at - account.peak_bar - 1)
        account.peak = worth
        account.peak_bar = at
    elif account.peak - worth > sums[DRAWDOWN_MAX] * account.peak:
        sums[DRAWDOWN_MAX] = (account.peak - worth) / account.peak
