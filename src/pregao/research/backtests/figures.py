"""What to think of a backtest: figures of its equity and trades, and how likely luck explains them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import e, inf, isnan, nan, sqrt
from statistics import NormalDist
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pregao.research.backtests.outcome import SUMS
from pregao.research.candles import Prices

T = TypeVar("T")
Table = dict[str, NDArray[Any]]
STANDARD: Final = NormalDist()
EULER: Final = 0.5772156649015329  # of the expected largest of many chances


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    Shares are in percent, money in what the account is kept in; ratios are per year of the timeframe.

    A ratio is 0 where nothing varied; a profit factor without a loss is infinite, and NaN without a trade.
    """

    start: float
    final_equity: float
    return_pct: float
    return_year_pct: float
    drawdown_max_pct: float
    drawdown_bars_max: int
    sharpe: float
    sortino: float
    calmar: float
    trades: int
    wins: int
    losses: int
    win_rate_pct: float
    profit_factor: float
    average_win: float
    average_loss: float
    best: float
    worst: float
    expectancy: float
    fees: float
    funding: float
    exposure_pct: float
    denied: int
    skew: float
    kurtosis: float
    bars: int


def figures_of(sums: Prices, *, start: float, bars: int, bars_per_year: float) -> Figures:
    """Give the figures of what a run added up to."""
    told = dict(zip(SUMS, sums.tolist(), strict=True))
    mean, deviation, skew, kurtosis = _moments(told, bars)
    final = told["final_equity"]
    growth = final / start
    years = bars / bars_per_year
    yearly = (growth ** (1 / years) - 1) * 100 if growth > 0 and years > 0 and growth < inf else -100.0
    drawdown = told["drawdown_max"] * 100
    trades = int(told["trades"])
    downside = sqrt(told["downside_2"] / bars) if bars else 0.0
    return Figures(
        start=start,
        final_equity=final,
        return_pct=(growth - 1) * 100,
        return_year_pct=yearly,
        drawdown_max_pct=drawdown,
        drawdown_bars_max=int(told["drawdown_bars_max"]),
        sharpe=mean / deviation * sqrt(bars_per_year) if deviation > 0 else 0.0,
        sortino=mean / downside * sqrt(bars_per_year) if downside > 0 else 0.0,
        calmar=yearly / drawdown if drawdown > 0 else 0.0,
        trades=trades,
        wins=int(told["wins"]),
        losses=int(told["losses"]),
        win_rate_pct=told["wins"] / trades * 100 if trades else 0.0,
        profit_factor=_ratio(told["gross_profit"], told["gross_loss"]),
        average_win=told["gross_profit"] / told["wins"] if told["wins"] else 0.0,
        average_loss=-told["gross_loss"] / told["losses"] if told["losses"] else 0.0,
        best=told["best"],
        worst=told["worst"],
        expectancy=(told["gross_profit"] - told["gross_loss"]) / trades if trades else 0.0,
        fees=told["fees"],
        funding=told["funding"],
        exposure_pct=told["bars_held"] / bars * 100 if bars else 0.0,
        denied=int(told["denied"]),
        skew=skew,
        kurtosis=kurtosis,
        bars=bars,
    )


def table_of(sums: Prices, *, start: float, bars: int, bars_per_year: float) -> Table:
    """Give the figures of many runs, a row of ``sums`` each, as columns: those of `figures_of`, computed at once."""
    told = dict(zip(SUMS, sums.T, strict=True))
    with np.errstate(all="ignore"):  # what cannot be divided is replaced below
        first, second, third, fourth = (told[f"return_{power}"] / bars for power in range(1, 5))
        variance = second - first * first
        varies = (variance > 1e-16 * np.maximum(second, 1e-300)) & (bars >= 2)
        deviation = np.sqrt(variance * bars / (bars - 1)) if bars >= 2 else np.zeros(len(sums))
        skew = (third - 3 * first * second + 2 * first**3) / variance**1.5
        kurtosis = (fourth - 4 * first * third + 6 * first * first * second - 3 * first**4) / variance**2
        growth = told["final_equity"] / start
        yearly = (
            np.where(growth > 0, (growth ** (bars_per_year / bars) - 1) * 100, -100.0) if bars else growth * 0
        )
        downside = np.sqrt(told["downside_2"] / bars) if bars else np.zeros(len(sums))
        drawdown = told["drawdown_max"] * 100
        trades, wins, losses = told["trades"], told["wins"], told["losses"]
        profit, loss = told["gross_profit"], told["gross_loss"]
        return {
            "start": np.full(len(sums), start),
            "final_equity": told["final_equity"],
            "return_pct": (growth - 1) * 100,
            "return_year_pct": yearly,
            "drawdown_max_pct": drawdown,
            "drawdown_bars_max": told["drawdown_bars_max"].astype(np.int64),
            "sharpe": np.where(varies, first / deviation * sqrt(bars_per_year), 0.0),
            "sortino": np.where(downside > 0, first / downside * sqrt(bars_per_year), 0.0),
            "calmar": np.where(drawdown > 0, yearly / drawdown, 0.0),
            "trades": trades.astype(np.int64),
            "wins": wins.astype(np.int64),
            "losses": losses.astype(np.int64),
            "win_rate_pct": np.where(trades > 0, wins / trades * 100, 0.0),
            "profit_factor": np.where(loss > 0, profit / loss, np.where(profit > 0, inf, nan)),
            "average_win": np.where(wins > 0, profit / wins, 0.0),
            "average_loss": np.where(losses > 0, -loss / losses, 0.0),
            "best": told["best"],
            "worst": told["worst"],
            "expectancy": np.where(trades > 0, (profit - loss) / trades, 0.0),
            "fees": told["fees"],
            "funding": told["funding"],
            "exposure_pct": told["bars_held"] / bars * 100 if bars else np.zeros(len(sums)),
            "denied": told["denied"].astype(np.int64),
            "skew": np.where(varies, skew, 0.0),
            "kurtosis": np.where(varies, kurtosis, 3.0),
            "bars": np.full(len(sums), bars),
        }


def drawdowns(equity: Prices, *, start: float) -> Prices:
    """Give at each close how far the equity is below its highest so far, in percent."""
    peaks = np.maximum.accumulate(np.concatenate([[start], equity]))[1:]
    fallen: Prices = (peaks - equity) / peaks * 100
    return fallen


def deflated_sharpe(figures: Figures, *, sharpes: Sequence[float], bars_per_year: float) -> float:
    """
    Give the probability that a Sharpe ratio is above what the best of so many tries would reach by luck alone.

    ``sharpes`` are those of all combinations that were tried, this one among them (Bailey and López de Prado, 2014). Above 0.95
    is what people call significant; one try has no luck to be taken off.
    """
    per_bar = figures.sharpe / sqrt(bars_per_year)
    spread = 1 - figures.skew * per_bar + (figures.kurtosis - 1) / 4 * per_bar * per_bar
    if figures.bars < 2 or spread <= 0 or figures.trades == 0:
        return nan
    lucky = expected_best(sharpes) / sqrt(bars_per_year)
    return STANDARD.cdf((per_bar - lucky) * sqrt(figures.bars - 1) / sqrt(spread))


def expected_best(sharpes: Sequence[float]) -> float:
    """Give the Sharpe ratio that the best of as many tries with no skill is expected to reach."""
    tries = len(sharpes)
    if tries < 2:
        return 0.0
    mean = sum(sharpes) / tries
    deviation = sqrt(sum((one - mean) ** 2 for one in sharpes) / (tries - 1))
    return deviation * (
        (1 - EULER) * STANDARD.inv_cdf(1 - 1 / tries) + EULER * STANDARD.inv_cdf(1 - 1 / (tries * e))
    )


def ranked(rows: Sequence[T], *, sharpe_of: Callable[[T], float]) -> list[T]:
    """Give rows by their Sharpe ratio, the highest first; equal ones stay in their order, NaN comes last."""
    return sorted(
        rows, key=lambda row: (isnan(sharpe_of(row)), -sharpe_of(row) if not isnan(sharpe_of(row)) else 0.0)
    )


def _moments(told: dict[str, float], bars: int) -> tuple[float, float, float, float]:
    if bars < 2:
        return 0.0, 0.0, 0.0, 3.0
    first, second, third, fourth = (told[f"return_{power}"] / bars for power in range(1, 5))
    variance = second - first * first
    if variance <= 1e-16 * max(second, 1e-300):  # what rounding leaves of no variance at all
        return first, 0.0, 0.0, 3.0
    skew = (third - 3 * first * second + 2 * first**3) / variance**1.5
    kurtosis = (fourth - 4 * first * third + 6 * first * first * second - 3 * first**4) / variance**2
    return first, sqrt(variance * bars / (bars - 1)), skew, kurtosis


def _ratio(profit: float, loss: float) -> float:
    if loss > 0:
        return profit / loss
    return inf if profit > 0 else nan
