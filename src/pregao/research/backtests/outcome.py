"""What a backtest gives: its trades as columns, and what the account was worth at the close of every candle."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pregao.research.backtests.terms import Ending
from pregao.research.candles import Candles, Prices

Numbers = NDArray[np.int64]

# What a run adds up on its way, by place. Returns are those of one close on the one before.
SUMS: Final = (
    "trades", "wins", "losses", "gross_profit", "gross_loss", "best", "worst", "fees", "funding", "bars_held", "denied",
    "final_equity", "drawdown_max", "drawdown_bars_max", "return_1", "return_2", "return_3", "return_4", "downside_2",
)  # fmt: skip
(
    TRADES, WINS, LOSSES, GROSS_PROFIT, GROSS_LOSS, BEST, WORST, FEES, FUNDING, BARS_HELD, DENIED,
    FINAL_EQUITY, DRAWDOWN_MAX, DRAWDOWN_BARS_MAX, RETURN_1, RETURN_2, RETURN_3, RETURN_4, DOWNSIDE_2,
) = range(len(SUMS))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One position from its entry to its end; bars are numbers of candles, the profit is after fees and funding."""

    entry_bar: int
    exit_bar: int
    side: int
    quantity: float
    entry_price: float
    exit_price: float
    fees: float
    funding: float
    profit: float
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades:
    """Trades in the order of their entries."""

    entry_bar: Numbers
    exit_bar: Numbers
    side: Numbers
    quantity: Prices
    entry_price: Prices
    exit_price: Prices
    fees: Prices
    funding: Prices
    profit: Prices
    ending: Numbers

    def __len__(self) -> int:
        return len(self.entry_bar)

    def since(self, number: int) -> "Trades":
        """Give the trades from that one on, counted from 0."""
        return Trades(**{field.name: getattr(self, field.name)[number:] for field in fields(self)})

    def __iter__(self) -> Iterator[Trade]:
        names = [field.name for field in fields(self)]
        endings = {one.value: one for one in Ending}
        for row in zip(*(getattr(self, name).tolist() for name in names), strict=True):
            told = dict(zip(names, row, strict=True))
            yield Trade(**told | {"ending": endings[told["ending"]]})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What came of a plan: ``equity`` is what the account was worth at each close, ``sums`` what it all adds up to, by place."""

    candles: Candles
    start: float
    trades: Trades
    equity: Prices
    sums: Prices


def trades_of(rows: list[Trade]) -> Trades:
    """Put trades into columns."""
    whole = ("entry_bar", "exit_bar", "side", "ending")
    columns: dict[str, Any] = {
        field.name: np.array(
            [getattr(row, field.name) for row in rows], dtype=np.int64 if field.name in whole else np.float64
        )
        for field in fields(Trades)
    }
    return Trades(**columns)


def added_up(trades: Trades, equity: Prices, *, start: float, bars_held: int, denied: int) -> Prices:
    """Add up what a run came to, from its trades and its equity."""
    sums = np.zeros(len(SUMS))
    profit = trades.profit
    sums[TRADES] = len(trades)
    sums[WINS], sums[LOSSES] = (profit > 0).sum(), (profit < 0).sum()
    sums[GROSS_PROFIT], sums[GROSS_LOSS] = profit[profit > 0].sum(), -profit[profit < 0].sum()
    sums[BEST], sums[WORST] = (profit.max(), profit.min()) if len(profit) else (0.0, 0.0)
    sums[FEES], sums[FUNDING] = trades.fees.sum(), trades.funding.sum()
    sums[BARS_HELD], sums[DENIED] = bars_held, denied
    worth = np.concatenate([[start], equity])
    peaks = np.maximum.accumulate(worth)
    sums[FINAL_EQUITY] = worth[-1]
    sums[DRAWDOWN_MAX] = ((peaks - worth) / peaks).max()
    at_peak = np.flatnonzero(worth >= peaks)
    sums[DRAWDOWN_BARS_MAX] = np.diff(np.append(at_peak, len(worth))).max() - 1
    before = worth[:-1]
    changes = np.where(before > 0, worth[1:] / np.where(before > 0, before, 1.0) - 1, 0.0)
    for place, power in zip((RETURN_1, RETURN_2, RETURN_3, RETURN_4), range(1, 5), strict=True):
        sums[place] = (changes**power).sum()
    sums[DOWNSIDE_2] = (changes[changes < 0] ** 2).sum()
    return sums
