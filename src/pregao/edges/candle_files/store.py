"""
The lab's own candles: one Parquet file for each symbol and timeframe in the folder `candles` of the state folder.

A file is replaced as a whole and at once: whoever reads it reads the old rows or the new ones.
"""

import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from pregao.research.candles import COLUMNS, SIMULATED, Candles, Columns, make_candles
from pregao.research.timeframe import read_timeframe

ABOUT: Final = "pregao.candles"
LAST_KEPT: Final = 100  # of those who ask for the last candles: a hundred kilobytes each
ROWS_PER_GROUP: Final = 131_072  # a part of a year is read without the rest of it


class CandlesMissingError(LookupError):
    """The folder has no such candles; the text says which it has."""


class CandlesContradictError(ValueError):
    """New candles say something else than stored ones about the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file of candles as a list shows it."""

    name: str
    symbol: str
    timeframe: str
    source: str
    is_simulated: bool
    rows: int
    first_ms: int
    last_ms: int
    file_bytes: int


class CandleFolder:
    """Candles by name, such as ``BTCUSDT_1m``."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made when the first candles are kept."""
        self._folder = folder

    def names(self) -> list[str]:
        """Give the names of all candles there are."""
        return sorted(path.stem for path in self._folder.glob("*.parquet"))

    def find(self, name: str) -> Candles | None:
        """Give candles by name; None when there are none."""
        path = self._path(name)
        return read_parquet(path) if path.exists() else None

    def get(self, name: str) -> Candles:
        """
        Give candles by name.

        :raises CandlesMissingError: when there are none of that name.
        """
        found = self.find(name)
        if found is None:
            known = ", ".join(self.names()) or "none"
            raise CandlesMissingError(
                f"CANDLES_MISSING: name={name} known={known}. Bring them in with `pregao data import`."
            )
        return found

    def get_last(self, name: str, *, rows: int) -> Candles:
        """
        Give the last candles of a name; the rest of the file is not read, and nothing is while it is the same file.

        :raises CandlesMissingError: when there are none of that name.
        """
        path = self._path(name)
        try:
            found = path.stat()
        except FileNotFoundError:
            return self.get(name)
        return _last(path, rows, found.st_ino, found.st_mtime_ns)

    def keep(self, candles: Candles, *, replaces: bool = False) -> Candles:
        """
        Add candles to those of their symbol and timeframe, or put them in their place, and give what is there then.

        :raises CandlesContradictError: when a stored candle says otherwise, or one side is simulated and the other not.
        """
        name = name_of(candles)
        stored = None if replaces else self.find(name)
        kept = candles if stored is None else merged(stored, candles)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_parquet(kept, self._path(name))
        return kept

    def list(self) -> list[Stored]:
        """Say what there is, without reading the candles themselves."""
        return [self._stored(name) for name in self.names()]

    def _stored(self, name: str) -> Stored:
        path = self._path(name)
        about = _about(path)
        extent = pl.scan_parquet(path).select(
            rows=pl.len(), first=pl.col("opened_at_ms").min(), last=pl.col("opened_at_ms").max()
        )
        rows, first_ms, last_ms = extent.collect().row(0)
        return Stored(
            name=name,
            symbol=about["symbol"],
            timeframe=about["timeframe"],
            source=about["source"],
            is_simulated=about["is_simulated"],
            rows=rows,
            first_ms=first_ms or 0,
            last_ms=last_ms or 0,
            file_bytes=path.stat().st_size,
        )

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"


def name_of(candles: Candles) -> str:
    """Give the name that candles are kept by; simulated ones can never be taken for a market's."""
    symbol = re.sub(r"[^A-Z0-9.-]", "", candles.symbol.upper())
    name = f"{symbol}_{candles.timeframe.name}"
    return f"{SIMULATED}-{name}" if candles.is_simulated else name


def merged(stored: Candles, new: Candles) -> Candles:
    """
    Give stored and new candles as one row.

    :raises CandlesContradictError: when they say different things about one time.
    """
    both, at_stored, at_new = np.intersect1d(
        stored.opened_at_ms, new.opened_at_ms, assume_unique=True, return_indices=True
    )
    same = np.ones(len(both), dtype=bool)
    for name in COLUMNS[1:]:
        same &= np.isclose(
            getattr(stored, name)[at_stored], getattr(new, name)[at_new], rtol=0.0, atol=0.0, equal_nan=True
        )
    if not same.all():
        raise CandlesContradictError(
            f"CANDLES_CONTRADICT: candles={stored.label} rows={int((~same).sum())} opened_at_ms={int(both[~same][0])} "
            f"stored_source={stored.source} new_source={new.source}. Import with --replace to take the new ones alone."
        )
    times, first = np.unique(np.concatenate([stored.opened_at_ms, new.opened_at_ms]), return_index=True)
    columns: Columns = {
        name: np.concatenate([getattr(stored, name), getattr(new, name)])[first] for name in COLUMNS[1:]
    }
    return make_candles(
        symbol=stored.symbol,
        timeframe=stored.timeframe,
        source=", ".join(dict.fromkeys([*stored.source.split(", "), new.source])),
        is_simulated=stored.is_simulated,
        columns={"opened_at_ms": times, **columns},
    )


def read_parquet(path: Path, *, rows_last: int | None = None) -> Candles:
    """Read a file that `write_parquet` wrote, or its last rows."""
    about = _about(path)
    if rows_last is None:
        frame = pl.read_parquet(path, columns=list(COLUMNS))
    else:
        frame = pl.scan_parquet(path).select(COLUMNS).tail(rows_last).collect()
    return make_candles(
        symbol=about["symbol"],
        timeframe=read_timeframe(about["timeframe"]),
        source=about["source"],
        is_simulated=about["is_simulated"],
        columns={name: frame[name].to_numpy() for name in COLUMNS},
    )


@lru_cache(maxsize=LAST_KEPT)
def _last(path: Path, rows: int, _number: int, _written_ns: int) -> Candles:
    return read_parquet(path, rows_last=rows)


def write_parquet(candles: Candles, path: Path) -> None:
    """Write candles with what they are; the file is there as a whole or not at all."""
    about = {
        "symbol": candles.symbol,
        "timeframe": candles.timeframe.name,
        "source": candles.source,
        "is_simulated": candles.is_simulated,
    }
    frame = pl.DataFrame({name: getattr(candles, name) for name in COLUMNS})
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(
        unfinished, compression="lz4", row_group_size=ROWS_PER_GROUP, metadata={ABOUT: json.dumps(about)}
    )
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.replace(path)


def write_csv(candles: Candles, path: Path) -> None:
    """Write candles as CSV that `pregao data import` reads back, number for number."""
    frame = pl.DataFrame(
        {"ts_ms": candles.opened_at_ms} | {name: getattr(candles, name) for name in COLUMNS[1:]}
    )
    if not candles.has_volume:
        frame = frame.drop("volume")
    if candles.is_simulated:
        frame = frame.with_columns(label=pl.lit(SIMULATED))
    frame.write_csv(path, compression="gzip" if path.suffix == ".gz" else "uncompressed")


def _about(path: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(pl.read_parquet_metadata(path)[ABOUT])
    return about


def is_ours(path: Path) -> bool:
    """Say whether a Parquet file is one that `write_parquet` wrote, and says itself what it holds."""
    return path.suffix == ".parquet" and ABOUT in pl.read_parquet_metadata(path)
