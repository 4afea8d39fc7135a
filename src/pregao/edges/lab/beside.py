"""Say how what a deployment traded differs from its backtest: candles from the state folder, trades from whoever asks."""

import importlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pregao.domain.candle import Timeframe as VenueTimeframe
from pregao.domain.clock import from_ms, to_ms
from pregao.domain.deployment import Deployment
from pregao.domain.lab import candles_name
from pregao.domain.traded import DeploymentTraded
from pregao.edges.candle_files.seen import ROWS_MAX, SeenCandles
from pregao.edges.candle_files.store import CandleFolder
from pregao.edges.lab.carry_out import finite
from pregao.research.analyzer.plan import plan_with_model
from pregao.research.analyzer.watch import WINDOW
from pregao.research.candles import COLUMNS, Candles, CandlesUnusableError, make_candles
from pregao.research.comparison.beside import OwnTrade
from pregao.research.comparison.compare import compare, counts, money_of, unexplained
from pregao.research.comparison.difference import Pair
from pregao.research.comparison.expected import RunCandles, expected_trades, prepend, run_candles
from pregao.research.strategies.live import MAKERS, bars_before
from pregao.research.strategies.shipped import get_strategy
from pregao.research.strategies.strategy import Plan
from pregao.research.timeframe import read_timeframe

KEPT_BY_VENUES = frozenset(one.value for one in VenueTimeframe)


def compare_deployment(
    question: Mapping[str, Any], candle_folder: Path, model_folder: Path
) -> dict[str, Any]:
    """
    Compare a run with the backtest of the same strategy over the same candles, on every account that followed.

    :raises CandlesUnusableError: when the candles of the run are not here.
    :raises CandlesMissingError: when the named ones are not.
    """
    traded = msgspec.convert(question["traded"], DeploymentTraded)
    deployment = traded.deployment
    since_ms = question.get("since_ms")
    run = _run(traded, candle_folder, named=question.get("candles"))
    own = None if question.get("candles") is None else _own(traded, run, candle_folder)
    if since_ms is not None:
        run = run.since(int(since_ms))
        own = None if own is None else own.since(int(since_ms))
    plan, model = _plan(deployment, run, model_folder)
    own_plan = None if own is None else _plan(deployment, own, model_folder)[0]
    fee_bps, slippage_bps = float(question["fee_bps"]), float(question["slippage_bps"])
    compared = []
    for account in traded.accounts:
        money, leverage = money_of(account, traded)
        trade = partial(
            expected_trades, money=money, leverage=leverage, fee_bps=fee_bps, slippage_bps=slippage_bps
        )
        of_own = None if own is None or own_plan is None else OwnTrade.all_of(trade(own, own_plan), own)
        found = compare(account, traded, trade(run, plan), run, fee_bps=fee_bps, of_own=of_own)
        compared.append((found, money, leverage))
    told = {
        "candles": run.candles.part(run.first, len(run.candles)).described,
        "began_at_ms": int(run.closed_at_ms[0]),
        "bar_at_ms": int(run.closed_at_ms[-1]),
        "bars": len(run),
        "warmed_up_by": run.first,
        "speed": run.speed,
        "model": model,
        "candles_differing": [int(one) for one in run.differing],
        "began_otherwise": own is not None and not run.began_as(own, needed=_needed(deployment)),
        "unexplained": unexplained([one for one, _, _ in compared]),
        "accounts": [
            {
                "account_id": one.account_id,
                "account": one.account,
                "margin": money,
                "leverage": leverage,
                **counts(one.pairs),
                "trades": [_told(pair) for pair in one.pairs],
            }
            for one, money, leverage in compared
        ],
    }
    return finite(told)  # type: ignore[no-any-return]


def _told(pair: Pair) -> dict[str, Any]:
    differences = [asdict(one) | {"is_explained": one.is_explained} for one in pair.differences]
    return asdict(pair) | {"is_explained": pair.is_explained, "differences": differences}


def _run(traded: DeploymentTraded, folder: Path, *, named: str | None) -> RunCandles:
    deployment = traded.deployment
    seen = _seen(deployment, folder)
    began_ms, bar_ms = to_ms(traded.began_at), to_ms(traded.bar_at)
    tried = None if named is None else CandleFolder(folder).get(named)
    if tried is None and deployment.with_history and deployment.timeframe in KEPT_BY_VENUES:
        seen = _with_history(deployment, seen, folder, began_ms=began_ms)
    run = run_candles(seen, began_at_ms=began_ms, bar_at_ms=bar_ms, tried=tried)
    return run if deployment.with_history else run.cold()


def _own(traded: DeploymentTraded, run: RunCandles, folder: Path) -> RunCandles | None:
    """Give the run over the candles that the desk saw itself, where they are others than those that were named."""
    try:
        own = _run(traded, folder, named=None)
    except CandlesUnusableError:
        return None  # the venue's past is not here: what the strategy began with is not known
    is_same = not run.differing and run.began_as(own, needed=_needed(traded.deployment))
    return None if is_same else own


def _needed(deployment: Deployment) -> int:
    """Give how many candles before its first a strategy looks at."""
    if not deployment.with_history:
        return 0
    return bars_before(deployment.values) if deployment.strategy in MAKERS else WINDOW


def _seen(deployment: Deployment, folder: Path) -> Candles:
    name = f"{deployment.venue}_{deployment.symbol}_{deployment.timeframe}"
    found = SeenCandles(folder / "seen").read(name, since_ms=None, limit=ROWS_MAX)
    return make_candles(
        symbol=deployment.symbol,
        timeframe=read_timeframe(deployment.timeframe),
        source="live",
        columns={column: np.array([getattr(one, column) for one in found]) for column in COLUMNS},
    )


def _with_history(deployment: Deployment, seen: Candles, folder: Path, *, began_ms: int) -> Candles:
    """Put the venue's past before what was seen live: the strategy began with it, and it is not kept here by itself."""
    needed = _needed(deployment)
    first = int(np.searchsorted(seen.opened_at_ms, began_ms - seen.timeframe.ms))
    live = seen.part(first, len(seen))
    past = CandleFolder(folder).find(candles_name(deployment.symbol, deployment.timeframe))
    whole = live if past is None or not len(live) else prepend(past, live)
    if len(whole) - len(live) < needed:
        since = from_ms(began_ms - (needed + 1) * seen.timeframe.ms)
        raise CandlesUnusableError(
            f"CANDLES_BEFORE_MISSING: candles={deployment.symbol} {deployment.timeframe} before={len(whole) - len(live)} "
            f"needed={needed}. The strategy began with the venue's past candles; bring them in: `pregao data fetch "
            f"{deployment.symbol} {deployment.timeframe} --since {since:%Y-%m-%dT%H:%M}`."
        )
    return whole


def _plan(deployment: Deployment, run: RunCandles, models: Path) -> tuple[Plan, str | None]:
    values = deployment.values
    if deployment.with_model:
        # Loaded only here: what asks a model takes a hundred megabytes.
        store = importlib.import_module("pregao.edges.model_files.store")
        predictor = store.ModelFolder(models).find(symbol=deployment.symbol, timeframe=deployment.timeframe)
        if predictor is not None:
            played = run.as_played(symbol=deployment.symbol, timeframe=read_timeframe(deployment.timeframe))
            return plan_with_model(played, values, predictor, first=max(run.first - 1, 0)), predictor.model
    return get_strategy(deployment.strategy).plan_of(run.candles, values), None
