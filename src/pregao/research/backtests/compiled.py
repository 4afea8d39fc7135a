"""
The backtest of `plain`, compiled: the same order of events and the same arithmetic, without objects.

`plain` is the judge. A property test holds that both give the same trades and the same equity on random candles, plans and terms.
"""

from typing import Any, Final

import numpy as np

from pregao.research.backtests.following import ACCOUNT, follow, open_account
from pregao.research.backtests.outcome import SUMS, TRADES, Numbers, Outcome, Trades
from pregao.research.backtests.stretches import (
    TILE,
    WINDOW,
    note_changes,
    note_crossings,
    windows_of,
)
from pregao.research.backtests.terms import Terms
from pregao.research.candles import Candles, Prices
from pregao.research.machine import compiled
from pregao.research.strategies.strategy import Plan, Wanted

WHOLE_COLUMNS: Final = ("entry_bar", "exit_bar", "side", "ending")
OTHER_COLUMNS: Final = ("quantity", "entry_price", "exit_price", "fees", "funding", "profit")
NONE_OF_THEM: Final = np.empty(0)
NO_WANTED: Final = np.empty((0, 0), dtype=np.int8)
NO_ROWS: Final = np.empty((0, 0))
NO_PAIRS: Final = np.empty(0, dtype=np.int64)
NO_WHOLE: Final = np.empty((len(WHOLE_COLUMNS), 0), dtype=np.int64)
NO_OTHERS: Final = np.empty((len(OTHER_COLUMNS), 0))


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
    _run(candles, plan, terms, funding, NO_WHOLE, NO_OTHERS, NONE_OF_THEM, sums)
    return sums


def add_up_crossings(
    candles: Candles,
    rows: Prices,
    *,
    fasts: Numbers,
    slows: Numbers,
    belows: Numbers,
    stops: Prices,
    targets: Prices,
    terms: Terms,
    funding: Prices | None,
) -> Prices:
    """
    Give what pairs of crossing lines add up to, a row each.

    ``fasts`` and ``slows`` say which rows are a pair's lines, ``belows`` what it wants while the fast one is below, ``stops`` and ``targets``
    its distances.
    """
    sums = np.zeros((len(fasts), len(SUMS)))
    _follow_all(
        _prices_of(candles),
        windows_of(candles.low, candles.high),
        WINDOW,
        NO_WANTED,
        rows,
        fasts,
        slows,
        belows,
        stops,
        targets,
        NONE_OF_THEM if funding is None else funding,
        _numbers_of(terms),
        NO_WHOLE,
        NO_OTHERS,
        NONE_OF_THEM,
        sums,
    )
    return sums


def add_up_each(
    candles: Candles, wanted: Wanted, *, stop: Prices, target: Prices, terms: Terms, funding: Prices | None
) -> Prices:
    """Give what each row of ``wanted`` adds up to, a row each, with one stop and target for all."""
    sums = np.zeros((len(wanted), len(SUMS)))
    _follow_all(
        _prices_of(candles),
        windows_of(candles.low, candles.high),
        WINDOW,
        wanted,
        NO_ROWS,
        NO_PAIRS,
        NO_PAIRS,
        NO_PAIRS,
        stop,
        target,
        NONE_OF_THEM if funding is None else funding,
        _numbers_of(terms),
        NO_WHOLE,
        NO_OTHERS,
        NONE_OF_THEM,
        sums,
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
    _follow_all(
        _prices_of(candles),
        (candles.low, candles.high),  # one run does not earn what windows cost
        1,
        plan.wanted.reshape(1, -1),
        NO_ROWS,
        NO_PAIRS,
        NO_PAIRS,
        NO_PAIRS,
        plan.stop,
        plan.target,
        NONE_OF_THEM if funding is None else funding,
        _numbers_of(terms),
        whole,
        others,
        equity,
        sums.reshape(1, -1),
    )


def _prices_of(candles: Candles) -> tuple[Prices, Prices, Prices, Prices]:
    return candles.open, candles.high, candles.low, candles.close


def _numbers_of(
    terms: Terms,
) -> tuple[float, int, float, float, float, float, float, float, bool, bool, bool]:
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
def _follow_all(
    prices,
    windows,
    width,
    wanted,
    rows,
    fasts,
    slows,
    belows,
    stops,
    targets,
    funding,
    terms,
    whole,
    others,
    equity,
    sums,
):
    # What is wanted comes from pairs of lines, each with its distances, or stands in rows, all with the same.
    crosses = len(fasts) > 0
    accounts = np.zeros(len(sums), dtype=ACCOUNT)
    sides = np.zeros(len(sums), dtype=np.int8)
    for one in range(len(sums)):
        open_account(accounts[one], terms)
    changed_at, changed_to = np.empty(TILE + 2, dtype=np.int64), np.empty(TILE + 2, dtype=np.int8)
    signs = np.empty(TILE, dtype=np.int8)
    stop, target = stops, targets
    for first in range(0, len(prices[0]), TILE):
        end = min(first + TILE, len(prices[0]))
        for one in range(len(sums)):
            account = accounts[one]
            if crosses:
                fast, slow = rows[fasts[one], first:end], rows[slows[one], first:end]
                count, sides[one] = note_crossings(
                    fast, slow, belows[one], first, account.wants, sides[one], signs, changed_at, changed_to
                )
                stop, target = stops[one : one + 1], targets[one : one + 1]
            else:
                count = note_changes(wanted[one, first:end], first, account.wants, changed_at, changed_to)
            follow(
                account,
                prices,
                windows,
                width,
                first,
                end,
                changed_at,
                changed_to,
                stop,
                target,
                funding,
                terms,
                whole,
                others,
                equity,
                sums[one],
            )
            account.wants = changed_to[count - 1]
