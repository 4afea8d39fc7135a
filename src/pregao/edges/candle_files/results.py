"""Writes what the lab found: trades and tables of trials, as Parquet or CSV."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from pregao.research.backtests.outcome import Outcome
from pregao.research.backtests.sweep import Swept
from pregao.research.backtests.terms import Ending
from pregao.research.backtests.trial import Trial


class ResultKindUnknownError(ValueError):
    """Results are written as .parquet or .csv."""


def rows_of(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Give one row for each trial: its parameters, then its figures."""
    return [{"strategy": one.strategy, **one.values, **asdict(one.figures)} for one in trials]


def write_sweep(swept: Swept, path: Path) -> None:
    """
    Write one row for each combination: its parameters, then its figures.

    :raises ResultKindUnknownError: when the name ends otherwise than in .parquet or .csv.
    """
    names = list(swept.combinations[0])
    parameters = {name: [values[name] for values in swept.combinations] for name in names}
    _write(pl.DataFrame({"strategy": [swept.strategy] * len(swept), **parameters, **swept.table}), path)


def trade_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Give one row for each trade, with the times of its candles."""
    opened, trades = outcome.candles.opened_at_ms, outcome.trades
    endings = {one.value: one.name.lower() for one in Ending}
    columns = {
        "entry_ms": opened[trades.entry_bar].tolist(),
        "exit_ms": opened[trades.exit_bar].tolist(),
        "side": ["long" if side > 0 else "short" for side in trades.side.tolist()],
        "quantity": trades.quantity.tolist(),
        "entry_price": trades.entry_price.tolist(),
        "exit_price": trades.exit_price.tolist(),
        "fees": trades.fees.tolist(),
        "funding": trades.funding.tolist(),
        "profit": trades.profit.tolist(),
        "ending": [endings[ending] for ending in trades.ending.tolist()],
        "entry_bar": trades.entry_bar.tolist(),
        "exit_bar": trades.exit_bar.tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """
    Write rows to a .parquet or .csv file.

    :raises ResultKindUnknownError: when the name ends otherwise.
    """
    _write(pl.DataFrame(list(rows), infer_schema_length=None), path)


def _write(frame: pl.DataFrame, path: Path) -> None:
    require_kind(path)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)


def require_kind(path: Path) -> None:
    """
    Refuse a name before an hour of computing, not after it.

    :raises ResultKindUnknownError: when it ends otherwise than in .parquet or .csv.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ResultKindUnknownError(f"FILE_KIND_UNKNOWN: file={path.name}. Name it .parquet or .csv.")
