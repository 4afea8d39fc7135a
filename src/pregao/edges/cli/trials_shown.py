"""What came of trials, as the commands print it: figures, rankings, and how far one is."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pregao.research.backtests.trial import Trial
    from pregao.research.candles import Candles

FIGURES = {
    "return %": "return_pct",
    "return a year %": "return_year_pct",
    "largest drawdown %": "drawdown_max_pct",
    "longest drawdown, candles": "drawdown_bars_max",
    "Sharpe": "sharpe",
    "Sortino": "sortino",
    "Calmar": "calmar",
    "trades": "trades",
    "win rate %": "win_rate_pct",
    "profit factor": "profit_factor",
    "average win": "average_win",
    "average loss": "average_loss",
    "best": "best",
    "worst": "worst",
    "expectancy": "expectancy",
    "fees": "fees",
    "funding": "funding",
    "held %": "exposure_pct",
    "entries denied": "denied",
}
RANKED = {
    "strategy": "strategy",
    "values": "values",
    "sharpe": "Sharpe",
    "return_pct": "return %",
    "drawdown_max_pct": "drawdown %",
    "trades": "trades",
    "win_rate_pct": "win rate %",
    "profit_factor": "profit factor",
}


@contextmanager
def bar(total: int, *, shown: bool) -> Iterator[Any]:
    """Show how many of so many are tried, on the error stream; give what counts on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("trying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task("trying", total=total)
        yield lambda count: progress.advance(task, count)


def ranked_row(trial: "Trial") -> dict[str, Any]:
    """Give one line of a ranking."""
    figures = asdict(trial.figures)
    shown = {field: number(figures[field]) for field in RANKED if field in figures}
    return {"strategy": trial.strategy, "values": shown_values(trial.values), **shown}


def about(candles: "Candles") -> dict[str, Any]:
    """Say of which candles, for machines."""
    return {
        "symbol": candles.symbol,
        "timeframe": candles.timeframe.name,
        "source": candles.source,
        "is_simulated": candles.is_simulated,
        "rows": len(candles),
        "first_ms": int(candles.opened_at_ms[0]),
        "last_ms": int(candles.opened_at_ms[-1]),
        "digest": candles.digest,
    }


def extent(candles: "Candles") -> str:
    """Say from when to when candles are, and how many."""
    first, last = int(candles.opened_at_ms[0]), int(candles.opened_at_ms[-1])
    return f"{instant(first)} to {instant(last)}, {len(candles):,}"


def instant(at_ms: int) -> str:
    """Give a day and minute, UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def shown_values(values: Any) -> str:
    """Give the values of parameters in one line."""
    return " ".join(f"{name}={value:g}" for name, value in values.items())


def number(value: float) -> str:
    """Give a figure with as many digits as say something."""
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"


def written(told: Any) -> str:
    """Write what came of trials for machines; JSON has no infinity: what is not a number is null."""
    try:
        return json.dumps(told, allow_nan=False)
    except (
        ValueError
    ):  # rare, and looking at each of a hundred thousand values takes longer than writing them
        return json.dumps(_finite(told))


def _finite(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _finite(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_finite(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told
