"""
Reads rows of candles and of trades from CSV (plain or gzip) and Parquet files.

Exchanges and programs name the same columns differently; what is not known here is refused, never guessed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pregao.research.candles import PRICES, SIMULATED, Columns, Prices, Times

NAMES: Final = {
    "opened_at_ms": (
        "ts_ms",
        "opened_at_ms",
        "open_time",
        "opentime",
        "time",
        "timestamp",
        "date",
        "datetime",
        "unix",
    ),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "ticker"),
    "timeframe": ("timeframe", "interval"),
    "label": ("label",),
}
TRADE_NAMES: Final = {
    "traded_at_ms": ("ts_ms", "time", "timestamp", "transact_time", "traded_at_ms"),
    "price": ("price", "p"),
    "quantity": ("qty", "quantity", "amount", "size", "q"),
}
ROWS_THAT_TELL: Final = 1_000  # looking at every row for it takes six times as long as reading them
KLINE_COLUMNS: Final = 12
KLINE_NAMES: Final = ("open_time", "open", "high", "low", "close", "volume")
"""What the first columns of Binance's kline files are, which have twelve and, the older ones, no header."""
FUNDING_NAMES: Final = {
    "due_at_ms": ("ts_ms", "funding_time", "fundingtime", "time", "timestamp"),
    "rate": ("funding_rate", "fundingrate", "last_funding_rate", "rate"),
}
OPTIONAL: Final = {"volume", "symbol", "timeframe", "label"}
# A number this large is a time in this unit: seconds until the year 5138, milliseconds from 1973.
UNITS_FROM: Final = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0), (0.0, 1e3))


class FileUnreadableError(ValueError):
    """A file holds no candles or trades in a shape that is known; the text names what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one symbol and timeframe as they stand in a file; None where the file does not say."""

    symbol: str | None
    timeframe: str | None
    is_simulated: bool
    columns: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """A tape as it stands in a file."""

    traded_at_ms: Times
    prices: Prices
    quantities: Prices


def read_rows(path: Path) -> list[Rows]:
    """
    Read a file's candles, one row of candles for each symbol and timeframe that its columns name.

    :raises FileUnreadableError: when a column is missing or holds something else.
    """
    frame = _named(_frame_of(path), NAMES, path=path)
    keys = [name for name in ("symbol", "timeframe") if name in frame.columns]
    parts = frame.partition_by(keys, maintain_order=True) if keys else [frame]
    return [
        Rows(
            symbol=str(part["symbol"][0]) if "symbol" in keys else None,
            timeframe=str(part["timeframe"][0]) if "timeframe" in keys else None,
            is_simulated="label" in part.columns and bool((part["label"] == SIMULATED).any()),
            columns=_columns_of(part, path=path),
        )
        for part in parts
    ]


def read_trades(path: Path) -> Trades:
    """
    Read a file's trades, in the order in which they stand there.

    :raises FileUnreadableError: when a column is missing or holds something else.
    """
    frame = _named(_frame_of(path), TRADE_NAMES, path=path)
    return Trades(
        traded_at_ms=_times(frame["traded_at_ms"], path=path),
        prices=_numbers(frame["price"], path=path),
        quantities=_numbers(frame["quantity"], path=path),
    )


def read_funding(path: Path) -> tuple[Times, Prices]:
    """
    Read when funding fell due, and at which rate: a share of the position's value that longs paid to shorts.

    :raises FileUnreadableError: when a column is missing or holds something else.
    """
    frame = _named(_frame_of(path), FUNDING_NAMES, path=path)
    return _times(frame["due_at_ms"], path=path), _numbers(frame["rate"], path=path)


def _frame_of(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        frame = _csv_of(path, has_header=True)
        if _is_headless(frame.columns):
            frame = _csv_of(path, has_header=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileUnreadableError(
            f"FILE_UNREADABLE: file={path.name}. {str(error).splitlines()[0]}"
        ) from error
    if _is_headless_kline(frame):
        return frame.rename(dict(zip(frame.columns, KLINE_NAMES, strict=False)))
    return frame


def _csv_of(path: Path, *, has_header: bool) -> pl.DataFrame:
    """Read a file whose first rows say what its columns hold; where a later one holds something else, all of them do."""
    try:
        return pl.read_csv(path, glob=False, infer_schema_length=ROWS_THAT_TELL, has_header=has_header)
    except pl.exceptions.ComputeError:
        return pl.read_csv(path, glob=False, infer_schema_length=None, has_header=has_header)


def _is_headless(names: list[str]) -> bool:
    try:
        float(names[0])
    except ValueError:
        return False
    return True


def _is_headless_kline(frame: pl.DataFrame) -> bool:
    return frame.columns[0] == "column_0" and len(frame.columns) == KLINE_COLUMNS


def _named(frame: pl.DataFrame, names: dict[str, tuple[str, ...]], *, path: Path) -> pl.DataFrame:
    there = {name.strip().strip("<>").lower().replace(" ", "_"): name for name in frame.columns}
    found = {
        ours: there[theirs]
        for ours, spellings in names.items()
        for theirs in reversed(spellings)
        if theirs in there
    }
    missing = [name for name in names if name not in found and name not in OPTIONAL]
    if missing:
        raise FileUnreadableError(
            f"COLUMNS_MISSING: file={path.name} missing={','.join(missing)} columns={','.join(frame.columns[:20])}. "
            "Name the columns as docs/howto/bring-in-candles.md shows."
        )
    chosen = frame.select(**{ours: pl.col(theirs) for ours, theirs in found.items()})
    in_ms = [
        name for name in chosen.columns if name.endswith("_at_ms") and found[name].lower().endswith("_ms")
    ]
    # A name that ends so says its unit; other numbers say it by their size.
    return chosen.with_columns(pl.from_epoch(pl.col(name), time_unit="ms") for name in in_ms)


def _columns_of(frame: pl.DataFrame, *, path: Path) -> Columns:
    columns: Columns = {"opened_at_ms": _times(frame["opened_at_ms"], path=path)}
    for name in (*PRICES, "volume"):
        if name in frame.columns:
            columns[name] = _numbers(frame[name], path=path)
    return columns


def _numbers(column: pl.Series, *, path: Path) -> Prices:
    try:
        return _without_nulls(column.cast(pl.Float64), path=path).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise FileUnreadableError(
            f"COLUMN_UNREADABLE: file={path.name} column={column.name}. It holds no numbers."
        ) from error


def _times(column: pl.Series, *, path: Path) -> Times:
    try:
        if column.dtype == pl.String:
            column = _written_times(column)
        if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
            return _without_nulls(column.cast(pl.Datetime("ms")).cast(pl.Int64), path=path).to_numpy()
        numbers: NDArray[np.float64] = _without_nulls(column.cast(pl.Float64), path=path).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise FileUnreadableError(
            f"COLUMN_UNREADABLE: file={path.name} column={column.name}. It holds no times."
        ) from error
    # A file may change its unit: Binance's went from milliseconds to microseconds in 2025.
    scale = np.select([numbers >= least for least, _ in UNITS_FROM], [factor for _, factor in UNITS_FROM])
    times: Times = np.floor(numbers * scale).astype(np.int64)
    return times


def _written_times(column: pl.Series) -> pl.Series:
    if column.str.contains(r"^\d+(\.\d+)?$").all():
        return column.cast(pl.Float64)
    return column.str.to_datetime(time_zone="UTC", time_unit="ms")


def _without_nulls(column: pl.Series, *, path: Path) -> pl.Series:
    if column.null_count():
        raise FileUnreadableError(
            f"COLUMN_UNREADABLE: file={path.name} column={column.name} rows={column.null_count()}. A value is missing."
        )
    return column
