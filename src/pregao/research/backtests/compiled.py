"""
The backtest of `plain`, compiled: the same order of events and the same arithmetic, without objects.

`plain` is the judge. A property test holds that both give the same trades and the same equity on random candles, plans and terms.
"""

from math import floor, inf
from typing import Any, Final

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
    SUMS,
    TRADES,
    WINS,
    WORST,
    Outcome,
    Trades,
)  # fmt: skip
from pregao.research.backtests.terms import Ending, Sizing, Terms
from pregao.research.candles import Candles, Prices
from pregao.research.machine import compiled
from pregao.research.strategies.compiled import cross_into
from pregao.research.strategies.strategy import KEEP, Plan

SIGNAL, STOP, TARGET, LIQUIDATED, END = (int(one) for one in Ending)
MONEY, RISK = int(Sizing.MONEY), int(Sizing.RISK)

WHOLE_COLUMNS: Final = ("entry_bar", "exit_bar", "side", "ending")
OTHER_COLUMNS: Final = ("quantity", "entry_price", "exit_price", "fees", "funding", "profit")
NONE_OF_THEM: Final = np.empty(0)


def replay(candles: Candles, plan: Plan, terms: Terms, *, funding: Prices | None = None) -> Outcome:
    """Follow a plan candle by candle; ``funding`` is the rate that falls due while each candle runs."""
    bars = len(candles)
    whole = np.empty((len(WHOLE_COLUMNS), bars), dtype=np.int64)
    others = np.empty((len(OTHER_COLUMNS), bars))
    equity = np.empty(bars)
    sums = np.zeros(len(SUMS))
    _run(candles, plan, terms, funding, whole, others, equity, sums)
    count = int(sums[TRADES])
    columns: dict[str, Any] = {name: whole[row, :count].copy() for row, name in enumerate(WHOLE_COLUMNS)}
    columns |= {name: others[row, :count].copy() for row, name in enumerate(OTHER_COLUMNS)}
    return Outcome(
        candles=candles,
        start=terms.start,
        trades=Trades(**columns),
        equity=equity,
        sums=sums,
    )


def add_up(candles: Candles, plan: Plan, terms: Terms, *, funding: Prices | None = None) -> Prices:
    """Follow a plan and give only what it adds up to, by the places of `SUMS`: nothing is kept for each bar or trade."""
    sums = np.zeros(len(SUMS))
    _run(
        candles, plan, terms, funding, np.empty((4, 0), dtype=np.int64), np.empty((6, 0)), NONE_OF_THEM, sums
    )
    return sums


def _run(
    candles: Candles,
    plan: Plan,
    terms: Terms,
    funding: Prices | None,
    whole: Any,
    others: Prices,
    equity: Prices,
    sums: Prices,
) -> None:
    assert len(plan.wanted) == len(candles)
    follow(
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        plan.wanted,
        plan.stop,
        plan.target,
        NONE_OF_THEM if funding is None else funding,
        numbers_of(terms),
        whole,
        others,
        equity,
        sums,
    )


def numbers_of(terms: Terms) -> tuple[float, int, float, float, float, float, float, float, bool, bool, bool]:
    """Give the terms as the compiled loop takes them: one type for each, or it would be compiled again."""
    return (
        float(terms.start),
        int(terms.sizing),
        float(terms.size),
        float(terms.leverage),
        float(terms.fee),
        float(terms.slippage),
        float(terms.maintenance_margin),
        float(terms.quantity_step),
        terms.stops_wait_a_bar,
        terms.stops_first,
        terms.closes_at_end,
    )


@compiled
def follow(opens, highs, lows, closes, wanted, stops, targets, funding, terms, whole, others, equity, sums):
    """Follow a plan; ``whole`` and ``others`` take the trades' columns and ``equity`` the worth at each close, if they have room."""
    (
        start,
        sizing,
        size,
        leverage,
        fee,
        slippage,
        maintenance,
        step,
        stops_wait,
        stops_first,
        closes_at_end,
    ) = terms
    bars = len(closes)
    keeps_trades = whole.shape[1] > 0
    keeps_equity = len(equity) > 0
    pays_funding = len(funding) > 0
    one_stop = len(stops) == 1
    one_target = len(targets) == 1
    cash = start
    side = 0
    barred = 0
    quantity = entry_price = stop_price = target_price = guard = liquidation = bankrupt = 0.0
    fees = paid_funding = 0.0
    guard_ending = STOP
    entry_bar = 0
    count = wins = losses = held_bars = denied = 0
    gross_profit = gross_loss = all_fees = all_funding = 0.0
    best = -inf
    worst = inf
    before = start
    peak = start
    peak_bar = -1
    drawdown_max = 0.0
    drawdown_bars_max = 0
    sum_1 = sum_2 = sum_3 = sum_4 = downside = 0.0
    for at in range(bars):
        if side == 0 and (
            at == 0 or wanted[at - 1] == 0 or wanted[at - 1] == barred
        ):  # nothing comes of this candle
            if at == 0 or wanted[at - 1] == 0:
                barred = 0
            if keeps_equity:
                equity[at] = cash
            if cash >= peak:
                peak_bar = at
            continue
        quiet = False
        if side != 0 and not pays_funding and at < bars - 1:
            asked = np.int64(wanted[at - 1])
            if asked in (side, KEEP):  # most candles: what is held is wanted, and nothing is touched
                if side > 0:
                    quiet = lows[at] > guard and highs[at] < target_price
                else:
                    quiet = highs[at] < guard and lows[at] > target_price
        if quiet:
            held_bars += 1
        else:
            if side != 0 and pays_funding:
                paid = side * quantity * opens[at] * funding[at]
                paid_funding += paid
                cash -= paid
            ending = -1
            exit_price = 0.0
            want: Any = np.int64(wanted[at - 1]) if at > 0 else np.int64(0)
            # Twice: what is held may be closed at the open, and what is opened there may be closed within the same candle.
            for again in range(2):
                looks = stops_first and side != 0
                if again == 1:
                    if at > 0 and want != barred:
                        barred = 0
                    enters = side == 0 and want not in (0, barred, KEEP)
                    if side == 0 and not enters:
                        break
                    if enters:
                        stop = stops[0] if one_stop else stops[at - 1]
                        target = targets[0] if one_target else targets[at - 1]
                        price = opens[at] * (1 + want * slippage)
                        amount = 0.0
                        if cash > 0 and (sizing != RISK or 0 < stop < inf):
                            if sizing == RISK:
                                notional = cash * size / stop
                            elif sizing == MONEY:
                                notional = size * leverage
                            else:
                                notional = cash * size * leverage
                            notional = min(notional, cash * leverage)
                            amount = notional / (price * (1 + max(fee, 0.0)))
                            if step > 0:
                                amount = floor(amount / step) * step
                        if amount <= 0:
                            denied += 1
                            break
                        side = want
                        quantity = amount
                        entry_bar = at
                        entry_price = price
                        fees = quantity * price * fee
                        cash -= fees
                        paid_funding = 0.0
                        stop_price = price * (1 - side * stop)
                        target_price = price * (1 + side * target)
                        liquidation = price * (1 - side * (1 / leverage - maintenance))
                        bankrupt = price * (1 - side / leverage)
                        if side * (stop_price - liquidation) <= 0:
                            guard = liquidation
                            guard_ending = LIQUIDATED
                        else:
                            guard = stop_price
                            guard_ending = STOP
                    looks = not stops_first and not (stops_wait and at == entry_bar)
                if looks:
                    if side > 0:
                        worst_price = lows[at]
                        best_price = highs[at]
                    else:
                        worst_price = highs[at]
                        best_price = lows[at]
                    has_target = abs(target_price) != inf
                    if side * (opens[at] - guard) <= 0:
                        ending = guard_ending
                        exit_price = opens[at]
                    elif has_target and side * (opens[at] - target_price) >= 0:
                        ending = TARGET
                        exit_price = opens[at]
                    elif side * (worst_price - guard) <= 0:
                        ending = guard_ending
                        exit_price = guard
                    elif has_target and side * (best_price - target_price) >= 0:
                        ending = TARGET
                        exit_price = target_price
                if ending == -1:
                    if again == 1:
                        held_bars += 1
                        if at == bars - 1 and closes_at_end:
                            ending = END
                            exit_price = closes[at]
                    elif at > 0 and want != KEEP and side not in (0, want):
                        ending = SIGNAL
                        exit_price = opens[at]
                if ending != -1:
                    if ending != TARGET:
                        exit_price *= 1 - side * slippage
                    if side * (exit_price - bankrupt) <= 0:
                        exit_price = bankrupt
                    exit_fee = quantity * exit_price * fee
                    gained = side * quantity * (exit_price - entry_price)
                    cash += gained - exit_fee
                    fees += exit_fee
                    profit = gained - fees - paid_funding
                    if keeps_trades:
                        whole[0, count] = entry_bar
                        whole[1, count] = at
                        whole[2, count] = side
                        whole[3, count] = ending
                        others[0, count] = quantity
                        others[1, count] = entry_price
                        others[2, count] = exit_price
                        others[3, count] = fees
                        others[4, count] = paid_funding
                        others[5, count] = profit
                    count += 1
                    all_fees += fees
                    all_funding += paid_funding
                    best = max(best, profit)
                    worst = min(worst, profit)
                    if profit > 0:
                        wins += 1
                        gross_profit += profit
                    elif profit < 0:
                        losses += 1
                        gross_loss -= profit
                    if ending not in (SIGNAL, END):
                        barred = side
                    side = 0
                    ending = -1
        worth = cash
        if side != 0:
            worth += side * quantity * (closes[at] - entry_price)
        if keeps_equity:
            equity[at] = worth
        change = worth / before - 1 if before > 0 else 0.0
        before = worth
        square = change * change
        sum_1 += change
        sum_2 += square
        sum_3 += square * change
        sum_4 += square * square
        fall = min(change, 0.0)  # without a branch: half of all candles fall
        downside += fall * fall
        if worth >= peak:
            drawdown_bars_max = max(drawdown_bars_max, at - peak_bar - 1)
            peak = worth
            peak_bar = at
        elif peak - worth > drawdown_max * peak:
            drawdown_max = (peak - worth) / peak
    if bars > 0 and before < peak:
        drawdown_bars_max = max(drawdown_bars_max, bars - 1 - peak_bar)
    sums[TRADES] = count
    sums[WINS] = wins
    sums[LOSSES] = losses
    sums[GROSS_PROFIT] = gross_profit
    sums[GROSS_LOSS] = gross_loss
    sums[BEST] = best if count > 0 else 0.0
    sums[WORST] = worst if count > 0 else 0.0
    sums[FEES] = all_fees
    sums[FUNDING] = all_funding
    sums[BARS_HELD] = held_bars
    sums[DENIED] = denied
    sums[FINAL_EQUITY] = before
    sums[DRAWDOWN_MAX] = drawdown_max
    sums[DRAWDOWN_BARS_MAX] = drawdown_bars_max
    sums[RETURN_1] = sum_1
    sums[RETURN_2] = sum_2
    sums[RETURN_3] = sum_3
    sums[RETURN_4] = sum_4
    sums[DOWNSIDE_2] = downside


@compiled
def add_up_crossings(
    opens, highs, lows, closes, lines, fasts, slows, belows, stops, targets, funding, terms, sums
):
    """Follow pairs of crossing lines, and write what each adds up to into a row of ``sums``; one buffer serves all pairs."""
    wanted = np.empty(len(closes), dtype=np.int8)
    no_whole = np.empty((4, 0), dtype=np.int64)
    no_others = np.empty((6, 0))
    no_equity = np.empty(0)
    for pair in range(len(fasts)):
        cross_into(lines[fasts[pair]], lines[slows[pair]], belows[pair], wanted)
        stop, target = stops[pair : pair + 1], targets[pair : pair + 1]
        follow(
            opens,
            highs,
            lows,
            closes,
            wanted,
            stop,
            target,
            funding,
            terms,
            no_whole,
            no_others,
            no_equity,
            sums[pair],
        )


@compiled
def add_up_each(opens, highs, lows, closes, wanted, stops, targets, funding, terms, sums):
    """Follow each row of ``wanted``, and write what it adds up to into the same row of ``sums``."""
    no_whole = np.empty((4, 0), dtype=np.int64)
    no_others = np.empty((6, 0))
    no_equity = np.empty(0)
    for row in range(len(wanted)):
        follow(
            opens,
            highs,
            lows,
            closes,
            wanted[row],
            stops,
            targets,
            funding,
            terms,
            no_whole,
            no_others,
            no_equity,
            sums[row],
        )
