"""Recorded funding rates, one Parquet file for each symbol in the folder `funding` beside the candles."""

import os
import re
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from pregao.domain.lab import FUNDING_FOLDER
from pregao.edges.candle_files.shapes import FileUnreadableError
from pregao.research.candles import Prices, Times

SYMBOL: Final = re.compile(r"[A-Z0-9.-]{1,40}")


class FundingMissingError(LookupError):
    """No rates of this symbol were recorded, or none that fall due where they are asked for."""


class FundingFolder:
    """When funding fell due, and at which rate: a share of the position's value that longs paid to shorts."""

    def __init__(self, candle_folder: Path) -> None:
        """Use the folder beside these candles; it is made with the first rates."""
        self._folder = candle_folder / FUNDING_FOLDER

    def keep(self, symbol: str, *, due_at_ms: Times, rates: Prices) -> int:
        """
        Add rates to those of the symbol, later told ones in the place of earlier; give how many there are then.

        :raises FileUnreadableError: when a symbol cannot be called so.
        """
        if SYMBOL.fullmatch(symbol) is None:
            raise FileUnreadableError(
                f"SYMBOL_UNUSABLE: symbol={symbol[:50]}. Write it as the candles have it."
            )
        rows = pl.DataFrame({"due_at_ms": due_at_ms, "rate": rates})
        path = self._path(symbol)
        if path.exists():
            rows = pl.concat([pl.read_parquet(path), rows])
        kept = rows.unique("due_at_ms", keep="last", maintain_order=True).sort("due_at_ms")
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        kept.write_parquet(unfinished)
        unfinished.replace(path)
        return len(kept)

    def get(self, symbol: str) -> tuple[Times, Prices]:
        """
        Give the times, rising, and the rates.

        :raises FundingMissingError: when there are none.
        """
        path = self._path(symbol)
        if not path.exists():
            raise FundingMissingError(
                f"FUNDING_MISSING: symbol={symbol}. Bring the rates in with `pregao data funding`."
            )
        frame = pl.read_parquet(path)
        return frame["due_at_ms"].to_numpy().astype(np.int64), frame["rate"].to_numpy().astype(np.float64)

    def _path(self, symbol: str) -> Path:
        return self._folder / f"{symbol}.parquet"
