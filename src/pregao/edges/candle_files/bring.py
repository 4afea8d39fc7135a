"""Brings candles in from a file: what it holds, what was wrong with it, and the candles that are left."""

from dataclasses import dataclass
from pathlib import Path

from pregao.edges.candle_files.shapes import Rows, read_rows, read_trades
from pregao.edges.candle_files.store import CandleFolder, is_ours, read_parquet
from pregao.research.candles import COLUMNS, Candles, CandlesUnusableError, Columns, make_candles
from pregao.research.gaps import Examination, examine, guess_timeframe, in_order
from pregao.research.ticks import candles_of_trades
from pregao.research.timeframe import Timeframe, read_timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody says about a file that it does not say itself."""

    symbol: str | None = None
    timeframe: str | None = None
    source: str | None = None
    is_simulated: bool = False
    last_is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """Candles of a file, and what was found in its rows."""

    candles: Candles
    found: Examination


def bring(path: Path, *, told: Told) -> list[Brought]:
    """
    Read every row of candles in a file that is meant.

    :raises FileUnreadableError: when its shape is not known.
    :raises CandlesUnusableError: when a row cannot be, or the symbol or timeframe is not known.
    """
    if is_ours(path):
        candles = read_parquet(path)
        return [Brought(candles=candles, found=examine(columns_of(candles), timeframe=candles.timeframe))]
    brought = [_brought(rows, path=path, told=told) for rows in read_rows(path) if _is_meant(rows, told)]
    if not brought:
        raise CandlesUnusableError(
            f"CANDLES_MISSING: file={path.name} symbol={told.symbol} timeframe={told.timeframe}. It holds no such rows."
        )
    return brought


def bring_trades(path: Path, *, told: Told, timeframe: Timeframe) -> Candles:
    """
    Make candles of the trades in a file.

    :raises FileUnreadableError: when its shape is not known.
    :raises CandlesUnusableError: when the times go back.
    """
    trades = read_trades(path)
    made = candles_of_trades(
        symbol=told.symbol or stem_of(path),
        source=told.source or path.name,
        timeframe=timeframe,
        traded_at_ms=trades.traded_at_ms,
        prices=trades.prices,
        quantities=trades.quantities,
    )
    if not told.is_simulated:
        return made
    return make_candles(
        symbol=made.symbol,
        timeframe=timeframe,
        source=made.source,
        columns=columns_of(made),
        is_simulated=True,
    )


def open_candles(name: str, *, folder: CandleFolder, told: Told) -> Candles:
    """
    Give candles by the name they are kept by, or by the path of a file, which then holds one row of candles.

    :raises CandlesMissingError: when there are none.
    :raises CandlesUnusableError: when the file holds several rows of candles and nobody said which.
    """
    path = Path(name)
    if not path.is_file():
        return folder.get(name)
    brought = bring(path, told=told)
    if len(brought) > 1:
        held = ", ".join(f"{one.candles.symbol} {one.candles.timeframe.name}" for one in brought)
        raise CandlesUnusableError(
            f"CANDLES_AMBIGUOUS: file={path.name} holds={held}. Name one with --symbol and --timeframe."
        )
    return brought[0].candles


def columns_of(candles: Candles) -> Columns:
    """Give the columns by their names."""
    return {name: getattr(candles, name) for name in COLUMNS}


def stem_of(path: Path) -> str:
    """Give a file's name up to its first dot."""
    return path.name.partition(".")[0]


def _is_meant(rows: Rows, told: Told) -> bool:
    return (rows.symbol is None or told.symbol in (None, rows.symbol)) and (
        rows.timeframe is None or told.timeframe in (None, rows.timeframe)
    )


def _brought(rows: Rows, *, path: Path, told: Told) -> Brought:
    columns = rows.columns
    written = rows.timeframe or told.timeframe
    timeframe = read_timeframe(written) if written else guess_timeframe(columns["opened_at_ms"])
    found = examine(columns, timeframe=timeframe)
    ordered = in_order(columns)
    if told.last_is_open:
        ordered = {name: column[:-1] for name, column in ordered.items()}
    candles = make_candles(
        symbol=rows.symbol or told.symbol or stem_of(path),
        timeframe=timeframe,
        source=told.source or path.name,
        is_simulated=rows.is_simulated or told.is_simulated,
        columns=ordered,
    )
    return Brought(candles=candles, found=found)
