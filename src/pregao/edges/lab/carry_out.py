"""
Compute a run: read its candles, try what was asked, write its report, and give what came of it.

The same request on the same candles gives the same result, so a run that was broken off is simply begun again.
"""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from pregao.domain.clock import Clock
from pregao.domain.lab import FUNDING_HOURS, Contender, LabKind, LabRun, LabTerms, candles_name
from pregao.edges.candle_files.page import page_of_run, page_of_sweep
from pregao.edges.candle_files.rates import FundingFolder, FundingMissingError
from pregao.edges.candle_files.results import rows_of, trade_rows, write_rows, write_sweep
from pregao.edges.candle_files.store import CandleFolder, CandlesMissingError
from pregao.research.backtests.figures import Figures, deflated_sharpe, drawdowns, expected_best, ranked
from pregao.research.backtests.funding import funding_by_candle, one_rate
from pregao.research.backtests.months import months_of
from pregao.research.backtests.outcome import Outcome
from pregao.research.backtests.sweep import Swept, require_candles, sweep
from pregao.research.backtests.terms import BASIS_POINTS, Sizing, Terms
from pregao.research.backtests.trial import Trial, try_only, try_out
from pregao.research.backtests.walk_forward import WalkForward, walk_forward
from pregao.research.candles import Candles, Prices
from pregao.research.strategies.shipped import get_strategy

POINTS: Final = 500  # of a curve
TRADES_KEPT: Final = 500  # the last ones; all are in the file
BEST_KEPT: Final = 50
HEAT_SIDE_MAX: Final = 60
HOUR_MS: Final = 3_600_000

OnStep = Callable[[int, int], None]


class CalledOffError(Exception):
    """Somebody called the run off while it was computed."""


class CannotError(Exception):
    """It cannot be computed: the code says why."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the stable ``code`` apart from the sentence."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """What is traded, and on which terms; ``funding`` is what falls due while each candle runs."""

    candles: Candles
    terms: Terms
    funding: Prices | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOut:
    """What came of a run: the best one's figures as text, and everything a page shows."""

    figures: Mapping[str, str]
    result: Mapping[str, Any]


def carry_out(
    run: LabRun, *, candle_folder: Path, model_folder: Path, run_folder: Path, on_step: OnStep, clock: Clock
) -> CarriedOut:
    """
    Compute a run; ``on_step`` hears how much of how much is done, and may end it by raising.

    :raises CannotError: when it cannot be computed.
    """
    try:
        candles = _candles(run, candle_folder)
        market = Market(
            candles=candles,
            terms=terms_of(run.request.terms),
            funding=_funding(run, candles, candle_folder),
        )
        run_folder.mkdir(parents=True, exist_ok=True)
        if run.kind is LabKind.RUN:
            told = _run(run, market, run_folder, on_step)
        elif run.kind is LabKind.COMPARE:
            told = _compare(run, market, run_folder, on_step)
        elif run.kind is LabKind.TRAIN:
            told = _train(run, market, model_folder, on_step, clock)
        else:
            told = _sweep(run, market, run_folder, on_step)
    except (CandlesMissingError, FundingMissingError, ValueError) as problem:
        code, _, message = str(problem).partition(": ")
        if not message or not code.replace("_", "").isupper():
            raise
        raise CannotError(code, message) from problem
    return told


def terms_of(asked: LabTerms) -> Terms:
    """
    Give the terms as the lab computes with them.

    :raises TermsUnusableError: when one is out of its range.
    """
    return Terms(
        start=float(asked.start),
        sizing=Sizing[asked.sizing.name],
        size=float(asked.size),
        leverage=float(asked.leverage),
        fee_bps=float(asked.fee_bps),
        slippage_bps=float(asked.slippage_bps),
        quantity_step=float(asked.quantity_step),
    )


def finite(value: Any) -> Any:
    """Give the value as JSON can hold it: what is no number is null, what is infinite is text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _candles(run: LabRun, folder: Path) -> Candles:
    candles = CandleFolder(folder).get(candles_name(run.symbol, run.timeframe))
    since, until = run.request.since, run.request.until
    kept = candles.between(
        since_ms=None if since is None else _ms(since), until_ms=None if until is None else _ms(until)
    )
    require_candles(kept, rows_min=2)
    return kept


def _funding(run: LabRun, candles: Candles, folder: Path) -> Prices | None:
    """Give what falls due while each candle runs; None where nothing is paid."""
    request = run.request
    if request.has_funding:
        due_at_ms, rates = FundingFolder(folder).get(run.symbol)
        until_ms = int(candles.opened_at_ms[-1]) + candles.timeframe.ms
        if not ((due_at_ms >= candles.opened_at_ms[0]) & (due_at_ms < until_ms)).any():
            raise FundingMissingError(
                f"FUNDING_MISSING: symbol={run.symbol} rates={len(due_at_ms)}. None of them falls due while these candles run."
            )
        return funding_by_candle(candles, due_at_ms=due_at_ms, rates=rates)
    if request.terms.funding_bps:
        rate = float(request.terms.funding_bps) / BASIS_POINTS
        return one_rate(candles, rate=rate, every_ms=FUNDING_HOURS * HOUR_MS)
    return None


def _ms(instant: datetime) -> int:
    return int(instant.astimezone(UTC).timestamp() * 1_000)


def _values(contender: Contender) -> dict[str, float]:
    return {name: float(value) for name, value in contender.values.items()}


def _run(run: LabRun, market: Market, folder: Path, on_step: OnStep) -> CarriedOut:
    candles, terms, funding = market.candles, market.terms, market.funding
    on_step(0, 1)
    contender = run.request.contenders[0]
    trial, outcome = try_out(
        candles, get_strategy(contender.strategy), _values(contender), terms, funding=funding
    )
    (folder / "report.html").write_text(page_of_run(trial, outcome, terms), encoding="utf-8")
    trades = trade_rows(outcome)
    write_rows(trades, folder / "trades.parquet")
    on_step(1, 1)
    return _told(candles, terms, best=trial, trials=[trial], **_curves(outcome), trades=trades[-TRADES_KEPT:])


def _compare(run: LabRun, market: Market, folder: Path, on_step: OnStep) -> CarriedOut:
    candles, terms, funding = market.candles, market.terms, market.funding
    contenders = run.request.contenders
    trials = []
    for number, contender in enumerate(contenders):
        on_step(number, len(contenders))
        strategy = get_strategy(contender.strategy)
        trials.append(
            try_only(candles, strategy, strategy.filled(_values(contender)), terms, funding=funding)
        )
    best_first = ranked(trials, sharpe_of=lambda trial: trial.figures.sharpe)
    write_rows(rows_of(best_first), folder / "trials.parquet")
    on_step(len(contenders), len(contenders))
    return _told(candles, terms, best=best_first[0], trials=best_first)


def _sweep(run: LabRun, market: Market, folder: Path, on_step: OnStep) -> CarriedOut:
    candles, terms, funding = market.candles, market.terms, market.funding
    contender, folds = run.request.contenders[0], run.request.folds
    strategy = get_strategy(contender.strategy)
    ranges = {name: [float(value)] for name, value in contender.values.items()}
    ranges |= {name: [float(value) for value in values] for name, values in run.request.ranges.items()}
    combinations = list(strategy.combinations(ranges))
    if not combinations:
        raise CannotError("LAB_RANGES", "combinations=0. None of these makes sense for the strategy.")
    total = len(combinations) * (1 + folds)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_step(done, total)

    on_step(0, total)
    swept = sweep(candles, strategy, combinations, terms, funding=funding, on_done=advance)
    forward = (
        walk_forward(candles, strategy, combinations, terms, folds=folds, funding=funding, on_done=advance)
        if folds
        else None
    )
    sharpes = swept.table["sharpe"].tolist()
    best = swept.best(BEST_KEPT)
    lucky = expected_best(sharpes)
    deflated = deflated_sharpe(
        best[0].figures, sharpes=sharpes, bars_per_year=candles.timeframe.bars_per_year
    )
    page = page_of_sweep(candles, swept, terms, lucky_sharpe=lucky, deflated_sharpe=deflated, forward=forward)
    (folder / "report.html").write_text(page, encoding="utf-8")
    write_sweep(swept, folder / "sweep.parquet")
    luck = {"tried": len(swept), "sharpe_by_luck": lucky, "deflated_sharpe": deflated}
    return _told(
        candles,
        terms,
        best=best[0],
        trials=best,
        luck=luck,
        heat=_heat(swept, list(run.request.ranges)),
        walk_forward=None if forward is None else _forward(forward),
    )


def _train(run: LabRun, market: Market, folder: Path, on_step: OnStep, clock: Clock) -> CarriedOut:
    # Loaded only here: what teaches takes a hundred megabytes.
    teach = importlib.import_module("pregao.edges.lab.teach")
    manifest = teach.teach_model(
        run, market.candles, market.terms, folder=folder, on_step=on_step, now=clock()
    )
    model = teach.told_of(manifest)
    figures = {name: model["score"][name] for name in ("gain", "accuracy")} | {
        name: model["traded"][name] for name in ("trades", "return_pct", "drawdown_max_pct", "sharpe")
    }
    told = {name: f"{value:g}" for name, value in figures.items() if math.isfinite(value)}
    return CarriedOut(
        figures={**told, "model": manifest.model},
        result=finite({"candles": market.candles.described, "model": model}),
    )


def _told(candles: Candles, terms: Terms, *, best: Trial, trials: list[Trial], **more: Any) -> CarriedOut:
    result = {
        "candles": candles.described,
        "terms": {**asdict(terms), "sizing": terms.sizing.name.lower()},
        "best": {"strategy": best.strategy, "values": dict(best.values), "figures": asdict(best.figures)},
        "trials": rows_of(trials),
        **more,
    }
    return CarriedOut(figures=_figures(best), result=finite(result))


def _figures(best: Trial) -> dict[str, str]:
    told = {name: f"{value:g}" for name, value in asdict(best.figures).items() if math.isfinite(value)}
    return {**told, "strategy": best.strategy}


def _curves(outcome: Outcome) -> dict[str, Any]:
    """Give equity and drawdown at so many candles, the last among them, and what each month brought."""
    opened = outcome.candles.opened_at_ms
    places = np.unique(np.linspace(0, len(opened) - 1, num=min(POINTS, len(opened))).astype(np.int64))
    fallen = drawdowns(outcome.equity, start=outcome.start)
    return {
        "at_ms": opened[places].tolist(),
        "equity": outcome.equity[places].tolist(),
        "drawdown_pct": fallen[places].tolist(),
        "months": [asdict(month) for month in months_of(outcome)],
    }


def _heat(swept: Swept, names: list[str]) -> dict[str, Any] | None:
    """Give the best Sharpe ratio for each pair of the first two parameters that vary; None where there are not two."""
    varied = [name for name in names if len({one[name] for one in swept.combinations}) > 1][:2]
    if len(varied) < 2:
        return None
    across, down = varied
    columns = sorted({one[across] for one in swept.combinations})
    rows = sorted({one[down] for one in swept.combinations})
    if max(len(columns), len(rows)) > HEAT_SIDE_MAX:
        return None
    best: dict[tuple[float, float], float] = {}
    for values, sharpe in zip(swept.combinations, swept.table["sharpe"].tolist(), strict=True):
        place = values[down], values[across]
        best[place] = max(best.get(place, -math.inf), sharpe)
    return {
        "across": across,
        "down": down,
        "columns": columns,
        "rows": rows,
        "cells": [[best.get((row, column)) for column in columns] for row in rows],
    }


def _forward(forward: WalkForward) -> dict[str, Any]:
    traded: Figures = forward.traded
    return {"folds": [asdict(fold) for fold in forward.folds], "traded": asdict(traded)}
